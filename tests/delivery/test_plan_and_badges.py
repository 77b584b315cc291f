"""Plan puts equal content under one credential together; badges count what is in flight."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from pushgw.delivery.badges import BadgeBook
from pushgw.delivery.decide import Delivery
from pushgw.delivery.plan import plan
from pushgw.policy.facts import Device
from pushgw.vendor.push import Notification

Make = Callable[..., Any]
RECORD = SimpleNamespace(message=SimpleNamespace(app=7, group_id=None))


def deliveries(entry: Any, count: int, notification: Notification) -> list[Delivery]:
    return [
        Delivery(
            f"u{n}",
            Device(device_id="d", business_id=entry.business_id, token=f"t{n}", put_ms=0),
            entry,
            notification,
            None,
            True,
        )
        for n in range(count)
    ]


def notification(body: str = "hi") -> Notification:
    return Notification(body=body, expires_at=1, collapse_id="c", notify_id=1)


def test_equal_content_travels_together_up_to_the_limit(entry: Make) -> None:
    """25 devices with the same content under a credential with a limit of 10 are three shipments, each device once."""
    same = notification()
    shipments = plan(RECORD, "t/0/0", deliveries(entry(), 25, same))
    assert [len(s.parcels) for s in shipments] == [10, 10, 5]
    assert len({p.user for s in shipments for p in s.parcels}) == 25
    assert all(s.tokens == tuple(p.target.token for p in s.parcels) for s in shipments)


def test_different_content_or_credentials_do_not_mix(entry: Make) -> None:
    """Two texts, or two credentials, are never in one shipment."""
    one, two = entry(1), entry(2)
    same, other = notification("a"), notification("b")
    mixed = deliveries(one, 2, same) + deliveries(one, 2, other) + deliveries(two, 2, same)
    shipments = plan(RECORD, "t/0/0", mixed)
    assert sorted((s.entry.business_id, s.notification.body, len(s.parcels)) for s in shipments) == [
        (1, "a", 2),
        (1, "b", 2),
        (2, "a", 2),
    ]


def test_ids_depend_on_record_user_and_device_alone(entry: Make) -> None:
    """Planned again after a redelivery the ids are the same; another record has others."""
    e = entry()
    ids = [
        [p.target.push_id for s in plan(RECORD, src, deliveries(e, 2, notification())) for p in s.parcels]
        for src in ("t/0/1", "t/0/1", "t/0/2")
    ]
    assert ids[0] == ids[1]
    assert set(ids[0]).isdisjoint(ids[2])


def test_numbers_go_on_while_pushes_are_in_flight() -> None:
    """The store's base counts only for a user with nothing in flight."""
    book = BadgeBook()
    assert [book.next(0, "bob", None, 4), book.next(0, "bob", None, 4)] == [5, 6]
    assert book.next(0, "bob", 20, 4) == 20
    assert book.next(0, "bob", None, 4) == 21
    assert book.next(1, "bob", None, 0) == 1


def test_a_user_is_forgotten_when_all_is_settled_and_swept() -> None:
    """Between release and sweep the number is still known: the store's answer may be older."""
    book = BadgeBook()
    book.next(0, "bob", None, 0)
    book.next(0, "bob", None, 0)
    book.release(0, "bob")
    book.sweep()
    assert book.next(0, "bob", None, 0) == 3
    book.release(0, "bob")
    book.release(0, "bob")
    assert book.next(0, "bob", None, 7) == 4
    book.release(0, "bob")
    book.sweep()
    assert book.next(0, "bob", None, 7) == 8
