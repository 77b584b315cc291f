"""FCM: what is sent, what an answer means, and the access token."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pushgw.messages.model import AndroidInfo, ApnsInfo
from pushgw.vendor.adapter import Account, Auth, AuthFailed, Refused
from pushgw.vendor.http import Response
from pushgw.vendor.push import Action, Notification, Push, Target
from vendors.fcm import vendor
from vendors.fcm.credential import FcmCredential
from vendors.fcm.payload import size
from vendors.fcm.results import BAD_TOKEN, RESULTS, TOKEN_SERVER_CODES

VECTOR: dict[str, Any] = json.loads(Path(__file__).with_name("vectors.json").read_text())
NOW = 1_790_000_000.25
TOKEN = "dEv1ceT0ken:APA91bExample"
AUTH = Auth(value="ya29.access", expires_at=NOW + 3300, made_at=NOW)
FCM_ERROR = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
BAD_REQUEST = "type.googleapis.com/google.rpc.BadRequest"
adapter = vendor.adapter

KEY_FILE = {
    "type": "service_account",
    "project_id": "demo-project",
    "private_key_id": VECTOR["header"]["kid"],
    "private_key": VECTOR["private_key_pem"],
    "client_email": VECTOR["claims"]["iss"],
    "token_uri": "https://oauth2.googleapis.com/token",
}


def account(key_file: dict[str, Any] | None = None, **changes: Any) -> Account:
    content = json.dumps(KEY_FILE | (key_file or {})).encode()
    credential = FcmCredential.model_validate({"service_account": content})
    return Account(business_id=1, vendor="fcm", credential=credential, cache={}, **changes)


OWNER = account()


def push(platform: str | None = "android", **changes: Any) -> Push:
    content: dict[str, Any] = {
        "title": "Alice",
        "body": "Hi",
        "expires_at": int(NOW) + 3600,
        "collapse_id": "c2c-alice-42",
        "notify_id": 42,
        "conversation": "C2C_alice",
        **changes,
    }
    target = Target(token=TOKEN, user="bob", device_id="d", push_id="01J", vendor_id="u", platform=platform)
    return Push(notification=Notification(**content), targets=(target,), now=NOW)


def message(owner: Account = OWNER, **changes: Any) -> dict[str, Any]:
    return dict(msgspec.json.decode(adapter.render(push(**changes), owner, AUTH).body)["message"])


def answer(status: int, body: Any = b"", **headers: str) -> Response:
    return Response(
        status=status, headers=headers, body=body if isinstance(body, bytes) else json.dumps(body).encode()
    )


def error(code: int, status: str, *details: dict[str, Any], words: str = "words") -> dict[str, Any]:
    return {"error": {"code": code, "message": words, "status": status, "details": list(details)}}


# --- the request ------------------------------------------------------------------------------------------


def test_the_whole_request_is_as_google_describes_it() -> None:
    """A message becomes one POST with this URL, these headers and this body, and the same again the second time."""
    notification = push(badge=3, ext='{"cid":"c2c-alice"}', android=AndroidInfo(google_channel_id="im"))
    owner = account()
    request = adapter.render(notification, owner, AUTH)
    assert request.method == "POST"
    assert request.url == "https://fcm.googleapis.com/v1/projects/demo-project/messages:send"
    assert request.shared == (
        ("authorization", "Bearer ya29.access"),
        ("content-type", "application/json; charset=UTF-8"),
    )
    assert request.headers == ()
    assert request.body == (
        b'{"message":{"android":{"collapse_key":"c2c-alice-42","notification":{"channel_id":"im",'
        b'"notification_count":3,"sound":"default","tag":"c2c-alice-42"},"priority":"HIGH","ttl":"3600s"},'
        b'"data":{"ext":"{\\"cid\\":\\"c2c-alice\\"}"},"notification":{"body":"Hi","title":"Alice"},'
        b'"token":"dEv1ceT0ken:APA91bExample"},"validate_only":false}'
    )
    assert adapter.render(notification, owner, AUTH) == request
    assert adapter.render(push(body="b"), owner, AUTH).shared is request.shared


def test_an_endpoint_replaces_host_and_port_only() -> None:
    """A proxy or the sandbox gets Google's own path."""
    url = adapter.render(push(), account(endpoint="https://127.0.0.1:8443"), AUTH).url
    assert url == "https://127.0.0.1:8443/v1/projects/demo-project/messages:send"


