"""The line before a lane: shipments in their order, none of them while an earlier one to the same device is open."""

from __future__ import annotations

from collections import deque

from pushgw.delivery.shipment import Shipment


class Line:
    """Knows who may go now. A shipment is in it from `join` until `leave`, also while it is in flight or waits for a repeat."""

    def __init__(self) -> None:
        self.ready: deque[Shipment] = deque()
        """Those that may go, the next one first."""
        self.open = 0
        """Shipments that have not left."""
        self._tails: dict[str, Shipment] = {}
        """The last one to each device token."""

    def join(self, shipment: Shipment) -> None:
        """At the end; it waits for those before it to the same devices."""
        self.open += 1
        tails = self._tails
        for token in shipment.tokens:
            before = tails.get(token)
            tails[token] = shipment
            if before is not None and before is not shipment:
                shipment.blockers += 1
                if before.followers is None:
                    before.followers = []
                before.followers.append(shipment)
        if shipment.blockers == 0:
            self.ready.append(shipment)

    def leave(self, shipment: Shipment) -> None:
        """It has ended: its devices' next ones may go."""
        self.open -= 1
        tails = self._tails
        for token in shipment.tokens:
            if tails.get(token) is shipment:
                del tails[token]
        if shipment.followers:
            for follower in shipment.followers:
                follower.blockers -= 1
                if follower.blockers == 0:
                    self.ready.append(follower)
            shipment.followers = None
