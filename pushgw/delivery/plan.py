"""From deliveries to shipments: the same content under one credential travels together, up to the vendor's limit."""

from __future__ import annotations

from typing import Any

from pushgw.delivery.decide import Delivery
from pushgw.delivery.shipment import Parcel, Shipment
from pushgw.messages.receipts import push_ids
from pushgw.vendor.push import Origin, Target


def plan(work: Any, source: str, deliveries: list[Delivery], attempt: int = 1) -> list[Shipment]:
    """Shipments for one record (``work.message``) at its ``attempt``. A token is never twice in one shipment: vendors would show it twice."""
    if not deliveries:
        return []
    message = work.message
    origin = Origin(source, message.app, message.group_id is not None)
    if len(deliveries) == 1:
        delivery = deliveries[0]
        return [_shipment([delivery], [parcel(work, source, delivery)], attempt, origin)]
    groups: dict[tuple[int, int], list[Delivery]] = {}
    for delivery in deliveries:
        groups.setdefault((delivery.entry.business_id, id(delivery.notification)), []).append(delivery)
    shipments: list[Shipment] = []
    for group in groups.values():
        adapter = group[0].entry.adapter
        limit = adapter.batch_limit if adapter else 1
        for start in range(0, len(group), limit):
            chunk = group[start : start + limit]
            shipments.append(_shipment(chunk, [parcel(work, source, d) for d in chunk], attempt, origin))
    return shipments


def parcel(work: Any, source: str, delivery: Delivery) -> Parcel:
    """One device's share, with the ids that stay the same on every attempt and redelivery."""
    device = delivery.device
    push_id, vendor_id = push_ids(source, delivery.user, device.device_id)
    return Parcel(
        work=work,
        user=delivery.user,
        device=device,
        target=Target(
            token=device.token,
            user=delivery.user,
            device_id=device.device_id,
            push_id=push_id,
            vendor_id=vendor_id,
            platform=device.platform,
        ),
        unread=delivery.unread,
        counts=delivery.counts,
    )


def _shipment(chunk: list[Delivery], parcels: list[Parcel], attempt: int, origin: Origin) -> Shipment:
    tokens = (chunk[0].device.token,) if len(chunk) == 1 else tuple([d.device.token for d in chunk])
    return Shipment(
        entry=chunk[0].entry,
        notification=chunk[0].notification,
        parcels=parcels,
        tokens=tokens,
        origin=origin,
        attempt=attempt,
        first_attempt=attempt,
    )
