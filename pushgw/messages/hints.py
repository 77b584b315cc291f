"""Hints: values that only refine a notification. A wrong one is left out and named in a warning; it kills nothing.

The tables say what each key may hold: a string (TEXT), an object (OBJECT), an object with a table of its own
(ACTIVITY) or one of some values.
Values follow Tencent's REST documentation of OfflinePushInfo and the field comments of its SDKs.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from pushgw.messages.model import AndroidInfo, ApnsInfo, LiveActivity, Words
from pushgw.messages.reader import as_integer

TEXT: Collection[Any] = ("text",)
OBJECT: Collection[Any] = ("object",)
ACTIVITY: Collection[Any] = ("activity",)

Row = tuple[str, Collection[Any]]
"""Field of the model, and what it may hold."""

_SWITCH = (0, 1)
_IMPORTANCE = ("LOW", "NORMAL")

ANDROID: Mapping[str, Row] = {
    "Sound": ("sound", TEXT),
    "PushStyle": ("push_style", _SWITCH),
    "HuaWeiChannelID": ("huawei_channel_id", TEXT),
    "HuaWeiCategory": ("huawei_category", TEXT),
    "HuaWeiImportance": ("huawei_importance", _IMPORTANCE),
    "HuaWeiImage": ("huawei_image", TEXT),
    "ExtAsHuaweiIntentParam": ("ext_as_huawei_intent", _SWITCH),
    "HonorImportance": ("honor_importance", _IMPORTANCE),
    "HonorImage": ("honor_image", TEXT),
    "XiaoMiChannelID": ("xiaomi_channel_id", TEXT),
    "OPPOChannelID": ("oppo_channel_id", TEXT),
    "OPPOCategory": ("oppo_category", TEXT),
    "OPPONotifyLevel": ("oppo_notify_level", (1, 2, 16)),
    "OPPOPrivateMsgTemplateId": ("oppo_template_id", TEXT),
    "OPPOPrivateTitleParameters": ("oppo_title_parameters", OBJECT),
    "OPPOPrivateContentParameters": ("oppo_content_parameters", OBJECT),
    "GoogleChannelID": ("google_channel_id", TEXT),
    "GoogleImage": ("google_image", TEXT),
    "GooglePriority": ("google_priority", ("normal", "high")),
    "VIVOClassification": ("vivo_classification", _SWITCH),
    "VIVOCategory": ("vivo_category", TEXT),
    "VIVONotifyType": ("vivo_notify_type", (1, 2, 3, 4)),
    "MeiZuNoticeMsgType": ("meizu_notice_type", _SWITCH),
}

APNS: Mapping[str, Row] = {
    "Sound": ("sound", TEXT),
    "BadgeMode": ("badge_mode", _SWITCH),
    "Title": ("title", TEXT),
    "SubTitle": ("subtitle", TEXT),
    "Image": ("image", TEXT),
    "MutableContent": ("mutable_content", _SWITCH),
    "ContentAvailable": ("content_available", _SWITCH),
    "InterruptionLevel": ("interruption_level", ("passive", "active", "time-sensitive", "critical")),
    "IsVoipPush": ("is_voip", _SWITCH),
    "LiveActivity": ("live_activity", ACTIVITY),
}

LIVE_ACTIVITY: Mapping[str, Row] = {
    "LaId": ("la_id", TEXT),
    "Event": ("event", ("update", "end")),
    "ContentState": ("content_state", OBJECT),
}

WORDS: Mapping[str, Row] = {
    "Language": ("language", TEXT),
    "Title": ("title", TEXT),
    "Desc": ("desc", TEXT),
}

GROUP_TYPES = frozenset(
    {"Public", "Private", "Work", "ChatRoom", "Meeting", "AVChatRoom", "BChatRoom", "Community"}
)
_TODAY = {"Private": "Work", "ChatRoom": "Meeting"}
"""Two types were renamed; both names are still sent."""
ORIGINS = ("RESTAPI", "Web", "Android", "iOS", "Windows", "Mac", "IPad", "Unknown")
PRIORITIES = ("High", "Normal", "Low", "Lowest")
RECEIVE_OPTIONS = (0, 1, 2, 3, 4)
LARGEST_BADGE = 2**31 - 1
MOST_BADGE_SET = 999
MOST_BADGE_ADD = 99
LATEST_DATE = 2**53
"""Epoch s; a larger number is no number in every JSON reader."""


class Hints:
    """Reads the hints of one record and collects a sentence for each that it leaves out."""

    __slots__ = ("_lenient", "warnings")

    def __init__(self, lenient: bool) -> None:
        self._lenient = lenient
        self.warnings: list[str] = []

    def android(self, raw: Any) -> AndroidInfo | None:
        """``OfflinePushInfo.AndroidInfo``."""
        kept = self._object(raw, ANDROID, "OfflinePushInfo.AndroidInfo")
        return None if kept is None else AndroidInfo(**kept)

    def apns(self, raw: Any) -> ApnsInfo | None:
        """``OfflinePushInfo.ApnsInfo``."""
        kept = self._object(raw, APNS, "OfflinePushInfo.ApnsInfo")
        return None if kept is None else ApnsInfo(**kept)

    def harmony(self, raw: Any) -> dict[str, Any] | None:
        """``OfflinePushInfo.HarmonyInfo``, passed on as it is."""
        if isinstance(raw, dict):
            return raw
        self._ignore("OfflinePushInfo.HarmonyInfo", "it is no object")
        return None

    def languages(self, raw: Any, path: str) -> dict[str, Words] | None:
        """``MultiLanguageContent`` by primary language, lower case: of ``zh`` and ``zh-TW`` the plain one, else the first."""
        if not isinstance(raw, list):
            self._ignore(path, "it is no array")
            return None
        found: dict[str, Words] = {}
        plain: set[str] = set()
        for index, entry in enumerate(raw):
            kept = self._object(entry, WORDS, f"{path}[{index}]")
            if kept is None:
                continue
            tag = kept.pop("language", "").lower().replace("_", "-")
            name = tag.partition("-")[0]
            if not name or not kept:
                self._ignore(f"{path}[{index}]", "it needs a Language, and a Title or a Desc")
            elif name not in found or (tag == name and name not in plain):
                found[name] = Words(**kept)
            if tag == name:
                plain.add(name)
        return found or None

    def number(self, raw: Any, least: int, most: int, path: str) -> int | None:
        """A number within its bounds. An empty string is a key left blank: absent."""
        if raw == "":
            return None
        number = as_integer(raw, lenient=self._lenient)
        if number is not None and least <= number <= most:
            return number
        self._ignore(path, f"it is no number from {least} to {most}")
        return None

    def group_type(self, raw: Any, path: str) -> str | None:
        """A group's type by its present name."""
        if type(raw) is str and raw in GROUP_TYPES:
            return _TODAY.get(raw, raw)
        if raw != "":
            self._ignore(path, "it is no group type of Tencent's")
        return None

    def origin(self, raw: Any) -> str | None:
        """``PushGateway.Source``."""
        return self._choice(raw, ORIGINS, "PushGateway.Source")  # type: ignore[no-any-return]  # a row of strings

    def priority(self, raw: Any) -> None:
        """``MsgPriority`` orders nothing here; a wrong one is worth a word."""
        self._choice(raw, PRIORITIES, "MsgPriority")

    def receive_option(self, raw: Any, path: str) -> int | None:
        """``RecvOpt`` of one receiver."""
        return self._choice(raw, RECEIVE_OPTIONS, path)  # type: ignore[no-any-return]  # a row of integers

    def unread(self, raw: Any, path: str) -> int | None:
        """An ``UnreadMsgNum``. Tencent's webhook says -1 when it does not know."""
        number = as_integer(raw, lenient=self._lenient)
        if number is not None and 0 <= number <= LARGEST_BADGE:
            return number
        self._ignore(path, "it is no number of messages")
        return None

    def _object(self, raw: Any, rows: Mapping[str, Row], path: str) -> dict[str, Any] | None:
        if not isinstance(raw, dict):
            self._ignore(path, "it is no object")
            return None
        kept: dict[str, Any] = {}
        for key, value in raw.items():
            row = rows.get(key)
            if row is None:
                continue
            field, allowed = row
            if allowed is TEXT:
                if type(value) is str:
                    if value:
                        kept[field] = value
                else:
                    self._ignore(f"{path}.{key}", "it is no string")
            elif allowed is OBJECT:
                if type(value) is dict:
                    kept[field] = value
                else:
                    self._ignore(f"{path}.{key}", "it is no object")
            elif allowed is ACTIVITY:
                activity = self._activity(value, f"{path}.{key}")
                if activity is not None:
                    kept[field] = activity
            else:
                chosen = self._choice(value, allowed, f"{path}.{key}")
                if chosen is not None:
                    kept[field] = chosen
        return kept

    def _activity(self, raw: Any, path: str) -> LiveActivity | None:
        """A Live Activity's update. Without its event, or the state to show, there is nothing to push."""
        kept = self._object(raw, LIVE_ACTIVITY, path) if raw != "" else None
        if kept is None:
            return None
        if "event" not in kept:
            self._ignore(path, "it has no Event")
            return None
        if kept["event"] != "end" and "content_state" not in kept:
            self._ignore(path, "it has no ContentState")
            return None
        date = raw.get("DismissalDate", "")
        seconds = as_integer(date, lenient=self._lenient)
        if seconds is not None and 0 <= seconds <= LATEST_DATE:
            kept["dismissal_date"] = seconds
        elif date != "":
            self._ignore(f"{path}.DismissalDate", "it is no epoch time")
        return LiveActivity(**kept)

    def _choice(self, value: Any, allowed: Collection[Any], path: str) -> Any:
        """The value when it is among those allowed. An empty string is a key left blank: absent."""
        kind = type(value)
        if kind is int or kind is str:
            if value in allowed:
                return value
            if value == "":
                return None
        number = as_integer(value, lenient=self._lenient)
        if number is not None and number in allowed:
            return number
        self._ignore(path, f"it is none of {', '.join(map(str, allowed))}")
        return None

    def _ignore(self, path: str, why: str) -> None:
        self.warnings.append(f"{path} was ignored: {why}.")
