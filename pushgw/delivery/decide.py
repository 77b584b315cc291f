"""From a message and what the store knows to verdicts: who is pushed on which device, who is not and why.

The gateway and ``pushgw explain`` both decide here, with the same rules.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b

import msgspec

from pushgw.credentials import CredentialDirectory, CredentialEntry
from pushgw.delivery.badges import BadgeBook
from pushgw.messages.model import NotAMessage, OfflineMessage, ReceiverHint
from pushgw.policy.case import Case, Verdict
from pushgw.policy.content import compose, ext_of, sound_of
from pushgw.policy.dedup import claim_keys, event_key, tombstone_keys
from pushgw.policy.facts import Device, ReceiverFacts
from pushgw.policy.limits import RateLimiter, conversation
from pushgw.policy.reasons import Reason
from pushgw.policy.rules import judge_devices, judge_receiver
from pushgw.settings import PolicySettings
from pushgw.state.protocol import Admission, Admit
from pushgw.vendor.push import Notification

HANDED_OVER = "\x1f"


class Suppression(msgspec.Struct, frozen=True):
    """One receipt-to-be of something that is not pushed. ``user`` None: the record names no receiver."""

    user: str | None
    device: Device | None
    reason: Reason
    detail: str
    device_id: str = ""
    """Of a retried device whose receiver as a whole is held back, or that exists no more."""


class Delivery(msgspec.Struct, frozen=True):
    """One device that is to be pushed."""

    user: str
    device: Device
    entry: CredentialEntry
    notification: Notification
    unread: int | None
    """The publisher's unread number, which becomes the badge base once pushed."""
    counts: bool
    """Whether the push raises the badge."""


class Decision(msgspec.Struct, frozen=True):
    """What is to become of one record."""

    suppressions: list[Suppression]
    deliveries: list[Delivery]
    badged: list[str] = []
    """Users who were given a badge number."""


class Decider:
    """Applies the policy. Holds no state of its own but the badge book and the rate limiter that it is given."""

    def __init__(
        self,
        policy: PolicySettings,
        book: CredentialDirectory,
        *,
        badges: BadgeBook | None = None,
        limiter: RateLimiter | None = None,
    ) -> None:
        self.policy = policy
        self.book = book
        self.badges = badges or BadgeBook()
        self.limiter = limiter

    def ask(self, message: OfflineMessage | NotAMessage, source: str, created_ms: int = 0) -> Admit:
        """The questions that the store must answer before this message can be decided. ``source`` and ``created_ms`` are
        the first record's; 0: not known."""
        if not isinstance(message, OfflineMessage) or message.send_result != 0:
            return Admit(
                app=message.app,
                source=source,
                created_ms=created_ms,
                event_key=None,
                receivers=message.receivers,
                claims=(),
                tombstones=(),
                peer=None,
                group_id=None,
                topic_id=None,
            )
        return Admit(
            app=message.app,
            source=source,
            created_ms=created_ms,
            event_key=event_key(message),
            receivers=message.receivers,
            claims=claim_keys(message, self.policy),
            tombstones=tombstone_keys(message),
            peer=message.sender,
            group_id=message.group_id,
            topic_id=message.topic_id,
        )

    def case(
        self, message: OfflineMessage | NotAMessage, admission: Admission, now: float, *, attempt: int = 1
    ) -> Case:
        """The question about a message, before it is turned to one receiver after the other. What was counted against
        a rate limit at its first attempt is not counted again."""
        return Case(
            message=message,
            options=self.policy,
            book=self.book,
            now=now,
            redelivered_of=admission.redelivered_of,
            facts=admission.receivers[0],
            rate_limited=self._limit(message.app, now) if self.limiter and attempt == 1 else None,
        )

    def decide(
        self, message: OfflineMessage | NotAMessage, admission: Admission, now: float, *, attempt: int = 1
    ) -> Decision:
        """Every receiver and device, each with a verdict; what an earlier delivery settled is left out."""
        case = self.case(message, admission, now, attempt=attempt)
        decision = Decision([], [])
        if not message.receivers:
            verdict = judge_receiver(case)
            if verdict.reason is not None and "" not in case.facts.done:
                decision.suppressions.append(Suppression(None, None, verdict.reason, verdict.detail))
            return decision
        texts: dict[tuple[bool, str, int | None], Notification] = {}
        hints = {} if isinstance(message, NotAMessage) else message.hints
        for user, facts in zip(message.receivers, admission.receivers, strict=True):
            if "" in facts.done:
                continue
            turn_to(case, user, facts, hints.get(user))
            verdict = judge_receiver(case)
            if verdict.reason is not None and facts.done:
                _hold_back_the_rest(case, user, decision, verdict, attempt)
            elif verdict.reason is not None:
                decision.suppressions.append(Suppression(user, None, verdict.reason, verdict.detail))
            elif isinstance(message, OfflineMessage):
                self._decide_devices(case, message, user, decision, texts, attempt)
        return decision

    def _decide_devices(
        self,
        case: Case,
        message: OfflineMessage,
        user: str,
        decision: Decision,
        texts: dict[tuple[bool, str, int | None], Notification],
        attempt: int,
    ) -> None:
        counts, unread, badge = False, None, None
        first = True
        done = case.facts.done
        for device, verdict in judge_devices(case):
            if done and device is not None and settled(done, device.device_id, attempt):
                continue
            if device is None or verdict.reason is not None:
                assert verdict.reason is not None  # noqa: S101  a receiver without a device always has a reason
                decision.suppressions.append(Suppression(user, device, verdict.reason, verdict.detail))
                continue
            if first:
                counts, unread, step = badge_effect(message, case.hint)
                if counts and any(
                    HANDED_OVER not in mark for mark in done
                ):  # before a crash another device of this message was settled, and has counted
                    counts, badge = False, unread or max(case.facts.user.badge, 1)
                elif counts:
                    badge = self.badges.next(message.app, user, unread, case.facts.user.badge, step)
                    if step > 1:
                        unread = badge  # the store knows "one more" and "this many"
                    decision.badged.append(user)
                if self.limiter and attempt == 1:
                    self.limiter.count(user, conversation(message), case.now, app=message.app)
                first = False
            entry = self.book.entries[device.business_id]
            notification = self.notification(message, device, entry, badge, texts)
            decision.deliveries.append(Delivery(user, device, entry, notification, unread, counts))

    def notification(
        self,
        message: OfflineMessage,
        device: Device,
        entry: CredentialEntry,
        badge: int | None,
        texts: dict[tuple[bool, str, int | None], Notification],
    ) -> Notification:
        """The content for this device; one object for all devices that see the same."""
        lang = device.lang or self.policy.language
        shown = badge if shows_badge(entry) else None
        ios = entry.ios or device.platform == "ios"
        key = (ios, lang, shown)
        made = texts.get(key)
        if made is None:
            made = texts[key] = compose_notification(message, self.policy, ios, lang, shown)
        return made

    def _limit(self, app: int, now: float) -> Callable[[str, str], str | None]:
        limiter = self.limiter
        assert limiter is not None  # noqa: S101  only called where there is one
        return lambda user, conversation: limiter.reached(user, conversation, now, app=app)