def test_without_a_token_there_is_no_authorization_header() -> None:
    """A dry run before the first access token sends nothing that looks like one."""
    assert [name for name, _ in adapter.render(push(), account(), None).shared] == ["content-type"]


@pytest.mark.parametrize(
    ("changes", "place", "value"),
    [
        ({"android": AndroidInfo(google_channel_id="vip")}, ("notification", "channel_id"), "vip"),
        ({}, ("notification", "channel_id"), "house"),
        ({"android": AndroidInfo(sound="bell")}, ("notification", "sound"), "bell"),
        ({"sound": "element"}, ("notification", "sound"), "element"),
        ({}, ("notification", "sound"), "gong"),
        (
            {"android": AndroidInfo(google_image="https://x.example/a")},
            ("notification", "image"),
            "https://x.example/a",
        ),
        ({"android": AndroidInfo(google_priority="normal")}, ("priority",), "NORMAL"),
        ({"android": AndroidInfo(google_priority="high")}, ("priority",), "HIGH"),
        ({}, ("priority",), "HIGH"),
        ({"badge": 0}, ("notification", "notification_count"), 0),
        ({}, ("notification", "tag"), "c2c-alice-42"),
        ({}, ("collapse_key",), "c2c-alice-42"),
        ({}, ("notification", "click_action"), "OPEN_CHAT"),
        ({"expires_at": int(NOW) - 5}, ("ttl",), "0s"),
        ({"expires_at": int(NOW) + 9_999_999}, ("ttl",), "2419200s"),
    ],
)
def test_every_hint_for_android_has_its_place(
    changes: dict[str, Any], place: tuple[str, ...], value: object
) -> None:
    """A message's own values win over the credential's defaults; what neither gives is Google's usual."""
    defaults = {"channel_id": "house", "sound": "gong", "click_action": "intent", "click_target": "OPEN_CHAT"}
    found: Any = message(account(defaults=defaults), **changes)["android"]
    for key in place:
        found = found[key]
    assert found == value


def test_what_is_not_given_is_not_there() -> None:
    """No badge, channel, image, click or ext of our own invention."""
    plain = message()
    assert set(plain["android"]["notification"]) == {"tag", "sound"}
    assert set(plain) == {"android", "notification", "token"}
    assert "title" not in message(title="")["notification"]


@pytest.mark.parametrize(
    ("platform", "parts"),
    [
        ("android", {"android"}),
        ("ios", {"apns"}),
        ("web", {"webpush"}),
        (None, {"android", "apns", "webpush"}),
    ],
)
def test_a_device_gets_its_own_platforms_part(platform: str | None, parts: set[str]) -> None:
    """Only what the device reads is sent; a device of unknown platform gets every part."""
    assert message(platform=platform).keys() & {"android", "apns", "webpush"} == parts


def test_iphones_behind_firebase_get_badge_expiry_and_collapse_id() -> None:
    """Google passes these on to Apple as they are."""
    hint = ApnsInfo(sound="bell.caf", interruption_level="passive", image="https://x.example/a")
    part = message(platform="ios", badge=3, apns=hint)["apns"]
    assert part == {
        "headers": {"apns-collapse-id": "c2c-alice-42", "apns-expiration": str(int(NOW) + 3600)},
        "payload": {
            "aps": {
                "badge": 3,
                "interruption-level": "passive",
                "mutable-content": 1,
                "sound": "bell.caf",
                "thread-id": "C2C_alice",
            }
        },
        "fcm_options": {"image": "https://x.example/a"},
    }
    assert (
        "badge" not in message(platform="ios", badge=3, apns=ApnsInfo(badge_mode=1))["apns"]["payload"]["aps"]
    )


