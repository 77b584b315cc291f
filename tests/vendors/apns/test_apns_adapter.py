"""APNs: what is sent, what an answer means, and the provider token."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import jwt
import msgspec
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from pushgw.messages.model import ApnsInfo
from pushgw.vendor.adapter import Account, Auth, Refused
from pushgw.vendor.http import Request, Response
from pushgw.vendor.push import Action, Notification, Push, Target
from pushgw.vendor.token_cache import TokenCache
from vendors.apns import vendor
from vendors.apns.credential import ApnsCredential
from vendors.apns.results import RESULTS

VECTOR: dict[str, Any] = json.loads(Path(__file__).with_name("vectors.json").read_text())
NOW = 1_790_000_000.25
TOKEN = "00fc13adff785122b4ad28809a3420982341241421348097878e577c991de8f0"
APNS_ID = "123e4567-e89b-12d3-a456-426655440000"
AUTH = Auth(value="the.provider.token", expires_at=NOW + 2820, made_at=NOW)
adapter = vendor.adapter


def account(**changes: Any) -> Account:
    credential = ApnsCredential.model_validate(
        {
            "key": VECTOR["private_key_pem"].encode(),
            "key_id": VECTOR["kid"],
            "team_id": VECTOR["iss"],
            "bundle_id": "com.example.chat",
            **changes.pop("credential", {}),
        }
    )
    return Account(business_id=1, vendor="apns", credential=credential, cache={}, **changes)


def push(token: str = TOKEN, now: float = NOW, **changes: Any) -> Push:
    content: dict[str, Any] = {
        "title": "Alice",
        "body": "Hi",
        "expires_at": int(NOW) + 3600,
        "collapse_id": "c2c-alice-42",
        "notify_id": 42,
        **changes,
    }
    target = Target(token=token, user="bob", device_id="phone", push_id="01J", vendor_id=APNS_ID)
    return Push(notification=Notification(**content), targets=(target,), now=now)


def payload(**changes: Any) -> dict[str, Any]:
    body = adapter.render(push(**changes), account(), AUTH).body
    return dict(msgspec.json.decode(body))


def answer(status: int, body: bytes | dict[str, Any] = b"", **headers: str) -> Response:
    return Response(
        status=status, headers=headers, body=body if isinstance(body, bytes) else json.dumps(body).encode()
    )


# --- the request ------------------------------------------------------------------------------------------


def test_the_whole_request_is_as_apple_describes_it() -> None:
    """A message becomes one POST with exactly these headers and this body, and the same again the second time."""
    notification = push(
        badge=3,
        ext='{"cid":"c2c-alice"}',
        conversation="C2C_alice",
        apns=ApnsInfo(interruption_level="active"),
    )
    owner = account(credential={"environment": "production"})
    request = adapter.render(notification, owner, AUTH)
    assert request.method == "POST"
    assert request.url == f"https://api.push.apple.com/3/device/{TOKEN}"
    assert request.shared == (
        ("authorization", "bearer the.provider.token"),
        ("apns-topic", "com.example.chat"),
        ("apns-push-type", "alert"),
        ("apns-priority", "10"),
    )
    assert request.headers == (
        ("apns-id", APNS_ID),
        ("apns-expiration", "1790003600"),
        ("apns-collapse-id", "c2c-alice-42"),
    )
    assert request.body == (
        b'{"aps":{"alert":{"title":"Alice","body":"Hi"},"badge":3,"sound":"default","thread-id":"C2C_alice",'
        b'"interruption-level":"active"},"ext":"{\\"cid\\":\\"c2c-alice\\"}"}'
    )
    assert adapter.render(notification, owner, AUTH) == request


def test_requests_of_one_authorization_share_one_header_tuple() -> None:
    """A transport may prepare the shared headers once: the tuple is the same object until the token changes."""
    owner = account()
    first, second = (adapter.render(push(body=text), owner, AUTH) for text in ("a", "b"))
    assert first.shared is second.shared
    renewed = adapter.render(push(), owner, Auth(value="newer", expires_at=NOW, made_at=NOW))
    assert renewed.shared[0] == ("authorization", "bearer newer")


def test_a_push_without_authorization_has_no_authorization_header() -> None:
    """A client certificate (or a dry run) sends no bearer."""
    for nothing in (None, Auth(value="", expires_at=NOW, made_at=0.0)):
        names = [name for name, _ in adapter.render(push(), account(), nothing).shared]
        assert names == ["apns-topic", "apns-push-type", "apns-priority"]


@pytest.mark.parametrize(
    ("environment", "endpoint", "base"),
    [
        ("production", None, "https://api.push.apple.com"),
        ("sandbox", None, "https://api.sandbox.push.apple.com"),
        ("sandbox", "https://127.0.0.1:8443", "https://127.0.0.1:8443"),
    ],
)
def test_environment_and_endpoint_choose_the_host(environment: str, endpoint: str | None, base: str) -> None:
    """The environment names Apple's host; an endpoint in the file beats it."""
    owner = account(endpoint=endpoint, credential={"environment": environment})
    assert adapter.render(push(), owner, AUTH).url == f"{base}/3/device/{TOKEN}"


