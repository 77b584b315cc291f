"""First hit wins; and what becomes of a receiver with several devices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pushgw.messages.model import AlwaysWindow, Element, NotAMessage, OfflinePushInfo, State
from pushgw.policy.case import Case
from pushgw.policy.facts import Device, GlobalRule, Login
from pushgw.policy.reasons import Reason
from pushgw.policy.rules import PUSH, RULES, judge_device, judge_devices, judge_receiver

MakeCase = Callable[..., Case]
MakeDevice = Callable[..., Device]

MESSAGE_SPOILS: list[tuple[Reason, dict[str, Any]]] = [
    (Reason.REDELIVERED, {"redelivered_of": "t/0/1"}),
    (Reason.SEND_FAILED, {"message": {"send_result": 1}}),
    (Reason.DUPLICATE, {"facts": {"claimed_by": "t/0/1"}}),
    (Reason.RECALLED, {"facts": {"recalled": True}}),
    (Reason.ONLINE_ONLY, {"message": {"lifetime": 0}}),
    (Reason.ONLINE_ONLY_FLAG, {"message": {"online_only_flag": 1}}),
    (Reason.PUSH_FLAG, {"message": {"push_info": OfflinePushInfo(push_flag=1)}}),
    (Reason.GROUP_TYPE, {"message": {"group_type": "AVChatRoom"}}),
    (Reason.EXPIRED, {"message": {"time": 0}}),
    (Reason.EMPTY_CONTENT, {"message": {"body": (Element("TIMCustomElem"),)}}),
    (Reason.NO_RECEIVER, {"message": {"targets": frozenset({"carol"})}}),
    (Reason.SELF, {"message": {"sender": "bob"}}),
    (Reason.NOT_LOGGED_IN, {"user": {"login": Login.UNKNOWN}}),
    (Reason.FOREGROUND, {"device": {"background": False}}),
    (Reason.USER_PUSH_OFF, {"user": {"push_enabled": False}}),
    (Reason.GLOBAL_DND, {"user": {"global_rule": GlobalRule(window=AlwaysWindow(), set_ms=0)}}),
    (Reason.GROUP_DND, {"stored": {"group": 2}}),
    (Reason.RATE_LIMIT, {"rate_limited": lambda user, conversation: "reached"}),
]
DEVICE_SPOILS: list[tuple[Reason, dict[str, Any]]] = [
    (Reason.FOREGROUND, {"background": False}),
    (Reason.NO_TOKEN, {"token": ""}),
    (Reason.CERT_UNKNOWN, {"business_id": 7}),
    (Reason.CERT_MISMATCH, {"platform": "web"}),
]


def merged(*changes: dict[str, Any]) -> dict[str, Any]:
    whole: dict[str, Any] = {}
    for change in changes:
        for key, value in change.items():
            whole[key] = whole.get(key, {}) | value if isinstance(value, dict) else value
    return whole


@pytest.mark.parametrize("first", range(len(MESSAGE_SPOILS)), ids=[r.code for r, _ in MESSAGE_SPOILS])
def test_the_first_of_many_reasons_wins(make_case: MakeCase, first: int) -> None:
    """Of everything that is wrong with a message and its receiver, what stands highest in the table is told."""
    everything = [spoil for _, spoil in reversed(MESSAGE_SPOILS[first:])]
    case = make_case(**merged({"message": {"group_id": "g1"}}, *everything))
    assert judge_receiver(case).reason is MESSAGE_SPOILS[first][0]


def test_a_one_to_one_message_has_the_peers_option_in_the_place_of_the_groups(make_case: MakeCase) -> None:
    """B7 comes after B6 and before B9."""
    spoils = dict(MESSAGE_SPOILS)
    muted = {"stored": {"c2c": 2}}
    assert judge_receiver(make_case(**merged(muted, spoils[Reason.RATE_LIMIT]))).reason is Reason.C2C_DND
    assert judge_receiver(make_case(**merged(muted, spoils[Reason.GLOBAL_DND]))).reason is Reason.GLOBAL_DND


@pytest.mark.parametrize("first", range(len(DEVICE_SPOILS)), ids=[r.code for r, _ in DEVICE_SPOILS])
def test_the_first_reason_against_a_device_wins(make_case: MakeCase, first: int) -> None:
    """A device in the foreground is that, whatever else is wrong with it; then token, id and platform in this order."""
    device = merged(*[spoil for _, spoil in reversed(DEVICE_SPOILS[first:])])
    assert judge_device(make_case(device=device)).reason is DEVICE_SPOILS[first][0]


def test_an_unusable_credential_comes_before_a_dead_token_and_its_shape(make_case: MakeCase) -> None:
    """C4, then C5, then C6."""
    bad = {"problem": "expired", "fault": "blank"}
    assert judge_device(make_case(credential=bad, device={"dead_ms": 1})).reason is Reason.CERT_UNUSABLE
    odd = {"fault": "blank"}
    assert judge_device(make_case(credential=odd, device={"dead_ms": 1})).reason is Reason.TOKEN_DEAD


def test_an_event_is_stopped_before_anything_is_asked_of_a_message(make_case: MakeCase) -> None:
    """A record that is no message meets only the rules that know such records, with or without a receiver."""
    event = NotAMessage(app=0, command="State.StateChange", send_failed=False)
    for receiver in ("bob", None):
        verdict = judge_receiver(make_case(message=event, receiver=receiver))
        assert verdict.reason is Reason.NOT_A_MESSAGE
        assert verdict.detail == "State.StateChange is no chat message."


def test_a_meeting_without_receivers_has_no_receiver(make_case: MakeCase) -> None:
    """Meeting is a matter of each receiver: where none is named, that is the reason; an AVChatRoom needs none."""
    meeting = make_case(message={"group_id": "g", "group_type": "Meeting"}, receiver=None)
    assert judge_receiver(meeting).reason is Reason.NO_RECEIVER
    room = make_case(message={"group_id": "g", "group_type": "AVChatRoom"}, receiver=None)
    assert judge_receiver(room).reason is Reason.GROUP_TYPE


def test_in_a_meeting_the_message_comes_before_its_members(make_case: MakeCase) -> None:
    """What is over or empty for everybody is told before what one member chose; in an AVChatRoom the table's order holds."""
    over, empty = {"time": 0}, {"body": (Element("TIMCustomElem"),)}
    for kind, spoil, reason in (
        ("Meeting", {}, Reason.GROUP_TYPE),
        ("Meeting", over, Reason.EXPIRED),
        ("Meeting", empty, Reason.EMPTY_CONTENT),
        ("AVChatRoom", over | empty, Reason.GROUP_TYPE),
    ):
        case = make_case(message={"group_id": "g", "group_type": kind, **spoil})
        assert judge_receiver(case).reason is reason


