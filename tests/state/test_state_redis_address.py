"""How ``state.url`` names a Redis, and that no password of it is ever shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from pushgw.settings import SettingsError, StateSettings, load_settings, masked_url
from pushgw.state import open_store
from pushgw.state.protocol import StateUnavailable
from pushgw.state.redis_address import Address, address_of

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://h", Address(kind="single", hosts=(("h", 6379),), tls=False)),
        ("redis://h:7000/3", Address(kind="single", hosts=(("h", 7000),), tls=False, db=3)),
        (
            "rediss://u:p%40w@h:1/0",
            Address(kind="single", hosts=(("h", 1),), tls=True, user="u", password="p@w"),
        ),
        ("redis://:pw@[::1]:1", Address(kind="single", hosts=(("::1", 1),), tls=False, password="pw")),
        (
            "redis+cluster://a:1,b",
            Address(kind="cluster", hosts=(("a", 1), ("b", 6379)), tls=False),
        ),
        (
            "rediss+cluster://u:pw@a:1,b:2/0",
            Address(kind="cluster", hosts=(("a", 1), ("b", 2)), tls=True, user="u", password="pw"),
        ),
        (
            "redis+sentinel://a,b:1/main",
            Address(kind="sentinel", hosts=(("a", 26379), ("b", 1)), tls=False, service="main"),
        ),
        (
            "rediss+sentinel://:pw@a/main/2",
            Address(kind="sentinel", hosts=(("a", 26379),), tls=True, service="main", db=2, password="pw"),
        ),
    ],
)
def test_addresses(url: str, expected: Address) -> None:
    """Every form that the settings' table names is understood, with its defaults."""
    assert address_of(StateSettings(url=url)) == expected


@pytest.mark.parametrize(
    "url",
    [
        "redis://",
        "redis://a,b",
        "redis://a:port",
        "redis://a/x",
        "redis://a/1/2",
        "redis+sentinel://a:1",
        "redis+cluster://a/1",
        "redis://u:hunter2@",
        "redis://u:hunter2@a:x/0",
    ],
)
async def test_what_is_no_address(url: str) -> None:
    """A wrong address is said with the right forms, and what was given is not repeated: it may hold a password."""
    with pytest.raises(StateUnavailable, match=r"^state\.url ") as caught:
        await open_store(StateSettings(url=url))
    assert SECRET not in str(caught.value)


def test_the_password_is_in_no_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not in reprs, not in what logs show, not in the sentence about a wrong setting."""
    url = f"redis+sentinel://me:{SECRET}@a:1,b:2/main"
    settings = StateSettings(url=url)
    address = address_of(settings)
    assert settings.shown == "redis+sentinel://***@a:1,b:2/main"
    for text in (repr(settings), str(settings), repr(address), address.where, settings.shown):
        assert SECRET not in text
        assert "me:" not in text
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PUSHGW_STATE__URL", f"redid://me:{SECRET}@a")
    with pytest.raises(SettingsError, match=r"state\.url") as caught:
        load_settings()
    assert SECRET not in str(caught.value)
    assert masked_url("sqlite:///x.db") == "sqlite:///x.db"
