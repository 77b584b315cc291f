"""The requests to Push Kit v3, byte for byte, and the reading of its answers."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from pushgw.messages.model import AndroidInfo
from pushgw.vendor.adapter import Account, Auth, Refused
from pushgw.vendor.http import Request, Response
from pushgw.vendor.push import Action, Notification, Outcome, Push, Target
from pushgw.vendor.service_account import PSS
from vendors.harmony import vendor
from vendors.harmony.adapter import HarmonyAdapter
from vendors.harmony.credential import HarmonyCredential
from vendors.harmony.info import HarmonyInfo, read_info
from vendors.harmony.results import RESULTS

VECTORS = json.loads(Path(__file__).with_name("vectors.json").read_text("utf-8"))
NOW = 1_767_225_600.0
AUTH = Auth(value="aa.bb.cc", expires_at=NOW + 3300, made_at=NOW)
ADAPTER = HarmonyAdapter()
KEY_FILE = {
    "project_id": "101653000000000000",
    "key_id": VECTORS["header"]["kid"],
    "sub_account": VECTORS["claims"]["iss"],
    "private_key": VECTORS["private_key_pem"],
}
CREDENTIAL = HarmonyCredential.model_validate({"service_account": json.dumps(KEY_FILE).encode()})


def account(defaults: dict[str, str] | None = None, **fields: Any) -> Account:
    return Account(
        business_id=9009,
        vendor="harmony",
        credential=CREDENTIAL,
        defaults={"category": "IM"} if defaults is None else defaults,
        cache={},
        **fields,
    )


def push(*tokens: str, **fields: Any) -> Push:
    given = {
        "title": "Alice",
        "body": "Hi 你好",
        "expires_at": int(NOW) + 86_400,
        "collapse_id": "m-1001",
        "notify_id": 123456,
        **fields,
    }
    targets = tuple(
        Target(token=t, user="bob", device_id="d", push_id="P", vendor_id="v") for t in tokens or ("T1",)
    )
    return Push(notification=Notification(**given), targets=targets, now=NOW)


def body(request: Request) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(request.body)
    return told


def shown(given: Push, at: Account | None = None) -> dict[str, Any]:
    notification: dict[str, Any] = body(ADAPTER.render(given, at or account(), AUTH))["payload"][
        "notification"
    ]
    return notification


def answer(code: object, msg: object = "", status: int = 200) -> Response:
    return Response(status=status, body=json.dumps({"code": code, "msg": msg, "requestId": "157"}).encode())


def outcomes(given: Push, response: Response, at: Account | None = None) -> list[Outcome]:
    return ADAPTER.interpret(given, at or account(), response)


def actions(given: Push, response: Response) -> list[Action]:
    return [outcome.action for outcome in outcomes(given, response)]


# --- requests ---------------------------------------------------------------------------------------------


def test_golden_request() -> None:
    """The whole request for a plain message, and the same bytes when rendered again."""
    at = account()
    given = push("T1", "T2", ext='{"conv":"c2c_alice"}', badge=7)
    request = ADAPTER.render(given, at, AUTH)
    assert request == ADAPTER.render(given, at, AUTH)
    assert request.shared is ADAPTER.render(given, at, AUTH).shared
    assert request.url == "https://push-api.cloud.huawei.com/v3/101653000000000000/messages:send"
    assert request.shared == (
        ("content-type", "application/json"),
        ("push-type", "0"),
        ("authorization", "Bearer aa.bb.cc"),
    )
    assert request.body.decode() == (
        '{"payload":{"notification":{"category":"IM","title":"Alice","body":"Hi 你好",'
        '"clickAction":{"actionType":0,"data":{"ext":"{\\"conv\\":\\"c2c_alice\\"}"}},'
        '"notifyId":123456,"badge":{"setNum":7}}},'
        '"pushOptions":{"ttl":86400,"collapseKey":-1,"biTag":"m-1001"},"target":{"token":["T1","T2"]}}'
    )


def test_a_new_authorization_makes_new_headers() -> None:
    """Prepared headers never outlive the bearer they hold."""
    at = account()
    ADAPTER.render(push(), at, AUTH)
    renewed = ADAPTER.render(push(), at, Auth(value="new", expires_at=NOW, made_at=NOW))
    assert ("authorization", "Bearer new") in renewed.shared


def test_endpoint_is_replaced() -> None:
    """endpoint takes the place of Huawei's host; the path stays."""
    at = account(endpoint="https://127.0.0.1:8443")
    assert ADAPTER.render(push(), at, AUTH).url == (
        "https://127.0.0.1:8443/v3/101653000000000000/messages:send"
    )