def test_a_token_cannot_leave_its_place_in_the_path() -> None:
    """A token with a slash or a question mark is escaped, so that it names no other path of Apple's."""
    assert adapter.render(push("../../x?y"), account(), AUTH).url.endswith("/3/device/..%2F..%2Fx%3Fy")
    assert adapter.render(push("tökén"), account(), AUTH).url.endswith("/3/device/t%C3%B6k%C3%A9n")


def test_an_expired_message_is_tried_once() -> None:
    """Expiration 0 is Apple's word for: now or never."""
    headers = dict(adapter.render(push(expires_at=int(NOW)), account(), AUTH).headers)
    assert headers["apns-expiration"] == "0"


@pytest.mark.parametrize(
    ("hint", "place", "value"),
    [
        (ApnsInfo(title="Boss"), ("aps", "alert", "title"), "Boss"),
        (ApnsInfo(subtitle="lunch"), ("aps", "alert", "subtitle"), "lunch"),
        (ApnsInfo(sound="bell.caf"), ("aps", "sound"), "bell.caf"),
        (ApnsInfo(image="https://x.example/a.png"), ("image",), "https://x.example/a.png"),
        (ApnsInfo(image="https://x.example/a.png"), ("aps", "mutable-content"), 1),
        (ApnsInfo(mutable_content=1), ("aps", "mutable-content"), 1),
        (ApnsInfo(interruption_level="time-sensitive"), ("aps", "interruption-level"), "time-sensitive"),
        (ApnsInfo(badge_mode=0), ("aps", "badge"), 7),
    ],
)
def test_every_hint_for_iphones_has_its_place(hint: ApnsInfo, place: tuple[str, ...], value: object) -> None:
    """Each key of ApnsInfo arrives where Apple looks for it."""
    found: Any = payload(apns=hint, badge=7, sound="element.caf")
    for key in place:
        found = found[key]
    assert found == value


@pytest.mark.parametrize(
    ("changes", "absent"),
    [
        ({"apns": ApnsInfo(badge_mode=1), "badge": 7}, "badge"),
        ({"badge": None}, "badge"),
        ({"apns": ApnsInfo(sound="push.no_sound")}, "sound"),
        ({"apns": ApnsInfo(mutable_content=0)}, "mutable-content"),
        ({"conversation": ""}, "thread-id"),
    ],
)
def test_what_is_not_wanted_is_not_there(changes: dict[str, Any], absent: str) -> None:
    """An absent badge leaves the icon alone, an absent sound is silence: nothing stands for nothing."""
    assert absent not in payload(**changes)["aps"]


def test_without_a_title_the_alert_has_only_a_body() -> None:
    """iOS shows the app's name; an empty title would be a blank line."""
    assert payload(title="")["aps"]["alert"] == {"body": "Hi"}


def test_sound_comes_from_hint_element_credential_in_this_order() -> None:
    """The nearest to the message wins; with none of them it is the system's sound."""
    owner = account(defaults={"sound": "house.caf"})

    def sound(**changes: Any) -> str:
        return str(msgspec.json.decode(adapter.render(push(**changes), owner, AUTH).body)["aps"]["sound"])

    assert sound(apns=ApnsInfo(sound="hint.caf"), sound="element.caf") == "hint.caf"
    assert sound(sound="element.caf") == "element.caf"
    assert sound() == "house.caf"
    assert payload()["aps"]["sound"] == "default"


