"""The decision table: when a message is *not* pushed. The order of the tuples is the order of evaluation.

A rule looks at a `Case` and says in one English sentence why it holds, or None. The first rule that holds decides;
what no rule stops is pushed. `judge_receiver` and `judge_devices` decide; `explain_receiver` and `explain_device`
run the same functions and keep every row. Row A1 (nothing could be decoded) and those parts of C6 that only the
vendor's renderer can see are found elsewhere.

Passing costs nothing but calls: sentences are only written once a rule holds.
"""

from __future__ import annotations

from typing import cast

from pushgw.policy import device_rules, message_rules, receiver_rules
from pushgw.policy.case import Case, Check, Rule, Verdict
from pushgw.policy.facts import Device
from pushgw.policy.reasons import Reason

# The casts: a rule further down may rely on what those above it have ruled out, which the type of a tuple cannot say.
MESSAGE_RULES = cast(
    "tuple[Rule, ...]",
    (
        (Reason.REDELIVERED, message_rules.redelivered),
        (Reason.NOT_A_MESSAGE, message_rules.not_a_message),
        (Reason.SEND_FAILED, message_rules.send_failed),
        (Reason.DUPLICATE, message_rules.duplicate),
        (Reason.RECALLED, message_rules.recalled),
        (Reason.ONLINE_ONLY, message_rules.online_only),
        (Reason.ONLINE_ONLY_FLAG, message_rules.online_only_flag),
        (Reason.PUSH_FLAG, message_rules.push_flag),
        (Reason.GROUP_TYPE, message_rules.group_type),
        (Reason.EXPIRED, message_rules.expired),
        (Reason.EMPTY_CONTENT, message_rules.empty_content),
    ),
)
RECEIVER_RULES = cast(
    "tuple[Rule, ...]",
    (
        (Reason.NO_RECEIVER, receiver_rules.no_receiver),
        (Reason.SELF, receiver_rules.is_sender),
        (Reason.NOT_LOGGED_IN, receiver_rules.not_logged_in),
        (Reason.FOREGROUND, receiver_rules.all_in_foreground),
        (Reason.USER_PUSH_OFF, receiver_rules.user_push_off),
        (Reason.GLOBAL_DND, receiver_rules.global_dnd),
        (Reason.C2C_DND, receiver_rules.c2c_dnd),
        (Reason.GROUP_DND, receiver_rules.group_dnd),
        (Reason.RATE_LIMIT, receiver_rules.rate_limit),
    ),
)
DEVICE_RULES = cast(
    "tuple[Rule, ...]",
    (
        (Reason.FOREGROUND, device_rules.device_foreground),
        (Reason.NO_TOKEN, device_rules.no_token),
        (Reason.CERT_UNKNOWN, device_rules.cert_unknown),
        (Reason.CERT_MISMATCH, device_rules.cert_mismatch),
        (Reason.CERT_UNUSABLE, device_rules.cert_unusable),
        (Reason.TOKEN_DEAD, device_rules.token_dead),
        (Reason.CHANNEL_REJECT, device_rules.channel_reject),
    ),
)
RULES = MESSAGE_RULES + RECEIVER_RULES + DEVICE_RULES
"""All rows in the order of evaluation. FOREGROUND is there twice: for a receiver, and for one device of several."""

_BEFORE_DEVICES = MESSAGE_RULES + RECEIVER_RULES
PUSH = Verdict(None)


def judge_receiver(case: Case) -> Verdict:
    """Whether the message may go on to the devices of ``case.receiver``."""
    for reason, rule in _BEFORE_DEVICES:
        detail = rule(case)
        if detail is not None:
            return Verdict(reason, detail)
    return PUSH


def judge_device(case: Case) -> Verdict:
    """Whether the message may be shown on ``case.device``, once its receiver has passed."""
    for reason, rule in DEVICE_RULES:
        detail = rule(case)
        if detail is not None:
            return Verdict(reason, detail)
    return PUSH


def judge_devices(case: Case) -> list[tuple[Device | None, Verdict]]:
    """Every device of ``case.receiver`` with its verdict; one NO_TOKEN without a device where there is none.

    Sets ``case.device``.
    """
    devices = case.facts.user.devices
    if not devices:
        case.device = None
        return [(None, judge_device(case))]
    judged: list[tuple[Device | None, Verdict]] = []
    for device in devices:
        case.device = device
        judged.append((device, judge_device(case)))
    return judged


def explain_receiver(case: Case) -> list[Check]:
    """Every row of the stages A and B for ``case.receiver``."""
    return _explain(case, _BEFORE_DEVICES)


def explain_device(case: Case) -> list[Check]:
    """Every row of the device stage for ``case.device``; without a device, why there is none."""
    return _explain(case, DEVICE_RULES)


def _explain(case: Case, rules: tuple[Rule, ...]) -> list[Check]:
    checks: list[Check] = []
    decided = False
    for reason, rule in rules:
        if decided:
            checks.append(Check(reason, "not reached"))
            continue
        detail = rule(case)
        decided = detail is not None
        checks.append(Check(reason, "pass" if detail is None else "fail", detail or ""))
    return checks
