"""What an operator may write for Huawei, and what is said of faults."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pydantic import ValidationError

from vendors.huawei.credential import HuaweiCredential

VECTORS = json.loads(Path(__file__).with_name("vectors.json").read_text("utf-8"))
PEM = VECTORS["jwt"]["private_key_pem"]
V1 = {"app_id": "104000001", "app_secret": "s3cret-of-huawei", "package": "com.example.chat"}


def key_file(**changes: Any) -> bytes:
    fields = {"project_id": "1016", "key_id": "k", "private_key": PEM, "sub_account": "104", **changes}
    return json.dumps({name: value for name, value in fields.items() if value is not None}).encode()


def faults(**fields: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        HuaweiCredential.model_validate(fields)
    return "; ".join(f"{e['loc']} {e['msg']}" for e in caught.value.errors())


def test_ids_may_be_numbers_or_strings() -> None:
    """An id typed as a number means the same as its digits in quotes."""
    assert HuaweiCredential.model_validate({**V1, "app_id": 104000001}) == HuaweiCredential.model_validate(V1)


def test_the_project_chooses_the_version() -> None:
    """Without a project v1 by client id; with one v2 by project, also where only the key file names it."""
    v1 = HuaweiCredential.model_validate(V1)
    v2 = HuaweiCredential.model_validate({**V1, "project_id": 1016})
    from_file = HuaweiCredential.model_validate({"service_account": key_file()})
    assert v1.path == "/v1/104000001/messages:send"
    assert v2.path == from_file.path == "/v2/1016/messages:send"
    assert v1.service is v2.service is None
    assert from_file.service is not None


def test_missing_fields_are_named_together() -> None:
    """One sentence names everything that is missing and where to find it."""
    said = faults()
    for words in ("app_id", "app_secret", "package", "AppGallery Connect"):
        assert words in said


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\xff", "no JSON"),
        (b"[]", "not complete"),
        (key_file(key_id=None), "key_id"),
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
    said = faults(**V1, service_account=content)
    assert words in said
    assert "API Console" in said
    assert PEM[40:80] not in said


def test_a_key_file_of_another_project_is_refused() -> None:
    """Two project ids that disagree would be refused by Huawei on every push."""
    assert "is of project 1016" in faults(**V1, project_id="2", service_account=key_file())


@pytest.mark.parametrize("fault", [{"app_id": " 1"}, {"app_id": "1/2"}, {"app_secret": "x "}])
def test_blanks_of_a_careless_copy_are_noticed(fault: dict[str, str]) -> None:
    """Blanks around a value, or a path in its place, are said before Huawei says "authentication failed"."""
    assert "copy" in faults(**{**V1, **fault})


def test_no_secret_in_repr() -> None:
    """Printing a credential or its service account shows neither secret nor key."""
    credential = HuaweiCredential.model_validate({**V1, "service_account": key_file()})
    assert credential.service is not None
    shown = repr(credential) + str(credential) + repr(credential.service) + repr(credential.service.file)
    assert "s3cret" not in shown
    assert "PRIVATE KEY" not in shown
    assert PEM[40:80] not in shown