def test_content_available_makes_a_background_push() -> None:
    """A silent push has priority 5 and neither alert nor badge nor sound, or Apple refuses it."""
    silent = push(apns=ApnsInfo(content_available=1, sound="bell.caf"), badge=3, ext="{}")
    request = adapter.render(silent, account(), AUTH)
    assert dict(request.shared)["apns-push-type"] == "background"
    assert dict(request.shared)["apns-priority"] == "5"
    assert msgspec.json.decode(request.body) == {"aps": {"content-available": 1}, "ext": "{}"}


def test_extra_is_laid_over_the_payload() -> None:
    """``pushgw send --extra`` reaches every level and leaves the rest alone."""
    shown = payload(extra={"aps": {"category": "REPLY", "alert": {"launch-image": "x"}}, "id": 5})
    assert shown["id"] == 5
    assert shown["aps"]["category"] == "REPLY"
    assert shown["aps"]["alert"] == {"title": "Alice", "body": "Hi", "launch-image": "x"}


# --- the limit --------------------------------------------------------------------------------------------


def test_exactly_4096_bytes_are_left_alone() -> None:
    """The limit itself is allowed: nothing is dropped or cut."""
    spare = 4096 - len(adapter.render(push(body=""), account(), AUTH).body)
    assert payload(body="x" * spare)["aps"]["alert"]["body"] == "x" * spare
    assert payload(body="x" * (spare + 1))["aps"]["alert"]["body"] == "x" * (spare - 3) + "…"


def test_optional_parts_give_way_before_the_text() -> None:
    """Image first, then subtitle, then thread id: each only as far as needed, and the body stays whole."""
    parts: dict[str, Any] = {
        "apns": ApnsInfo(image="i" * 1000, subtitle="s" * 1000),
        "conversation": "c" * 1000,
    }
    gone = []
    for length in (1500, 2500, 3500):
        shown = payload(body="x" * length, **parts)
        assert shown["aps"]["alert"]["body"] == "x" * length
        gone.append(
            ("image" not in shown, "subtitle" not in shown["aps"]["alert"], "thread-id" not in shown["aps"])
        )
    assert gone == [(True, False, False), (True, True, False), (True, True, True)]


def test_a_long_title_gives_way_but_leaves_the_body_readable() -> None:
    """Body down to 160 bytes, then the title: both are still there, and the limit is used."""
    request = adapter.render(push(title="t" * 6000, body="b" * 6000), account(), AUTH)
    alert = msgspec.json.decode(request.body)["aps"]["alert"]
    assert alert["body"] == "b" * 157 + "…"
    assert alert["title"].startswith("ttt")
    assert alert["title"].endswith("…")
    assert 4090 <= len(request.body) <= 4096


def test_ext_is_never_cut_and_a_push_without_room_is_refused_with_the_sizes() -> None:
    """A refusal names the sizes and neither the text nor the token."""
    whole = "e" * 3900
    assert payload(ext=whole, body="b" * 500)["ext"] == whole
    with pytest.raises(
        Refused, match=r"the payload has \d+ bytes, Apple takes 4096; ext alone has 4100"
    ) as refused:
        payload(ext="e" * 4100, body="private words")
    assert "private" not in str(refused.value)
    assert TOKEN not in str(refused.value)


def test_half_a_character_is_refused() -> None:
    """A lone surrogate cannot be written as UTF-8; the push is refused instead of failing the record."""
    with pytest.raises(Refused, match="surrogate"):
        payload(body="\ud83d")


@settings(deadline=None)
@given(st.text(st.characters(codec="utf-8"), max_size=6000), st.sampled_from(["", "t" * 3000, '"\n' * 1500]))
def test_any_text_fits_after_cutting(text: str, title: str) -> None:
    """Whatever the text and however much JSON escapes it, the payload holds and is close to the limit once cut."""
    body = adapter.render(push(body=text + "!", title=title, ext="{}"), account(), AUTH).body
    assert len(body) <= 4096
    assert msgspec.json.decode(body)["aps"]["alert"]["body"]


# --- the provider token -----------------------------------------------------------------------------------


def decoded(part: str) -> dict[str, Any]:
    return dict(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))))


def test_the_provider_token_is_the_vectors() -> None:
    """Header and claims equal the vector byte for byte; the signature is 64 bytes and verifies with the public key."""
    auth = adapter.local_auth(account(), VECTOR["iat"] + 0.9)
    assert auth is not None
    signing_input, _, signature = auth.value.rpartition(".")
    assert signing_input == VECTOR["signing_input"]
    assert len(base64.urlsafe_b64decode(signature + "==")) == 64
    key = serialization.load_pem_public_key(VECTOR["public_key_pem"].encode())
    assert isinstance(key, ec.EllipticCurvePublicKey)
    for token in (auth.value, VECTOR["jwt"]):
        claims = jwt.decode(token, key=key, algorithms=["ES256"], options={"verify_iat": False})
        assert claims == {"iss": VECTOR["iss"], "iat": VECTOR["iat"]}


