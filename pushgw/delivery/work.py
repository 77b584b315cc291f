"""A record while it is worked on: from admit until the ledger may forget it."""

from __future__ import annotations

from typing import Any

import msgspec

from pushgw.delivery.decide import handed_over
from pushgw.delivery.shipment import Shipment
from pushgw.messages.model import NotAMessage, OfflineMessage
from pushgw.messages.retries import Return


class Work(msgspec.Struct, kw_only=True):
    """One message record in hand. Mutable: counts down as receivers and devices end."""

    record: Any
    """The intake's Record; opaque here."""
    source: str
    """The coordinate of the *first* record: owner of claims, done marks and ids, also of what comes back."""
    message: OfflineMessage | NotAMessage
    returning: Return | None = None
    """Set on records that come back: retries, and replayed dead letters."""
    tier: int = 0
    """The wait of the retry topic that it came from, s; 0 for the first time."""
    deferred: bool = False
    """Some of its pushes went to a retry topic: the record is settled in parts."""
    open: int = 0
    """Receivers and devices without their terminal receipt."""
    closed: list[tuple[str, str]] = []
    """(user, device id or "") that ended and are not yet marked done."""
    raises: dict[str, int | None] = {}
    """Users whose badge a push raised, with the publisher's number where it gave one."""
    raised: set[str] = set()
    """Users whose badge this message has raised: it does so once, on however many devices."""
    badged: list[str] = []
    """Users who were given a badge number."""
    recall: bool = False
    """A recall that overwrites what is shown, and its source may carry the sequence behind the coordinate."""
    siblings: list[Work] = []
    """The other overwriting works of the same recall record: the record is settled with the last of them."""
    tombstones: tuple[str, ...] = ()
    shipments: list[Shipment] = []

    @property
    def attempt(self) -> int:
        """Which attempt this is, from 1; those before it were made for the same record earlier."""
        return self.returning.attempt if self.returning is not None else 1

    @property
    def first_seen_ms(self) -> int:
        """When the first record came, epoch ms."""
        return self.returning.first_seen_ms if self.returning is not None else int(self.record.timestamp_ms)

    @property
    def created_ms(self) -> int:
        """The same, but 0 where a record that comes back does not say."""
        return self.returning.created_ms if self.returning is not None else int(self.record.timestamp_ms)

    @property
    def names(self) -> dict[str, str]:
        """What a log line about it is found by: the first record's coordinate, and the message's key where it has one."""
        key = self.message.msg_key
        return {"source": self.source} if key is None else {"source": self.source, "msg_key": key}

    def close_one(self, user: str, device_id: str) -> None:
        """A receiver ("" for the device) or a device of it has its terminal receipt."""
        self.open -= 1
        self.closed.append((user, device_id))

    def hand_over(self, user: str, device_id: str) -> None:
        """A device's push goes to a retry topic: this record is through with it, the device is not."""
        self.close_one(user, handed_over(device_id, self.attempt))
        self.deferred = True

    @property
    def whole(self) -> bool:
        """Whether the record as a whole is settled once nothing is open: one mark is enough then."""
        return not self.deferred and (self.returning is None or self.returning.targets is None)

    def tombstone_of(self, user: str) -> str:
        """The key that a recall of the message for this user would write."""
        receivers = self.message.receivers
        return self.tombstones[receivers.index(user) if len(self.tombstones) == len(receivers) else 0]

    def cancel(self, tombstone: str) -> None:
        """The message was withdrawn, for all or for one receiver: what still waits in a lane is not sent."""
        receivers = self.message.receivers
        one = None if len(self.tombstones) < len(receivers) else receivers[self.tombstones.index(tombstone)]
        for shipment in self.shipments:
            for parcel in shipment.parcels:
                if one is None or parcel.user == one:
                    parcel.withdrawn = shipment.cancelled = True


class DeadLetter(msgspec.Struct, frozen=True):
    """A record that could not be read, on its way to the dead-letter topic."""

    record: Any
    headers: list[tuple[str, bytes]]
    code: int
