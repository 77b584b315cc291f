"""APNs: the push types, what chooses them, and what is refused before Apple would."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import NameOID

from pushgw.messages.model import ApnsInfo, LiveActivity
from pushgw.vendor.adapter import Account, Auth, Refused
from pushgw.vendor.http import Request, Response
from pushgw.vendor.push import Action, Notification, Push, Target
from vendors.apns import vendor
from vendors.apns.client_certificate import TOPIC_EXTENSIONS
from vendors.apns.credential import ApnsCredential
from vendors.apns.push_type import PUSH_TYPES, mismatch

VECTOR: dict[str, Any] = json.loads(Path(__file__).with_name("vectors.json").read_text())
NOW = 1_790_000_000.25
LATER = int(NOW) + 3600
TOKEN = "ab" * 32
AUTH = Auth(value="the.provider.token", expires_at=NOW + 2820, made_at=NOW)
SCORE = LiveActivity(la_id="match-7", event="update", content_state={"score": 3})
adapter = vendor.adapter


def by_key() -> Account:
    fields = {
        "key": VECTOR["private_key_pem"].encode(),
        "key_id": VECTOR["kid"],
        "team_id": VECTOR["iss"],
        "bundle_id": "com.example.chat",
    }
    return Account(business_id=1, vendor="apns", credential=ApnsCredential.model_validate(fields), cache={})


def by_certificate(
    uid: str = "com.example.chat", *listed: str, bundle_id: str = "com.example.chat"
) -> Account:
    key, today = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.USER_ID, uid)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=1))
    )
    if listed:
        strings = b"".join(b"\x0c" + bytes([len(topic)]) + topic.encode() for topic in listed)
        builder = builder.add_extension(
            x509.UnrecognizedExtension(TOPIC_EXTENSIONS[1], strings), critical=False
        )
    data = pkcs12.serialize_key_and_certificates(
        b"push", key, builder.sign(key, hashes.SHA256()), None, serialization.NoEncryption()
    )
    credential = ApnsCredential.model_validate({"p12": data, "bundle_id": bundle_id})
    return Account(business_id=2, vendor="apns", credential=credential, cache={})


def push(extra: dict[str, Any] | None = None, **changes: Any) -> Push:
    content: dict[str, Any] = {
        "title": "Alice",
        "body": "Hi",
        "expires_at": LATER,
        "collapse_id": "c2c-alice-42",
        "notify_id": 42,
        "extra": extra,
        **changes,
    }
    target = Target(token=TOKEN, user="bob", device_id="phone", push_id="01J", vendor_id="id")
    return Push(notification=Notification(**content), targets=(target,), now=NOW)


def rendered(extra: dict[str, Any] | None = None, account: Account | None = None, **changes: Any) -> Request:
    return adapter.render(push(extra, **changes), account or by_key(), AUTH)


def headers(request: Request) -> dict[str, str]:
    return dict((*request.shared, *request.headers))


def body(request: Request) -> dict[str, Any]:
    return dict(msgspec.json.decode(request.body))


def refusal(extra: dict[str, Any] | None = None, account: Account | None = None, **changes: Any) -> str:
    with pytest.raises(Refused) as refused:
        rendered(extra, account, **changes)
    assert TOKEN not in str(refused.value)
    return str(refused.value)


# --- every type -------------------------------------------------------------------------------------------

# Apple's table once more, spelled out, so that a slip in push_type.py shows:
# topic, priorities allowed (the first is sent unasked), what else --extra must give, the payload that comes of it.
TYPES: dict[str, tuple[str, tuple[int, ...], dict[str, Any], dict[str, Any]]] = {
    "alert": (
        "com.example.chat",
        (10, 5, 1),
        {},
        {"aps": {"alert": {"title": "Alice", "body": "Hi"}, "sound": "default"}, "ext": "{}"},
    ),
    "background": ("com.example.chat", (5,), {}, {"aps": {"content-available": 1}, "ext": "{}"}),
    "voip": (
        "com.example.chat.voip",
        (10,),
        {},
        {"aps": {"alert": {"title": "Alice", "body": "Hi"}}, "ext": "{}"},
    ),
    "liveactivity": (
        "com.example.chat.push-type.liveactivity",
        (10, 5),
        {"aps": {"event": "update", "content-state": {"score": 3}}},
        {
            "aps": {"timestamp": int(NOW), "event": "update", "content-state": {"score": 3}},
            "ext": "{}",
        },
    ),
    "pushtotalk": ("com.example.chat.voip-ptt", (10,), {}, {"aps": {}, "ext": "{}"}),
    "location": ("com.example.chat.location-query", (10, 5), {}, {"aps": {}, "ext": "{}"}),
    "complication": ("com.example.chat.complication", (10, 5, 1), {}, {"aps": {}, "ext": "{}"}),
    "fileprovider": (
        "com.example.chat.pushkit.fileprovider",
        (10, 5, 1),
        {"domain": "d"},
        {"domain": "d"},
    ),
    "controls": (
        "com.example.chat.push-type.controls",
        (10, 5, 1),
        {},
        {"aps": {"content-changed": True}, "ext": "{}"},
    ),
    "widgets": (
        "com.example.chat.push-type.widgets",
        (10, 5, 1),
        {},
        {"aps": {"content-changed": True}, "ext": "{}"},
    ),
    "mdm": ("com.apple.mgmt.External.1", (10, 5, 1), {"mdm": "magic"}, {"mdm": "magic"}),
}


def owner_of(name: str) -> Account:
    if name != "mdm":
        return by_key()
    return by_certificate("com.apple.mgmt.External.1", bundle_id="com.apple.mgmt.External.1")


def test_every_push_type_is_in_this_table() -> None:
    """A new type needs its row here."""
    assert set(TYPES) == set(PUSH_TYPES)


@pytest.mark.parametrize("name", TYPES)
def test_a_push_type_has_its_topic_priority_expiration_and_payload(name: str) -> None:
    """Chosen by --extra, each type goes out with the headers and the payload that Apple asks of it."""
    topic, priorities, extra, payload = TYPES[name]
    request = rendered({"push_type": name, **extra}, owner_of(name), ext="{}")
    assert headers(request)["apns-topic"] == topic
    assert headers(request)["apns-push-type"] == name
    assert headers(request)["apns-priority"] == str(priorities[0])
    assert headers(request)["apns-expiration"] == ("0" if name == "pushtotalk" else str(LATER))
    assert headers(request)["apns-collapse-id"] == "c2c-alice-42"
    assert body(request) == payload


@pytest.mark.parametrize("name", TYPES)
def test_a_push_type_takes_its_priorities_and_no_others(name: str) -> None:
    """What Apple allows may be chosen; any other priority is refused with those that are allowed."""
    _, allowed, extra, _ = TYPES[name]
    for priority in (10, 5, 1, 7, 0):
        wish = {"push_type": name, "priority": priority, **extra}
        if priority in allowed:
            assert headers(rendered(wish, owner_of(name)))["apns-priority"] == str(priority)
        else:
            assert f"has priority {' or '.join(map(str, allowed))} at Apple's" in refusal(
                wish, owner_of(name)
            )


@pytest.mark.parametrize(("name", "limit"), [("alert", 4096), ("background", 4096), ("voip", 5120)])
def test_a_push_type_has_its_limit(name: str, limit: int) -> None:
    """Exactly the limit is sent; of voip that is 5,120 bytes, and a byte more of ext is refused with both sizes."""
    spare = limit - len(rendered({"push_type": name}, ext="e", body="").body) + 1
    assert len(rendered({"push_type": name}, ext="e" * spare, body="").body) == limit
    sentence = refusal({"push_type": name}, ext="e" * (limit + 1), body="")
    assert f"Apple takes {limit}; ext alone has {limit + 1}" in sentence


def test_the_texts_of_a_call_are_cut_to_the_limit_of_calls() -> None:
    """A long text gives way, and the room that voip has is used."""
    request = rendered({"push_type": "voip"}, body="x" * 9000)
    assert len(request.body) == 5120
    assert body(request)["aps"]["alert"]["body"].endswith("…")


def test_requests_of_one_type_share_one_header_tuple() -> None:
    """A transport may prepare the shared headers of each type once, while the authorization lasts."""
    account = by_key()
    first, second = (rendered({"push_type": "voip"}, account, body=text) for text in ("a", "b"))
    assert first.shared is second.shared
    assert rendered(account=account).shared is rendered(account=account, body="c").shared
    renewed = adapter.render(
        push({"push_type": "voip"}), account, Auth(value="newer", expires_at=NOW, made_at=NOW)
    )
    assert renewed.shared[0] == ("authorization", "bearer newer")


# --- what --extra may say ---------------------------------------------------------------------------------


def test_every_key_of_extra_does_what_the_docstring_says() -> None:
    """Headers follow the named keys, all else is laid over the payload, and ``payload`` over that."""
    request = rendered(
        {
            "push_type": "alert",
            "priority": 5,
            "collapse_id": "mine",
            "expiration": 1_790_000_060,
            "aps": {"category": "REPLY"},
            "call": 7,
            "payload": {"call": 8, "priority": "theirs", "aps": {"thread-id": "t"}},
        }
    )
    assert headers(request)["apns-priority"] == "5"
    assert headers(request)["apns-collapse-id"] == "mine"
    assert headers(request)["apns-expiration"] == "1790000060"
    assert body(request) == {
        "aps": {
            "alert": {"title": "Alice", "body": "Hi"},
            "sound": "default",
            "category": "REPLY",
            "thread-id": "t",
        },
        "call": 8,
        "priority": "theirs",
    }


@pytest.mark.parametrize(
    ("extra", "sentence"),
    [
        ({"push_type": "shout"}, "push_type is none of Apple's: alert, background, voip, liveactivity"),
        ({"push_type": 5}, "push_type is none of Apple's"),
        ({"priority": "high"}, "priority must be 10, 5 or 1"),
        ({"priority": True}, "priority must be 10, 5 or 1"),
        ({"expiration": -1}, "expiration must be epoch seconds, or 0"),
        ({"expiration": "tomorrow"}, "expiration must be epoch seconds, or 0"),
        ({"expiration": 3600}, "the expiration 3600 is past; it counts in epoch seconds"),
        ({"push_type": "pushtotalk", "expiration": LATER}, "Apple stores no pushtotalk push"),
        ({"collapse_id": 5}, "collapse_id is no text"),
        ({"collapse_id": "x" * 65}, "the collapse id has 65 bytes, Apple takes 64"),
        ({"collapse_id": "é" * 33}, "the collapse id has 66 bytes, Apple takes 64"),
        ({"collapse_id": "é"}, "the collapse id holds characters that a header cannot carry"),
        ({"collapse_id": "a\r\nx: y"}, "the collapse id holds characters that a header cannot carry"),
        ({"collapse_id": " "}, "the collapse id holds characters that a header cannot carry"),
        ({"payload": "{}"}, "payload is no object"),
        ({"aps": "x"}, "aps is no object"),
        ({"push_type": "background", "aps": {"badge": 1}}, "a background push shows nothing"),
        ({"push_type": "background", "aps": {"content-available": True}}, "and that the number 1"),
        ({"push_type": "liveactivity"}, "needs event in aps: start, update or end"),
        ({"push_type": "liveactivity", "aps": {"event": "update"}}, "that says update needs content-state"),
        (
            {"push_type": "liveactivity", "aps": {"event": "start", "content-state": {}}},
            "that says start needs attributes-type and attributes",
        ),
        (
            {"push_type": "liveactivity", "aps": {"event": "end", "timestamp": "now"}},
            "needs timestamp in aps, in epoch seconds",
        ),
        ({"push_type": "fileprovider"}, "a fileprovider push has no payload of its own"),
        ({"push_type": "mdm", "mdm": "magic"}, "a provider key cannot send mdm: it takes the certificate"),
    ],
)
def test_what_makes_no_sense_is_refused_beforehand(extra: dict[str, Any], sentence: str) -> None:
    """Each mistake has its sentence, instead of Apple's one word after a request."""
    assert sentence in refusal(extra)


