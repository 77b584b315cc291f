"""What an operator may write for Honor, and what is said of faults."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from vendors.honor.credential import HonorCredential

GIVEN = {"app_id": "104412345", "client_id": "9a8b7c6d5e4f", "client_secret": "s3cret-of/honor+="}


def faults(**fields: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        HonorCredential.model_validate(fields)
    return "; ".join(f"{e['loc']} {e['msg']}" for e in caught.value.errors())


def test_ids_may_be_numbers_or_strings() -> None:
    """An id typed as a number means the same as its digits in quotes; it is part of the path."""
    credential = HonorCredential.model_validate({**GIVEN, "app_id": 104412345})
    assert credential == HonorCredential.model_validate(GIVEN)
    assert credential.path == "/api/v1/104412345/sendMessage"


def test_missing_fields_are_named_together() -> None:
    """Everything that is missing is said at once, and where to find it."""
    said = faults()
    for words in ("app_id", "client_id", "client_secret", "developer console"):
        assert words in said


@pytest.mark.parametrize("field", list(GIVEN))
@pytest.mark.parametrize("value", ["", " x", "x y", "x\n", "中"])
def test_a_careless_copy_is_noticed(field: str, value: str) -> None:
    """An empty value, or blanks in it, are said before Honor says "not authorised"."""
    assert field in faults(**{**GIVEN, field: value})


def test_a_path_is_no_id() -> None:
    """A slash in an id would lead to another path; in the secret it is usual."""
    assert "slash" in faults(**{**GIVEN, "app_id": "api/v1"})
    assert HonorCredential.model_validate(GIVEN).client_secret.get_secret_value() == "s3cret-of/honor+="


def test_no_secret_in_repr_or_fault() -> None:
    """Neither a printed credential nor a fault shows the secret."""
    credential = HonorCredential.model_validate(GIVEN)
    assert "s3cret" not in repr(credential) + str(credential)
    assert "s3cret" not in faults(**{**GIVEN, "client_secret": "s3cret with blanks"})