@pytest.mark.parametrize(("life", "ttl"), [(3600, 3600), (99 * 86_400, 1_296_000), (0, 1)])
def test_ttl_is_an_integer_of_seconds(life: int, ttl: int) -> None:
    """The time to live is a number, at least 1 s and at most 15 days."""
    options = body(ADAPTER.render(push(expires_at=int(NOW) + life), account(), AUTH))["pushOptions"]
    assert options["ttl"] == ttl
    assert isinstance(options["ttl"], int)


def test_a_text_that_fits_is_left_whole() -> None:
    """Huawei names no limit for title and text alone, so that nothing is cut without need."""
    given = shown(push(title="t" * 500, body="界" * 800))
    assert (given["title"], given["body"]) == ("t" * 500, "界" * 800)


def test_body_limit_takes_room_from_the_text() -> None:
    """With a long ext the text shrinks until all but the tokens is within 4,096 bytes; ext and title stay whole."""
    ext = "x" * 2500
    request = ADAPTER.render(push("T" * 130, body="界" * 600, ext=ext), account(), AUTH)
    given = body(request)["payload"]["notification"]
    assert 3900 < len(request.body) - 133 <= 4096
    assert given["clickAction"]["data"]["ext"] == ext
    assert given["title"] == "Alice"
    assert given["body"].endswith("…")


def test_a_text_full_of_escapes_is_cut_and_not_refused() -> None:
    """What JSON doubles is reckoned as what it takes on the wire, and some of it always remains."""
    request = ADAPTER.render(push("T1", body='"' * 3000, ext="x" * 3000), account(), AUTH)
    assert len(request.body) <= 4096 + 5
    assert body(request)["payload"]["notification"]["body"].startswith('""""')


def test_a_long_title_gives_way_too() -> None:
    """A title that is longer than the text is what is cut."""
    request = ADAPTER.render(push("T1", title="t" * 5000), account(), AUTH)
    assert len(request.body) <= 4096 + 5
    assert body(request)["payload"]["notification"]["title"].endswith("t…")
    assert body(request)["payload"]["notification"]["body"] == "Hi 你好"


def test_an_ext_too_large_is_refused_with_sizes() -> None:
    """Ext is never cut: the push is refused, and the sentence names both sizes."""
    with pytest.raises(Refused, match=r"4096 are allowed.*ext alone has 4200"):
        ADAPTER.render(push(ext="x" * 4200), account(), AUTH)


def test_tokens_do_not_count_and_are_not_repeated() -> None:
    """A thousand tokens fit beside a full body, and a repeated token would be shown twice."""
    tokens = [f"{i:0130d}" for i in range(1000)]
    sent = body(ADAPTER.render(push(*tokens, *tokens[:1], body="界" * 1300), account(), AUTH))
    assert sent["target"]["token"] == tokens
    assert ADAPTER.batch_limit == 1000


