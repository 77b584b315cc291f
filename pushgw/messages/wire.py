"""The JSON of the message topic as typed structs: one msgspec decode, no copies.

Strict where a value decides (flags, times, randoms, receivers, the body's shape), ``Any`` where it is only a hint.
Whatever does not fit goes to `pushgw.messages.diagnose`, which finds the exact fault, or finds that there is none.
Field names are the JSON keys. UNSET means that the key is absent; ``null`` fits nowhere.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from pushgw.messages.model import State
from pushgw.messages.reader import LARGEST_ID, LAST_SECOND, UINT32

USER_ID_LENGTH = 64
EVENT_ID_LENGTH = 128
MSG_KEY_LENGTH = 50
DATA_ID_LENGTH = 64
MAX_RECEIVERS = 500
MAX_TARGETED = 50

UserId = Annotated[str, Meta(min_length=1, max_length=USER_ID_LENGTH)]
UInt32 = Annotated[int, Meta(ge=0, le=UINT32)]
Natural = Annotated[int, Meta(ge=0)]
Seconds = Annotated[int, Meta(ge=0, le=LAST_SECOND)]
Milliseconds = Annotated[int, Meta(ge=0, le=LAST_SECOND * 1000)]
Identifier = Annotated[int, Meta(ge=0, le=LARGEST_ID)]


class Shape(Enum):
    """What a record on the message topic can be."""

    C2C = auto()
    BATCH = auto()
    GROUP = auto()
    TASK = auto()
    C2C_RECALL = auto()
    GROUP_RECALL = auto()


COMMANDS = {
    "C2C.CallbackAfterSendMsg": Shape.C2C,
    "Group.CallbackAfterSendMsg": Shape.GROUP,
    "C2C.CallbackAfterMsgWithDraw": Shape.C2C_RECALL,
    "Group.CallbackAfterRecallMsg": Shape.GROUP_RECALL,
}
"""Webhooks that carry a message or a recall. Every other command is an event that nobody is notified of."""


class WireContent(msgspec.Struct, gc=False):
    """``MsgContent`` of any element; only keys that a known element type gives a meaning to."""

    Text: str | UnsetType = UNSET
    Desc: str = ""
    Ext: str = ""
    Sound: str = ""
    Data: str = ""
    Index: int = 0
    Latitude: float = 0.0
    Longitude: float = 0.0


class WireElement(msgspec.Struct, gc=False):
    """One element of ``MsgBody``."""

    MsgType: str
    MsgContent: WireContent


class WirePushInfo(msgspec.Struct, gc=False):
    """``OfflinePushInfo``. The vendors' parts are hints."""

    PushFlag: Literal[0, 1] = 0
    Title: str = ""
    Desc: str = ""
    Ext: str = ""
    AndroidInfo: Any = UNSET
    ApnsInfo: Any = UNSET
    HarmonyInfo: Any = UNSET
    MultiLanguageContent: Any = UNSET
    BadgeSetNum: Any = UNSET
    BadgeAddNum: Any = UNSET


class WireMention(msgspec.Struct, gc=False):
    """One entry of ``GroupAtInfo``."""

    GroupAtAllFlag: Literal[0, 1]
    GroupAt_Account: str = ""


class WireSeq(msgspec.Struct, gc=False):
    """One entry of ``MsgSeqList``."""

    MsgSeq: UInt32


class WireSender(msgspec.Struct, gc=False):
    """``PushGateway.Sender``."""

    Nick: str | UnsetType = UNSET
    NameCard: str | UnsetType = UNSET


class WireGroup(msgspec.Struct, gc=False):
    """``PushGateway.Group``."""

    Name: str | UnsetType = UNSET
    Type: Any = UNSET


class WireReceiver(msgspec.Struct, gc=False):
    """One entry of ``PushGateway.Receivers``."""

    To_Account: UserId
    State: State | UnsetType = UNSET
    Background: bool | UnsetType = UNSET
    UnreadMsgNum: Any = UNSET
    RecvOpt: Any = UNSET


