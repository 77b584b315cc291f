"""What an operator may write for HarmonyOS, and what is said of faults."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pydantic import ValidationError

from vendors.harmony.credential import HarmonyCredential

VECTORS = json.loads(Path(__file__).with_name("vectors.json").read_text("utf-8"))
PEM = VECTORS["private_key_pem"]


def key_file(**changes: Any) -> bytes:
    fields = {"project_id": "1016", "key_id": "k", "private_key": PEM, "sub_account": "104", **changes}
    return json.dumps({name: value for name, value in fields.items() if value is not None}).encode()


def faults(**fields: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        HarmonyCredential.model_validate(fields)
    return "; ".join(f"{e['loc']} {e['msg']}" for e in caught.value.errors())


@pytest.mark.parametrize("given", [{}, {"project_id": "1016"}, {"project_id": 1016}])
def test_the_project_may_be_left_to_the_file(given: dict[str, Any]) -> None:
    """The id is a number or text, and the key file's where it is left out."""
    credential = HarmonyCredential.model_validate({**given, "service_account": key_file()})
    assert credential.path == "/v3/1016/messages:send"


def test_a_missing_key_file_is_said_by_its_name() -> None:
    """Without a service account nothing can be sent, and the sentence says what to make."""
    said = faults(project_id="1016")
    assert "service_account_file is missing" in said
    assert "API Console" in said


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\xff", "no JSON"),
        (b"[]", "not complete"),
        (key_file(sub_account=None), "sub_account"),
        (key_file(private_key="-----BEGIN"), "no PEM key"),
        (
            key_file(
                private_key=ec.generate_private_key(ec.SECP256R1())
                .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
                .decode()
            ),
            "no RSA key",
        ),
    ],
)
def test_a_broken_key_file_is_explained(content: bytes, words: str) -> None:
    """The sentence says what is wrong with the key file and how to get another, and quotes no key."""
    said = faults(service_account=content)
    assert words in said
    assert "API Console" in said
    assert PEM[40:80] not in said


def test_a_key_file_of_another_project_is_refused() -> None:
    """Two project ids that disagree would be refused by Huawei on every push."""
    assert "is of project 1016" in faults(project_id="2", service_account=key_file())


@pytest.mark.parametrize("project", [" 1016", "v3/1016"])
def test_a_careless_copy_is_noticed(project: str) -> None:
    """Blanks around the id, or a path in its place, are said before Huawei says "not authorised"."""
    assert "copy it again" in faults(project_id=project, service_account=key_file())


def test_no_key_in_repr() -> None:
    """Printing a credential shows no key."""
    credential = HarmonyCredential.model_validate({"service_account": key_file()})
    shown = repr(credential) + str(credential)
    assert "PRIVATE" not in shown
    assert PEM[40:80] not in shown