def test_mdm_needs_the_magic_of_the_device() -> None:
    """With the right certificate too."""
    owner = by_certificate("com.apple.mgmt.External.1", bundle_id="com.apple.mgmt.External.1")
    assert "an mdm push needs mdm" in refusal({"push_type": "mdm", "other": 1}, owner)


def test_numbers_may_be_written_as_text() -> None:
    """A shell quotes easily."""
    request = rendered({"priority": "5", "expiration": "0"})
    assert (headers(request)["apns-priority"], headers(request)["apns-expiration"]) == ("5", "0")


def test_an_empty_collapse_id_sends_none() -> None:
    """Two tests in a row can then be seen side by side."""
    assert "apns-collapse-id" not in headers(rendered({"collapse_id": ""}))
    assert headers(rendered({"collapse_id": "c" * 64}))["apns-collapse-id"] == "c" * 64


def test_a_message_with_an_overlong_collapse_id_is_refused() -> None:
    """64 bytes, not characters, and whoever made it."""
    assert "has 65 bytes" in refusal(collapse_id="c" * 65)
    assert "a header cannot carry" in refusal(collapse_id="é" * 20)


def test_a_live_activity_may_be_started() -> None:
    """By --extra, with the token that iOS gave for starting."""
    aps = {"event": "start", "content-state": {}, "attributes-type": "Match", "attributes": {"home": "A"}}
    sent = body(rendered({"push_type": "liveactivity", "aps": aps}))
    assert sent == {"aps": {"timestamp": int(NOW), **aps}}


