"""Reading answers that nobody vouches for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushgw.vendor.answers import LONGEST_WAIT_S, MAX_WORDS, json_object, retry_after, vendor_words
from pushgw.vendor.http import Response
from pushgw.vendor.push import Notification, Push, Target

NOW = 1_767_225_600.0  # 2026-01-01 00:00:00 GMT


@given(st.binary() | st.text().map(lambda text: text.encode()))
def test_any_bytes_give_a_dict(body: bytes) -> None:
    """Whatever comes, reading it raises nothing and gives an object."""
    assert isinstance(json_object(body), dict)


def test_objects_and_deep_nesting() -> None:
    """An object is read; a list, and nesting beyond reason, are no object."""
    assert json_object(b'{"code":0}') == {"code": 0}
    assert json_object(b"[1]") == {}
    assert json_object(b"[" * 100_000) == {}


@pytest.mark.parametrize(
    ("given_value", "seconds"),
    [
        ("7", 7.0),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("9" * 400, LONGEST_WAIT_S),
        ("Thu, 01 Jan 2026 00:00:30 GMT", 30.0),
        ("Wed, 31 Dec 2025 23:00:00 GMT", 0.0),
    ],
)
def test_retry_after(given_value: str, seconds: float | None) -> None:
    """Seconds or an HTTP date, never negative, never more than a day; nonsense counts as not given."""
    assert retry_after(Response(status=503, headers={"retry-after": given_value}), NOW) == seconds


def test_words_hold_no_token() -> None:
    """A vendor's words are one line, cut, without the tokens of the push; anything but text is no words."""
    note = Notification(body="b", expires_at=0, collapse_id="c", notify_id=1)
    targets = tuple(
        Target(token=t, user="u", device_id="d", push_id="p", vendor_id="v") for t in ("tok1", "tok2")
    )
    push = Push(notification=note, targets=targets, now=NOW)
    assert vendor_words(push, "bad tok1\n and  tok2") == "bad *** and ***"
    assert len(vendor_words(push, "x" * 999)) == MAX_WORDS
    assert vendor_words(push, {"tok1": 1}) == ""