def test_browsers_get_a_ttl_a_tag_and_a_link() -> None:
    """A click on a web notification opens the address of the credential."""
    owner = account(defaults={"click_action": "url", "click_target": "https://chat.example"})
    assert message(owner, platform="web")["webpush"] == {
        "fcm_options": {"link": "https://chat.example"},
        "headers": {"TTL": "3600"},
        "notification": {"tag": "c2c-alice-42"},
    }


def test_extra_is_laid_over_the_message() -> None:
    """``pushgw send --extra`` reaches every level and leaves the rest alone."""
    shown = message(
        extra={"android": {"notification": {"ticker": "x"}}, "fcm_options": {"analytics_label": "l"}}
    )
    assert shown["android"]["notification"]["ticker"] == "x"
    assert shown["android"]["notification"]["tag"] == "c2c-alice-42"
    assert shown["fcm_options"] == {"analytics_label": "l"}


def test_a_missing_channel_is_a_warning() -> None:
    """Android shows it in the app's default channel; explain says so."""
    notification = push().notification
    assert len(adapter.warnings(notification, account())) == 1
    assert adapter.warnings(notification, account(defaults={"channel_id": "im"})) == ()


# --- the limit --------------------------------------------------------------------------------------------


def test_exactly_4096_bytes_without_the_target_are_left_alone() -> None:
    """The token does not count; the limit itself is allowed; one more byte is cut with an ellipsis."""
    without_body = size(adapter.render(push(body="?"), OWNER, AUTH).body) - 1
    spare = 4096 - without_body
    assert message(body="x" * spare)["notification"]["body"] == "x" * spare
    request = adapter.render(push(body="x" * (spare + 1)), OWNER, AUTH)
    assert msgspec.json.decode(request.body)["message"]["notification"]["body"] == "x" * (spare - 3) + "…"
    assert size(request.body) == 4096


def test_the_image_gives_way_before_the_text() -> None:
    """A picture is worth less than the words."""
    shown = message(body="x" * 3500, android=AndroidInfo(google_image="i" * 1000))
    assert shown["notification"]["body"] == "x" * 3500
    assert "image" not in shown["android"]["notification"]
    for_iphone = message(platform="ios", body="x" * 3500, apns=ApnsInfo(image="i" * 1000))
    assert "fcm_options" not in for_iphone["apns"]


def test_a_long_title_gives_way_but_leaves_the_body_readable() -> None:
    """Body down to 160 bytes, then the title: both are still there."""
    shown = message(title="t" * 6000, body="b" * 6000)["notification"]
    assert shown["body"] == "b" * 157 + "…"
    assert shown["title"].startswith("ttt")
    assert shown["title"].endswith("…")


def test_ext_is_never_cut_and_a_push_without_room_is_refused_with_the_sizes() -> None:
    """A refusal names the sizes and neither the text nor the token."""
    whole = "e" * 3700
    assert message(ext=whole, body="b" * 500)["data"]["ext"] == whole
    with pytest.raises(
        Refused, match=r"the message has \d+ bytes, FCM takes 4096; ext alone has 4100"
    ) as refused:
        message(ext="e" * 4100, body="private words")
    assert "private" not in str(refused.value)
    assert TOKEN not in str(refused.value)


def test_half_a_character_is_refused() -> None:
    """A lone surrogate cannot be written as UTF-8; the push is refused instead of failing the record."""
    with pytest.raises(Refused, match="surrogate"):
        message(body="\ud83d")


@settings(deadline=None)
@given(st.text(st.characters(codec="utf-8"), max_size=6000), st.sampled_from(["", "t" * 3000, '"\n' * 1500]))
def test_any_text_fits_after_cutting(text: str, title: str) -> None:
    """Whatever the text and however much JSON escapes it, the message holds and something is left to read."""
    body = adapter.render(push(body=text + "!", title=title, ext="{}", platform=None), OWNER, AUTH).body
    assert size(body) <= 4096
    assert msgspec.json.decode(body)["message"]["notification"]["body"]


# --- the access token -------------------------------------------------------------------------------------