def test_hints_win_over_the_common_and_the_configured() -> None:
    """HarmonyInfo's title, category, image and sound beat what the message and the operator say."""
    hints = {
        "Title": "Eve",
        "Category": "VOIP",
        "Image": "https://img/x.png",
        "Sound": "ring.mp3",
        "SoundDuration": 30,
    }
    at = account({"category": "IM", "sound": "pop.mp3"})
    own, configured = shown(push(harmony=hints, sound="custom.mp3"), at), shown(push(), at)
    assert (own["title"], own["category"], own["image"]) == ("Eve", "VOIP", "https://img/x.png")
    assert (own["sound"], own["soundDuration"]) == ("ring.mp3", 30)
    assert (configured["title"], configured["category"], configured["sound"]) == ("Alice", "IM", "pop.mp3")
    assert shown(push(sound="custom.mp3"), at)["sound"] == "custom.mp3"


def test_android_hints_are_not_for_harmony() -> None:
    """Sound and style of AndroidInfo belong to other systems."""
    given = shown(push(android=AndroidInfo(sound="ring", push_style=1, huawei_category="VOIP")))
    assert given["category"] == "IM"
    assert not {"sound", "style"} & set(given)


@pytest.mark.parametrize(
    ("hints", "key"),
    [
        ({"Title": 7}, "Title"),
        ({"Category": ["IM"]}, "Category"),
        ({"Image": "http://img/x.png"}, "Image"),
        ({"Image": {}}, "Image"),
        ({"Sound": 1}, "Sound"),
        ({"Sound": "a", "SoundDuration": 0}, "SoundDuration"),
        ({"Sound": "a", "SoundDuration": 61}, "SoundDuration"),
        ({"Sound": "a", "SoundDuration": "30"}, "SoundDuration"),
        ({"Sound": "a", "SoundDuration": True}, "SoundDuration"),
        ({"SoundDuration": 30}, "SoundDuration"),
    ],
)
def test_a_wrong_hint_is_ignored_and_named(hints: dict[str, object], key: str) -> None:
    """A hint that Huawei would refuse does not kill the message; explain names it, and nothing else."""
    given = shown(push(harmony=hints))
    field = {"Sound": "sound", "SoundDuration": "soundDuration", "Image": "image"}.get(key)
    assert field is None or field not in given
    assert (given["title"], given["category"]) == ("Alice", "IM")
    (warning,) = ADAPTER.warnings(push(harmony=hints).notification, account())
    assert f"HarmonyInfo.{key} was ignored" in warning


def test_the_longest_sound_and_blank_hints() -> None:
    """A sound may last 60 s; a key left blank is absent, without a word."""
    assert read_info({"Sound": "a", "SoundDuration": 60}).sound_duration == 60
    assert read_info({"Title": " ", "Category": "", "Image": "", "SoundDuration": ""}) == HarmonyInfo()
    assert read_info({"Unheard": 1}) == HarmonyInfo()
    assert read_info(None) == HarmonyInfo()


def test_a_category_is_required_and_never_guessed() -> None:
    """Without one in the message or in [defaults] the push is refused, and the sentence says what to give."""
    with pytest.raises(Refused, match=r"HarmonyInfo\.Category, or category in \[defaults\]"):
        ADAPTER.render(push(), account({}), AUTH)
    assert shown(push(harmony={"Category": "WORK"}), account({}))["category"] == "WORK"


@pytest.mark.parametrize(("badge", "number"), [(0, 0), (7, 7), (250, 99)])
def test_badge_is_absolute_and_bounded(badge: int, number: int) -> None:
    """The badge is set, at most 99, never added; without a number it is left alone."""
    assert shown(push(badge=badge))["badge"] == {"setNum": number}
    assert "badge" not in shown(push())
    assert ADAPTER.uses_badge(account())


@pytest.mark.parametrize(
    ("defaults", "expected"),
    [
        ({}, {"actionType": 0}),
        ({"click_action": "open_app", "click_target": "x"}, {"actionType": 0}),
        ({"click_action": "url"}, {"actionType": 0}),
        (
            {"click_action": "url", "click_target": "https://a.example"},
            {"actionType": 1, "uri": "https://a.example"},
        ),
        (
            {"click_action": "intent", "click_target": "chat://host/page"},
            {"actionType": 1, "uri": "chat://host/page"},
        ),
        (
            {"click_action": "intent", "click_target": "com.example.OPEN"},
            {"actionType": 1, "action": "com.example.OPEN"},
        ),
    ],
)
def test_click_actions(defaults: dict[str, str], expected: dict[str, Any]) -> None:
    """What a tap opens: the home page, or a page by URI or by action; ext travels along."""
    at = account({"category": "IM", **defaults})
    assert shown(push(), at)["clickAction"] == expected
    assert shown(push(ext="e"), at)["clickAction"] == {**expected, "data": {"ext": "e"}}