def test_a_provider_token_lasts_47_minutes() -> None:
    """Apple takes it for an hour; it is renewed between 45 and 50 minutes."""
    auth = adapter.local_auth(account(), NOW)
    assert auth is not None
    assert 45 * 60 <= auth.expires_at - NOW <= 50 * 60
    assert decoded(auth.value.split(".")[1])["iat"] == int(NOW)


def test_no_two_provider_tokens_are_signed_within_20_minutes() -> None:
    """Apple answers 429 to quicker renewals: a refused young token is given again, an older one is signed anew."""
    owner = account()
    first = adapter.local_auth(owner, NOW)
    assert adapter.local_auth(owner, NOW + 1199) is first
    renewed = adapter.local_auth(owner, NOW + 1201)
    assert renewed is not None
    assert decoded(renewed.value.split(".")[1])["iat"] == int(NOW + 1201)


def test_a_clock_set_back_gets_a_new_token() -> None:
    """A token from the future would never be accepted, however long one waited."""
    owner = account()
    future = adapter.local_auth(owner, NOW + 7200)
    assert adapter.local_auth(owner, NOW) is not future


def test_a_dry_run_can_mask_the_provider_token() -> None:
    """The bearer is among the secrets, so that no shown request holds it; it is in no repr either."""
    auth = adapter.local_auth(account(), NOW)
    assert auth is not None
    assert adapter.secrets(account(), auth) == (auth.value,)
    assert auth.value not in repr(auth)


def test_an_account_in_use_does_not_show_its_provider_token() -> None:
    """What the account caches for its requests holds the bearer, and no repr of it does."""
    owner = account()
    auth = adapter.local_auth(owner, NOW)
    assert auth is not None
    assert auth.value in str(adapter.render(push(), owner, auth).shared)
    assert auth.value not in repr(owner)


# --- the answer -------------------------------------------------------------------------------------------

# The rows are Apple's table once more, spelled out, so that a slip in results.py shows.
EXPECTED = {
    (400, "BadDeviceToken"): Action.INVALID_TOKEN,
    (400, "DeviceTokenNotForTopic"): Action.INVALID_TOKEN,
    (400, "BadCollapseId"): Action.BAD_MESSAGE,
    (400, "BadExpirationDate"): Action.BAD_MESSAGE,
    (400, "BadMessageId"): Action.BAD_MESSAGE,
    (400, "BadPriority"): Action.BAD_MESSAGE,
    (400, "DuplicateHeaders"): Action.BAD_MESSAGE,
    (400, "InvalidPushType"): Action.BAD_MESSAGE,
    (400, "PayloadEmpty"): Action.BAD_MESSAGE,
    (400, "MissingDeviceToken"): Action.BAD_MESSAGE,
    (400, "BadTopic"): Action.BAD_MESSAGE,
    (400, "MissingTopic"): Action.CONFIG,
    (400, "TopicDisallowed"): Action.CONFIG,
    (400, "IdleTimeout"): Action.RETRY,
    (403, "ExpiredProviderToken"): Action.AUTH,
    (403, "InvalidProviderToken"): Action.CONFIG,
    (403, "MissingProviderToken"): Action.CONFIG,
    (403, "UnrelatedKeyIdInToken"): Action.AUTH,
    (403, "BadEnvironmentKeyIdInToken"): Action.CONFIG,
    (403, "BadEnvironmentKeyInToken"): Action.CONFIG,
    (403, "BadCertificate"): Action.CONFIG,
    (403, "BadCertificateEnvironment"): Action.CONFIG,
    (403, "Forbidden"): Action.CONFIG,
    (404, "BadPath"): Action.BAD_MESSAGE,
    (405, "MethodNotAllowed"): Action.BAD_MESSAGE,
    (410, "Unregistered"): Action.INVALID_TOKEN,
    (410, "ExpiredToken"): Action.INVALID_TOKEN,
    (413, "PayloadTooLarge"): Action.BAD_MESSAGE,
    (429, "TooManyProviderTokenUpdates"): Action.RETRY_AFTER,
    (429, "TooManyRequests"): Action.RETRY,
    (500, "InternalServerError"): Action.RETRY,
    (503, "ServiceUnavailable"): Action.RETRY,
    (503, "Shutdown"): Action.RETRY,
}