def test_the_assertion_is_the_vectors_byte_for_byte() -> None:
    """RS256 is deterministic: assertion and form equal the vector, and a second request equals the first."""
    request = adapter.auth_request(account(), VECTOR["claims"]["iat"] + 0.9)
    assert request is not None
    assert request.body.decode() == VECTOR["form_body"]
    assert account().credential.service.assertion(VECTOR["claims"]["iat"]) == VECTOR["assertion"]
    assert request.headers == (("content-type", "application/x-www-form-urlencoded"),)
    assert adapter.auth_request(account(), VECTOR["claims"]["iat"] + 0.1) == request


@pytest.mark.parametrize(
    ("auth_endpoint", "token_uri", "url"),
    [
        (None, "https://oauth2.googleapis.com/token", "https://oauth2.googleapis.com/token"),
        (None, "https://proxy.example/oauth", "https://proxy.example/oauth"),
        ("https://127.0.0.1:8443", "https://proxy.example/oauth", "https://127.0.0.1:8443/token"),
    ],
)
def test_auth_endpoint_beats_the_files_token_uri(auth_endpoint: str | None, token_uri: str, url: str) -> None:
    """Wherever the request goes, the assertion is still addressed to Google's own URL."""
    owner = account({"token_uri": token_uri}, auth_endpoint=auth_endpoint)
    request = adapter.auth_request(owner, VECTOR["claims"]["iat"])
    assert request is not None
    assert request.url == url
    assert request.body.decode() == VECTOR["form_body"]


def test_the_access_token_is_renewed_five_minutes_early() -> None:
    """expires_in counts from the answer."""
    body = {"access_token": "ya29.x", "expires_in": 3599, "token_type": "Bearer"}
    auth = adapter.read_auth(account(), answer(200, body), NOW)
    assert (auth.value, auth.made_at, auth.expires_at) == ("ya29.x", NOW, NOW + 3299)
    short = adapter.read_auth(account(), answer(200, {"access_token": "x", "expires_in": 100}), NOW)
    assert short.expires_at == NOW + 50
    assert "ya29.x" not in repr(auth)
    assert adapter.secrets(account(), auth) == ("ya29.x",)


@pytest.mark.parametrize(
    ("status", "body", "action", "code"),
    [
        (
            400,
            {"error": "invalid_grant", "error_description": "Invalid JWT Signature."},
            Action.CONFIG,
            "invalid_grant",
        ),
        (401, {"error": "invalid_client"}, Action.CONFIG, "invalid_client"),
        (401, {"error": "unauthorized_client"}, Action.CONFIG, "unauthorized_client"),
        (400, {"error": "invalid_scope"}, Action.CONFIG, "invalid_scope"),
        (400, {"error": {"code": 5}}, Action.CONFIG, "HTTP 400"),
        (404, b"<html>", Action.CONFIG, "HTTP 404"),
        (429, b"", Action.RETRY, "HTTP 429"),
        (500, b"", Action.RETRY, "HTTP 500"),
        (503, {"error": "temporarily_unavailable"}, Action.RETRY, "temporarily_unavailable"),
        (200, b"<html>", Action.RETRY, "HTTP 200"),
        (200, {"access_token": ""}, Action.RETRY, "HTTP 200"),
        (200, {"access_token": 5}, Action.RETRY, "HTTP 200"),
        (200, {"access_token": "é"}, Action.RETRY, "HTTP 200"),
        (200, {"access_token": "a\r\nb: c"}, Action.RETRY, "HTTP 200"),
        (401, b"", Action.CONFIG, "HTTP 401"),
    ],
)
def test_each_refusal_of_the_token_server_has_its_action(
    status: int, body: Any, action: Action, code: str
) -> None:
    """What only the operator can mend is CONFIG; what passes is RETRY; nothing else is raised."""
    with pytest.raises(AuthFailed) as failed:
        adapter.read_auth(account(), answer(status, body, **{"retry-after": "9"}), NOW)
    outcome = failed.value.outcome
    assert (outcome.action, outcome.code) == (action, code)
    assert outcome.retry_after == (9.0 if action is Action.RETRY else None)
    assert outcome.reason


