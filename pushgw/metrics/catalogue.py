"""Every metric: name, kind, labels, one sentence. docs/metrics.md is made of this table.

Labels are bounded by the code and by the operator's files: a topic's kind, a vendor, a credential's id, a reason, an action.
Never a user, a token or a message.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Kind(StrEnum):
    """As Prometheus knows them."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Across(StrEnum):
    """What one number stands for many workers."""

    SUM = "sum"
    MIN = "min"
    """Where one that is bad must show."""
    MAX = "max"
    """Where all say the same, or the largest matters."""


class Metric(msgspec.Struct, frozen=True):
    """One row. ``name`` as it is exposed, a counter's with ``_total``."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    sentence: str
    across: Across = Across.SUM


_COUNTER, _GAUGE, _HISTOGRAM = Kind.COUNTER, Kind.GAUGE, Kind.HISTOGRAM

RECEIVED = Metric(
    "pushgw_records_received_total",
    _COUNTER,
    ("topic",),
    "Records taken from Kafka, by the kind of topic: `messages`, `user_events`, `retries`.",
)
USER_EVENTS = Metric("pushgw_user_events_total", _COUNTER, (), "Records of user events that were applied.")
RECALLS = Metric("pushgw_recalls_total", _COUNTER, (), "Recall records that were applied.")
DECISIONS = Metric(
    "pushgw_decisions_total",
    _COUNTER,
    ("verdict", "code", "reason"),
    "Verdicts: `push` for each device that is to be pushed, `suppress` with code and reason of reasons.md for each receiver or"
    " device that is not; a device that a lane held back after all (A6, C4, C6) counts in both. A1 counts dead letters.",
)
PUSHES = Metric(
    "pushgw_pushes_total",
    _COUNTER,
    ("vendor", "action"),
    "Devices by what became of their push: `pushed`, `dead` (the vendor declared the token dead), `given_up`, `expired`,"
    " `credential_unusable`.",
)
DEAD_TOKENS = Metric(
    "pushgw_dead_tokens_total",
    _COUNTER,
    ("vendor", "action"),
    "Tokens that a vendor declared dead, by what was done: `token_removed`, `token_kept_newer` (the device has"
    " reported since), `token_kept_guard` (too many at once), `given_up` (the answer was about another token).",
)
GUARD_TRIPS = Metric(
    "pushgw_token_guard_trips_total",
    _COUNTER,
    ("credential", "vendor"),
    "How often so many of a credential's tokens died at once that none was removed any more.",
)
TOKENS_HELD = Metric(
    "pushgw_tokens_held",
    _GAUGE,
    ("credential", "vendor"),
    "Devices whose removal waits for `pushgw tokens review`.",
)
RETRIES = Metric(
    "pushgw_retries_total",
    _COUNTER,
    ("tier",),
    "Repeats: `lane` counts requests sent again in place after a moment, the others pushes put on the retry topic with this wait"
    " in seconds.",
)
RECEIPTS = Metric("pushgw_receipts_total", _COUNTER, (), "Receipts that Kafka acknowledged.")
VENDOR_REPORTS = Metric(
    "pushgw_vendor_reports_total",
    _COUNTER,
    ("vendor", "stage"),
    "What vendors told later of single pushes: `arrived`, `clicked`, `not_arrived`, `unmatched` (of no push of ours that can be"
    " told); and `refused`, requests that were not taken (a wrong signature, a broken body).",
)
DEAD_LETTERS = Metric(
    "pushgw_dead_letters_total", _COUNTER, ("code",), "Records put on the dead-letter topic, by error code."
)
DECIDE_LATENCY = Metric(
    "pushgw_decide_latency_seconds",
    _HISTOGRAM,
    (),
    "From the time of a message's record to its first decision: waiting in Kafka, decode, admit, decide.",
)
VENDOR_LATENCY = Metric(
    "pushgw_vendor_latency_seconds",
    _HISTOGRAM,
    ("vendor",),
    "From the first sending to the vendor to the push's outcome, repeats in place included.",
)
RECEIPT_LATENCY = Metric(
    "pushgw_receipt_latency_seconds",
    _HISTOGRAM,
    (),
    "The whole way: from the time of a message's first record to the acknowledged receipt, retries included.",
)
STATE_LATENCY = Metric(
    "pushgw_state_latency_seconds",
    _HISTOGRAM,
    ("operation",),
    "One call of the state store for a batch (`admit`, `settle`), waiting for a store that is away included.",
)
LANE_STATE = Metric(
    "pushgw_lane_state",
    _GAUGE,
    ("credential", "vendor", "state"),
    "Circuit breaker of a credential's lane: 1 for the state that it is in (`closed` lets through, `open`, `half_open`); of"
    " several workers: how many are in it.",
)
LANE_PAUSED = Metric(
    "pushgw_lane_paused",
    _GAUGE,
    ("credential", "vendor"),
    "1 while the vendor throttles the credential and its lane sends nothing; of several workers: how many.",
)
LANE_OPEN = Metric(
    "pushgw_lane_open_requests",
    _GAUGE,
    ("credential", "vendor"),
    "Requests in a lane that have not ended, those that wait included.",
)
LANE_IN_FLIGHT = Metric(
    "pushgw_lane_in_flight_requests",
    _GAUGE,
    ("credential", "vendor"),
    "Requests that are sent and not answered.",
)
LANE_LIMIT = Metric(
    "pushgw_lane_in_flight_limit",
    _GAUGE,
    ("credential", "vendor"),
    "How many requests of a lane may be in flight at once.",
)
USABLE = Metric(
    "pushgw_credential_usable",
    _GAUGE,
    ("credential", "vendor"),
    "1 where the credential can be used, 0 where its devices get C4.",
    Across.MIN,
)
STALE = Metric(
    "pushgw_credential_stale",
    _GAUGE,
    ("credential", "vendor"),
    "1 where the newest file of a credential is at fault and the one before it goes on serving.",
    Across.MAX,
)
EXPIRY = Metric(
    "pushgw_credential_expiry_timestamp_seconds",
    _GAUGE,
    ("credential", "vendor"),
    "When a credential that has an end (a certificate) ends; days left: `(this - time()) / 86400`.",
    Across.MIN,
)
LAST_GOOD = Metric(
    "pushgw_credential_last_good_push_timestamp_seconds",
    _GAUGE,
    ("credential", "vendor"),
    "When a push of the credential was last accepted, also before a restart; no row where none ever was.",
    Across.MAX,
)
CLAIMS = Metric(
    "pushgw_claims_held",
    _GAUGE,
    (),
    "Dedup claims in the state store, once a minute; SQLite counts up to 1,000,000, Redis reckons from a sample, a cluster does not"
    " say.",
    Across.MAX,
)
LOST = Metric(
    "pushgw_records_lost_total",
    _COUNTER,
    (),
    "Records that Kafka's retention deleted before they were read.",
)
LAG = Metric(
    "pushgw_consumer_lag_records",
    _GAUGE,
    ("topic",),
    "Records between the first unsettled one and the end of the topic, over the partitions that are ours; those of `retries` wait on"
    " purpose.",
)
PARTITIONS = Metric("pushgw_partitions_assigned", _GAUGE, ("topic",), "Partitions that are ours.")
OPEN_RECORDS = Metric("pushgw_records_open", _GAUGE, (), "Records taken and not yet settled.")
PAUSED = Metric(
    "pushgw_intake_paused",
    _GAUGE,
    (),
    "1 while no records are taken because enough are open; of several workers: how many.",
)
HEALTHY = Metric(
    "pushgw_healthy",
    _GAUGE,
    ("part",),
    "1 where the part is well, 0 where `/readyz` has a sentence on it: `kafka`, `state`, `receipts`.",
    Across.MIN,
)
READY = Metric("pushgw_ready", _GAUGE, (), "1 where `/readyz` says ready.", Across.MIN)
BUILD = Metric("pushgw_build_info", _GAUGE, ("version", "python"), "Always 1.", Across.MAX)

CATALOGUE: tuple[Metric, ...] = (
    RECEIVED,
    USER_EVENTS,
    RECALLS,
    DECISIONS,
    PUSHES,
    DEAD_TOKENS,
    RETRIES,
    RECEIPTS,
    VENDOR_REPORTS,
    DEAD_LETTERS,
    DECIDE_LATENCY,
    VENDOR_LATENCY,
    RECEIPT_LATENCY,
    STATE_LATENCY,
    LANE_STATE,
    LANE_PAUSED,
    LANE_OPEN,
    LANE_IN_FLIGHT,
    LANE_LIMIT,
    USABLE,
    STALE,
    EXPIRY,
    LAST_GOOD,
    GUARD_TRIPS,
    TOKENS_HELD,
    CLAIMS,
    LOST,
    LAG,
    PARTITIONS,
    OPEN_RECORDS,
    PAUSED,
    HEALTHY,
    READY,
    BUILD,
    Metric(
        "process_cpu_seconds_total",
        _COUNTER,
        (),
        "Processor time, user and system. Linux, as all `process_`.",
    ),
    Metric("process_resident_memory_bytes", _GAUGE, (), "Resident memory."),
    Metric("process_virtual_memory_bytes", _GAUGE, (), "Virtual memory."),
    Metric("process_open_fds", _GAUGE, (), "Open file descriptors."),
    Metric("process_max_fds", _GAUGE, (), "How many may be open.", Across.MIN),
    Metric("process_start_time_seconds", _GAUGE, (), "When the process started, epoch s.", Across.MIN),
)
"""In the order in which they are exposed."""
