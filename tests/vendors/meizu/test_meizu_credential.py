"""What an operator may write for Meizu, and what is said of faults."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from vendors.meizu.credential import MeizuCredential

GOOD = {"app_id": "110011", "app_secret": "s3cret-of-meizu"}


def faults(**fields: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        MeizuCredential.model_validate(fields)
    return "; ".join(f"{e['loc']} {e['msg']}" for e in caught.value.errors())


def test_ids_may_be_numbers_or_strings() -> None:
    """An AppID, and a secret of digits, may stand without quotes."""
    numbers = MeizuCredential.model_validate({"app_id": 110011, "app_secret": 34})
    assert (numbers.app_id, numbers.app_secret.get_secret_value()) == ("110011", "34")
    assert MeizuCredential.model_validate(GOOD).app_id == "110011"


def test_all_missing_fields_are_named() -> None:
    """Everything wrong is said at once."""
    said = faults()
    assert "app_id" in said
    assert "app_secret" in said


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"app_id": ""}, "copy the AppID"),
        ({"app_id": "com.example.chat"}, "such as 110011"),
        ({"app_id": "0"}, "copy the AppID"),
        ({"app_id": True}, "string"),
        ({"app_secret": ""}, "AppKey is another"),
        ({"app_secret": "a b"}, "copy the AppSecret"),
        ({"app_secret": "ключ"}, "copy the AppSecret"),
        ({"app_key": "k"}, "app_key"),
    ],
)
def test_faults_are_explained(change: dict[str, Any], words: str) -> None:
    """Each fault names what to copy and from where; AppKey is no field."""
    assert words in faults(**{**GOOD, **change})


def test_no_secret_in_repr() -> None:
    """Printing a credential shows no secret."""
    credential = MeizuCredential.model_validate(GOOD)
    assert "s3cret" not in repr(credential) + str(credential)