# --- the answer -------------------------------------------------------------------------------------------


def fcm_error(code: str) -> dict[str, Any]:
    return {"@type": FCM_ERROR, "errorCode": code}


def violation(field: str) -> dict[str, Any]:
    return {"@type": BAD_REQUEST, "fieldViolations": [{"field": field, "description": "d"}]}


NO_TOKEN = "The registration token is not a valid FCM registration token"
ROWS: list[tuple[int, Any, Action, str]] = [
    (404, error(404, "NOT_FOUND", fcm_error("UNREGISTERED")), Action.INVALID_TOKEN, "UNREGISTERED"),
    (404, error(404, "NOT_FOUND"), Action.CONFIG, "NOT_FOUND"),
    (404, b"<html>", Action.CONFIG, "HTTP 404"),
    (
        400,
        error(400, "INVALID_ARGUMENT", fcm_error("INVALID_ARGUMENT")),
        Action.INVALID_TOKEN,
        "INVALID_ARGUMENT",
    ),
    (
        400,
        error(400, "INVALID_ARGUMENT", fcm_error("INVALID_ARGUMENT"), violation("message.token")),
        Action.INVALID_TOKEN,
        "INVALID_ARGUMENT",
    ),
    (
        400,
        error(400, "INVALID_ARGUMENT", violation("message.token")),
        Action.INVALID_TOKEN,
        "INVALID_ARGUMENT",
    ),
    (400, error(400, "INVALID_ARGUMENT", violation("message.fid")), Action.INVALID_TOKEN, "INVALID_ARGUMENT"),
    (400, error(400, "INVALID_ARGUMENT", words=NO_TOKEN), Action.INVALID_TOKEN, "INVALID_ARGUMENT"),
    (
        400,
        error(400, "INVALID_ARGUMENT", violation("message.android.ttl")),
        Action.BAD_MESSAGE,
        "INVALID_ARGUMENT",
    ),
    (
        400,
        error(400, "INVALID_ARGUMENT", fcm_error("INVALID_ARGUMENT"), violation("message.android.ttl")),
        Action.BAD_MESSAGE,
        "INVALID_ARGUMENT",
    ),
    (400, error(400, "INVALID_ARGUMENT"), Action.BAD_MESSAGE, "INVALID_ARGUMENT"),
    (401, error(401, "UNAUTHENTICATED"), Action.AUTH, "UNAUTHENTICATED"),
    (
        401,
        error(401, "UNAUTHENTICATED", fcm_error("THIRD_PARTY_AUTH_ERROR")),
        Action.CONFIG,
        "THIRD_PARTY_AUTH_ERROR",
    ),
    (401, error(401, "UNAUTHENTICATED", fcm_error("APNS_AUTH_ERROR")), Action.CONFIG, "APNS_AUTH_ERROR"),
    (
        403,
        error(403, "PERMISSION_DENIED", fcm_error("SENDER_ID_MISMATCH")),
        Action.CONFIG,
        "SENDER_ID_MISMATCH",
    ),
    (403, error(403, "PERMISSION_DENIED"), Action.CONFIG, "PERMISSION_DENIED"),
    (429, error(429, "RESOURCE_EXHAUSTED", fcm_error("QUOTA_EXCEEDED")), Action.RETRY, "QUOTA_EXCEEDED"),
    (429, error(429, "RESOURCE_EXHAUSTED"), Action.RETRY, "RESOURCE_EXHAUSTED"),
    (500, error(500, "INTERNAL", fcm_error("INTERNAL")), Action.RETRY, "INTERNAL"),
    (503, error(503, "UNAVAILABLE", fcm_error("UNAVAILABLE")), Action.RETRY, "UNAVAILABLE"),
    # By the status, where the code says nothing or is new.
    (503, error(503, "UNAVAILABLE", fcm_error("UNSPECIFIED_ERROR")), Action.RETRY, "UNAVAILABLE"),
    (400, error(400, "FAILED_PRECONDITION", fcm_error("BRAND_NEW")), Action.BAD_MESSAGE, "BRAND_NEW"),
    (401, b"", Action.AUTH, "HTTP 401"),
    (403, b"", Action.CONFIG, "HTTP 403"),
    (429, b"", Action.RETRY, "HTTP 429"),
    (502, b"<html>Bad Gateway</html>", Action.RETRY, "HTTP 502"),
    (500, error(500, "DATA_LOSS"), Action.RETRY, "DATA_LOSS"),
    (200, b"<html>", Action.RETRY, "HTTP 200"),
    (302, b"", Action.UNKNOWN, "HTTP 302"),
    # Shapes that nobody promised.
    (400, {"error": "text"}, Action.BAD_MESSAGE, "HTTP 400"),
    (400, {"error": {"status": 5, "details": "x"}}, Action.BAD_MESSAGE, "HTTP 400"),
    (404, {"error": {"status": "NOT_FOUND", "details": [1, {"@type": 7}]}}, Action.CONFIG, "NOT_FOUND"),
    (500, b"\xff", Action.RETRY, "HTTP 500"),
]


