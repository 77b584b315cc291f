"""FCM: the service-account file, and the sentence for each mistake."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from google.oauth2 import service_account
from pydantic import ValidationError
from pyfcm import FCMNotification

from vendors.fcm.credential import FcmCredential

EXAMPLES = Path(__file__).parents[3] / "certs.example"
FILE: dict[str, Any] = json.loads((EXAMPLES / "fcm-service-account.json").read_text())
EC_KEY = (
    ec.generate_private_key(ec.SECP256R1())
    .private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    .decode()
)


def credential(content: bytes) -> FcmCredential:
    return FcmCredential.model_validate({"service_account": content})


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"not json", "is no JSON; download it in the Firebase console"),
        (b"\xff\xfe", "is no JSON"),
        (b"[]", "is no service-account file"),
        (json.dumps({k: v for k, v in FILE.items() if k != "private_key"}), "`private_key`"),
        (json.dumps({k: v for k, v in FILE.items() if k != "project_id"}), "`project_id`"),
        (json.dumps(FILE | {"type": "authorized_user"}), "its type is not service_account"),
        (
            json.dumps(FILE | {"client_email": " ", "project_id": ""}),
            "project_id and client_email must not be empty",
        ),
        (json.dumps(FILE | {"private_key": "sesame"}), "its private_key is no PEM key"),
        (json.dumps(FILE | {"private_key": EC_KEY}), "its private_key is no RSA key"),
        (json.dumps({"project_info": {"project_id": "x"}, "client": []}), "Generate new private key"),
    ],
)
def test_each_mistake_has_its_sentence(content: bytes | str, sentence: str) -> None:
    """What is wrong and where to get the right file, without the key."""
    with pytest.raises(ValidationError) as refused:
        credential(content if isinstance(content, bytes) else content.encode())
    [problem] = refused.value.errors(include_input=False)
    assert problem["loc"] == ("service_account",)
    assert sentence in problem["msg"]
    assert "sesame" not in problem["msg"]


def test_no_secret_shows_in_a_repr() -> None:
    """Neither in the credential's nor in the opened account's."""
    held = credential(json.dumps(FILE).encode())
    body = FILE["private_key"].splitlines()[1]
    for shown in (repr(held), str(held), repr(held.service)):
        assert body not in shown
        assert "PRIVATE" not in shown


def test_pyfcm_and_google_auth_stand_behind_it() -> None:
    """Their client holds their credentials and knows the endpoint; nothing was sent to get there."""
    service = credential(json.dumps(FILE).encode()).service
    assert isinstance(service.pyfcm, FCMNotification)
    assert isinstance(service.credentials, service_account.Credentials)
    assert service.pyfcm.fcm_end_point.endswith("/v1/projects/example-im-sandbox/messages:send")
    assert service.credentials.token is None


def test_the_throw_away_example_can_be_read() -> None:
    """certs.example/9002.toml names a key file that can sign."""
    data = tomllib.loads((EXAMPLES / "9002.toml").read_text())
    assert (data["business_id"], data["vendor"]) == (9002, "fcm")
    content = (EXAMPLES / data["credential"]["service_account_file"]).read_bytes()
    assert credential(content).service.assertion(0).count(".") == 2
