from __future__ import annotations

import re
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushgw.messages.identity import identify, notify_number, push_id, vendor_uuid

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(TEXT, TEXT, TEXT)
def test_three_spellings_of_one_identity(source: str, user: str, device: str) -> None:
    """PushID, UUID and number are well-formed, repeatable and belong together."""
    identity = identify(source, user, device)
    assert identity == identify(source, user, device)
    assert re.fullmatch("[0-7][0-9A-HJKMNP-TV-Z]{25}", identity.push_id)
    assert identity.push_id == push_id(source, user, device)
    assert identity.vendor_id == vendor_uuid(identity.push_id) == str(UUID(identity.vendor_id))
    assert UUID(identity.vendor_id).version == 8
    assert 0 < identity.notify_id < 2**31


def test_an_identity_never_changes() -> None:
    """The ids are kept by consumers of receipts and by vendors: another version of us must make the same ones."""
    identity = identify("im.offline-messages/3/1042", "piet", "phone")
    assert identity.push_id == "3RY2SS1A26J8XK98QKZBJ7N4Y9"
    assert identity.vendor_id == "78f0b390-a846-823b-84a2-f3fae47a93c9"
    assert identity.notify_id == 2029040528


def test_neighbouring_texts_do_not_run_together() -> None:
    """Where the user ends and the device begins is part of the identity."""
    ids = {push_id("s", "ab", "c"), push_id("s", "a", "bc"), push_id("s", "abc", ""), push_id("cs", "ab", "")}
    assert len(ids) == 4


def test_number_of_an_unlucky_digest() -> None:
    """The number is positive even where the digest begins with zeros or with the sign bit alone."""
    assert notify_number(bytes(16)) == 1
    assert notify_number(b"\x80" + bytes(15)) == 1
    assert notify_number(b"\xff" * 16) == 2**31 - 1


@pytest.mark.parametrize("foreign", ["", "0" * 25, "8" + "0" * 25, "0" * 25 + "U", "0" * 27])
def test_foreign_push_ids(foreign: str) -> None:
    """Only what can be one of our PushIDs has a UUID."""
    with pytest.raises(ValueError, match="a PushID has"):
        vendor_uuid(foreign)