@pytest.mark.parametrize(("status", "body", "action", "code"), ROWS)
def test_each_answer_has_its_action(status: int, body: Any, action: Action, code: str) -> None:
    """One row per code and per meaning of a code; the code stands in the outcome as it came."""
    [outcome] = adapter.interpret(push(), OWNER, answer(status, body))
    assert (outcome.action, outcome.code) == (action, code)
    assert outcome.reason.startswith(f"{code}: ")


def test_a_success_carries_googles_message_id() -> None:
    """The last part of the name."""
    name = "projects/demo-project/messages/0:1700000000000000%abc"
    [outcome] = adapter.interpret(push(), OWNER, answer(200, {"name": name}))
    assert (outcome.action, outcome.code, outcome.vendor_id) == (
        Action.ACCEPTED,
        "200",
        "0:1700000000000000%abc",
    )


@pytest.mark.parametrize(
    ("status", "header", "wait"),
    [
        (429, "7", 7.0),
        (429, None, 60.0),
        (503, "2", 2.0),
        (503, "Mon, 21 Sep 2026 14:13:30 GMT", 9.75),
        (503, None, 10.0),
        (500, None, None),
        (500, "3", 3.0),
        (404, "3", None),
    ],
)
def test_google_says_how_long_to_wait(status: int, header: str | None, wait: float | None) -> None:
    """Retry-After in seconds or as a date; without it a minute for a quota, ten seconds for an outage."""
    headers = {} if header is None else {"retry-after": header}
    [outcome] = adapter.interpret(push(), OWNER, answer(status, b"", **headers))
    assert outcome.retry_after == wait


@pytest.mark.parametrize(
    ("status", "header", "action"),
    [
        (429, None, Action.RETRY),
        (429, "soon", Action.RETRY),
        (429, "7", Action.RETRY_AFTER),
        (503, "7", Action.RETRY),
        (500, "7", Action.RETRY),
    ],
)
def test_one_busy_device_does_not_pause_the_project(status: int, header: str | None, action: Action) -> None:
    """Of the three quotas behind a 429 one is a device's: the whole lane waits only where Google names the time."""
    headers = {} if header is None else {"retry-after": header}
    [outcome] = adapter.interpret(push(), OWNER, answer(status, b"", **headers))
    assert outcome.action is action


def test_an_answer_that_repeats_the_token_does_not_carry_it_on() -> None:
    """No outcome holds a device token, whatever Google echoes."""
    body = error(400, f"BAD {TOKEN}", words=f"Token {TOKEN} is odd")
    [outcome] = adapter.interpret(push(), OWNER, answer(400, body))
    assert TOKEN not in msgspec.json.encode(outcome).decode()


def test_every_code_of_the_table_is_tested() -> None:
    """A new row needs its row above, or in the test of the token server."""
    told = {code for _, _, _, code in ROWS}
    shorthand = {"200", BAD_TOKEN, "HTTP 400", "HTTP 5xx", "no answer of FCM"}
    assert set(RESULTS) - TOKEN_SERVER_CODES - shorthand <= told
