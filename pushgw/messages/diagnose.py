"""The exact road: a JSON object that the typed decode refused, looked at key by key.

Three ends: a DecodeError with code and path; an event that is nobody's notification; or a sound record after all,
because what did not fit has no meaning in a record of this shape, or is a digit string that lenient mode takes.
"""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, UnsetType

from pushgw.messages.errors import DecodeError
from pushgw.messages.model import NotAMessage, State
from pushgw.messages.nonmessage import not_a_message
from pushgw.messages.reader import (
    LARGEST_ID,
    LAST_SECOND,
    NOT_JSON,
    OTHER_FAULT,
    UINT32,
    ObjectReader,
)
from pushgw.messages.wire import (
    COMMANDS,
    DATA_ID_LENGTH,
    EVENT_ID_LENGTH,
    MAX_RECEIVERS,
    MAX_TARGETED,
    MSG_KEY_LENGTH,
    USER_ID_LENGTH,
    Shape,
    Wire,
    WireContent,
    WireElement,
    WireGateway,
    WireGroup,
    WireMention,
    WirePushInfo,
    WireReceiver,
    WireSender,
    WireSeq,
)

BODY_MISSING = 90002
BAD_RECEIVER = 90003
BAD_RANDOM = 90005
BAD_TIME = 90006
BAD_SENDER = 90008
BAD_ELEMENT = 90010
TOO_MANY_RECEIVERS = 90011
TOO_MANY_IN_TASK = 90018
BAD_SYNC = 90031
BAD_LIFETIME = 90044
BAD_MSG_KEY = 90054


def diagnose(record: dict[str, Any], *, default_app: int, lenient: bool) -> Wire | NotAMessage:
    """The record as a Wire that holds only checked values that matter to its shape, or why it is no message.

    Raises DecodeError. Commands are looked at before anything else.
    """
    event = not_a_message(record, default_app=default_app, lenient=lenient)
    if event is not None:
        return event
    reader = ObjectReader(record, lenient=lenient)
    shape = _recognise(reader)
    return _READERS[shape](reader, shape)


def _recognise(reader: ObjectReader) -> Shape:
    """The shape by the command, else by which keys are there, in the contract's order."""
    command = reader.text("CallbackCommand", shortest=1)
    if command is not UNSET:
        return COMMANDS[command]
    if "GroupId" in reader:
        if "MsgSeqList" in reader and "MsgBody" not in reader:
            return Shape.GROUP_RECALL
        return Shape.GROUP
    if "MsgBody" in reader:
        return Shape.BATCH if isinstance(reader.raw("To_Account"), list) else Shape.C2C
    if "MsgKey" in reader:
        return Shape.C2C_RECALL
    if "OfflinePushInfo" in reader:
        return Shape.TASK
    if "To_Account" in reader or _lists_receivers(reader.raw("PushGateway")):
        raise reader.fault("MsgBody", "is missing, and so is OfflinePushInfo", BODY_MISSING)
    raise DecodeError(NOT_JSON, "the record has the keys of no message, push task or recall")


def _lists_receivers(gateway: Any) -> bool:
    return isinstance(gateway, dict) and "Receivers" in gateway


# --- one reader per family of shapes ------------------------------------------------------------------------


def _c2c(reader: ObjectReader, shape: Shape) -> Wire:
    """C2C and batch."""
    _forbid(reader, "GroupId")
    to = _account(reader) if shape is Shape.C2C else _accounts(reader, TOO_MANY_RECEIVERS)
    body = _body(reader)
    random = reader.required_integer("MsgRandom", code=BAD_RANDOM, least=0, most=UINT32)
    wire = _common(reader)
    wire.To_Account = to
    wire.MsgBody = body
    wire.MsgRandom = random
    return wire


def _group(reader: ObjectReader, shape: Shape) -> Wire:
    group = reader.required_text("GroupId")
    named = reader.array("To_Account", BAD_RECEIVER)
    if named is not UNSET and len(named) > MAX_TARGETED:
        raise reader.fault("To_Account", f"must not name more than {MAX_TARGETED} members", OTHER_FAULT)
    to = reader.texts("To_Account", code=BAD_RECEIVER, shortest=1, longest=USER_ID_LENGTH)
    body = _body(reader)
    if "Random" not in reader and "MsgRandom" not in reader:
        raise reader.fault("Random", "is missing", BAD_RANDOM)
    random = reader.integer("Random", code=BAD_RANDOM, least=0, most=UINT32)
    other = reader.integer("MsgRandom", code=BAD_RANDOM, least=0, most=UINT32)
    reader.text("Operator_Account")
    reader.integer("NeedReadReceipt")
    wire = _common(reader)
    wire.GroupId = group
    wire.To_Account = to
    wire.MsgBody = body
    wire.Random = random
    wire.MsgRandom = other
    wire.TopicId = _or_empty(reader.text("TopicId"))
    wire.GroupAtInfo = _mentions(reader)
    wire.Type = reader.raw("Type")
    wire.MsgPriority = reader.raw("MsgPriority")
    return wire