def test_what_passes_makes_nothing(make_case: MakeCase) -> None:
    """The verdict for what may be pushed is always the same object."""
    case = make_case()
    assert judge_receiver(case) is judge_device(case) is PUSH


def test_rules_change_nothing(make_case: MakeCase) -> None:
    """Running every rule leaves the case as it was."""
    case, same = make_case(), make_case()
    for _, rule in RULES:
        rule(case)
    assert case.message == same.message
    assert (case.receiver, case.hint, case.facts, case.device) == (
        same.receiver,
        same.hint,
        same.facts,
        same.device,
    )


# --- several devices --------------------------------------------------------------------------------------


def ids_and_reasons(case: Case) -> list[tuple[str | None, Reason | None]]:
    return [(d.device_id if d else None, v.reason) for d, v in judge_devices(case)]


def test_a_foreground_device_does_not_silence_the_others(
    make_case: MakeCase, make_device: MakeDevice
) -> None:
    """Where some devices are in the background the receiver goes on; each foreground device is B4 by itself."""
    devices = (make_device(device_id="front", background=False), make_device(device_id="back"))
    case = make_case(user={"devices": devices})
    assert judge_receiver(case).reason is None
    assert ids_and_reasons(case) == [("front", Reason.FOREGROUND), ("back", None)]