def test_a_missing_click_target_is_warned_of() -> None:
    """A click action without its target opens the app, and explain says so."""
    assert "click_target" in ADAPTER.warnings(push().notification, account({"click_action": "url"}))[0]
    assert ADAPTER.warnings(push().notification, account()) == ()


def test_extra_is_merged_into_the_body() -> None:
    """Vendor fields given by hand reach the place they name, without losing their neighbours or the tokens."""
    extra = {"payload": {"notification": {"foregroundShow": False}}, "pushOptions": {"testMessage": True}}
    sent = body(ADAPTER.render(push(extra=extra), account(), AUTH))
    assert sent["payload"]["notification"]["foregroundShow"] is False
    assert sent["payload"]["notification"]["title"] == "Alice"
    assert (sent["pushOptions"]["testMessage"], sent["pushOptions"]["ttl"]) == (True, 86_400)
    assert sent["target"] == {"token": ["T1"]}


def test_no_id_that_would_hide_a_recall() -> None:
    """Two messages with one appMessageId show once only: a recall overwrites by notifyId, which must be all."""
    given = shown(push())
    assert given["notifyId"] == 123456
    assert "appMessageId" not in given


def test_a_blank_text_is_refused_and_a_blank_title_replaced() -> None:
    """Huawei takes neither blank; the title has a default, the text has none."""
    assert shown(push(title=" "))["title"] == "a new message"
    with pytest.raises(Refused, match="without text"):
        ADAPTER.render(push(body=" \n"), account(), AUTH)


# --- authorization ----------------------------------------------------------------------------------------


def test_the_bearer_is_a_ps256_jwt_of_our_own() -> None:
    """Header and claims equal the vector's; vector and fresh signature verify with the public key, others do not."""
    auth = ADAPTER.local_auth(account(), NOW)
    assert auth is not None
    signing_input, _, signature = auth.value.rpartition(".")
    assert signing_input == VECTORS["signing_input"]
    public = load_pem_public_key(VECTORS["public_key_pem"].encode())
    assert isinstance(public, RSAPublicKey)
    for given in (signature, VECTORS["jwt"].rpartition(".")[2]):
        public.verify(base64.urlsafe_b64decode(given + "=="), signing_input.encode(), PSS, SHA256())
    with pytest.raises(InvalidSignature):
        public.verify(base64.urlsafe_b64decode(signature + "=="), b"other", PSS, SHA256())


def test_the_bearer_serves_for_its_hour() -> None:
    """It is renewed five minutes before its hour is over, and no server is asked, whatever auth_endpoint says."""
    at = account(auth_endpoint="https://auth.example")
    auth = ADAPTER.local_auth(at, NOW)
    assert auth is not None
    assert auth.expires_at == NOW + 3300
    assert ADAPTER.auth_request(at, NOW) is None


def test_secrets_are_named_for_masking() -> None:
    """A dry run learns the bearer, the one secret that a request holds."""
    assert ADAPTER.secrets(account(), AUTH) == ("aa.bb.cc",)


# --- answers ----------------------------------------------------------------------------------------------