def _task(reader: ObjectReader, shape: Shape) -> Wire:
    single = isinstance(reader.raw("To_Account"), str)
    to = _account(reader) if single else _accounts(reader, TOO_MANY_IN_TASK)
    random = reader.required_integer("MsgRandom", code=BAD_RANDOM, least=0, most=UINT32)
    wire = _common(reader)
    wire.To_Account = to
    wire.MsgRandom = random
    wire.DataId = reader.text("DataId", longest=DATA_ID_LENGTH)
    return wire


def _c2c_recall(reader: ObjectReader, shape: Shape) -> Wire:
    _forbid(reader, "GroupId")
    _forbid(reader, "MsgBody")
    return Wire(
        CallbackCommand=reader.text("CallbackCommand"),
        From_Account=_sender(reader),
        To_Account=_account(reader),
        MsgKey=reader.required_text("MsgKey", code=BAD_MSG_KEY, shortest=0, longest=MSG_KEY_LENGTH),
        UnreadMsgNum=reader.raw("UnreadMsgNum"),
        PushGateway=_gateway(reader),
    )


def _group_recall(reader: ObjectReader, shape: Shape) -> Wire:
    _forbid(reader, "MsgBody")
    reader.require("MsgSeqList")
    seqs = [
        WireSeq(MsgSeq=entry.required_integer("MsgSeq", least=0, most=UINT32))
        for entry in reader.objects("MsgSeqList")
    ]
    if not seqs:
        raise reader.fault("MsgSeqList", "must not be empty")
    reader.text("Operator_Account")
    reader.integer("EventTime", code=BAD_TIME, least=0, most=LAST_SECOND * 1000)
    return Wire(
        CallbackCommand=reader.text("CallbackCommand"),
        GroupId=reader.required_text("GroupId"),
        TopicId=_or_empty(reader.text("TopicId")),
        MsgSeqList=seqs,
        PushGateway=_gateway(reader),
    )


_READERS = {
    Shape.C2C: _c2c,
    Shape.BATCH: _c2c,
    Shape.GROUP: _group,
    Shape.TASK: _task,
    Shape.C2C_RECALL: _c2c_recall,
    Shape.GROUP_RECALL: _group_recall,
}


# --- parts --------------------------------------------------------------------------------------------------


def _common(reader: ObjectReader) -> Wire:
    """What every message may have beside its receivers and its body."""
    reader.integer("SyncOtherMachine", code=BAD_SYNC)
    reader.text("CloudCustomData")
    reader.texts("ForbidCallbackControl")
    reader.integer("SupportMessageExtension")
    reader.integer("IsNeedReadReceipt")
    reader.integer("SendMsgResult")
    wire = Wire(
        CallbackCommand=reader.text("CallbackCommand"),
        From_Account=_sender(reader),
        MsgSeq=reader.integer("MsgSeq", least=0, most=UINT32),
        MsgKey=reader.text("MsgKey", code=BAD_MSG_KEY),
        MsgLifeTime=reader.integer("MsgLifeTime", code=BAD_LIFETIME, least=0),
        OnlineOnlyFlag=_or_zero(reader.integer("OnlineOnlyFlag", least=0)),
        SendMsgControl=reader.texts("SendMsgControl"),
        UnreadMsgNum=reader.raw("UnreadMsgNum"),
        OfflinePushInfo=_push_info(reader),
        PushGateway=_gateway(reader),
    )
    wire.MsgTime, wire.MsgTimeStamp = _times(reader)
    return wire


def _times(reader: ObjectReader) -> tuple[int | UnsetType, int | UnsetType]:
    reader.integer("EventTime", code=BAD_TIME, least=0, most=LAST_SECOND * 1000)
    at = reader.integer("MsgTime", code=BAD_TIME, least=0, most=LAST_SECOND)
    return at, reader.integer("MsgTimeStamp", code=BAD_TIME, least=0, most=LAST_SECOND)


def _forbid(reader: ObjectReader, key: str) -> None:
    if key in reader:
        raise reader.fault(key, "has no place in a record of this kind")


def _sender(reader: ObjectReader) -> str:
    return _or_empty(reader.text("From_Account", code=BAD_SENDER, longest=USER_ID_LENGTH))


def _account(reader: ObjectReader) -> str:
    return reader.required_text("To_Account", code=BAD_RECEIVER, longest=USER_ID_LENGTH)


def _accounts(reader: ObjectReader, too_many: int) -> list[str]:
    reader.require("To_Account", BAD_RECEIVER)
    given = reader.array("To_Account", BAD_RECEIVER)
    if not given:
        raise reader.fault("To_Account", "must not be empty", BAD_RECEIVER)
    if len(given) > MAX_RECEIVERS:
        raise reader.fault("To_Account", f"must not name more than {MAX_RECEIVERS} users", too_many)
    accounts = reader.texts("To_Account", code=BAD_RECEIVER, shortest=1, longest=USER_ID_LENGTH)
    return [] if accounts is UNSET else accounts


