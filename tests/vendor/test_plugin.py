"""Adapters are found by entry point, and one that is not sound says so at the start."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from pushgw.vendor import plugin
from pushgw.vendor.plugin import GROUP, Vendor, installed_vendors


def vendors_of(monkeypatch: pytest.MonkeyPatch, *points: tuple[str, str]) -> dict[str, Vendor]:
    found = [EntryPoint(name=name, value=value, group=GROUP) for name, value in points]
    monkeypatch.setattr(plugin, "entry_points", lambda group: found)
    return installed_vendors.__wrapped__()


def test_our_own_come_by_entry_point_too() -> None:
    """Each installed vendor stands under its adapter's name."""
    assert {name: v.adapter.vendor for name, v in installed_vendors().items()} == {
        n: n for n in installed_vendors()
    }


def test_the_same_entry_point_seen_twice_is_one_vendor(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkout that is installed and on the path as well brings each vendor once."""
    twice = ("xiaomi", "vendors.xiaomi:vendor")
    assert list(vendors_of(monkeypatch, twice, twice)) == ["xiaomi"]


@pytest.mark.parametrize(
    ("points", "error", "words"),
    [
        (
            [("xiaomi", "vendors.xiaomi:vendor"), ("xiaomi", "vendors.oppo:vendor")],
            ValueError,
            "two packages",
        ),
        ([("mi", "vendors.xiaomi:vendor")], ValueError, "name both alike"),
        ([("xiaomi", "vendors.xiaomi.adapter:XiaomiAdapter")], TypeError, "is no pushgw.vendor.Vendor"),
        ([("acme", "no_such_package:vendor")], ModuleNotFoundError, "no_such_package"),
    ],
)
def test_an_unsound_package_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, points: list[tuple[str, str]], error: type[Exception], words: str
) -> None:
    """Two packages for one vendor, a wrong name, a wrong object and a broken import are said at once, by name."""
    with pytest.raises(error, match=words):
        vendors_of(monkeypatch, *points)
