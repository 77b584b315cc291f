"""Each row of the decision table: something that it stops, and the nearest thing that it lets pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pushgw.messages.model import (
    AlwaysWindow,
    Element,
    Kind,
    NotAMessage,
    OfflinePushInfo,
    OnceWindow,
    State,
)
from pushgw.policy.case import Case
from pushgw.policy.facts import GlobalRule, Login
from pushgw.policy.reasons import Reason
from pushgw.policy.rules import (
    DEVICE_RULES,
    RULES,
    explain_device,
    explain_receiver,
    judge_devices,
    judge_receiver,
)

NOW = 1_795_500_060
SENT = NOW - 60
DAY_S = 86_400

MakeCase = Callable[..., Case]
Row = tuple[Reason, str, dict[str, Any], dict[str, Any]]


def event(**changes: Any) -> NotAMessage:
    return NotAMessage(**({"app": 0, "command": "Bot.OnC2CMessage", "send_failed": False} | changes))


def window(start: int, duration: int) -> dict[str, Any]:
    return {"global_rule": GlobalRule(window=OnceWindow(start=start, duration=duration), set_ms=0)}


CUSTOM = Element("TIMCustomElem")
GROUP: dict[str, Any] = {"group_id": "g1", "group_type": "Public"}

TABLE: list[Row] = [
    # reason, what distinguishes the pair, stopped, passed
    (Reason.REDELIVERED, "EventId", {"redelivered_of": "t/0/1"}, {"redelivered_of": None}),
    (Reason.NOT_A_MESSAGE, "event", {"message": event()}, {}),
    (Reason.SEND_FAILED, "exception", {"message": event(send_failed=True)}, {}),
    (Reason.SEND_FAILED, "result", {"message": {"send_result": 20006}}, {"message": {"send_result": 0}}),
    (Reason.DUPLICATE, "c2c", {"facts": {"claimed_by": "t/0/1"}}, {"facts": {"claimed_by": None}}),
    (
        Reason.DUPLICATE,
        "group",
        {"message": GROUP, "facts": {"claimed_by": "t/0/1"}},
        {"message": GROUP, "facts": {"claimed_by": None}},
    ),
    (Reason.RECALLED, "c2c", {"facts": {"recalled": True}}, {"facts": {"recalled": False}}),
    (Reason.RECALLED, "group", {"message": GROUP, "facts": {"recalled": True}}, {"message": GROUP}),
    (Reason.ONLINE_ONLY, "lifetime", {"message": {"lifetime": 0}}, {"message": {"lifetime": 61}}),
    (
        Reason.ONLINE_ONLY,
        "task",
        {"message": {"kind": Kind.TASK, "lifetime": 0}},
        {"message": {"kind": Kind.TASK, "lifetime": None}},
    ),
    (
        Reason.ONLINE_ONLY_FLAG,
        "flag",
        {"message": {"online_only_flag": 1}},
        {"message": {"online_only_flag": 0}},
    ),
    (
        Reason.ONLINE_ONLY_FLAG,
        "task",
        {"message": {"online_only_flag": 2}},
        {"message": {"online_only_flag": 2, "kind": Kind.TASK}},
    ),
    (
        Reason.PUSH_FLAG,
        "flag",
        {"message": {"push_info": OfflinePushInfo(push_flag=1)}},
        {"message": {"push_info": OfflinePushInfo(push_flag=0)}},
    ),
    (
        Reason.GROUP_TYPE,
        "AVChatRoom, whatever the option",
        {"message": GROUP | {"group_type": "AVChatRoom"}, "stored": {"group": 0}, "hint": {"recv_opt": 0}},
        {"message": GROUP | {"group_type": None}},
    ),
    (
        Reason.GROUP_TYPE,
        "Meeting, stored option",
        {"message": GROUP | {"group_type": "Meeting"}},
        {"message": GROUP | {"group_type": "Meeting"}, "stored": {"group": 0}},
    ),
    (
        Reason.GROUP_TYPE,
        "Meeting, option in the record",
        {"message": GROUP | {"group_type": "Meeting"}, "hint": {"state": State.PUSH_ONLINE}},
        {"message": GROUP | {"group_type": "Meeting"}, "hint": {"recv_opt": 0}},
    ),
    (Reason.EXPIRED, "lifetime", {"message": {"lifetime": 60}}, {"message": {"lifetime": 61}}),
    (
        Reason.EXPIRED,
        "seven days when nothing is said",
        {"now": float(SENT + 7 * DAY_S), "user": {"online_ms": (SENT + DAY_S) * 1000}},
        {"now": SENT + 7 * DAY_S - 0.5, "user": {"online_ms": (SENT + DAY_S) * 1000}},
    ),
    (
        Reason.EMPTY_CONTENT,
        "custom element alone",
        {"message": {"body": (CUSTOM,)}},
        {"message": {"body": (CUSTOM, Element("TIMTextElem", "hi"))}},
    ),
    (
        Reason.EMPTY_CONTENT,
        "desc",
        {"message": {"body": (CUSTOM,), "push_info": OfflinePushInfo(title="T")}},
        {"message": {"body": (CUSTOM,), "push_info": OfflinePushInfo(desc="D")}},
    ),
    (
        Reason.EMPTY_CONTENT,
        "desc of the element",
        {"message": {"body": (Element("TIMCustomElem", "", ""),), "push_info": OfflinePushInfo()}},
        {"message": {"body": (Element("TIMCustomElem", "", "D"),), "push_info": OfflinePushInfo()}},
    ),
    (
        Reason.EMPTY_CONTENT,
        "an unknown element alone",
        {"message": {"body": (Element("TIMNewElem"),)}},
        {"message": {"body": (Element("TIMFaceElem"),)}},
    ),
    (
        Reason.EMPTY_CONTENT,
        "required, but absent",
        {"options": {"require_offline_push_info": True}},
        {
            "options": {"require_offline_push_info": True},
            "message": {"push_info": OfflinePushInfo(title="T")},
        },
    ),
    (
        Reason.EMPTY_CONTENT,
        "required, but blank",
        {"options": {"require_offline_push_info": True}, "message": {"push_info": OfflinePushInfo(ext="x")}},
        {
            "options": {"require_offline_push_info": True},
            "message": {"push_info": OfflinePushInfo(desc="D")},
        },
    ),
    (Reason.NO_RECEIVER, "nobody", {"receiver": None}, {"receiver": "bob"}),
    (
        Reason.NO_RECEIVER,
        "targeted",
        {"message": GROUP | {"targets": frozenset({"carol"})}},
        {"message": GROUP | {"targets": frozenset({"carol", "bob"})}},
    ),
    (Reason.SELF, "sender", {"message": {"sender": "bob"}}, {"message": {"sender": "Bob"}}),
    (Reason.NOT_LOGGED_IN, "unknown", {"user": {"login": Login.UNKNOWN}}, {"user": {"login": Login.IN}}),
    (
        Reason.NOT_LOGGED_IN,
        "logged out",
        {"user": {"login": Login.OUT, "logout_ms": SENT * 1000}},
        {"user": {"login": Login.IN, "logout_ms": SENT * 1000}},
    ),
    (
        Reason.NOT_LOGGED_IN,
        "unknown to the store alone",
        {"user": {"login": Login.UNKNOWN}, "hint": {"background": True}},
        {"user": {"login": Login.UNKNOWN}, "hint": {"state": State.PUSH_ONLINE}},
    ),
    (
        Reason.NOT_LOGGED_IN,
        "the record says so",
        {"hint": {"state": State.OFFLINE}},
        {"hint": {"state": State.PUSH_ONLINE}},
    ),
    (
        Reason.NOT_LOGGED_IN,
        "seven days without a sign",
        {"user": {"online_ms": (NOW - 7 * DAY_S) * 1000}},
        {"user": {"online_ms": (NOW - 7 * DAY_S) * 1000 + 1}},
    ),
    (
        Reason.NOT_LOGGED_IN,
        "own time to live",
        {"user": {"online_ms": (NOW - DAY_S) * 1000}, "options": {"login_ttl_days": 1}},
        {"user": {"online_ms": (NOW - DAY_S) * 1000}, "options": {"login_ttl_days": 1.5}},
    ),
    (
        Reason.NOT_LOGGED_IN,
        "long ago, but the record knows better",
        {"user": {"online_ms": 0}},
        {"user": {"online_ms": 0}, "hint": {"state": State.PUSH_ONLINE}},
    ),
    (Reason.FOREGROUND, "stored", {"device": {"background": False}}, {"device": {"background": True}}),
    (
        Reason.FOREGROUND,
        "the record's Background",
        {"hint": {"background": False}},
        {"device": {"background": False}, "hint": {"background": True}},
    ),
    (
        Reason.FOREGROUND,
        "Online goes by the store",
        {"device": {"background": False}, "hint": {"state": State.ONLINE}},
        {"device": {"background": True}, "hint": {"state": State.ONLINE}},
    ),
    (
        Reason.FOREGROUND,
        "PushOnline has nothing in front",
        {"device": {"background": False}, "hint": {"state": State.ONLINE}},
        {"device": {"background": False}, "hint": {"state": State.PUSH_ONLINE}},
    ),
    (
        Reason.USER_PUSH_OFF,
        "switch",
        {"user": {"push_enabled": False, "switch_ms": SENT * 1000}},
        {"user": {"push_enabled": True, "switch_ms": SENT * 1000}},
    ),
    (
        Reason.USER_PUSH_OFF,
        "task",
        {"user": {"push_enabled": False}, "message": {"kind": Kind.TASK}},
        {"message": {"kind": Kind.TASK}},
    ),
    (Reason.GLOBAL_DND, "window", {"user": window(NOW - 10, 11)}, {"user": window(NOW - 10, 10)}),
    (
        Reason.GLOBAL_DND,
        "for good",
        {"user": {"global_rule": GlobalRule(window=AlwaysWindow(), set_ms=0)}},
        {"user": {"global_rule": None}},
    ),
    (
        Reason.GLOBAL_DND,
        "not lifted by a mention",
        {"message": GROUP | {"mentions": frozenset({"bob"})}, "user": window(NOW, 1)},
        {"message": GROUP | {"mentions": frozenset({"bob"})}, "user": window(NOW + 1, 1)},
    ),
    (Reason.C2C_DND, "not received", {"stored": {"c2c": 1}}, {"stored": {"c2c": 0}}),
    (Reason.C2C_DND, "not notified", {"stored": {"c2c": 2}}, {"stored": {"group": 2}}),
    (
        Reason.C2C_DND,
        "the record's option beats the store",
        {"stored": {"c2c": 0}, "hint": {"recv_opt": 2}},
        {"stored": {"c2c": 2}, "hint": {"recv_opt": 0}},
    ),
    (
        Reason.C2C_DND,
        "options 3 and 4 are for groups",
        {"stored": {"c2c": 2}, "hint": {"recv_opt": 3}},
        {"stored": {"c2c": 0}, "hint": {"recv_opt": 4}},
    ),
    (
        Reason.C2C_DND,
        "REST, strict compatibility",
        {"stored": {"c2c": 2}, "message": {"origin": "RESTAPI"}},
        {
            "stored": {"c2c": 2},
            "message": {"origin": "RESTAPI"},
            "options": {"rest_ignores_c2c_dnd": True},
        },
    ),
    (
        Reason.C2C_DND,
        "REST, with WithMuteNotifications",
        {
            "stored": {"c2c": 2},
            "message": {"origin": "RESTAPI", "controls": frozenset({"WithMuteNotifications"})},
            "options": {"rest_ignores_c2c_dnd": True},
        },
        {
            "stored": {"c2c": 2},
            "message": {"origin": "RESTAPI", "controls": frozenset({"NoUnread"})},
            "options": {"rest_ignores_c2c_dnd": True},
        },
    ),
    (
        Reason.C2C_DND,
        "strict compatibility needs the origin",
        {"stored": {"c2c": 2}, "message": {"origin": "iOS"}, "options": {"rest_ignores_c2c_dnd": True}},
        {"stored": {"c2c": 2}, "message": {"origin": "RESTAPI"}, "options": {"rest_ignores_c2c_dnd": True}},
    ),
    (
        Reason.C2C_DND,
        "task",
        {"stored": {"c2c": 2}, "message": {"kind": Kind.TASK}},
        {"stored": {"c2c": None}, "message": {"kind": Kind.TASK}},
    ),
    (
        Reason.GROUP_DND,
        "not received",
        {"message": GROUP, "stored": {"group": 1}},
        {"message": GROUP, "stored": {"group": 0}},
    ),
    (
        Reason.GROUP_DND,
        "not notified",
        {"message": GROUP, "stored": {"group": 2}},
        {"message": GROUP, "stored": {"c2c": 2}},
    ),
    (
        Reason.GROUP_DND,
        "the record's option beats the store",
        {"message": GROUP, "stored": {"group": 0}, "hint": {"recv_opt": 2}},
        {"message": GROUP, "stored": {"group": 2}, "hint": {"recv_opt": 0}},
    ),
    (
        Reason.GROUP_DND,
        "3, mentioned",
        {"message": GROUP | {"mentions": frozenset({"carol"})}, "stored": {"group": 3}},
        {"message": GROUP | {"mentions": frozenset({"bob"})}, "stored": {"group": 3}},
    ),
    (
        Reason.GROUP_DND,
        "2 is not lifted by a mention",
        {"message": GROUP | {"mentions": frozenset({"bob"})}, "stored": {"group": 2}},
        {"message": GROUP | {"mentions": frozenset({"bob"})}, "stored": {"group": 4}},
    ),
    (
        Reason.GROUP_DND,
        "3, everybody mentioned",
        {
            "message": GROUP | {"mention_all": True},
            "stored": {"group": 3},
            "options": {"mention_all_counts": False},
        },
        {"message": GROUP | {"mention_all": True}, "stored": {"group": 3}},
    ),
    (
        Reason.GROUP_DND,
        "a Community knows no @all",
        {"message": GROUP | {"mention_all": True, "group_type": "Community"}, "stored": {"group": 3}},
        {
            "message": GROUP | {"mentions": frozenset({"bob"}), "group_type": "Community"},
            "stored": {"group": 3},
        },
    ),
    (
        Reason.GROUP_DND,
        "nor does a topic",
        {
            "message": GROUP | {"mention_all": True, "topic_id": "t", "group_type": None},
            "stored": {"topic": 4},
        },
        {
            "message": GROUP | {"mention_all": True, "topic_id": None, "group_type": None},
            "stored": {"group": 4},
        },
    ),
    (
        Reason.GROUP_DND,
        "a topic without an option has its community's",
        {"message": GROUP | {"topic_id": "t"}, "stored": {"group": 2, "topic": None}},
        {"message": GROUP | {"topic_id": "t"}, "stored": {"group": 2, "topic": 0}},
    ),
    (
        Reason.GROUP_DND,
        "a discarded community overrides its topics",
        {"message": GROUP | {"topic_id": "t"}, "stored": {"group": 1, "topic": 0}},
        {"message": GROUP | {"topic_id": "t"}, "stored": {"group": 3, "topic": 0}},
    ),
    (
        Reason.RATE_LIMIT,
        "reached",
        {"rate_limited": lambda user, conversation: f"{user} {conversation}"},
        {"rate_limited": lambda user, conversation: None},
    ),
    (Reason.NO_TOKEN, "no device", {"user": {"devices": ()}}, {}),
    (Reason.NO_TOKEN, "empty token", {"device": {"token": ""}}, {"device": {"token": "x"}}),
    (Reason.NO_TOKEN, "lost token", {"device": {"lost": True}}, {"device": {"lost": False}}),
    (Reason.CERT_UNKNOWN, "id", {"device": {"business_id": 7}}, {"device": {"business_id": 6666}}),
    (
        Reason.CERT_MISMATCH,
        "platform",
        {"device": {"platform": "android"}},
        {"device": {"platform": None}},
    ),
    (
        Reason.CERT_MISMATCH,
        "one of several platforms",
        {"credential": {"vendor": "fcm", "platforms": frozenset({"android", "web"})}},
        {"credential": {"vendor": "fcm", "platforms": frozenset({"android", "ios", "web"})}},
    ),
    (
        Reason.CERT_UNUSABLE,
        "problem",
        {"credential": {"problem": "key_file is missing"}},
        {"credential": {"problem": None}},
    ),
    (
        Reason.CERT_UNUSABLE,
        "nothing of it could be read",
        {"credential": {"problem": "no vendor is called apms", "platforms": frozenset()}},
        {"credential": {"platforms": frozenset()}},
    ),
    (Reason.TOKEN_DEAD, "dead", {"device": {"dead_ms": SENT * 1000}}, {"device": {"dead_ms": None}}),
    (
        Reason.CHANNEL_REJECT,
        "shape",
        {"credential": {"fault": "the token is blank"}},
        {"credential": {"fault": None}},
    ),
]
ROWS = [pytest.param(*row, id=f"{row[0].code}-{row[1]}") for row in TABLE]


def outcome(case: Case) -> tuple[Reason | None, str]:
    """What the receiver's, then the device's stage say."""
    verdict = judge_receiver(case)
    if verdict.reason is None:
        [(_, verdict)] = judge_devices(case)
    return verdict.reason, verdict.detail


@pytest.mark.parametrize(("reason", "_what", "stopped", "passed"), ROWS)
def test_a_row_stops_what_it_is_for_and_nothing_beside_it(
    make_case: MakeCase, reason: Reason, _what: str, stopped: dict[str, Any], passed: dict[str, Any]
) -> None:
    """The first of a pair gets this reason with a sentence; the second, which differs in one point, is pushed."""
    found, detail = outcome(make_case(**stopped))
    assert found is reason
    assert detail
    assert outcome(make_case(**passed)) == (None, "")


@pytest.mark.parametrize(("reason", "_what", "stopped", "passed"), ROWS)
def test_explain_shows_what_was_decided(
    make_case: MakeCase, reason: Reason, _what: str, stopped: dict[str, Any], passed: dict[str, Any]
) -> None:
    """Every row up to the failing one passes, the rows after it are not reached; a pushed message passes them all."""
    case = make_case(**stopped)
    _, detail = outcome(case)
    checks = explain_receiver(case)
    if all(check.result == "pass" for check in checks):
        checks += explain_device(case)
    results = [check.result for check in checks]
    at = results.index("fail")
    assert (checks[at].reason, checks[at].detail) == (reason, detail)
    assert set(results[:at]) <= {"pass"}
    assert set(results[at + 1 :]) <= {"not reached"}

    case = make_case(**passed)
    checks = explain_receiver(case) + explain_device(case)
    assert [check.reason for check in checks] == [reason for reason, _ in RULES]
    assert {check.result for check in checks} == {"pass"}


def test_every_reason_has_a_row_in_the_contracts_order() -> None:
    """The rules are exactly the reasons after A1 in their order, and each is tried in the table above."""
    codes = [reason for reason, _ in RULES if (reason, _) != DEVICE_RULES[0]]
    assert codes == [reason for reason in Reason if reason is not Reason.MALFORMED]
    assert {row[0] for row in TABLE} == set(codes)


def test_a_sentence_names_its_facts(make_case: MakeCase) -> None:
    """Who owned the key, until when a window is open, since when a lifetime is over, which limit was reached."""
    sentences = {
        "t/0/1": {"facts": {"claimed_by": "t/0/1"}},
        "2026-11-24T14:01:10+08:00 (Asia/Shanghai)": {"user": window(NOW, 10)},
        "2026-11-24T06:00:30+00:00": {"message": {"lifetime": 30}},
        "bob C2C_alice": {"rate_limited": lambda user, conversation: f"{user} {conversation}"},
        "bob GROUP_g1": {
            "message": GROUP,
            "rate_limited": lambda user, conversation: f"{user} {conversation}",
        },
    }
    for part, changes in sentences.items():
        assert part in outcome(make_case(**changes))[1]
