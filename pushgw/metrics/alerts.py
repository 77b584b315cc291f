"""What is worth waking somebody for: rules over the catalogue. deploy/prometheus-alerts.yml is made of this table."""

from __future__ import annotations

import json
from typing import Literal

import msgspec


class Alert(msgspec.Struct, frozen=True):
    """One rule. ``summary`` and ``mend`` are sentences; ``{{ }}`` in them is Prometheus's."""

    name: str
    severity: Literal["critical", "warning"]
    expr: str
    lasting: str
    """How long it must hold, such as ``5m``."""
    summary: str
    mend: str


ALERTS: tuple[Alert, ...] = (
    Alert(
        "PushgwAbsent",
        "critical",
        "absent(pushgw_build_info)",
        "2m",
        "No gateway is scraped.",
        "Look whether the process runs and whether `http.listen` can be reached.",
    ),
    Alert(
        "PushgwPartAway",
        "critical",
        "min by (part) (pushgw_healthy) == 0",
        "1m",
        "{{ $labels.part }} is in the way; records wait, nothing is lost.",
        "`/readyz` has the sentence.",
    ),
    Alert(
        "PushgwBehind",
        "warning",
        'sum by (topic) (pushgw_consumer_lag_records{topic!="retries"}) > 10000',
        "10m",
        "{{ $value }} records of {{ $labels.topic }} wait.",
        "Look at `pushgw_intake_paused` and at the lanes; add workers.",
    ),
    Alert(
        "PushgwLate",
        "warning",
        "histogram_quantile(0.99, sum by (le) (rate(pushgw_receipt_latency_seconds_bucket[5m]))) > 60",
        "10m",
        "One message in a hundred takes over a minute.",
        "Compare `pushgw_decide_latency_seconds` and `pushgw_vendor_latency_seconds`: the larger one says where.",
    ),
    Alert(
        "PushgwVendorSlow",
        "warning",
        "histogram_quantile(0.99, sum by (vendor, le) (rate(pushgw_vendor_latency_seconds_bucket[5m]))) > 5",
        "10m",
        "{{ $labels.vendor }} answers slowly.",
        "Other vendors are not delayed; look at the vendor's status page.",
    ),
    Alert(
        "PushgwPushesFail",
        "critical",
        'sum by (vendor) (rate(pushgw_pushes_total{action!~"pushed|dead"}[10m])) / sum by (vendor)'
        " (rate(pushgw_pushes_total[10m])) > 0.1",
        "10m",
        "More than a tenth of the pushes to {{ $labels.vendor }} fail.",
        "Receipts have the vendor's words; docs/reasons.md has the mend of each.",
    ),
    Alert(
        "PushgwCredentialUnusable",
        "critical",
        "min by (credential, vendor) (pushgw_credential_usable) == 0",
        "1m",
        "Credential {{ $labels.credential }} ({{ $labels.vendor }}) cannot be used; its devices get C4.",
        "`/readyz` and the log say why.",
    ),
    Alert(
        "PushgwCredentialStale",
        "warning",
        "max by (credential, vendor) (pushgw_credential_stale) > 0",
        "5m",
        "The new file of credential {{ $labels.credential }} ({{ $labels.vendor }}) is at fault; the old one serves.",
        "`/readyz` and the log say what is wrong with it.",
    ),
    Alert(
        "PushgwCertificateEndsSoon",
        "warning",
        "(min by (credential, vendor) (pushgw_credential_expiry_timestamp_seconds) - time()) / 86400 < 30",
        "1h",
        "The certificate of credential {{ $labels.credential }} ends in {{ $value | humanize }} days.",
        "Make a new one and put it in its place.",
    ),
    Alert(
        "PushgwCertificateEnds",
        "critical",
        "(min by (credential, vendor) (pushgw_credential_expiry_timestamp_seconds) - time()) / 86400 < 7",
        "1h",
        "The certificate of credential {{ $labels.credential }} ends in {{ $value | humanize }} days.",
        "Make a new one and put it in its place.",
    ),
    Alert(
        "PushgwBreakerOpen",
        "critical",
        'max by (credential, vendor) (pushgw_lane_state{state="open"}) > 0',
        "2m",
        "Nothing is sent under credential {{ $labels.credential }} ({{ $labels.vendor }}).",
        "The log's last line about the credential says why; it is tried again by itself.",
    ),
    Alert(
        "PushgwTokensKept",
        "critical",
        "max by (credential, vendor) (pushgw_tokens_held) > 0",
        "0m",
        "{{ $labels.vendor }} declares so many tokens of credential {{ $labels.credential }} dead that none is removed any more.",
        "Most often the credential is of another app or environment: check it, then `pushgw tokens review`.",
    ),
    Alert(
        "PushgwDeadLetters",
        "warning",
        "sum by (code) (increase(pushgw_dead_letters_total[15m])) > 0",
        "0m",
        "Records could not be read (code {{ $labels.code }}).",
        "The dead-letter topic has them with a sentence and the JSON path.",
    ),
    Alert(
        "PushgwRecordsLost",
        "critical",
        "increase(pushgw_records_lost_total[15m]) > 0",
        "0m",
        "Kafka deleted records before they were read.",
        "Raise the topic's retention, or find out why the gateway was behind for so long.",
    ),
    Alert(
        "PushgwRetriesLinger",
        "warning",
        'increase(pushgw_retries_total{tier="1800"}[30m]) > 0',
        "0m",
        "Pushes wait half an hour for their next attempt.",
        "A vendor has been away for minutes: look at the lanes and the vendor's status page.",
    ),
    Alert(
        "PushgwStateSlow",
        "warning",
        "histogram_quantile(0.99, sum by (operation, le) (rate(pushgw_state_latency_seconds_bucket[5m]))) > 0.5",
        "10m",
        "The state store takes long for {{ $labels.operation }}.",
        "Look at its disk or its server.",
    ),
    Alert(
        "PushgwIntakePaused",
        "warning",
        "min_over_time(pushgw_intake_paused[10m]) > 0",
        "0m",
        "No records have been taken for ten minutes because enough are open.",
        "A lane holds them: look at `pushgw_lane_open_requests`.",
    ),
    Alert(
        "PushgwOpenFiles",
        "warning",
        "process_open_fds / process_max_fds > 0.8 and on (job, instance) pushgw_build_info",
        "5m",
        "Four fifths of the allowed file descriptors are open.",
        "Raise the limit (LimitNOFILE).",
    ),
)


def rules_file() -> str:
    """The rules as Prometheus loads them."""
    lines = [
        "# Made from the code by `make docs`; docs/metrics.md explains each.",
        "groups:",
        "  - name: pushgw",
        "    rules:",
    ]
    for alert in ALERTS:
        lines += [
            f"      - alert: {alert.name}",
            f"        expr: {json.dumps(alert.expr)}",
            f"        for: {alert.lasting}",
            f"        labels: {{severity: {alert.severity}}}",
            "        annotations:",
            f"          summary: {json.dumps(alert.summary)}",
            f"          description: {json.dumps(alert.mend)}",
        ]
    return "\n".join(lines) + "\n"