ROWS = {
    "80000000": Action.ACCEPTED,
    "80000001": Action.RETRY,
    "80100001": Action.BAD_MESSAGE,
    "80100003": Action.BAD_MESSAGE,
    "80100004": Action.BAD_MESSAGE,
    "80100020": Action.BAD_MESSAGE,
    "80100022": Action.BAD_MESSAGE,
    "80200001": Action.AUTH,
    "80200003": Action.AUTH,
    "80200005": Action.AUTH,
    "80300002": Action.CONFIG,
    "80300007": Action.INVALID_TOKEN,
    "80300008": Action.BAD_MESSAGE,
    "80300010": Action.BAD_MESSAGE,
    "80300017": Action.CONFIG,
    "80300028": Action.CONFIG,
    "80300029": Action.RETRY,
    "80300030": Action.BAD_MESSAGE,
    "80300036": Action.CONFIG,
    "80300037": Action.CONFIG,
    "81000001": Action.RETRY,
    "80199999": Action.BAD_MESSAGE,
    "80399999": Action.BAD_MESSAGE,
    "81999999": Action.RETRY,
}


@pytest.mark.parametrize(("code", "action"), ROWS.items())
@pytest.mark.parametrize("spelled", [str, int])
@pytest.mark.parametrize("status", [200, 400, 401, 503])
def test_every_code(code: str, action: Action, spelled: type, status: int) -> None:
    """Each code leads to its action, as text or number, whatever the HTTP status beside it."""
    (outcome,) = outcomes(push(), answer(spelled(code), "words", status))
    assert (outcome.action, outcome.code) == (action, code)


@pytest.mark.parametrize(
    ("status", "action"),
    [
        (200, Action.UNKNOWN),
        (400, Action.BAD_MESSAGE),
        (401, Action.AUTH),
        (403, Action.CONFIG),
        (404, Action.CONFIG),
        (429, Action.RETRY_AFTER),
        (500, Action.RETRY),
        (502, Action.RETRY),
        (503, Action.RETRY_AFTER),
    ],
)
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>503</html>",
        b"[1]",
        b"\xff\xfe",
        b'{"code":' + b"[" * 5000,
        b'{"code":true}',
        b'{"code":{}}',
        b'{"code":12345}',
    ],
)
def test_where_no_code_decides_the_status_does(status: int, action: Action, content: bytes) -> None:
    """Without a code that can be read or is known, also in HTML or broken bytes, the HTTP status decides for every target."""
    assert actions(push("T1", "T2"), Response(status=status, body=content)) == [action, action]


def test_retry_after_is_kept() -> None:
    """How long Huawei asks to wait reaches the lane."""
    (outcome,) = outcomes(push(), Response(status=503, headers={"retry-after": "7"}))
    assert outcome.retry_after == 7.0


REASONS = {
    "tokenFormatError": Action.INVALID_TOKEN,
    "tokenPlatformNotSupport": Action.INVALID_TOKEN,
    "noPushTypeRight": Action.CONFIG,
    "noRightToSendThisLiveNotificationEvent": Action.CONFIG,
    "notSupportPlayVoice": Action.CONFIG,
    "appinfoError": Action.CONFIG,
    "countryNotSupport": Action.BAD_MESSAGE,
    "disableSendHuaweiMsgBecauseOfPenalty": Action.CONFIG,
    "differentImgVerifyPolicy": Action.BAD_MESSAGE,
    "atomicUnableSendUnsubscribedMsg": Action.BAD_MESSAGE,
    "somethingNew": Action.UNKNOWN,
}


def partly(spelling: str, listed: object) -> Response:
    return answer("80100000", json.dumps({spelling: listed, "success": 1, "failure": 1}))


@pytest.mark.parametrize(("reason", "action"), REASONS.items())
@pytest.mark.parametrize("spelling", ["illegalTokens", "illegal_tokens"])
def test_every_reason_of_a_partial_failure(reason: str, action: Action, spelling: str) -> None:
    """The message of 80100000 is JSON inside a string: each token has the action of its own reason."""
    got = outcomes(push("T1", "T2", "T3"), partly(spelling, {reason: ["T2"]}))
    assert [o.action for o in got] == [Action.ACCEPTED, action, Action.ACCEPTED]
    assert (got[0].vendor_id, got[1].code) == ("157", reason)
    assert "T2" not in repr(got)