# --- what ApnsInfo may say --------------------------------------------------------------------------------


def test_a_live_activity_of_a_message() -> None:
    """LiveActivity becomes Apple's own keys; its timestamp is the time of sending, so that the newest update wins."""
    info = ApnsInfo(
        live_activity=LiveActivity(
            la_id="match-7", event="end", content_state={"score": 3}, dismissal_date=LATER
        ),
        content_available=1,
        sound="bell.caf",
    )
    request = rendered(apns=info, badge=3, ext="{}")
    assert headers(request)["apns-push-type"] == "liveactivity"
    assert headers(request)["apns-topic"] == "com.example.chat.push-type.liveactivity"
    assert headers(request)["apns-priority"] == "10"
    assert body(request) == {
        "aps": {
            "timestamp": int(NOW),
            "event": "end",
            "content-state": {"score": 3},
            "dismissal-date": LATER,
        },
        "ext": "{}",
    }


def test_a_state_that_is_too_large_is_refused_with_its_size() -> None:
    """The state of an activity is never cut; the sentence says which part is large, and quotes none of it."""
    info = ApnsInfo(live_activity=LiveActivity(event="update", content_state={"text": "secret " * 700}))
    sentence = refusal(apns=info)
    assert "content-state alone has 4911 and is never cut" in sentence
    assert "secret" not in sentence


