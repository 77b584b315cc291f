"""What went through: plain counts for the demo's summary, logs and health."""

from __future__ import annotations

from collections import Counter

from pushgw.delivery.lane import End, Ending
from pushgw.policy.reasons import Reason


class Tally:
    """Counts since the start of the process."""

    def __init__(self) -> None:
        self.received = 0
        self.user_events = 0
        self.recalls = 0
        self.receipts = 0
        self.dead_letters = 0
        self.suppressed: Counter[str] = Counter()
        """By reason code."""
        self.pushed: Counter[str] = Counter()
        """By vendor."""
        self.retries: Counter[int] = Counter()
        """Pushes handed to a retry topic, by its wait in s."""
        self.failed: Counter[tuple[str, str]] = Counter()
        """By (vendor, how it ended)."""
        self.tokens: Counter[tuple[str, str]] = Counter()
        """Tokens that a vendor called dead, by (vendor, what was done: `TokenFate`)."""
        self.guard_trips: Counter[int] = Counter()
        """How often a credential's token guard has tripped."""
        self.tokens_held: dict[int, int] = {}
        """Now: by credential whose guard is tripped, how many devices are held for review."""

    def ended(self, ending: Ending) -> None:
        """Count one ending."""
        if ending.end is End.PUSHED:
            self.pushed[ending.entry.vendor] += 1
        elif ending.end in SUPPRESSED_AS:
            self.suppressed[SUPPRESSED_AS[ending.end].code] += 1
        else:
            self.failed[(ending.entry.vendor, ending.end.value)] += 1


SUPPRESSED_AS = {
    End.UNUSABLE: Reason.CERT_UNUSABLE,
    End.REFUSED: Reason.CHANNEL_REJECT,
    End.RECALLED: Reason.RECALLED,
}
"""Endings in a lane that were never sent: they count and are reported as suppressed."""
