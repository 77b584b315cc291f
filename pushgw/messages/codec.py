"""bytes of the message topic -> what they mean.

The short road is one typed decode; the long one (`pushgw.messages.diagnose`) runs only where the short one doubts,
and has the last word.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from pushgw.messages.diagnose import diagnose
from pushgw.messages.hints import MOST_BADGE_ADD, MOST_BADGE_SET, Hints
from pushgw.messages.model import (
    MAX_LIFETIME_S,
    C2CRecall,
    Decoded,
    Element,
    GroupRecall,
    Kind,
    NotAMessage,
    OfflineMessage,
    OfflinePushInfo,
    ReceiverHint,
)
from pushgw.messages.reader import parse_object, record_bytes
from pushgw.messages.wire import (
    Shape,
    Wire,
    WireElement,
    WireGateway,
    WireMention,
    WirePushInfo,
    WireReceiver,
    decode_wire,
    shape_of,
)

_KINDS = {Shape.C2C: Kind.C2C, Shape.BATCH: Kind.BATCH, Shape.GROUP: Kind.GROUP, Shape.TASK: Kind.TASK}
_GROUP, _TASK = Shape.GROUP, Shape.TASK
_C2C_RECALL, _GROUP_RECALL = Shape.C2C_RECALL, Shape.GROUP_RECALL


class MessageCodec:
    """Decodes records of the message topic.

    ``default_app`` is the SdkAppId of records that name none; ``lenient`` takes digit strings where integers are due;
    ``with_body_digest`` hashes MsgBody of group messages.
    """

    def __init__(
        self, *, default_app: int = 0, lenient: bool = False, with_body_digest: bool = False
    ) -> None:
        self._default_app = default_app
        self._lenient = lenient
        self._with_body_digest = with_body_digest

    def decode(self, value: bytes | None, record_time_ms: int) -> Decoded:
        """What the record means. ``record_time_ms`` is the Kafka timestamp, epoch ms.

        Raises DecodeError, and nothing else.
        """
        value = record_bytes(value)
        try:
            value.decode()  # msgspec does not look inside strings that it skips
            wire = decode_wire(value)
        except (ValueError, RecursionError):  # msgspec.DecodeError and UnicodeDecodeError are ValueErrors
            return self.decode_exactly(value, record_time_ms)
        shape = shape_of(wire)
        if shape is None or wire.SendMsgResult:
            return self.decode_exactly(value, record_time_ms)
        return self._build(wire, shape, value, record_time_ms) or self.decode_exactly(value, record_time_ms)

    def decode_exactly(self, value: bytes | None, record_time_ms: int) -> Decoded:
        """The same answer by the long road alone, about ten times slower. Raises DecodeError."""
        value = record_bytes(value)
        record = parse_object(value)
        found = diagnose(record, default_app=self._default_app, lenient=self._lenient)
        if isinstance(found, NotAMessage):
            return found
        shape = shape_of(found)
        decoded = None if shape is None else self._build(found, shape, value, record_time_ms)
        assert decoded is not None, "diagnose passed a record that has no shape"  # noqa: S101  a bug, not a record
        return decoded

    def _build(self, wire: Wire, shape: Shape, value: bytes, record_time_ms: int) -> Decoded | None:
        """The record of this shape; None where a text element has no text."""
        if shape is _C2C_RECALL:
            return self._c2c_recall(wire)
        if shape is _GROUP_RECALL:
            return self._group_recall(wire)
        return self._message(wire, shape, value, record_time_ms)

    def _message(self, wire: Wire, shape: Shape, value: bytes, record_time_ms: int) -> OfflineMessage | None:
        body = () if wire.MsgBody is UNSET else _elements(wire.MsgBody)
        if body is None:
            return None
        grouped = shape is _GROUP
        gateway, info, seq = wire.PushGateway, wire.OfflinePushInfo, wire.MsgSeq
        random = wire.Random if grouped and wire.Random is not UNSET else wire.MsgRandom
        assert random is not UNSET  # noqa: S101  for the type checker: no shape without
        time = wire.MsgTimeStamp if wire.MsgTime is UNSET else wire.MsgTime
        timed = time is not UNSET
        key = None if wire.MsgKey is UNSET else wire.MsgKey or None
        if key is None and timed and seq is not UNSET and not grouped:
            key = f"{seq}_{random}_{time}"
        hints = Hints(self._lenient)
        said: dict[str, ReceiverHint] = {}
        if gateway is not UNSET and gateway.Receivers is not UNSET:
            said = _receiver_hints(gateway.Receivers, hints)
        message = OfflineMessage(  # 15 arguments: beyond, CPython makes a dict of them, three times as slow
            kind=_KINDS[shape],
            app=self._default_app if gateway is UNSET or gateway.SdkAppId is UNSET else gateway.SdkAppId,
            sender=wire.From_Account,
            receivers=_receivers(wire),
            hints=said,
            random=random,
            time=time if time is not UNSET else record_time_ms // 1000,
            time_in_body=timed,
            record_time_ms=record_time_ms,
            seq=None if seq is UNSET else seq,
            msg_key=key,
            lifetime=None if wire.MsgLifeTime is UNSET else min(wire.MsgLifeTime, MAX_LIFETIME_S),
            command=None if wire.CallbackCommand is UNSET else wire.CallbackCommand,
            body=body,
            push_info=None if info is UNSET else _push_info(info, hints),
        )
        more = self._more(wire, shape, hints, value)
        if grouped:
            _target(message.receivers, said, more)
        if hints.warnings:
            more["warnings"] = tuple(hints.warnings)
        return replace(message, **more) if more else message

    def _more(self, wire: Wire, shape: Shape, hints: Hints, value: bytes) -> dict[str, Any]:
        """Fields that few messages have, or that only groups or tasks have."""
        more: dict[str, Any] = {}
        gateway = wire.PushGateway
        if wire.OnlineOnlyFlag:
            more["online_only_flag"] = wire.OnlineOnlyFlag
        if wire.SendMsgControl is not UNSET:
            more["controls"] = frozenset(wire.SendMsgControl)
        if wire.UnreadMsgNum is not UNSET:
            more["unread"] = hints.unread(wire.UnreadMsgNum, "UnreadMsgNum")
        if wire.DataId is not UNSET and shape is _TASK:
            more["data_id"] = wire.DataId
        if gateway is not UNSET:
            _read_gateway(gateway, hints, more)
        if shape is _GROUP:
            self._read_group(wire, hints, more, value)
        return more

    def _read_group(self, wire: Wire, hints: Hints, more: dict[str, Any], value: bytes) -> None:
        more["group_id"] = wire.GroupId
        if wire.TopicId:
            more["topic_id"] = wire.TopicId
        if wire.Type is not UNSET:
            more["group_type"] = hints.group_type(wire.Type, "Type") or more.get("group_type")
        if wire.MsgPriority is not UNSET:
            hints.priority(wire.MsgPriority)
        if wire.GroupAtInfo is not UNSET:
            more["mentions"], more["mention_all"] = _mentions(wire.GroupAtInfo)
        if self._with_body_digest:
            body = msgspec.json.encode(parse_object(value)["MsgBody"], order="sorted")
            more["body_digest"] = blake2b(body, digest_size=16).digest()

    def _c2c_recall(self, wire: Wire) -> C2CRecall:
        unread = None
        if wire.UnreadMsgNum is not UNSET:
            unread = Hints(self._lenient).unread(wire.UnreadMsgNum, "UnreadMsgNum")
        assert isinstance(wire.To_Account, str)  # noqa: S101  for the type checker: shape_of saw to it
        return C2CRecall(
            app=self._app(wire.PushGateway),
            sender=wire.From_Account,
            receiver=wire.To_Account,
            msg_key="" if wire.MsgKey is UNSET else wire.MsgKey,
            unread=unread,
        )

    def _group_recall(self, wire: Wire) -> GroupRecall:
        seqs = () if wire.MsgSeqList is UNSET else wire.MsgSeqList
        return GroupRecall(
            app=self._app(wire.PushGateway),
            group_id="" if wire.GroupId is UNSET else wire.GroupId,
            topic_id=wire.TopicId or None,
            seqs=tuple(dict.fromkeys(entry.MsgSeq for entry in seqs)),
        )

    def _app(self, gateway: WireGateway | msgspec.UnsetType) -> int:
        if gateway is UNSET or gateway.SdkAppId is UNSET:
            return self._default_app
        return gateway.SdkAppId


def _receivers(wire: Wire) -> tuple[str, ...]:
    to = wire.To_Account
    if isinstance(to, str):
        return (to,)
    return () if to is UNSET else tuple(dict.fromkeys(to))


def _target(targets: tuple[str, ...], said: dict[str, ReceiverHint], more: dict[str, Any]) -> None:
    """Receivers of a group message: those of PushGateway and of To_Account; To_Account, where given, is who may see it."""
    if not targets:
        more["receivers"] = tuple(said)
    elif said:
        more["receivers"] = tuple(dict.fromkeys((*said, *targets)))
        more["targets"] = frozenset(targets)


def _elements(body: list[WireElement]) -> tuple[Element, ...] | None:
    found = []
    for element in body:
        kind = element.MsgType
        content = element.MsgContent
        if kind == "TIMTextElem":
            text = content.Text
            if text is UNSET:
                return None
            found.append(Element(kind, text))
        elif kind == "TIMCustomElem":
            found.append(Element(kind, "", content.Desc, content.Ext, content.Sound))
        else:
            found.append(Element(kind))
    return tuple(found)


def _push_info(info: WirePushInfo, hints: Hints) -> OfflinePushInfo:
    made = OfflinePushInfo(
        push_flag=info.PushFlag,
        title=info.Title,
        desc=info.Desc,
        ext=info.Ext,
        android=None if info.AndroidInfo is UNSET else hints.android(info.AndroidInfo),
        apns=None if info.ApnsInfo is UNSET else hints.apns(info.ApnsInfo),
        harmony=None if info.HarmonyInfo is UNSET else hints.harmony(info.HarmonyInfo),
    )
    rare = (info.MultiLanguageContent, info.BadgeSetNum, info.BadgeAddNum)
    return made if rare == _NONE_OF_THEM else _with_the_rest(made, info, hints)


_NONE_OF_THEM = (UNSET, UNSET, UNSET)


def _with_the_rest(made: OfflinePushInfo, info: WirePushInfo, hints: Hints) -> OfflinePushInfo:
    """Keys that few messages have. A badge of the message's own counts, whatever BadgeMode says."""
    more: dict[str, Any] = {}
    if info.MultiLanguageContent is not UNSET:
        path = "OfflinePushInfo.MultiLanguageContent"
        more["languages"] = hints.languages(info.MultiLanguageContent, path)
    if info.BadgeSetNum is not UNSET:
        path = "OfflinePushInfo.BadgeSetNum"
        more["badge_set"] = hints.number(info.BadgeSetNum, 0, MOST_BADGE_SET, path)
    if info.BadgeAddNum is not UNSET:
        path = "OfflinePushInfo.BadgeAddNum"
        more["badge_add"] = hints.number(info.BadgeAddNum, 1, MOST_BADGE_ADD, path)
    counts = more.get("badge_set") is not None or more.get("badge_add") is not None
    if counts and made.apns is not None and made.apns.badge_mode == 1:
        more["apns"] = msgspec.structs.replace(made.apns, badge_mode=0)
    return msgspec.structs.replace(made, **more)


