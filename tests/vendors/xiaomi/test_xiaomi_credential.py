"""What an operator may write for Xiaomi, and what is said of faults."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from vendors.xiaomi.credential import XiaomiCredential

GOOD = {"package": "com.example.chat", "app_secret": "s3cret-of-xiaomi=="}


def faults(**fields: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        XiaomiCredential.model_validate(fields)
    return "; ".join(f"{e['loc']} {e['msg']}" for e in caught.value.errors())


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("cn", "https://api.xmpush.xiaomi.com"),
        ("sgp", "https://sgp-api.xmpush.global.xiaomi.com"),
        ("fra", "https://fr-api.xmpush.global.xiaomi.com"),
        ("ind", "https://idmb-api.xmpush.global.xiaomi.com"),
        ("rus", "https://ru-api.xmpush.global.xiaomi.com"),
    ],
)
def test_a_host_for_each_region(region: str, host: str) -> None:
    """A regId is known in its own region only."""
    assert XiaomiCredential.model_validate({**GOOD, "region": region}).host == host


def test_mainland_is_the_default() -> None:
    """Without a region the app is one of mainland China."""
    assert XiaomiCredential.model_validate(GOOD).region == "cn"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"package": "chat"}, "com.example.chat"),
        ({"app_secret": ""}, "copy the AppSecret"),
        ({"app_secret": "a b"}, "copy the AppSecret"),
        ({"app_secret": "a\nb"}, "copy the AppSecret"),
        ({"region": "eu"}, "write one of cn, sgp, fra, ind, rus"),
    ],
)
def test_faults_are_explained(change: dict[str, str], words: str) -> None:
    """Each fault names what would be right."""
    assert words in faults(**{**GOOD, **change})


def test_all_missing_fields_are_named() -> None:
    """Everything wrong is said at once."""
    said = faults()
    assert "package" in said
    assert "app_secret" in said


def test_no_secret_in_repr() -> None:
    """Printing a credential shows no secret; a secret of digits may stand without quotes."""
    credential = XiaomiCredential.model_validate(GOOD)
    assert "s3cret" not in repr(credential) + str(credential)
    assert XiaomiCredential.model_validate({**GOOD, "app_secret": 123}).app_secret.get_secret_value() == "123"
