"""What went through: plain counts for metrics, the demo's summary, logs and health. Told in batches, read when asked."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

from pushgw.delivery.ending import End, Ending
from pushgw.delivery.histogram import Histogram
from pushgw.policy.reasons import Reason
from pushgw.vendor.reports import Stage

_PUSHED = End.PUSHED
UNMATCHED, REFUSED = "unmatched", "refused"
REPORT_WORDS = (*(stage.value for stage in Stage), UNMATCHED, REFUSED)
"""What may stand beside the vendor in ``vendor_reports``."""
RECORD_BOUNDS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200)
"""From a record's time on: up to a consumer group that is hours behind."""
VENDOR_BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
STATE_BOUNDS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30)


class Tally:
    """Counts since the start of the process."""

    def __init__(self) -> None:
        self.received: Counter[str] = Counter()
        """Records by the kind of their topic: ``messages``, ``user_events``, ``retries``."""
        self.user_events = 0
        self.recalls = 0
        self.receipts = 0
        self.dead_letters: Counter[int] = Counter()
        """By code."""
        self.decided_push = 0
        """Devices for which the policy said push."""
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
        self.vendor_reports: Counter[tuple[str, str]] = Counter()
        """What vendors told later, by (vendor, what it was: a `Stage`, ``unmatched`` or ``refused``)."""
        self.claims_held: int | None = None
        """Dedup claims in the store, as last counted; None where the store cannot say."""
        self.decide_latency = Histogram(RECORD_BOUNDS_S)
        """From the record's time to the decision."""
        self.receipt_latency = Histogram(RECORD_BOUNDS_S)
        """From the record's time to the acknowledged receipt."""
        self.vendor_latency: defaultdict[str, Histogram] = defaultdict(lambda: Histogram(VENDOR_BOUNDS_S))
        """From the first sending to the outcome, by vendor."""
        self.state_latency = {name: Histogram(STATE_BOUNDS_S) for name in ("admit", "settle")}
        """One call for a batch, outages of the store included, by operation."""

    def ended(self, endings: list[Ending]) -> None:
        """Count what lanes have done."""
        pushed = [ending for ending in endings if ending.end is _PUSHED]
        vendors = {ending.entry.vendor for ending in pushed}
        for vendor in vendors:
            its = pushed if len(vendors) == 1 else [e for e in pushed if e.entry.vendor == vendor]
            self.pushed[vendor] += len(its)
            self.vendor_latency[vendor].observe_all_ms([e.latency_ms for e in its])
        if len(pushed) < len(endings):
            self._not_pushed(ending for ending in endings if ending.end is not _PUSHED)

    def _not_pushed(self, endings: Iterable[Ending]) -> None:
        for ending in endings:
            reason = SUPPRESSED_AS.get(ending.end)
            if reason is not None:
                self.suppressed[reason.code] += 1
                continue
            self.failed[(ending.entry.vendor, ending.end.value)] += 1
            if ending.sent_at:
                self.vendor_latency[ending.entry.vendor].observe(ending.latency_ms / 1000)


SUPPRESSED_AS = {
    End.UNUSABLE: Reason.CERT_UNUSABLE,
    End.REFUSED: Reason.CHANNEL_REJECT,
    End.RECALLED: Reason.RECALLED,
}
"""Endings in a lane that were never sent: they count and are reported as suppressed."""
