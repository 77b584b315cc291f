"""Xiaomi's requests, byte for byte, and the reading of its answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from pushgw.messages.model import AndroidInfo
from pushgw.vendor.adapter import Account, Refused
from pushgw.vendor.http import Response
from pushgw.vendor.push import Action, Notification, Outcome, Push, Target
from vendors.xiaomi import vendor
from vendors.xiaomi.adapter import XiaomiAdapter
from vendors.xiaomi.credential import XiaomiCredential
from vendors.xiaomi.results import RESULTS

VECTORS = json.loads(Path(__file__).with_name("vectors.json").read_text("utf-8"))
NOW = 1_767_225_600.0
ADAPTER = XiaomiAdapter()
SECRET = "Tm90QVJlYWxTZWNyZXQ="


def account(defaults: dict[str, str] | None = None, **fields: Any) -> Account:
    given = {"package": "com.example.chat", "app_secret": SECRET, **fields}
    return Account(
        business_id=9004,
        vendor="xiaomi",
        credential=XiaomiCredential.model_validate(given),
        defaults=defaults or {},
        cache={},
    )


def push(*tokens: str, **fields: Any) -> Push:
    given = {
        "title": "Alice",
        "body": "你好 & hello",
        "expires_at": int(NOW) + 86_400,
        "collapse_id": "m-1001",
        "notify_id": 1234567,
        **fields,
    }
    targets = tuple(
        Target(token=t, user="bob", device_id="d", push_id="P", vendor_id="v")
        for t in tokens or ("regidA==",)
    )
    return Push(notification=Notification(**given), targets=targets, now=NOW)


def form(given: Push, at: Account | None = None) -> dict[str, str]:
    at = at or account()
    request = ADAPTER.render(given, at, ADAPTER.local_auth(at, NOW))
    return dict(parse_qsl(request.body.decode("ascii"), strict_parsing=True))


def outcomes(given: Push, told: object, status: int = 200) -> list[Outcome]:
    content = told if isinstance(told, bytes) else json.dumps(told).encode()
    return ADAPTER.interpret(given, account(), Response(status=status, body=content))


# --- requests ---------------------------------------------------------------------------------------------


def test_golden_request() -> None:
    """The whole request for a plain message, and the same bytes when rendered again."""
    at = account({"channel_id": "112233"})
    given = push("regidA==", "regidB==", ext='{"a":1}')
    request = ADAPTER.render(given, at, None)
    assert request == ADAPTER.render(given, at, None)
    assert request.shared is ADAPTER.render(given, at, None).shared
    assert request.url == "https://api.xmpush.xiaomi.com/v4/message/regid"
    assert request.shared == (
        ("authorization", VECTORS["authorization"]),
        ("content-type", "application/x-www-form-urlencoded;charset=UTF-8"),
    )
    assert request.body == (
        b"registration_id=regidA%3D%3D%2CregidB%3D%3D&restricted_package_name=com.example.chat&pass_through=0"
        b"&title=Alice&description=%E4%BD%A0%E5%A5%BD+%26+hello&payload=%7B%22a%22%3A1%7D&notify_type=-1"
        b"&notify_id=1234567&time_to_live=86400000&extra.channel_id=112233&extra.notify_effect=1"
        b"&extra.jobkey=800567540074d591ecc1"
    )


def test_the_vector_is_reproduced() -> None:
    """Field for field the adapter's form is spelled as the known vector, blanks, Chinese and commas included."""
    extra: dict[str, object] = {"notify_type": 1, "extra.notify_foreground": "0"}
    given = push("regidA==", "regidB==", extra=extra)
    rendered = ADAPTER.render(given, account({"channel_id": "112233"}), None).body.decode()
    expected = VECTORS["form_body"].split("&")
    assert [pair for pair in rendered.split("&") if not pair.startswith("extra.jobkey=")] == expected
    assert [list(p) for p in parse_qsl(VECTORS["form_body"])] == VECTORS["pairs"]


def test_region_and_endpoint() -> None:
    """The region chooses the host; endpoint replaces it."""
    assert ADAPTER.render(push(), account(region="ind"), None).url == (
        "https://idmb-api.xmpush.global.xiaomi.com/v4/message/regid"
    )
    at = Account(
        business_id=1,
        vendor="xiaomi",
        credential=account().credential,
        endpoint="https://127.0.0.1:8443",
        cache={},
    )
    assert ADAPTER.render(push(), at, None).url == "https://127.0.0.1:8443/v4/message/regid"


def test_title_and_description_stay_under_the_limits() -> None:
    """At most 49 and 127 UTF-16 units, an ellipsis included; no emoji is halved."""
    given = form(push(title="t" * 50, body="😀" * 64))
    assert given["title"] == "t" * 48 + "…"
    assert given["description"] == "😀" * 63 + "…"
    kept = form(push(title="t" * 49, body="b" * 127))
    assert (len(kept["title"]), len(kept["description"])) == (49, 127)


