"""What a record on a topic means once it is decoded: messages, recalls, user events.

JSON keys follow Tencent IM's spelling on the wire; the names here are the vocabulary of this project.
Every struct is frozen. Times are epoch seconds unless a name ends in ``_ms``.
"""

from __future__ import annotations

from enum import Enum, StrEnum
from typing import Any

import msgspec

MAX_LIFETIME_S = 604_800
"""Tencent keeps an offline message seven days at most; longer is clamped (contract, section 1.1)."""


class Source(msgspec.Struct, frozen=True):
    """Where a record was first read: the coordinate that owns claims and done marks."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"


class Kind(Enum):
    """The four shapes of a message."""

    C2C = "c2c"
    BATCH = "batch"
    GROUP = "group"
    TASK = "task"


class State(StrEnum):
    """A receiver's presence, in Tencent's words."""

    ONLINE = "Online"
    PUSH_ONLINE = "PushOnline"
    OFFLINE = "Offline"


class AndroidInfo(msgspec.Struct, frozen=True, kw_only=True):
    """``OfflinePushInfo.AndroidInfo`` with only well-formed hints left; absent or ignored ones are ``None``."""

    sound: str | None = None
    push_style: int | None = None
    huawei_channel_id: str | None = None
    huawei_category: str | None = None
    huawei_importance: str | None = None
    huawei_image: str | None = None
    ext_as_huawei_intent: int | None = None
    honor_importance: str | None = None
    honor_image: str | None = None
    xiaomi_channel_id: str | None = None
    oppo_channel_id: str | None = None
    oppo_category: str | None = None
    oppo_notify_level: int | None = None
    oppo_template_id: str | None = None
    oppo_title_parameters: dict[str, Any] | None = None
    oppo_content_parameters: dict[str, Any] | None = None
    google_channel_id: str | None = None
    google_image: str | None = None
    google_priority: str | None = None
    vivo_classification: int | None = None
    vivo_category: str | None = None
    vivo_notify_type: int | None = None
    meizu_notice_type: int | None = None


class LiveActivity(msgspec.Struct, frozen=True, kw_only=True):
    """``OfflinePushInfo.ApnsInfo.LiveActivity``: the new state of an activity on the lock screen, or its end."""

    event: str
    """``update`` or ``end``."""
    la_id: str | None = None
    """The activity's name in Tencent's service."""
    content_state: dict[str, Any] | None = None
    """What the app's widget shows; only an ``end`` may do without."""
    dismissal_date: int | None = None
    """When an ended activity leaves the lock screen, epoch s."""


class ApnsInfo(msgspec.Struct, frozen=True, kw_only=True):
    """``OfflinePushInfo.ApnsInfo``, likewise."""

    sound: str | None = None
    badge_mode: int = 0
    title: str | None = None
    subtitle: str | None = None
    image: str | None = None
    mutable_content: int | None = None
    content_available: int | None = None
    interruption_level: str | None = None
    is_voip: int | None = None
    live_activity: LiveActivity | None = None


class Words(msgspec.Struct, frozen=True):
    """One entry of ``MultiLanguageContent``; what is empty there is as for every language."""

    title: str = ""
    desc: str = ""


class OfflinePushInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A message's own push settings. ``push_flag`` 0 pushes, 1 does not."""

    push_flag: int = 0
    title: str = ""
    desc: str = ""
    ext: str = ""
    android: AndroidInfo | None = None
    apns: ApnsInfo | None = None
    harmony: dict[str, Any] | None = None
    languages: dict[str, Words] | None = None
    """``MultiLanguageContent`` by language (``zh``), in its order."""
    badge_set: int | None = None
    """``BadgeSetNum``: the number to show."""
    badge_add: int | None = None
    """``BadgeAddNum``: by how much to raise it."""


class Element(msgspec.Struct, frozen=True):
    """One element of ``MsgBody``. Only the parts that notifications need; anything else stays in the raw bytes."""

    type: str
    text: str = ""
    """``Text`` of a TIMTextElem."""
    desc: str = ""
    """``Desc`` of a TIMCustomElem."""
    ext: str = ""
    """``Ext`` of a TIMCustomElem."""
    sound: str = ""
    """``Sound`` of a TIMCustomElem."""


class ReceiverHint(msgspec.Struct, frozen=True, kw_only=True):
    """What the publisher says of one receiver in ``PushGateway.Receivers``; it beats the store."""

    user: str
    state: State | None = None
    background: bool | None = None
    unread: int | None = None
    recv_opt: int | None = None


class OfflineMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message on the message topic, of any of the four shapes."""

    kind: Kind
    app: int
    """SdkAppId."""
    sender: str
    """From_Account, or the empty string."""
    receivers: tuple[str, ...]
    """Every receiver that the record names, in its order, each once."""
    hints: dict[str, ReceiverHint]
    random: int
    time: int
    """MsgTime, else MsgTimeStamp, else the record's time; epoch s."""
    time_in_body: bool
    """Whether ``time`` stood in the body (then it may identify the message)."""
    record_time_ms: int
    seq: int | None = None
    msg_key: str | None = None
    """As given, or MsgSeq_MsgRandom_MsgTime where the body has all three."""
    lifetime: int | None = None
    """MsgLifeTime in s, clamped to seven days; ``None`` when absent."""
    online_only_flag: int = 0
    send_result: int = 0
    command: str | None = None
    """CallbackCommand of a republished webhook."""
    controls: frozenset[str] = frozenset()
    """SendMsgControl."""
    group_id: str | None = None
    topic_id: str | None = None
    targets: frozenset[str] | None = None
    """To_Account of a targeted group message, where it names members: nobody else may be notified (B1)."""
    group_type: str | None = None
    group_name: str | None = None
    mentions: frozenset[str] = frozenset()
    mention_all: bool = False
    sender_nick: str | None = None
    sender_card: str | None = None
    body: tuple[Element, ...] = ()
    body_digest: bytes = b""
    """Hash of MsgBody, only computed for groups when ``group_include_content`` asks for it."""
    push_info: OfflinePushInfo | None = None
    unread: int | None = None
    """Top-level UnreadMsgNum, where it is not negative."""
    event_id: str | None = None
    origin: str | None = None
    """PushGateway.Source: Tencent's OptPlatform."""
    part: int | None = None
    data_id: str | None = None
    trace_id: str | None = None
    warnings: tuple[str, ...] = ()
    """Hints that were ignored, one sentence each."""

    @property
    def expires_at(self) -> int:
        """When the message must not be shown any more, epoch s."""
        return self.time + (MAX_LIFETIME_S if self.lifetime is None else self.lifetime)


