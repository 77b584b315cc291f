"""Rows B1...B9: what a receiver's state and own settings say against it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pushgw.messages.model import State
from pushgw.policy.dnd import DAY_S, active_until, moment, rule_zone
from pushgw.policy.facts import Device, Login
from pushgw.policy.limits import conversation
from pushgw.policy.message_rules import DISCARD, group_option

if TYPE_CHECKING:
    from pushgw.messages.model import ReceiverHint
    from pushgw.policy.message_rules import MessageCase

    class ReceiverCase(MessageCase):
        """A case past B1: there is a receiver."""

        receiver: str


_UNKNOWN, _OUT = Login.UNKNOWN, Login.OUT  # looking up an enum's member costs more than the whole comparison
NOT_NOTIFY = 2
UNLESS_MENTIONED = (3, 4)


def no_receiver(case: MessageCase) -> str | None:
    """B1."""
    if case.receiver is None:
        return "The record names nobody."
    targets = case.message.targets
    if targets is not None and case.receiver not in targets:
        return f"The message is for some members only (To_Account), and {case.receiver} is none of them."
    return None


def is_sender(case: ReceiverCase) -> str | None:
    """B2."""
    return f"{case.receiver} sent the message." if case.receiver == case.message.sender else None


def not_logged_in(case: ReceiverCase) -> str | None:
    """B3. What the publisher says of the receiver's state beats what is stored."""
    hint = case.hint
    if hint is not None and hint.state is not None:
        return f"The record says that {case.receiver} is Offline." if hint.state is State.OFFLINE else None
    user = case.facts.user
    if user.login is _UNKNOWN:
        return f"No login of {case.receiver} was ever reported."
    if user.login is _OUT:
        return f"{case.receiver} logged out at {moment(user.logout_ms / 1000)}."
    over = user.online_ms / 1000 + case.options.login_ttl_days * DAY_S
    if case.now >= over:
        seen = moment(user.online_ms / 1000)
        return f"{case.receiver} was last seen at {seen}; the login ended at {moment(over)}."
    return None


def all_in_foreground(case: ReceiverCase) -> str | None:
    """B4 for the receiver: every device is in the foreground, or the user is online on one that is not known."""
    hint = case.hint
    none_known = True
    for device in case.facts.user.devices:
        if device.lost:
            continue
        if not in_foreground(device, hint):
            return None
        none_known = False
    if not none_known:
        return f"Every device of {case.receiver} is in the foreground."
    if hint is None or hint.state is State.PUSH_ONLINE:
        return None
    if hint.background is False or (hint.background is None and hint.state is State.ONLINE):
        return f"The record says that {case.receiver} is online, and no device in the background is known."
    return None


def user_push_off(case: ReceiverCase) -> str | None:
    """B5."""
    user = case.facts.user
    if user.push_enabled:
        return None
    return f"{case.receiver} switched pushes off at {moment(user.switch_ms / 1000)}."


def global_dnd(case: ReceiverCase) -> str | None:
    """B6. Mentions do not lift it."""
    user = case.facts.user
    rule = user.global_rule
    if rule is None:
        return None
    zone = rule_zone(rule, user, case.options)
    until = active_until(rule, zone, case.now)
    if until is None:
        return None
    if until == math.inf:
        return f"{case.receiver} is not to be disturbed until the rule is cleared."
    return f"{case.receiver} is not to be disturbed until {moment(until, zone)} ({zone})."


def c2c_dnd(case: ReceiverCase) -> str | None:
    """B7. Options 3 and 4 mean nothing here."""
    message = case.message
    if message.group_id is not None:
        return None
    option = case.hint.recv_opt if case.hint is not None else None
    if option is None or option > NOT_NOTIFY:
        option = case.facts.options.c2c
    if option != NOT_NOTIFY and option != DISCARD:
        return None
    if (
        case.options.rest_ignores_c2c_dnd
        and message.origin == "RESTAPI"
        and "WithMuteNotifications" not in message.controls
    ):
        return None
    return f"{case.receiver} has receive option {option} for {message.sender or 'this sender'}."


def group_dnd(case: ReceiverCase) -> str | None:
    """B8. Being mentioned lifts options 3 and 4, nothing else."""
    message = case.message
    if message.group_id is None:
        return None
    option = group_option(case)
    if option is None or option == 0:
        return None
    if option in UNLESS_MENTIONED:
        if _mentioned(case):
            return None
        return f"{case.receiver} has receive option {option} for this group and is not mentioned."
    return f"{case.receiver} has receive option {option} for this group."


def rate_limit(case: ReceiverCase) -> str | None:
    """B9."""
    if case.rate_limited is None:
        return None
    return case.rate_limited(case.receiver, conversation(case.message))


def in_foreground(device: Device, hint: ReceiverHint | None) -> bool:
    """The publisher's word beats the store: PushOnline has no app in front, Background says so itself."""
    if hint is not None:
        if hint.state is State.PUSH_ONLINE:
            return False
        if hint.background is not None:
            return not hint.background
    return not device.background


def _mentioned(case: ReceiverCase) -> bool:
    """Whether the receiver is meant by an @. Communities (the only groups with topics) know no @all."""
    message = case.message
    if case.receiver in message.mentions:
        return True
    community = message.group_type == "Community" or message.topic_id is not None
    return message.mention_all and case.options.mention_all_counts and not community
