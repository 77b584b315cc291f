"""What an operator may write for OPPO, and what is said of faults."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from vendors.oppo.credential import OppoCredential

GOOD = {"app_key": "0b2c3d", "master_secret": "s3cret-of-oppo"}


def faults(**fields: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        OppoCredential.model_validate(fields)
    return "; ".join(f"{e['loc']} {e['msg']}" for e in caught.value.errors())


def test_ids_may_be_numbers_or_strings() -> None:
    """A key of digits may stand without quotes."""
    assert OppoCredential.model_validate({**GOOD, "app_key": 123}).app_key == "123"


@pytest.mark.parametrize("fields", [{"app_key": "k"}, {"app_key": "k", "master_secret": ""}])
def test_a_missing_master_secret_is_told_from_app_secret(fields: dict[str, str]) -> None:
    """Who has only AppSecret learns that it is another one, instead of renaming the field."""
    said = faults(**fields)
    assert "MasterSecret" in said
    assert "AppSecret is another" in said


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"app_key": ""}, "copy the AppKey"),
        ({"app_key": " k"}, "copy the AppKey"),
        ({"master_secret": "a b"}, "copy the MasterSecret"),
        ({"master_secret": "ключ"}, "copy the MasterSecret"),
    ],
)
def test_faults_are_explained(change: dict[str, str], words: str) -> None:
    """Each fault names what to copy and from where."""
    assert words in faults(**{**GOOD, **change})


def test_no_secret_in_repr() -> None:
    """Printing a credential shows no secret."""
    credential = OppoCredential.model_validate(GOOD)
    assert "s3cret" not in repr(credential) + str(credential)