def test_all_devices_in_the_foreground_make_one_receipt(make_case: MakeCase, make_device: MakeDevice) -> None:
    """B4 at its place in the order when no device is in the background."""
    devices = (make_device(device_id="a", background=False), make_device(device_id="b", background=False))
    assert judge_receiver(make_case(user={"devices": devices})).reason is Reason.FOREGROUND


@pytest.mark.parametrize(
    ("hint", "reason"),
    [
        ({"state": State.ONLINE}, Reason.FOREGROUND),
        ({"state": State.ONLINE, "background": False}, Reason.FOREGROUND),
        ({"background": False}, Reason.FOREGROUND),
        ({"state": State.ONLINE, "background": True}, None),
        ({"state": State.PUSH_ONLINE}, None),
        ({"recv_opt": 0}, None),
    ],
)
def test_online_without_a_device_is_foreground(
    make_case: MakeCase, hint: dict[str, Any], reason: Reason | None
) -> None:
    """Of a user who is online and has no device stored, nothing says that the app is in the background."""
    case = make_case(user={"devices": ()}, hint=hint)
    assert judge_receiver(case).reason is reason
    if reason is None:
        assert ids_and_reasons(case) == [(None, Reason.NO_TOKEN)]


def test_a_lost_device_has_no_say_in_the_foreground(make_case: MakeCase, make_device: MakeDevice) -> None:
    """A phone that another user holds now neither keeps a message back nor lets it through."""
    front, back = make_device(background=False), make_device(device_id="lost", lost=True)
    assert judge_receiver(make_case(user={"devices": (front, back)})).reason is Reason.FOREGROUND
    lost_front = make_case(user={"devices": (make_device(background=False, lost=True),)})
    assert judge_receiver(lost_front).reason is None
    assert ids_and_reasons(lost_front) == [("iphone", Reason.NO_TOKEN)]


def test_each_stored_device_has_a_verdict(make_case: MakeCase, make_device: MakeDevice) -> None:
    """Lost and empty tokens: C1 for each device, which says whose; without any device one C1 for the receiver."""
    devices = (make_device(device_id="a", lost=True), make_device(device_id="b", token=""))
    case = make_case(user={"devices": devices})
    assert ids_and_reasons(case) == [("a", Reason.NO_TOKEN), ("b", Reason.NO_TOKEN)]
    [(device, verdict)] = judge_devices(make_case(user={"devices": ()}))
    assert device is None
    assert verdict.detail == "bob has no device."


def test_beside_a_usable_device_each_has_its_own_verdict(
    make_case: MakeCase, make_device: MakeDevice
) -> None:
    """No device is dropped silently: the lost, the tokenless and the dead one have their reason, in the stored order."""
    devices = (
        make_device(device_id="lost", lost=True, background=False),
        make_device(device_id="good"),
        make_device(device_id="empty", token=""),
        make_device(device_id="dead", dead_ms=1),
        make_device(device_id="strange", business_id=1),
    )
    case = make_case(user={"devices": devices})
    assert judge_receiver(case).reason is None
    assert ids_and_reasons(case) == [
        ("lost", Reason.NO_TOKEN),
        ("good", None),
        ("empty", Reason.NO_TOKEN),
        ("dead", Reason.TOKEN_DEAD),
        ("strange", Reason.CERT_UNKNOWN),
    ]


def test_no_sentence_shows_a_token(make_case: MakeCase) -> None:
    """Whatever is wrong with a device, its token stays out of the receipt."""
    secret = "secret-token"
    spoils: list[dict[str, Any]] = [
        {"device": {"background": False}},
        {"device": {"lost": True}},
        {"device": {"business_id": 7}},
        {"device": {"platform": "web"}},
        {"device": {"dead_ms": 1}},
        {"credential": {"problem": "expired"}},
        {"credential": {"fault": "the token is blank"}},
    ]
    for spoil in spoils:
        spoil["device"] = spoil.get("device", {}) | {"token": secret}
        verdict = judge_device(make_case(**spoil))
        assert verdict.reason is not None
        assert secret not in verdict.detail