def test_a_call_of_a_message_goes_out_as_an_alert() -> None:
    """Without a PushKit token Tencent too falls back to an alert, and ``explain`` says so."""
    asked = push(apns=ApnsInfo(is_voip=1))
    assert headers(adapter.render(asked, by_key(), AUTH))["apns-push-type"] == "alert"
    [warning] = adapter.warnings(asked.notification, by_key())
    assert "IsVoipPush is an alert here" in warning


def test_warnings_name_what_one_token_a_device_cannot_give() -> None:
    """A Live Activity goes to the device's token, under the activity's name; plain pushes have no warning."""
    [warning] = adapter.warnings(push(apns=ApnsInfo(live_activity=SCORE)).notification, by_key())
    assert "LiveActivity match-7 goes to the device's token" in warning
    assert adapter.warnings(push(apns=ApnsInfo(is_voip=0)).notification, by_key()) == ()
    assert adapter.warnings(push().notification, by_key()) == ()


def test_extra_beats_what_the_message_asks_for() -> None:
    """An operator's --extra is the last word."""
    info = ApnsInfo(content_available=1)
    assert headers(rendered({"push_type": "alert"}, apns=info))["apns-push-type"] == "alert"
    assert headers(rendered({"call": 7}, apns=info))["apns-push-type"] == "background"


