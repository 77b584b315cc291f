"""The keys under which the state store remembers a message: dedup claims, EventIds, recall tombstones.

Keys are written so that two identities never give the same text, whatever characters an id holds: numbers come
first, then the length of every id but the last, then the ids. The first word keeps the kinds of keys apart.
"""

from __future__ import annotations

import msgspec

from pushgw.messages.model import C2CRecall, GroupRecall, Kind, NotAMessage, OfflineMessage
from pushgw.settings import PolicySettings

_GROUP, _TASK = Kind.GROUP, Kind.TASK
GROUP_WINDOW_S = 300
"""Tencent drops a group message whose Random was used in the last five minutes (group message documentation)."""


class Claim(msgspec.Struct, frozen=True):
    """A dedup key that a record wants to own."""

    key: str
    at: int
    """Message time, epoch s."""
    window: int | None = None
    """Half-open window in s around the first accept (groups); None: the key alone decides."""


def claim_keys(message: OfflineMessage | NotAMessage, options: PolicySettings) -> tuple[Claim, ...]:
    """One claim for a group message, one for each receiver of any other, none for what was never sent."""
    if not isinstance(message, OfflineMessage) or message.send_result != 0:
        return ()
    at = message.time
    if message.kind is _GROUP:
        content = message.body_digest.hex() if options.group_include_content else "-"
        return (Claim(_group_key(message, content), at, GROUP_WINDOW_S),)
    kind = "task" if message.kind is _TASK else "c2c"
    seq = message.seq if options.c2c_include_seq else "-"
    sender = message.sender
    mark = f"{kind} {message.app} {at} {message.random} {seq} {len(sender)} {sender}"
    receivers = message.receivers
    if len(receivers) == 1:
        return (Claim(mark + receivers[0], at),)
    return tuple([Claim(mark + receiver, at) for receiver in receivers])


def event_key(message: OfflineMessage | NotAMessage) -> str | None:
    """The key of the EventId; None where the record has none or claims nothing."""
    if not isinstance(message, OfflineMessage) or message.send_result != 0 or message.event_id is None:
        return None
    return f"event {message.app} {message.event_id}"


def tombstone_keys(message: OfflineMessage | NotAMessage) -> tuple[str, ...]:
    """Where a recall of this message would be written: one key for a group, one for each receiver of any other.

    Empty where the record does not say what a recall would name (MsgSeq of a group, else MsgKey).
    """
    if not isinstance(message, OfflineMessage):
        return ()
    if message.group_id is not None:
        if message.seq is None:
            return ()
        return (_group_tombstone(message.app, message.group_id, message.topic_id, message.seq),)
    msg_key = message.msg_key
    if msg_key is None:
        return ()
    app, sender, receivers = message.app, message.sender, message.receivers
    if len(receivers) == 1:
        return (_c2c_tombstone(app, sender, receivers[0], msg_key),)
    return tuple([_c2c_tombstone(app, sender, receiver, msg_key) for receiver in receivers])


def recall_keys(recall: C2CRecall | GroupRecall) -> tuple[str, ...]:
    """The tombstones that a recall writes: one for each message that it names."""
    if isinstance(recall, C2CRecall):
        return (_c2c_tombstone(recall.app, recall.sender, recall.receiver, recall.msg_key),)
    return tuple([_group_tombstone(recall.app, recall.group_id, recall.topic_id, seq) for seq in recall.seqs])


def _group_key(message: OfflineMessage, content: str) -> str:
    group, topic, sender = message.group_id or "", message.topic_id, message.sender
    return (
        f"grp {message.app} {message.random} {message.part} {content} {len(group)} {_length(topic)} "
        f"{group}{topic or ''}{sender}"
    )


def _group_tombstone(app: int, group: str, topic: str | None, seq: int) -> str:
    return f"recalled-grp {app} {seq} {_length(topic)} {topic or ''}{group}"


def _c2c_tombstone(app: int, sender: str, receiver: str, msg_key: str) -> str:
    return f"recalled-c2c {app} {len(sender)} {len(receiver)} {sender}{receiver}{msg_key}"


def _length(topic: str | None) -> int | str:
    """A message outside of topics is not one in a topic without a name."""
    return "-" if topic is None else len(topic)