class WireGateway(msgspec.Struct, gc=False):
    """``PushGateway``: what the publisher's backend knows and Tencent's body does not say."""

    SchemaVersion: Literal[1]
    EventId: Annotated[str, Meta(min_length=1, max_length=EVENT_ID_LENGTH)]
    SdkAppId: Identifier | UnsetType = UNSET
    Source: Any = UNSET
    PublishedAt: int | UnsetType = UNSET
    Sender: WireSender | UnsetType = UNSET
    Group: WireGroup | UnsetType = UNSET
    Receivers: list[WireReceiver] | UnsetType = UNSET
    TraceId: str | UnsetType = UNSET
    Part: Identifier | UnsetType = UNSET


class Wire(msgspec.Struct, gc=False):
    """A record of the message topic, of any shape."""

    CallbackCommand: str | UnsetType = UNSET
    From_Account: Annotated[str, Meta(max_length=USER_ID_LENGTH)] = ""
    To_Account: UserId | list[UserId] | UnsetType = UNSET
    GroupId: Annotated[str, Meta(min_length=1)] | UnsetType = UNSET
    TopicId: str = ""
    MsgSeq: UInt32 | UnsetType = UNSET
    MsgRandom: UInt32 | UnsetType = UNSET
    Random: UInt32 | UnsetType = UNSET
    MsgTime: Seconds | UnsetType = UNSET
    MsgTimeStamp: Seconds | UnsetType = UNSET
    EventTime: Milliseconds | UnsetType = UNSET
    MsgKey: str | UnsetType = UNSET
    MsgLifeTime: Natural | UnsetType = UNSET
    OnlineOnlyFlag: Natural = 0
    SendMsgResult: int = 0
    SendMsgControl: list[str] | UnsetType = UNSET
    GroupAtInfo: list[WireMention] | UnsetType = UNSET
    MsgBody: list[WireElement] | UnsetType = UNSET
    OfflinePushInfo: WirePushInfo | UnsetType = UNSET
    PushGateway: WireGateway | UnsetType = UNSET
    MsgSeqList: list[WireSeq] | UnsetType = UNSET
    DataId: Annotated[str, Meta(max_length=DATA_ID_LENGTH)] | UnsetType = UNSET
    Type: Any = UNSET
    UnreadMsgNum: Any = UNSET
    MsgPriority: Any = UNSET
    # Read by nobody here, but of a fixed type all the same:
    SyncOtherMachine: int = 0
    CloudCustomData: str = ""
    ForbidCallbackControl: list[str] | UnsetType = UNSET
    Operator_Account: str = ""
    NeedReadReceipt: int = 0
    IsNeedReadReceipt: int = 0
    SupportMessageExtension: int = 0


_C2C, _BATCH, _GROUP, _TASK, _C2C_RECALL, _GROUP_RECALL = Shape

decode_wire = msgspec.json.Decoder(Wire).decode


def shape_of(wire: Wire) -> Shape | None:
    """Which of the six shapes the record is, with all that its shape demands; None when something is amiss."""
    command = wire.CallbackCommand
    body = wire.MsgBody
    if body is UNSET:
        return _shape_without_body(wire)
    if not body or (command is not UNSET and command not in COMMANDS):
        return None
    shape = None
    if wire.GroupId is not UNSET:
        to = wire.To_Account
        targeted = to is UNSET or (type(to) is list and len(to) <= MAX_TARGETED)
        if targeted and (wire.Random is not UNSET or wire.MsgRandom is not UNSET):
            shape = _GROUP
    elif wire.MsgRandom is not UNSET:
        to = wire.To_Account
        if type(to) is str:
            shape = _C2C
        elif type(to) is list and 0 < len(to) <= MAX_RECEIVERS and command is UNSET:
            shape = _BATCH
    return shape if command is UNSET or shape is COMMANDS[command] else None


def _shape_without_body(wire: Wire) -> Shape | None:
    command = wire.CallbackCommand
    to = wire.To_Account
    shape = None
    if wire.GroupId is not UNSET:
        if wire.MsgSeqList is not UNSET and wire.MsgSeqList:
            shape = _GROUP_RECALL
    elif wire.MsgKey is not UNSET:
        if type(to) is str and len(wire.MsgKey) <= MSG_KEY_LENGTH:
            shape = _C2C_RECALL
    elif wire.OfflinePushInfo is not UNSET and wire.MsgRandom is not UNSET and _addressed(to):
        shape = _TASK
    return shape if command is UNSET or shape is COMMANDS.get(command) else None


def _addressed(to: str | list[str] | UnsetType) -> bool:
    return to is not UNSET and 0 < len(to) <= MAX_RECEIVERS