def _read_gateway(gateway: WireGateway, hints: Hints, more: dict[str, Any]) -> None:
    more["event_id"] = gateway.EventId
    if gateway.Source is not UNSET:
        more["origin"] = hints.origin(gateway.Source)
    if gateway.Part is not UNSET:
        more["part"] = gateway.Part
    if gateway.TraceId is not UNSET:
        more["trace_id"] = gateway.TraceId
    sender = gateway.Sender
    if sender is not UNSET:
        more["sender_nick"] = sender.Nick or None
        more["sender_card"] = sender.NameCard or None
    group = gateway.Group
    if group is not UNSET:
        more["group_name"] = group.Name or None
        if group.Type is not UNSET:
            more["group_type"] = hints.group_type(group.Type, "PushGateway.Group.Type")


def _receiver_hints(receivers: list[WireReceiver], hints: Hints) -> dict[str, ReceiverHint]:
    said = {}
    for index, receiver in enumerate(receivers):
        unread = option = None
        if receiver.UnreadMsgNum is not UNSET:
            unread = hints.unread(receiver.UnreadMsgNum, f"PushGateway.Receivers[{index}].UnreadMsgNum")
        if receiver.RecvOpt is not UNSET:
            option = hints.receive_option(receiver.RecvOpt, f"PushGateway.Receivers[{index}].RecvOpt")
        said[receiver.To_Account] = ReceiverHint(
            user=receiver.To_Account,
            state=None if receiver.State is UNSET else receiver.State,
            background=None if receiver.Background is UNSET else receiver.Background,
            unread=unread,
            recv_opt=option,
        )
    return said


def _mentions(entries: list[WireMention]) -> tuple[frozenset[str], bool]:
    users = frozenset(entry.GroupAt_Account for entry in entries if entry.GroupAt_Account)
    return users, any(entry.GroupAtAllFlag for entry in entries)