@pytest.mark.parametrize(("key", "action"), EXPECTED.items())
def test_each_reason_has_its_action(key: tuple[int, str], action: Action) -> None:
    """One row per reason of Apple's page; the reason stands in the outcome as it came."""
    status, reason = key
    [outcome] = adapter.interpret(push(), account(), answer(status, {"reason": reason}))
    assert outcome.action is action
    assert outcome.code == reason
    assert outcome.reason.startswith(f"{reason}: ")


def test_the_table_has_no_reason_that_this_test_does_not_know() -> None:
    """A new row needs its row here."""
    assert set(RESULTS) == {reason for _, reason in EXPECTED} | {"200", "HTTP 4xx", "HTTP 5xx", "no reason"}


def test_a_success_needs_no_body() -> None:
    """200 has none; the id is Apple's echo, or ours where there is no echo."""
    [outcome] = adapter.interpret(push(), account(), answer(200, **{"apns-id": "echo"}))
    assert (outcome.action, outcome.code, outcome.vendor_id) == (Action.ACCEPTED, "200", "echo")
    assert adapter.interpret(push(), account(), answer(200, b"<html>"))[0].vendor_id == APNS_ID


def test_410_tells_since_when_the_token_is_dead() -> None:
    """The timestamp is kept in ms: a device that registered later keeps its token."""
    [outcome] = adapter.interpret(
        push(), account(), answer(410, {"reason": "Unregistered", "timestamp": 1508249865488})
    )
    assert outcome.dead_since_ms == 1508249865488


@pytest.mark.parametrize("timestamp", [None, "1508249865488", True, -5, 1.5, [1]])
def test_a_timestamp_that_is_none_is_left_out(timestamp: object) -> None:
    """Garbage in the timestamp never becomes a date on which tokens are judged."""
    [outcome] = adapter.interpret(
        push(), account(), answer(410, {"reason": "Unregistered", "timestamp": timestamp})
    )
    assert outcome.action is Action.INVALID_TOKEN
    assert outcome.dead_since_ms is None


@pytest.mark.parametrize(
    ("status", "body", "action"),
    [
        (400, {"reason": "SomethingNew"}, Action.BAD_MESSAGE),
        (410, {"reason": "SomethingNew"}, Action.BAD_MESSAGE),
        (500, {"reason": "SomethingNew"}, Action.RETRY),
        (502, b"<html>Bad Gateway</html>", Action.RETRY),
        (503, b"", Action.RETRY),
        (410, b"", Action.RETRY),
        (403, b'{"reason": 5}', Action.RETRY),
        (500, b'["reason"]', Action.RETRY),
        (500, b"\xff\xfe", Action.RETRY),
        (302, b"", Action.UNKNOWN),
        (204, b"", Action.UNKNOWN),
    ],
)
def test_an_unknown_answer_counts_by_its_status(status: int, body: Any, action: Action) -> None:
    """A new reason: 4xx is the message's fault, 5xx is tried again. No reason is not Apple's answer, no token dies of it."""
    [outcome] = adapter.interpret(push(), account(), answer(status, body))
    assert outcome.action is action
    assert outcome.reason


def hint(reason: str, owner: Account | None = None, **changes: Any) -> str:
    status = next(s for s, r in EXPECTED if r == reason)
    [outcome] = adapter.interpret(push(**changes), owner or account(), answer(status, {"reason": reason}))
    assert outcome.action is EXPECTED[status, reason]
    return outcome.hint


@pytest.mark.parametrize(("here", "other"), [("production", "sandbox"), ("sandbox", "production")])
def test_a_bad_device_token_says_which_environment_the_credential_is_for(here: str, other: str) -> None:
    """Apple's word covers a build of the other environment: the hint names both, and whose fault it is."""
    said = hint("BadDeviceToken", account(credential={"environment": here}))
    assert f"this credential is configured for {here}" in said
    assert f"an app built for {other} must report the certificate id of a credential for {other}" in said
    assert "C3" in said
    assert "C4" in said


