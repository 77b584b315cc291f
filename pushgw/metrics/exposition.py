"""A gateway's numbers in the Prometheus text format, read off when asked: nothing here runs while messages do."""

from __future__ import annotations

import platform
from collections.abc import Collection, Iterable, Iterator

from prometheus_client import ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from pushgw import __version__
from pushgw.credentials import CredentialDirectory, CredentialEntry
from pushgw.delivery.ending import End
from pushgw.delivery.health import Breaker
from pushgw.delivery.histogram import Histogram
from pushgw.delivery.lane import Lane
from pushgw.delivery.tally import REPORT_WORDS, SUPPRESSED_AS, Tally
from pushgw.gateway import Gateway
from pushgw.messages.errors import CODES
from pushgw.metrics import catalogue as c
from pushgw.metrics.catalogue import Kind, Metric
from pushgw.policy.reasons import Reason
from pushgw.policy.token_fate import TokenFate

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
OTHER = "other"
"""In place of a vendor's name that nothing bounds: a credential file may hold any."""
Row = tuple[tuple[str, ...], float]
"""Label values in the metric's order, and the number."""

_ACTIONS = tuple(end.value for end in End if end not in SUPPRESSED_AS and end is not End.DEFERRED)
_TOPICS = ("messages", "user_events", "retries")


def exposition(gateway: Gateway, book: CredentialDirectory, vendors: Collection[str] = ()) -> str:
    """Every metric of the catalogue. ``vendors``: names that may stand in a label, beside those of usable credentials."""
    known = {*vendors, *(e.vendor for e in book.entries.values() if e.adapter is not None)}
    families = [*_families(gateway, book, known), *ProcessCollector(registry=None).collect()]
    return text_of(families)


def text_of(families: Iterable[Family]) -> str:
    """Families as Prometheus reads them."""
    return generate_latest(_Ready(families)).decode()


class _Ready(Collector):
    """Families that are made already, for a library that wants to call for them."""

    def __init__(self, families: Iterable[Family]) -> None:
        self._families = families

    def collect(self) -> Iterable[Family]:
        return self._families


def _families(gateway: Gateway, book: CredentialDirectory, known: set[str]) -> Iterator[Family]:
    tally = gateway.tally
    yield from _traffic(tally, sorted(known))
    lanes = list(gateway.lanes.values())
    tiers = {**dict.fromkeys(gateway.tiers, 0), **tally.retries}
    yield _family(
        c.RETRIES, [(("lane",), gateway.repeats), *(((str(tier),), n) for tier, n in tiers.items())]
    )
    yield from _latencies(tally)
    yield from _lanes(lanes)
    yield from _credentials(book, known, gateway.good_pushes)
    yield from _guards(tally, book, known)
    yield from _condition(gateway)


def _traffic(tally: Tally, vendors: list[str]) -> Iterator[Family]:
    """What went through. Rows that may come stand at 0 from the start, so that a first failure is an increase."""
    received = {**dict.fromkeys(_TOPICS, 0), **tally.received}
    yield _family(c.RECEIVED, [((topic,), n) for topic, n in received.items()])
    yield _family(c.USER_EVENTS, [((), tally.user_events)])
    yield _family(c.RECALLS, [((), tally.recalls)])
    suppressed = {**tally.suppressed, Reason.MALFORMED.code: tally.dead_letters.total()}
    decisions = [(("push", "", ""), tally.decided_push)]
    decisions += [(("suppress", r.code, r.name), suppressed.get(r.code, 0)) for r in Reason]
    yield _family(c.DECISIONS, decisions)
    ended = {(vendor, action): 0 for vendor in vendors for action in _ACTIONS}
    ended |= tally.failed
    ended |= {(vendor, End.PUSHED.value): n for vendor, n in tally.pushed.items()}
    yield _family(c.PUSHES, list(ended.items()))
    dead = {(vendor, fate.value): 0 for vendor in vendors for fate in TokenFate}
    yield _family(c.DEAD_TOKENS, list((dead | tally.tokens).items()))
    yield _family(c.RECEIPTS, [((), tally.receipts)])
    told = {(vendor, word): 0 for vendor in vendors for word in REPORT_WORDS}
    yield _family(c.VENDOR_REPORTS, list((told | tally.vendor_reports).items()))
    letters = {**dict.fromkeys(CODES, 0), **tally.dead_letters}
    yield _family(c.DEAD_LETTERS, [((str(code),), n) for code, n in sorted(letters.items())])


