"""What an operator may write for vivo, and what is said of faults."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from vendors.vivo.credential import VivoCredential

GOOD = {"app_id": "10004", "app_key": "k-1", "app_secret": "s3cret-of-vivo"}


def faults(**fields: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        VivoCredential.model_validate(fields)
    return "; ".join(f"{e['loc']} {e['msg']}" for e in caught.value.errors())


def test_ids_may_be_numbers_or_strings() -> None:
    """An AppID, and a key of digits, may stand without quotes."""
    numbers = VivoCredential.model_validate({"app_id": 10004, "app_key": 12, "app_secret": 34})
    assert (numbers.app_id, numbers.app_key, numbers.app_secret.get_secret_value()) == ("10004", "12", "34")
    assert VivoCredential.model_validate(GOOD).app_id == "10004"


def test_all_missing_fields_are_named() -> None:
    """Everything wrong is said at once."""
    said = faults()
    for name in GOOD:
        assert name in said


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"app_id": ""}, "copy the AppID"),
        ({"app_id": "com.example.chat"}, "such as 10004"),
        ({"app_id": "0"}, "copy the AppID"),
        ({"app_id": "-5"}, "copy the AppID"),
        ({"app_id": True}, "string"),
        ({"app_id": "1" * 19}, "copy the AppID"),
        ({"app_key": ""}, "copy the AppKey"),
        ({"app_key": " k"}, "copy the AppKey"),
        ({"app_secret": ""}, "copy the AppSecret"),
        ({"app_secret": "a\nb"}, "copy the AppSecret"),
        ({"app_secret": "ключ"}, "copy the AppSecret"),
    ],
)
def test_faults_are_explained(change: dict[str, Any], words: str) -> None:
    """Each fault names what to copy and from where."""
    assert words in faults(**{**GOOD, **change})


def test_no_secret_in_repr() -> None:
    """Printing a credential shows no secret."""
    credential = VivoCredential.model_validate(GOOD)
    assert "s3cret" not in repr(credential) + str(credential)