def _body(reader: ObjectReader) -> list[WireElement]:
    reader.require("MsgBody", BODY_MISSING)
    if not reader.array("MsgBody", BODY_MISSING):
        raise reader.fault("MsgBody", "must not be empty", BODY_MISSING)
    return [_element(element) for element in reader.objects("MsgBody", BAD_ELEMENT)]


def _element(element: ObjectReader) -> WireElement:
    kind = element.required_text("MsgType", shortest=0)
    element.require("MsgContent")
    content = element.inner("MsgContent")
    kept = WireContent()
    if content is None:
        return WireElement(MsgType=kind, MsgContent=kept)
    if kind == "TIMTextElem":
        kept.Text = content.required_text("Text", shortest=0)
    elif kind == "TIMCustomElem":
        content.text("Data")
        kept.Desc = _or_empty(content.text("Desc"))
        kept.Ext = _or_empty(content.text("Ext"))
        kept.Sound = _or_empty(content.text("Sound"))
    elif kind == "TIMFaceElem":
        content.integer("Index")
        content.text("Data")
    elif kind == "TIMLocationElem":
        content.text("Desc")
        for key in ("Latitude", "Longitude"):
            value = content.raw(key)
            if value is not UNSET and type(value) not in (int, float):
                raise content.fault(key, "must be a number")
    return WireElement(MsgType=kind, MsgContent=kept)


def _push_info(reader: ObjectReader) -> WirePushInfo | UnsetType:
    info = reader.inner("OfflinePushInfo")
    if info is None:
        return UNSET
    flag = info.integer("PushFlag", least=0, most=1)
    return WirePushInfo(
        PushFlag=1 if flag == 1 else 0,
        Title=_or_empty(info.text("Title")),
        Desc=_or_empty(info.text("Desc")),
        Ext=_or_empty(info.text("Ext")),
        AndroidInfo=info.raw("AndroidInfo"),
        ApnsInfo=info.raw("ApnsInfo"),
        HarmonyInfo=info.raw("HarmonyInfo"),
        MultiLanguageContent=info.raw("MultiLanguageContent"),
        BadgeSetNum=info.raw("BadgeSetNum"),
        BadgeAddNum=info.raw("BadgeAddNum"),
    )


def _mentions(reader: ObjectReader) -> list[WireMention] | UnsetType:
    if "GroupAtInfo" not in reader:
        return UNSET
    found = []
    for entry in reader.objects("GroupAtInfo"):
        flag = entry.required_integer("GroupAtAllFlag", least=0, most=1)
        account = _or_empty(entry.text("GroupAt_Account"))
        found.append(WireMention(GroupAtAllFlag=1 if flag else 0, GroupAt_Account=account))
    return found


def _gateway(reader: ObjectReader) -> WireGateway | UnsetType:
    gateway = reader.inner("PushGateway")
    if gateway is None:
        return UNSET
    gateway.required_integer("SchemaVersion", least=1, most=1)
    gateway.integer("PublishedAt")
    sender = gateway.inner("Sender")
    group = gateway.inner("Group")
    return WireGateway(
        SchemaVersion=1,
        EventId=gateway.required_text("EventId", longest=EVENT_ID_LENGTH),
        SdkAppId=gateway.integer("SdkAppId", least=0, most=LARGEST_ID),
        Source=gateway.raw("Source"),
        Sender=WireSender(Nick=sender.text("Nick"), NameCard=sender.text("NameCard")) if sender else UNSET,
        Group=WireGroup(Name=group.text("Name"), Type=group.raw("Type")) if group else UNSET,
        Receivers=_receivers(gateway),
        TraceId=gateway.text("TraceId"),
        Part=gateway.integer("Part", least=0, most=LARGEST_ID),
    )


def _receivers(gateway: ObjectReader) -> list[WireReceiver] | UnsetType:
    if "Receivers" not in gateway:
        return UNSET
    found = []
    for entry in gateway.objects("Receivers"):
        user = entry.required_text("To_Account", longest=USER_ID_LENGTH)
        state = entry.choice("State", _STATES, "Online, PushOnline or Offline")
        found.append(
            WireReceiver(
                To_Account=user,
                State=UNSET if state is UNSET else State(state),
                Background=entry.boolean("Background"),
                UnreadMsgNum=entry.raw("UnreadMsgNum"),
                RecvOpt=entry.raw("RecvOpt"),
            )
        )
    return found


_STATES = frozenset(state.value for state in State)


def _or_empty(text: str | UnsetType) -> str:
    return "" if text is UNSET else text


def _or_zero(number: int | UnsetType) -> int:
    return 0 if number is UNSET else number