def _latencies(tally: Tally) -> Iterator[Family]:
    yield _histogram(c.DECIDE_LATENCY, [((), tally.decide_latency)])
    yield _histogram(c.VENDOR_LATENCY, [((vendor,), h) for vendor, h in sorted(tally.vendor_latency.items())])
    yield _histogram(c.RECEIPT_LATENCY, [((), tally.receipt_latency)])
    yield _histogram(c.STATE_LATENCY, [((name,), h) for name, h in tally.state_latency.items()])


def _lanes(lanes: list[Lane]) -> Iterator[Family]:
    named = [((str(lane.entry.business_id), lane.entry.vendor), lane) for lane in lanes]
    yield _family(
        c.LANE_STATE,
        [((*name, s.value), lane.health.breaker is s) for name, lane in named for s in Breaker],
    )
    yield _family(c.LANE_PAUSED, [(name, lane.health.paused) for name, lane in named])
    yield _family(c.LANE_OPEN, [(name, lane.open) for name, lane in named])
    yield _family(c.LANE_IN_FLIGHT, [(name, lane.in_flight) for name, lane in named])
    yield _family(c.LANE_LIMIT, [(name, lane.health.limit) for name, lane in named])


def _credentials(book: CredentialDirectory, known: set[str], good: dict[int, float]) -> Iterator[Family]:
    entries = [(_name(entry, known), entry) for _, entry in sorted(book.entries.items())]
    yield _family(c.USABLE, [(name, entry.problem is None) for name, entry in entries])
    yield _family(c.STALE, [(name, entry.stale is not None) for name, entry in entries])
    yield _family(
        c.EXPIRY, [(name, entry.expires_at) for name, entry in entries if entry.expires_at is not None]
    )
    yield _family(
        c.LAST_GOOD,
        [(name, good[entry.business_id]) for name, entry in entries if entry.business_id in good],
    )


def _guards(tally: Tally, book: CredentialDirectory, known: set[str]) -> Iterator[Family]:
    """A row for each credential, so that the first trip is an increase."""
    entries = [(_name(entry, known), number) for number, entry in sorted(book.entries.items())]
    yield _family(c.GUARD_TRIPS, [(name, tally.guard_trips[number]) for name, number in entries])
    yield _family(c.TOKENS_HELD, [(name, tally.tokens_held.get(number, 0)) for name, number in entries])


def _condition(gateway: Gateway) -> Iterator[Family]:
    claims = gateway.tally.claims_held
    yield _family(c.CLAIMS, [] if claims is None else [((), claims)])
    names = {gateway.topics.messages: "messages", gateway.topics.user_events: "user_events"}
    lag = dict.fromkeys(_TOPICS, 0)
    ours = dict.fromkeys(_TOPICS, 0)
    for (topic, _), behind in gateway.partitions.items():
        kind = names.get(topic, "retries")
        ours[kind] += 1
        lag[kind] += behind or 0
    yield _family(c.LOST, [((), gateway.lost)])
    yield _family(c.LAG, [((kind,), n) for kind, n in lag.items()])
    yield _family(c.PARTITIONS, [((kind,), n) for kind, n in ours.items()])
    yield _family(c.OPEN_RECORDS, [((), gateway.open_records)])
    yield _family(c.PAUSED, [((), gateway.paused)])
    health = gateway.health
    yield _family(c.HEALTHY, [((part,), said == "ok") for part, said in health.items()])
    yield _family(c.READY, [((), all(said == "ok" for said in health.values()))])
    yield _family(c.BUILD, [((__version__, platform.python_version()), 1)])


def _name(entry: CredentialEntry, known: set[str]) -> tuple[str, str]:
    return str(entry.business_id), entry.vendor if entry.vendor in known else OTHER


def _family(metric: Metric, rows: Iterable[Row]) -> Family:
    make = CounterMetricFamily if metric.kind is Kind.COUNTER else GaugeMetricFamily
    family = make(metric.name, metric.sentence, labels=metric.labels)
    for values, number in rows:
        family.add_metric(values, float(number))
    return family


def _histogram(metric: Metric, rows: Iterable[tuple[tuple[str, ...], Histogram]]) -> Family:
    family = HistogramMetricFamily(metric.name, metric.sentence, labels=metric.labels)
    for values, histogram in rows:
        buckets = [
            ("+Inf" if bound is None else str(float(bound)), float(n)) for bound, n in histogram.cumulative()
        ]
        family.add_metric(values, buckets, histogram.sum)
    return family
