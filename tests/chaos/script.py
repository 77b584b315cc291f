"""What is published: record number n of a seed is always the same, in Tencent IM's own JSON shapes.

A notification's text names its message and its record, ``#m<message>.<record>#``, so that what a vendor shows can be told
without trusting any id of the gateway. A second record with the first one's MsgRandom is the same message.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from enum import Enum
from typing import Any

import msgspec

from tests.chaos.cast import GROUPS, SENDERS, Cast

MARK = re.compile(r"#m(\d+)\.(\d+)#")


class Kind(Enum):
    """What a record is."""

    C2C = "c2c"
    WEBHOOK = "c2c as a webhook"
    GROUP = "group"
    GROUP_WEBHOOK = "group as a webhook"
    BATCH = "batch"
    TASK = "push task"
    DUPLICATE = "the MsgRandom of an earlier record"
    SAME_EVENT = "the EventId of an earlier record"
    ONLINE = "MsgLifeTime 0"
    FLAG_OFF = "PushFlag 1"
    CHAT_ROOM = "group that is not pushed"
    SHORT_LIVED = "may expire on its way"
    RECALL_BEFORE = "recall of the next record"
    WITHDRAWN = "was withdrawn before"
    RECALL_AFTER = "recall of an earlier record"
    BROKEN = "no message"


_SHARES = {
    Kind.C2C: 440,
    Kind.WEBHOOK: 80,
    Kind.GROUP: 120,
    Kind.GROUP_WEBHOOK: 30,
    Kind.BATCH: 60,
    Kind.TASK: 40,
    Kind.DUPLICATE: 70,
    Kind.SAME_EVENT: 25,
    Kind.ONLINE: 25,
    Kind.FLAG_OFF: 25,
    Kind.CHAT_ROOM: 10,
    Kind.SHORT_LIVED: 15,
    Kind.RECALL_BEFORE: 20,
    Kind.RECALL_AFTER: 20,
    Kind.BROKEN: 20,
}
_PLAIN = (Kind.C2C, Kind.WEBHOOK, Kind.GROUP, Kind.GROUP_WEBHOOK)
"""What can be repeated and withdrawn."""
LOOK_BACK = 40
SHORT_LIFETIME_S = 12


class Draft(msgspec.Struct, frozen=True, gc=False):
    """A record, and what the expectations need to know of it."""

    number: int
    kind: Kind
    value: bytes
    message: int
    """The number of the first record of the same message; -1 for what is none."""
    sender: str = ""
    receivers: tuple[str, ...] = ()
    group: str = ""
    recalls: int = -1
    """The number of the record that this one withdraws."""
    event_of: int = -1
    """The number of the record whose EventId it carries, too."""


class Script:
    """Record after record, by number."""

    def __init__(self, seed: int, cast: Cast, epoch: int, clock: Callable[[], float] = lambda: 0.0) -> None:
        """``epoch``: time of the messages, epoch s. ``clock``: the time now, epoch s, for those that soon expire."""
        self._seed = seed
        self._cast = cast
        self._epoch = epoch
        self._clock = clock
        self._names = [person.name for person in cast.people]
        self._kinds = list(_SHARES)
        self._weights = list(_SHARES.values())

    def draft(self, number: int) -> Draft:
        """The record with this number."""
        kind = self.kind(number)
        match kind:
            case Kind.DUPLICATE:
                return self._again(number, kind, new_random=False)
            case Kind.SAME_EVENT:
                return self._again(number, kind, new_random=True)
            case Kind.RECALL_BEFORE:
                return self._recall(number, kind, number + 1)
            case Kind.RECALL_AFTER:
                return self._recall(number, kind, self._earlier(number))
            case Kind.BROKEN:
                return Draft(number, kind, b'{"From_Account": %d' % number, message=-1)
            case Kind.BATCH | Kind.TASK:
                return self._many(number, kind)
            case Kind.GROUP | Kind.GROUP_WEBHOOK | Kind.CHAT_ROOM:
                return self._group(number, kind)
            case _:
                return self._c2c(number, kind)

    def kind(self, number: int) -> Kind:
        """What the record is, without writing it."""
        if number > 0 and self._drawn(number - 1) is Kind.RECALL_BEFORE:
            return Kind.WITHDRAWN
        drawn = self._drawn(number)
        if drawn in (Kind.DUPLICATE, Kind.SAME_EVENT, Kind.RECALL_AFTER) and self._earlier(number) < 0:
            return Kind.C2C
        return drawn

    def _drawn(self, number: int) -> Kind:
        drawn = self._rng(number, "kind").choices(self._kinds, self._weights)[0]
        if drawn is Kind.RECALL_BEFORE and self._drawn_alone(number - 1) is Kind.RECALL_BEFORE:
            return Kind.C2C  # it is withdrawn itself
        return drawn

    def _drawn_alone(self, number: int) -> Kind:
        return self._rng(number, "kind").choices(self._kinds, self._weights)[0]

    def _earlier(self, number: int) -> int:
        """A plain record before this one; -1 where there is none."""
        back = self._rng(number, "back").randint(1, LOOK_BACK)
        for candidate in range(number - back, max(-1, number - back - LOOK_BACK), -1):
            if candidate >= 0 and self.kind(candidate) in _PLAIN:
                return candidate
        return -1

    def _rng(self, number: int, what: str) -> random.Random:
        return random.Random(f"{self._seed}/{what}/{number}")

    def _time(self, number: int) -> int:
        return self._epoch + number // 10_000

    # --- shapes ------------------------------------------------------------------------------------------

    def _c2c(self, number: int, kind: Kind) -> Draft:
        rng = self._rng(number, "body")
        sender, receiver = rng.choice(SENDERS), rng.choice(self._names)
        body = self._c2c_body(number, number, sender, receiver)
        if kind is Kind.WEBHOOK:
            body |= {"CallbackCommand": "C2C.CallbackAfterSendMsg", "SendMsgResult": 0, "OnlineOnlyFlag": 0}
            body["MsgTime"] = body.pop("MsgTimeStamp")
        elif kind is Kind.ONLINE:
            body["MsgLifeTime"] = 0
        elif kind is Kind.FLAG_OFF:
            body["OfflinePushInfo"] = {"PushFlag": 1}
        elif kind is Kind.SHORT_LIVED:
            body |= {"MsgLifeTime": SHORT_LIFETIME_S, "MsgTimeStamp": int(self._clock())}
        elif number % 3 == 0:
            body["OfflinePushInfo"] = {"PushFlag": 0, "Ext": '{"entity":{"chatType":1}}'}
        return Draft(number, kind, _json(body), number, sender, (receiver,))

    def _c2c_body(self, number: int, message: int, sender: str, receiver: str) -> dict[str, Any]:
        return {
            "SyncOtherMachine": 2,
            "From_Account": sender,
            "To_Account": receiver,
            "MsgSeq": number,
            "MsgRandom": message,
            "MsgTimeStamp": self._time(message),
            "MsgBody": _text(message, number),
            "PushGateway": {"SchemaVersion": 1, "EventId": f"e{number}", "Sender": {"Nick": "Alice"}},
        }

    def _group(self, number: int, kind: Kind) -> Draft:
        rng = self._rng(number, "body")
        sender, group = rng.choice(SENDERS), rng.choice(GROUPS)
        receivers = tuple(rng.sample(self._names, min(len(self._names), rng.randint(1, 4))))
        body = self._group_body(number, number, sender, group, receivers)
        if kind is Kind.GROUP_WEBHOOK:
            body |= {"CallbackCommand": "Group.CallbackAfterSendMsg", "Type": "Public"}
        elif kind is Kind.CHAT_ROOM:
            body["PushGateway"]["Group"]["Type"] = "AVChatRoom"
        return Draft(number, kind, _json(body), number, sender, receivers, group)

    def _group_body(
        self, number: int, message: int, sender: str, group: str, receivers: tuple[str, ...]
    ) -> dict[str, Any]:
        return {
            "GroupId": group,
            "From_Account": sender,
            "Random": message,
            "MsgSeq": number,
            "MsgTime": self._time(message),
            "MsgBody": _text(message, number),
            "PushGateway": {
                "SchemaVersion": 1,
                "EventId": f"e{number}",
                "Sender": {"Nick": "Alice", "NameCard": "A."},
                "Group": {"Name": "Dev", "Type": "Public"},
                "Receivers": [{"To_Account": receiver} for receiver in receivers],
            },
        }

    def _many(self, number: int, kind: Kind) -> Draft:
        rng = self._rng(number, "body")
        sender = rng.choice(SENDERS)
        receivers = tuple(rng.sample(self._names, min(len(self._names), rng.randint(2, 5))))
        body: dict[str, Any] = {
            "From_Account": sender,
            "To_Account": list(receivers),
            "MsgRandom": number,
            "MsgTimeStamp": self._time(number),
        }
        mark = f"#m{number}.{number}#"
        if kind is Kind.TASK:
            body |= {"OfflinePushInfo": {"PushFlag": 0, "Title": "Update", "Desc": mark}, "DataId": "c9"}
        else:
            body |= {"MsgSeq": number, "MsgBody": _text(number, number)}
        return Draft(number, kind, _json(body), number, sender, receivers)

    def _again(self, number: int, kind: Kind, *, new_random: bool) -> Draft:
        first = self._earlier(number)
        model = self.draft(first)
        message = number if new_random else first
        if model.group:
            body = self._group_body(number, message, model.sender, model.group, model.receivers)
        else:
            body = self._c2c_body(number, message, model.sender, model.receivers[0])
        if new_random:
            body["PushGateway"]["EventId"] = f"e{first}"
        return Draft(
            number,
            kind,
            _json(body),
            message,
            model.sender,
            model.receivers,
            model.group,
            event_of=first if new_random else -1,
        )

    def _recall(self, number: int, kind: Kind, of: int) -> Draft:
        recalled = self._c2c(of, Kind.WITHDRAWN) if kind is Kind.RECALL_BEFORE else self.draft(of)
        body: dict[str, Any]
        if recalled.group:
            body = {
                "CallbackCommand": "Group.CallbackAfterRecallMsg",
                "Operator_Account": "admin",
                "Type": "Public",
                "GroupId": recalled.group,
                "MsgSeqList": [{"MsgSeq": of}],
            }
        else:
            body = {
                "From_Account": recalled.sender,
                "To_Account": recalled.receivers[0],
                "MsgKey": f"{of}_{of}_{self._time(of)}",
            }
        return Draft(number, kind, _json(body), message=-1, recalls=of)


def _text(message: int, number: int) -> list[dict[str, Any]]:
    return [{"MsgType": "TIMTextElem", "MsgContent": {"Text": f"#m{message}.{number}# lunch?"}}]


def _json(body: dict[str, Any]) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()
