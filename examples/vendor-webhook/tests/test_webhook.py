"""Webhook: conformance, and what is its own."""

from __future__ import annotations

import hmac
import json
from hashlib import sha256
from typing import Any

import msgspec
import pytest
from pushgw.vendor import Account, Action, Push, Response
from pushgw.vendor.testing import AdapterConformance
from pydantic import SecretStr, ValidationError

from pushgw_vendor_webhook.webhook import vendor
from pushgw_vendor_webhook.webhook.credential import WebhookCredential

SECRET = "throw-away-webhook-secret"
CREDENTIAL = WebhookCredential(url="https://im.example.com/hooks/push?app=chat", secret=SecretStr(SECRET))
ACCOUNT = Account(business_id=1, vendor="webhook", credential=CREDENTIAL)


class TestConformance(AdapterConformance):
    """Keeps every promise of an adapter."""

    vendor = vendor
    account = ACCOUNT
    token = "device-1"
    status_decides = True  # a receiver may answer with a bare status
    unknown_code = "HTTP 418"


def push(*tokens: str, **changes: Any) -> Push:
    return TestConformance().push(tokens=tokens or ("device-1",), **changes)


def actions(answer: Response, *tokens: str) -> list[Action]:
    return [o.action for o in vendor.adapter.interpret(push(*tokens), ACCOUNT, answer)]


def test_the_signature_is_what_the_readme_says() -> None:
    """A receiver that knows nothing but the README's three lines verifies the request."""
    request = vendor.adapter.render(push(), ACCOUNT, None)
    headers = dict(request.headers)
    signed = headers["x-pushgw-timestamp"].encode() + b"." + request.body
    assert headers["x-pushgw-signature"] == "v1=" + hmac.new(SECRET.encode(), signed, sha256).hexdigest()


def test_the_whole_body() -> None:
    """Targets with an id that stays the same, and one notification for all of them."""
    body = json.loads(vendor.adapter.render(push("a", "b", platform="web"), ACCOUNT, None).body)
    assert body["targets"][1] == {
        "id": "01JZZZZZZZZZZZZZZZZZ000001",
        "token": "b",
        "user": "user-1",
        "device": "device-1",
        "platform": "web",
    }
    assert body["notification"] == {
        "title": "Alice",
        "body": "Lunch at noon?",
        "ext": '{"conversation":"alice"}',
        "sound": None,
        "conversation": "C2C_alice",
        "collapse_id": "c0ffee0123456789c0ffee0123456789",
        "expires_at": 1767312000,
    }


def test_the_endpoint_takes_the_place_of_scheme_host_and_port() -> None:
    """Path and query stay the credential's."""
    elsewhere = msgspec.structs.replace(ACCOUNT, endpoint="https://127.0.0.1:8443")
    assert vendor.adapter.render(push(), ACCOUNT, None).url == "https://im.example.com/hooks/push?app=chat"
    assert vendor.adapter.render(push(), elsewhere, None).url == "https://127.0.0.1:8443/hooks/push?app=chat"


def test_only_the_tokens_listed_as_gone_are_dead() -> None:
    """A 200 may list some; names that were not sent mean nothing, and other statuses list nothing."""
    body = json.dumps({"gone": ["b", "stranger", 7]}).encode()
    assert actions(Response(status=200, body=body), "a", "b") == [Action.ACCEPTED, Action.INVALID_TOKEN]
    assert actions(Response(status=202, body=body), "a", "b") == [Action.ACCEPTED] * 2


def test_a_410_to_a_batch_kills_no_token() -> None:
    """It does not say which one is gone, so none is given up."""
    assert actions(Response(status=410)) == [Action.INVALID_TOKEN]
    assert actions(Response(status=410), "a", "b") == [Action.UNKNOWN] * 2


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"url": "http://im.example.com/push"}, "no https URL"),
        ({"url": "https:///push"}, "no https URL"),
        ({"url": "https://im.example.com:0/push"}, "no https URL"),
        ({"url": "https://im.example.com:x/push"}, "is no URL"),
        ({"url": "https://bob:pw@im.example.com/push"}, "user name or password"),
        ({"url": "https://im.example.com/push\r\nx: 1"}, "holds blanks"),
        ({"secret": "short"}, "shorter than 16"),
    ],
)
def test_a_wrong_credential_says_how_to_mend_it(fields: dict[str, str], words: str) -> None:
    """Each fault of the operator's has a sentence of its own, without the secret."""
    with pytest.raises(ValidationError, match=words) as error:
        WebhookCredential.model_validate({"url": CREDENTIAL.url, "secret": SECRET, **fields})
    assert SECRET not in str(error.value)


@pytest.mark.parametrize("spoil", ["timestamp", "signature", "body", "late"])
def test_the_double_is_as_careful_as_a_receiver_should_be(spoil: str) -> None:
    """No timestamp, a wrong signature, another body and an old request are refused with 401."""
    subject = TestConformance()
    call = subject.call(vendor.adapter.render(push(), ACCOUNT, None))
    now = subject.now + (301 if spoil == "late" else 0)
    if spoil == "body":
        call = msgspec.structs.replace(call, body=call.body.replace(b"noon", b"nine"))
    elif spoil != "late":
        call = msgspec.structs.replace(call, headers={**call.headers, f"x-pushgw-{spoil}": "1"})
    answer = vendor.emulator([ACCOUNT]).handle(call, now)
    assert (answer.response.status, answer.accepted) == (401, ())