class C2CRecall(msgspec.Struct, frozen=True, kw_only=True):
    """A one-to-one message was withdrawn."""

    app: int
    sender: str
    receiver: str
    msg_key: str
    unread: int | None = None


class GroupRecall(msgspec.Struct, frozen=True, kw_only=True):
    """Messages of a group were withdrawn."""

    app: int
    group_id: str
    topic_id: str | None
    seqs: tuple[int, ...]


class NotAMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A well-formed event that is nobody's notification: code A3, or A4 where the send itself failed."""

    app: int
    command: str
    send_failed: bool
    sender: str = ""
    receivers: tuple[str, ...] = ()
    group_id: str | None = None
    event_id: str | None = None
    detail: str = ""
    seq: int | None = None
    random: int | None = None
    time: int | None = None
    """MsgTime or MsgTimeStamp, epoch s, where the body has one."""
    msg_key: str | None = None


Decoded = OfflineMessage | C2CRecall | GroupRecall | NotAMessage


# --- user events ------------------------------------------------------------------------------------------


class DevicePut(msgspec.Struct, frozen=True, kw_only=True):
    """A device reported its token after login."""

    app: int
    user: str
    time_ms: int
    device_id: str
    business_id: int
    token: str
    platform: str | None = None
    lang: str | None = None
    time_zone: str | None = None
    app_version: str | None = None


class DeviceDelete(msgspec.Struct, frozen=True, kw_only=True):
    """setOfflinePushConfig(null): the device is forgotten, the login stays."""

    app: int
    user: str
    time_ms: int
    device_id: str


class DeviceGround(msgspec.Struct, frozen=True, kw_only=True):
    """doBackground or doForeground."""

    app: int
    user: str
    time_ms: int
    device_id: str
    background: bool
    unread: int | None = None


class UserLogin(msgspec.Struct, frozen=True, kw_only=True):
    """A login, of one device or of the account."""

    app: int
    user: str
    time_ms: int
    device_id: str | None = None


class UserLogout(msgspec.Struct, frozen=True, kw_only=True):
    """A logout or a kick: of one device, of whole platforms, or (neither given) of everything."""

    app: int
    user: str
    time_ms: int
    device_id: str | None = None
    platforms: frozenset[str] = frozenset()


class UserDisconnect(msgspec.Struct, frozen=True, kw_only=True):
    """The link was lost without a logout: PushOnline. Every device counts as in the background."""

    app: int
    user: str
    time_ms: int


class PushSwitch(msgspec.Struct, frozen=True, kw_only=True):
    """The user's own switch for offline pushes."""

    app: int
    user: str
    time_ms: int
    enabled: bool


class DailyWindow(msgspec.Struct, frozen=True, kw_only=True, tag="daily"):
    """Every day from a wall-clock time on, for ``duration`` s; 86,400 or more never ends."""

    hour: int
    minute: int
    second: int
    duration: int


class OnceWindow(msgspec.Struct, frozen=True, kw_only=True, tag="once"):
    """One absolute window: epoch s, s."""

    start: int
    duration: int


class RepeatWindow(msgspec.Struct, frozen=True, kw_only=True, tag="repeat"):
    """A window of epoch seconds that repeats every 86,400 s."""

    start: int
    end: int


class AlwaysWindow(msgspec.Struct, frozen=True, kw_only=True, tag="always"):
    """Option 2 without any window: until it is cleared."""


Window = DailyWindow | OnceWindow | RepeatWindow | AlwaysWindow


class GlobalOption(msgspec.Struct, frozen=True, kw_only=True):
    """The user's global do-not-disturb; ``window`` ``None`` clears it."""

    app: int
    user: str
    time_ms: int
    window: Window | None
    time_zone: str | None = None


class C2COption(msgspec.Struct, frozen=True, kw_only=True):
    """The user's receive option for one peer: 0, 1 or 2."""

    app: int
    user: str
    time_ms: int
    peer: str
    option: int


class GroupOption(msgspec.Struct, frozen=True, kw_only=True):
    """The user's receive option for a group or a topic of it: 0...4."""

    app: int
    user: str
    time_ms: int
    group_id: str
    topic_id: str | None
    option: int


class BadgeSet(msgspec.Struct, frozen=True, kw_only=True):
    """The user's unread number, from which pushes count on."""

    app: int
    user: str
    time_ms: int
    unread: int


UserEvent = (
    DevicePut
    | DeviceDelete
    | DeviceGround
    | UserLogin
    | UserLogout
    | UserDisconnect
    | PushSwitch
    | GlobalOption
    | C2COption
    | GroupOption
    | BadgeSet
)