@pytest.mark.parametrize(
    ("life", "ttl"), [(3600, "3600000"), (10 * 86_400, "864000000"), (11 * 86_400, "864000000"), (0, "1")]
)
def test_time_to_live_is_milliseconds(life: int, ttl: str) -> None:
    """Milliseconds, at most ten days."""
    assert form(push(expires_at=int(NOW) + life))["time_to_live"] == ttl


def test_a_long_ext_takes_room_from_the_text() -> None:
    """Title, text and ext stay within 4,096 bytes by cutting the text; ext stays whole."""
    given = form(push(body="界" * 127, ext="x" * 3900))
    size = sum(len(given[name].encode()) for name in ("title", "description", "payload"))
    assert 4090 <= size <= 4096
    assert given["payload"] == "x" * 3900


def test_an_ext_too_large_is_refused_with_sizes() -> None:
    """Ext is never cut: the push is refused, and the sentence names both sizes."""
    with pytest.raises(Refused, match=r"4096 are allowed.*ext alone has 4096"):
        form(push(ext="x" * 4096))


def test_payload_is_encoded_once() -> None:
    """What the app gets is the publisher's ext, character for character."""
    assert form(push(ext='{"p":"50%25&ü +"}'))["payload"] == '{"p":"50%25&ü +"}'


def test_identity_of_repeats() -> None:
    """A repeat has the same notify_id and jobkey; another message has others; the jobkey has the allowed shape."""
    first, again, other = form(push()), form(push()), form(push(collapse_id="m-2", notify_id=2))
    assert (first["notify_id"], first["extra.jobkey"]) == (again["notify_id"], again["extra.jobkey"])
    assert first["extra.jobkey"] != other["extra.jobkey"]
    assert len(first["extra.jobkey"]) == 20
    assert first["extra.jobkey"].isalnum()


def test_channel_from_message_else_configured_else_none() -> None:
    """XiaoMiChannelID wins over channel_id; nothing is guessed, but its lack is warned of."""
    own = push(android=AndroidInfo(xiaomi_channel_id="own"))
    assert form(own, account({"channel_id": "c"}))["extra.channel_id"] == "own"
    assert form(push(), account({"channel_id": "c"}))["extra.channel_id"] == "c"
    assert "extra.channel_id" not in form(push())
    assert "XiaoMiChannelID" in ADAPTER.warnings(push().notification, account())[0]
    assert ADAPTER.warnings(own.notification, account()) == ()


def test_templates() -> None:
    """A configured template is filled with title and text; its own pattern may name them; texts are not re-read."""
    plain = form(push(title="{body}"), account({"template_id": "M12762", "channel_id": "c"}))
    assert plain["extra.template_id"] == "M12762"
    assert json.loads(plain["extra.template_param"]) == {"keywords1": "{body}", "keywords2": "你好 & hello"}
    pattern = '{"keywords1":"team","keywords2":"{title}: {body}"}'
    own = form(push(), account({"template_id": "M12763", "channel_id": "c", "template_param": pattern}))
    assert json.loads(own["extra.template_param"]) == {
        "keywords1": "team",
        "keywords2": "Alice: 你好 & hello",
    }


def test_a_template_without_channel_is_refused_beforehand() -> None:
    """Xiaomi takes a private template only in a channel (C6)."""
    note = push().notification
    assert "channel_id" in (ADAPTER.channel_fault(note, account({"template_id": "M1"})) or "")
    assert ADAPTER.channel_fault(note, account({"template_id": "M1", "channel_id": "c"})) is None
    assert ADAPTER.channel_fault(note, account()) is None


@pytest.mark.parametrize(
    ("defaults", "expected"),
    [
        ({}, {"extra.notify_effect": "1"}),
        (
            {"click_action": "url", "click_target": "https://a.example"},
            {"extra.notify_effect": "3", "extra.web_uri": "https://a.example"},
        ),
        (
            {"click_action": "intent", "click_target": "intent:#Intent;component=a/.B;end"},
            {"extra.notify_effect": "2", "extra.intent_uri": "intent:#Intent;component=a/.B;end"},
        ),
        (
            {"click_action": "intent", "click_target": "com.example.OPEN"},
            {"extra.notify_effect": "2", "extra.intent_uri": "intent:#Intent;action=com.example.OPEN;end"},
        ),
        ({"click_action": "url"}, {"extra.notify_effect": "1"}),
    ],
)
def test_click_actions(defaults: dict[str, str], expected: dict[str, str]) -> None:
    """What a tap opens; without a target the app."""
    given = form(push(), account(defaults))
    clicks = ("extra.notify_effect", "extra.web_uri", "extra.intent_uri")
    assert {name: given[name] for name in clicks if name in given} == expected


def test_blank_texts() -> None:
    """Xiaomi takes neither blank; the title has a default, the text has none."""
    assert form(push(title=" "))["title"] == "a new message"
    with pytest.raises(Refused, match="without text"):
        form(push(body="\u3000"))


def test_a_comma_is_no_part_of_a_token() -> None:
    """A comma would make two regIds of one."""
    assert "comma" in (ADAPTER.token_fault("a,b") or "")
    assert ADAPTER.token_fault("YmFzZTY0+/==") is None
    assert ADAPTER.token_fault(" ") is not None