@pytest.mark.parametrize(
    "reason", ["BadDeviceToken", "DeviceTokenNotForTopic", "Unregistered", "ExpiredToken"]
)
def test_a_refused_live_activity_costs_no_device_its_token(reason: str) -> None:
    """Apple speaks of the activity's token. The device's own is not judged by it, unless --extra chose the type."""
    answer = Response(status=400, body=json.dumps({"reason": reason, "timestamp": 5}).encode())
    [outcome] = adapter.interpret(push(apns=ApnsInfo(live_activity=SCORE)), by_key(), answer)
    assert (outcome.action, outcome.code, outcome.dead_since_ms) == (Action.BAD_MESSAGE, reason, None)
    [outcome] = adapter.interpret(push({"push_type": "liveactivity"}), by_key(), answer)
    assert (outcome.action, outcome.dead_since_ms) == (Action.INVALID_TOKEN, 5)


# --- certificates -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["liveactivity", "location"])
def test_a_certificate_cannot_send_what_needs_a_key(name: str) -> None:
    """Token authorization only, says Apple; also for a message's LiveActivity."""
    sentence = f"a certificate cannot send {name}: Apple takes it with a provider key only (key_file)"
    assert refusal({"push_type": name, **TYPES[name][2]}, by_certificate()) == sentence
    if name == "liveactivity":
        assert refusal(apns=ApnsInfo(live_activity=SCORE), account=by_certificate()) == sentence


def test_a_certificate_sends_to_the_topics_that_it_lists() -> None:
    """One for several topics may call; one that names the app alone, or another app's calls, may not."""
    universal = by_certificate("com.example.chat", "com.example.chat", "com.example.chat.voip")
    assert headers(rendered({"push_type": "voip"}, universal))["apns-topic"] == "com.example.chat.voip"
    assert "does not cover the topic com.example.chat.complication" in refusal(
        {"push_type": "complication"}, universal
    )
    assert "does not cover the topic com.example.chat.voip" in refusal(
        {"push_type": "voip"}, by_certificate()
    )


def test_a_certificate_for_calls_alone_sends_no_alerts() -> None:
    """A VoIP Services certificate goes with the app's bundle id, and refuses messages before Apple does."""
    calls = by_certificate("com.example.chat.voip")
    assert headers(rendered({"push_type": "voip"}, calls))["apns-topic"] == "com.example.chat.voip"
    assert "does not cover the topic com.example.chat;" in refusal(account=calls)


def test_a_certificate_that_says_nothing_of_a_topic_is_left_to_apple() -> None:
    """Apple lists apps, calls and complications only; of pushtotalk a certificate is silent."""
    assert headers(rendered({"push_type": "pushtotalk"}, by_certificate()))["apns-topic"] == (
        "com.example.chat.voip-ptt"
    )


# --- the payload and its type -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "payload", "fits"),
    [
        ("alert", {"aps": {"badge": 0}}, True),
        ("alert", {"aps": {"sound": "x"}}, True),
        ("alert", {"aps": {"content-available": 1}}, False),
        ("alert", {}, False),
        ("alert", {"aps": []}, False),
        ("background", {"aps": {"content-available": 1}}, True),
        ("background", {"aps": {"content-available": 1.0}}, False),
        ("background", {"aps": {"content-available": 1, "sound": ""}}, False),
        ("voip", {"call": 7}, True),
        ("location", {"aps": {}}, True),
        ("liveactivity", {"aps": {"event": "end", "timestamp": 1}}, True),
        ("liveactivity", {"aps": {"event": "end", "timestamp": 1.5}}, False),
        ("liveactivity", {"aps": {"event": "update", "timestamp": 1, "content-state": []}}, False),
        ("mdm", {"mdm": "magic"}, True),
        ("mdm", {"mdm": 5}, False),
    ],
)
def test_a_payload_goes_with_its_type_or_not(name: str, payload: dict[str, Any], fits: bool) -> None:
    """What Apple says of the payload of each type; a sentence tells what is missing."""
    said = mismatch(PUSH_TYPES[name], payload)
    assert (said is None) == fits
    assert said is None or len(said) > 10