@pytest.mark.parametrize(("reason", "action"), REASONS.items())
def test_every_reason_when_all_failed(reason: str, action: Action) -> None:
    """80300007 with reasons is as exact as a partial failure; a token without one is kept."""
    told = answer("80300007", json.dumps({"illegalTokens": {reason: ["T1", "T2"]}, "failure": 3}))
    assert actions(push("T1", "T2", "T3"), told) == [action, action, Action.UNKNOWN]


def test_a_flat_list_is_read_too() -> None:
    """Older servers list tokens without reasons."""
    assert actions(push("T1", "T2"), partly("illegal_tokens", ["T2"])) == [
        Action.ACCEPTED,
        Action.INVALID_TOKEN,
    ]


def test_no_right_costs_a_token_only_beside_a_success() -> None:
    """A wrong project gives noRight to every token: only when others are accepted is it the token's own fault."""
    listed = {"illegalTokens": {"noRight": ["T1"]}, "failure": 1}
    assert actions(push("T1", "T2"), answer("80100000", json.dumps(listed))) == [
        Action.INVALID_TOKEN,
        Action.ACCEPTED,
    ]
    (alone,) = outcomes(push("T1"), answer("80300007", json.dumps(listed)))
    assert alone.action is Action.UNKNOWN
    assert "project_id" in alone.hint


@pytest.mark.parametrize(
    "msg", ["", "oops", '{"illegalTokens":{}}', '{"illegalTokens":"T1"}', '{"illegalTokens":{"x":["T9"]}}', 7]
)
def test_an_unreadable_partial_failure_kills_nothing(msg: object) -> None:
    """Where the answer does not name the failed tokens none is removed and none is called accepted."""
    assert set(actions(push("T1", "T2"), answer("80100000", msg))) == {Action.UNKNOWN}


@pytest.mark.parametrize("msg", ["All the tokens are invalid", '{"illegalTokens":["T1","T2"]}'])
def test_all_failed_without_reasons_is_believed_of_one_token_only(msg: str) -> None:
    """80300007 also follows from a wrong project: a batch keeps its tokens, and the hint says what to check."""
    assert actions(push("T1"), answer("80300007", msg)) == [Action.INVALID_TOKEN]
    batch = outcomes(push("T1", "T2"), answer("80300007", msg))
    assert [o.action for o in batch] == [Action.UNKNOWN, Action.UNKNOWN]
    assert "project" in batch[0].hint


def test_a_refused_category_is_named() -> None:
    """A configured category fails every message and stops the credential; a message's own fails that message alone."""
    told = answer("80100003", "Illegal payload, category is not supported")
    (configured,) = outcomes(push(), told, account({"category": "CHAT"}))
    (own,) = outcomes(push(harmony={"Category": "TALK"}), told)
    assert (configured.action, own.action) == (Action.CONFIG, Action.BAD_MESSAGE)
    assert "CHAT of [defaults]" in configured.hint
    assert "HarmonyInfo.Category TALK" in own.hint
    (by_hand,) = outcomes(push(extra={"payload": {"notification": {"category": "X"}}}), told)
    assert by_hand.action is Action.BAD_MESSAGE


def test_tokens_in_huaweis_words_are_blotted_out() -> None:
    """Whatever Huawei quotes, no token reaches an Outcome."""
    (outcome,) = outcomes(push("TOKEN-1"), answer("80100001", "bad\nTOKEN-1 here"))
    assert outcome.reason == "bad *** here"


def test_the_table_is_the_plugins_and_whole() -> None:
    """The documentation is generated from the very table that decides, and each of its rows is tested here."""
    assert vendor.results == RESULTS
    assert vendor.adapter.vendor == vendor.emulator.vendor == "harmony"
    assert (ADAPTER.push_platform, ADAPTER.platforms) == (9, {"harmony"})
    tested = {*ROWS, *REASONS, "80100000", "noRight"}
    assert {code for code in RESULTS if not code.startswith("HTTP ")} <= tested