def _hold_back_the_rest(case: Case, user: str, decision: Decision, verdict: Verdict, attempt: int) -> None:
    """A receiver of whom some devices had ended before, or wait in a retry topic, when a redelivered record meets a rule
    that was not there the first time (a recall, say): each device that is still open gets its own verdict."""
    assert verdict.reason is not None  # noqa: S101  as the caller has seen
    for device in case.facts.user.devices:
        if not settled(case.facts.done, device.device_id, attempt):
            decision.suppressions.append(Suppression(user, device, verdict.reason, verdict.detail))


def handed_over(device_id: str, attempt: int) -> str:
    """The done mark that says: the record of this attempt has handed the device's push to a retry topic."""
    return f"{device_id}{HANDED_OVER}{attempt}"


def settled(done: frozenset[str], device_id: str, attempt: int) -> bool:
    """Whether the device has its terminal receipt, or the record of this attempt has handed it over."""
    return device_id in done or handed_over(device_id, attempt) in done


def turn_to(case: Case, user: str, facts: ReceiverFacts, hint: ReceiverHint | None) -> None:
    """Make the case ask about this receiver."""
    case.receiver = user
    case.facts = facts
    case.hint = hint
    case.device = None


def compose_notification(
    message: OfflineMessage, policy: PolicySettings, ios: bool, lang: str, badge: int | None
) -> Notification:
    """Vendor-neutral content of a message for one platform and language."""
    text = compose(message, ios=ios, lang=lang, options=policy)
    info = message.push_info
    digest = identity(message)
    return Notification(
        title=text.title,
        body=text.body,
        ext=ext_of(message),
        sound=sound_of(message),
        badge=badge,
        expires_at=message.expires_at,
        collapse_id=digest.hex(),
        notify_id=int.from_bytes(digest[:4], "big") & 0x7FFFFFFF or 1,
        conversation=conversation(message),
        android=info.android if info else None,
        apns=info.apns if info else None,
        harmony=info.harmony if info else None,
    )


def identity(message: OfflineMessage) -> bytes:
    """16 bytes that name the message on the device, so that a repeat replaces itself.

    Made of what a recall names too (MsgKey, or the group's sequence), else of the dedup mark and the time.
    """
    if message.group_id is not None:
        mark = (
            message.seq
            if message.seq is not None
            else f"{message.sender}\x1f{message.random}\x1f{message.time}"
        )
        name = f"g\x1f{message.app}\x1f{message.group_id}\x1f{message.topic_id}\x1f{mark}"
    else:
        key = message.msg_key or f"{message.random}\x1f{message.time}"
        name = f"c\x1f{message.app}\x1f{message.sender}\x1f{key}"
    return blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def shows_badge(entry: CredentialEntry) -> bool:
    """Whether this credential's vendor is told the icon's number."""
    adapter, account = entry.adapter, entry.account
    return adapter is not None and account is not None and adapter.uses_badge(account)


def badge_effect(message: OfflineMessage, hint: ReceiverHint | None) -> tuple[bool, int | None, int]:
    """(whether a push raises the badge, the publisher's own number where it gives one, else by how much).

    A BadgeSetNum beats every UnreadMsgNum, and that a BadgeAddNum.
    """
    info = message.push_info
    apns = info.apns if info is not None else None
    if (apns is not None and apns.badge_mode == 1) or "NoUnread" in message.controls:
        return False, None, 1
    if info is not None and info.badge_set is not None:
        return True, info.badge_set, 1
    unread = message.unread if hint is None or hint.unread is None else hint.unread
    return True, unread, 1 if info is None or unread is not None else info.badge_add or 1
