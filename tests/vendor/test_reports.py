"""The echo: what a vendor gives back leads to the push, and nothing else does."""

from __future__ import annotations

import pytest

from pushgw.messages.identity import push_id
from pushgw.vendor.push import Notification, Origin, Push, Target
from pushgw.vendor.reports import MAX_ECHO_BYTES, Echo, Report, ReportCall, Stage, echo_of, read_echo, time_of

SOURCE = "im.offline-messages/3/1042"


def push(*devices: str, origin: Origin | None = None) -> Push:
    notification = Notification(body="hi", expires_at=1, collapse_id="c" * 32, notify_id=1)
    targets = tuple(
        Target(token=f"t-{d}", user="bob", device_id=d, push_id=push_id(SOURCE, "bob", d), vendor_id="v")
        for d in devices
    )
    return Push(notification=notification, targets=targets, now=0, origin=origin)


@pytest.mark.parametrize("group", [False, True])
def test_one_token_is_found_again_by_its_push_id(group: bool) -> None:
    """The echo of a push to one token says its PushID, its app and whether it was to a group."""
    echo = read_echo(echo_of(push("d1", origin=Origin(SOURCE, 1400000001, group))))
    assert echo == Echo(push_id=push_id(SOURCE, "bob", "d1"), group=group, app=1400000001)


@pytest.mark.parametrize("source", [SOURCE, "a.b.1/0/0", "m/0/7#12"])
def test_several_tokens_are_found_again_by_their_record(source: str) -> None:
    """The echo of a push to several tokens says the record: PushIDs are made of it, the user and the device."""
    assert read_echo(echo_of(push("d1", "d2", origin=Origin(source, 0, True)))) == Echo(
        source=source, group=True, app=0
    )


def test_a_push_from_no_record_has_its_push_id_alone() -> None:
    """`pushgw send` to one token: its reports can be told, the app is the configured one."""
    assert read_echo(echo_of(push("d1"))) == Echo(push_id=push_id(SOURCE, "bob", "d1"))


def test_an_echo_is_never_longer_than_the_strictest_vendor_takes() -> None:
    """64 bytes: a topic with a very long name gives way to the collapse id, which is read as nobody's."""
    fits = Origin("t" * (MAX_ECHO_BYTES - 8) + "/0/0", 0, False)
    assert len(echo_of(push("d1", "d2", origin=fits))) == MAX_ECHO_BYTES
    long = echo_of(push("d1", "d2", origin=Origin("t" * MAX_ECHO_BYTES + "/0/0", 0, False)))
    assert long == "c" * 32
    assert read_echo(long) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "..",
        "c" * 32,
        "m-1001",
        "marketing/spring/2027",
        "01J.1.0",
        "8" + "0" * 25,
        "0" * 25 + "U",
        "0" * 26 + ".3.0",
        "0" * 26 + ".1.x",
        "0" * 26 + ".1.",
        "0" * 26 + ".1." + "9" * 20,
        "0" * 26 + ".1.²",
        "t/0.1.0",
    ],
)
def test_what_we_did_not_send_is_nobodys(text: str) -> None:
    """Another system may push for the same app, with texts of its own: they are no echo of ours."""
    assert read_echo(text) is None


def test_no_repr_shows_a_token_or_a_key() -> None:
    """Reports and calls stand in tracebacks without what must not be seen."""
    report = Report(echo="e", token="secret-token", stage=Stage.ARRIVED)
    call = ReportCall(headers={"x": "secret-header"}, body=b"secret-body", key="secret-key")
    assert "secret" not in f"{report!r} {call!r}"


@pytest.mark.parametrize("value", [True, 0, -1, 1.5, "1795500000000", None, 10**30])
def test_what_is_no_time_of_day_is_none(value: object) -> None:
    """A vendor's time is epoch ms, and nothing else is taken for one: not a flag, a text, or a number beyond all years."""
    assert time_of(value) is None
    assert time_of(1_795_500_000_000) == 1_795_500_000_000
