"""A recall as a message of its own: what it says, to whom, and in place of which notification."""

from __future__ import annotations

from pushgw.delivery.decide import Decider, Decision, Delivery
from pushgw.messages.model import C2CRecall, GroupRecall, Kind, OfflineMessage, OfflinePushInfo
from pushgw.policy.dedup import recall_keys
from pushgw.state.protocol import Admission, Admit, Shown

LIFETIME_S = 86_400
"""What was shown longer ago is left alone (as Tencent's own revocation of push tasks)."""
WORDS = {"zh": "对方撤回了一条消息", "en": "A message was recalled"}


def overwriting_messages(
    recall: C2CRecall | GroupRecall, shown: list[Shown], now: float, record_time_ms: int, language: str
) -> list[tuple[OfflineMessage, frozenset[tuple[str, str]]]]:
    """A message in place of each withdrawn one that is on some screen, with the (user, device id) pairs that show it."""
    found = []
    seqs: tuple[int | None, ...] = (None,) if isinstance(recall, C2CRecall) else recall.seqs
    for key, seq in zip(recall_keys(recall), seqs, strict=True):
        pairs = frozenset((s.user, s.device_id) for s in shown if s.tombstone == key)
        if pairs:
            users = tuple(sorted({user for user, _ in pairs}))
            found.append((_message(recall, seq, users, int(now), record_time_ms, WORDS[language]), pairs))
    return found


def ask(message: OfflineMessage, source: str) -> Admit:
    """The store's answer to the rules; a recall claims nothing."""
    return Admit(
        app=message.app,
        source=source,
        created_ms=message.record_time_ms,
        event_key=None,
        receivers=message.receivers,
        claims=(),
        tombstones=(),
        peer=message.sender,
        group_id=message.group_id,
        topic_id=message.topic_id,
    )


def decide_overwrite(
    decider: Decider,
    message: OfflineMessage,
    admission: Admission,
    pairs: frozenset[tuple[str, str]],
    now: float,
) -> Decision:
    """The same rules as for any message; but who is not pushed gets no receipt, and nobody gets a *new* notification."""
    decision = decider.decide(message, admission, now)
    return Decision([], [d for d in decision.deliveries if _replaces(d, pairs)], decision.badged)


def _replaces(delivery: Delivery, pairs: frozenset[tuple[str, str]]) -> bool:
    adapter = delivery.entry.adapter
    return adapter is not None and adapter.overwrites and (delivery.user, delivery.device.device_id) in pairs


def _message(
    recall: C2CRecall | GroupRecall,
    seq: int | None,
    users: tuple[str, ...],
    now: int,
    record_time_ms: int,
    words: str,
) -> OfflineMessage:
    """Named as the withdrawn one, so that its ids on the device are the same."""
    unread = recall.unread if isinstance(recall, C2CRecall) else None
    return OfflineMessage(
        kind=Kind.C2C if isinstance(recall, C2CRecall) else Kind.GROUP,
        app=recall.app,
        sender=recall.sender if isinstance(recall, C2CRecall) else "",
        receivers=users,
        hints={},
        random=0,
        time=now,
        time_in_body=False,
        record_time_ms=record_time_ms,
        seq=seq,
        msg_key=recall.msg_key if isinstance(recall, C2CRecall) else None,
        lifetime=LIFETIME_S,
        controls=frozenset({"NoUnread"}) if unread is None else frozenset(),
        group_id=recall.group_id if isinstance(recall, GroupRecall) else None,
        topic_id=recall.topic_id if isinstance(recall, GroupRecall) else None,
        push_info=OfflinePushInfo(desc=words),
        unread=unread,
    )