def test_static_secret() -> None:
    """No token server is asked; the secret is named for masking."""
    auth = ADAPTER.local_auth(account(), NOW)
    assert auth is not None
    assert auth.expires_at > NOW
    assert ADAPTER.auth_request(account(), NOW) is None
    assert ADAPTER.secrets(account(), auth) == (SECRET,)


# --- answers ----------------------------------------------------------------------------------------------

RETRY, CONFIG, BAD, QUOTA = Action.RETRY, Action.CONFIG, Action.BAD_MESSAGE, Action.QUOTA
ROWS: dict[int, Action] = {
    **dict.fromkeys([-1, 1, 10001, 10002, 10003, 20607, 22102, 26003, 20301], RETRY),
    **dict.fromkeys([10004, 10022, 10023, 10024, 10027, 10028, 200002], Action.RETRY_AFTER),
    **dict.fromkeys([10030, 10032, 26004, 26005], RETRY),
    **dict.fromkeys([200001, 10034], QUOTA),
    **dict.fromkeys([10005, 10031, 10026, 10036], CONFIG),
    **dict.fromkeys(
        [10008, 10012, 10013, 10014, 10016, 10017, 10018, 10020, 10021, 10037, 10041, 10025], BAD
    ),
    **dict.fromkeys([65009, 65014, 65015, 65036, 65037, 65038, 65003], BAD),
    **dict.fromkeys([10029, 66007], Action.INVALID_TOKEN),
    **dict.fromkeys([21301, 21302, 21303, 21305], CONFIG),
    **dict.fromkeys([*range(22000, 22009), 22020, 22021, 22022, 22100, 22101, 22103], CONFIG),
    **dict.fromkeys([66108, 26006, 27001], CONFIG),
    **dict.fromkeys(
        [20209, 20215, 20216, 20315, *range(65006, 65009), *range(65010, 65014), 65016, 65017], BAD
    ),
    0: Action.ACCEPTED,
    77777: Action.UNKNOWN,
}


@pytest.mark.parametrize(("code", "action"), ROWS.items())
@pytest.mark.parametrize("spelled", [int, str])
def test_every_code(code: int, action: Action, spelled: type) -> None:
    """Each code leads to its action for every regId of the batch, as number or text."""
    result = "ok" if code == 0 else "error"
    got = outcomes(push("a1", "b2"), {"result": result, "code": spelled(code), "reason": "words"})
    assert [(o.action, o.code) for o in got] == [(action, str(code))] * 2


def test_every_row_is_tested() -> None:
    """No row of the table is without its test."""
    assert {code for code in RESULTS if not code.startswith("HTTP")} <= {str(code) for code in ROWS}
    assert vendor.results == RESULTS


@pytest.mark.parametrize("code", [20301, 65003])
def test_doubtful_codes_never_cost_a_token(code: int) -> None:
    """Also of a single regId, 20301 and 65003 prove nothing; the one is not repeated for ever."""
    (outcome,) = outcomes(push(), {"result": "error", "code": code})
    assert outcome.action is Action.BAD_MESSAGE
    assert "token stays" in outcome.hint


@pytest.mark.parametrize(
    ("status", "action"),
    [
        (500, RETRY),
        (503, RETRY),
        (429, Action.RETRY_AFTER),
        (404, CONFIG),
        (401, CONFIG),
        (403, CONFIG),
        (413, BAD),
        (200, Action.UNKNOWN),
        (302, Action.UNKNOWN),
    ],
)
@pytest.mark.parametrize(
    "content", [b"", b"<html>", b"[0]", b'{"code":true}', b'{"code":0,"result":"error"}']
)
def test_answers_without_a_code(status: int, action: Action, content: bytes) -> None:
    """Where no code can be read, or the answer contradicts itself, the HTTP status decides."""
    assert outcomes(push(), content, status)[0].action is action


@pytest.mark.parametrize("bad", [["b2"], "b2", "x,b2", ["b2", 7]])
def test_bad_regids_as_list_or_text(bad: object) -> None:
    """Listed regIds are dead, the rest is accepted with Xiaomi's message id."""
    got = outcomes(push("a1", "b2"), {"result": "ok", "code": 0, "data": {"id": "scm1", "bad_regids": bad}})
    assert [o.action for o in got] == [Action.ACCEPTED, Action.INVALID_TOKEN]
    assert got[0].vendor_id == "scm1"
    assert got[1].code == "10029"


@pytest.mark.parametrize("data", [None, [], "x", {"bad_regids": {}}, {"bad_regids": ""}])
def test_odd_data_is_no_fault(data: object) -> None:
    """An accepted batch stays accepted when its data has another shape."""
    got = outcomes(push("a1", "b2"), {"result": "ok", "code": 0, "data": data, "trace_id": "X1"})
    assert [(o.action, o.vendor_id) for o in got] == [(Action.ACCEPTED, "X1")] * 2


def test_tokens_in_xiaomis_words_are_blotted_out() -> None:
    """Whatever Xiaomi quotes, no regId reaches an Outcome."""
    (outcome,) = outcomes(push("REGID1"), {"result": "error", "code": 10017, "reason": "bad REGID1"})
    assert outcome.reason == "bad ***"