@pytest.mark.parametrize(
    "reason", ["BadEnvironmentKeyIdInToken", "BadEnvironmentKeyInToken", "BadCertificateEnvironment"]
)
def test_a_credential_of_the_other_environment_says_what_it_is_configured_for(reason: str) -> None:
    """The operator reads what stands in the file, what to change, and what becomes of the devices."""
    said = hint(reason, account(credential={"environment": "sandbox"}))
    assert "look at environment" in said
    assert "this credential is configured for sandbox" in said
    assert "C4" in said


def test_a_token_for_another_topic_says_which_topic_it_was() -> None:
    """Under the plain topic the bundle id may be wrong; under that of calls the token is of the wrong kind."""
    assert hint("DeviceTokenNotForTopic").endswith("the topic was com.example.chat")
    said = hint("DeviceTokenNotForTopic", extra={"push_type": "voip"})
    assert "the topic was com.example.chat.voip; a voip push goes to a token of its own" in said
    assert "a voip push goes to a token of its own" in hint("BadDeviceToken", extra={"push_type": "voip"})


@pytest.mark.parametrize(
    ("age", "clock"), [(0.0, True), (1199.0, True), (1200.0, False), (3000.0, False), (-60.0, False)]
)
def test_a_young_token_that_has_expired_is_a_clock_problem(age: float, clock: bool) -> None:
    """Signed less than 20 minutes ago, it cannot be old: the time in it is wrong, and the hint says so with its age."""
    owner = account()
    assert adapter.local_auth(owner, float(int(NOW))) is not None
    said = hint("ExpiredProviderToken", owner, now=float(int(NOW)) + age)
    assert (f"the token was signed {int(age)} s ago by this machine's clock" in said) == clock
    assert hint("ExpiredProviderToken").endswith(
        "look at this machine's clock"
    )  # signed elsewhere: nothing known


def test_a_young_token_that_has_expired_is_sent_again_as_it_is() -> None:
    """Refused or not, no second one is signed within 20 minutes: Apple would punish that."""
    owner = account()
    cache = TokenCache(adapter, owner, nobody, lambda: NOW + 60)
    first = adapter.local_auth(owner, NOW)
    assert cache.fresh() is first
    assert first is not None
    cache.refuse(first)
    assert cache.fresh() is first


def test_too_many_renewals_keep_the_present_token() -> None:
    """Apple complains of new tokens: the lane waits, and the next attempt carries the same one on the same connection."""
    owner = account()
    cache = TokenCache(adapter, owner, nobody, lambda: NOW)
    before = cache.fresh()
    [outcome] = adapter.interpret(push(), owner, answer(429, {"reason": "TooManyProviderTokenUpdates"}))
    assert (outcome.action, outcome.renew) == (Action.RETRY_AFTER, False)
    assert cache.fresh() is before


@pytest.mark.parametrize("key", EXPECTED)
def test_what_is_about_the_connection_asks_for_another(key: tuple[int, str]) -> None:
    """Apple holds an expired or foreign token against the connection, and ends idle and leaving ones; else it stays."""
    [outcome] = adapter.interpret(push(), account(), answer(key[0], {"reason": key[1]}))
    about_it = {
        "ExpiredProviderToken",
        "UnrelatedKeyIdInToken",
        "IdleTimeout",
        "ServiceUnavailable",
        "Shutdown",
    }
    assert outcome.renew == (key[1] in about_it)


async def nobody(request: Request) -> Response:
    raise AssertionError("Apple has no token server")


@pytest.mark.parametrize("odd", [{"push_type": []}, {"push_type": "shout"}, {"push_type": None}, {"aps": 5}])
def test_an_answer_is_read_whatever_extra_holds(odd: dict[str, Any]) -> None:
    """interpret raises nothing, also for a push that could not have been rendered."""
    assert "the topic was com.example.chat" in hint("DeviceTokenNotForTopic", extra=odd)


def test_a_wait_that_the_server_asks_for_is_kept() -> None:
    """Apple documents no Retry-After, but what is in between may send one."""
    [outcome] = adapter.interpret(
        push(), account(), answer(429, {"reason": "TooManyRequests"}, **{"retry-after": "7"})
    )
    assert outcome.retry_after == 7.0


def test_an_answer_that_repeats_the_token_does_not_carry_it_on() -> None:
    """No outcome holds a device token, whatever the server echoes."""
    [outcome] = adapter.interpret(push(), account(), answer(400, {"reason": f"No such {TOKEN}"}))
    assert TOKEN not in msgspec.json.encode(outcome).decode()
