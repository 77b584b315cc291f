"""The alert rules, judged by promtool: each fires on the trouble it names and is silent when all is well."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pushgw.metrics import CATALOGUE
from pushgw.metrics.alerts import ALERTS

RULES = Path(__file__).resolve().parents[2] / "deploy" / "prometheus-alerts.yml"
MINUTES = 120
LANE = 'credential="1",vendor="apns"'
Series = dict[str, str]

WELL: Series = {
    'pushgw_build_info{job="p",instance="i"}': "1x120",
    'pushgw_healthy{part="kafka"}': "1x120",
    'pushgw_consumer_lag_records{topic="messages"}': "50x120",
    'pushgw_receipt_latency_seconds_bucket{le="0.5"}': "0+60x120",
    'pushgw_receipt_latency_seconds_bucket{le="+Inf"}': "0+60x120",
    'pushgw_vendor_latency_seconds_bucket{vendor="apns",le="0.5"}': "0+60x120",
    'pushgw_vendor_latency_seconds_bucket{vendor="apns",le="+Inf"}': "0+60x120",
    'pushgw_pushes_total{vendor="apns",action="pushed"}': "0+60x120",
    'pushgw_pushes_total{vendor="apns",action="dead"}': "0+30x120",
    'pushgw_pushes_total{vendor="apns",action="given_up"}': "0+1x120",
    f"pushgw_credential_usable{{{LANE}}}": "1x120",
    f"pushgw_credential_stale{{{LANE}}}": "0x120",
    f"pushgw_credential_expiry_timestamp_seconds{{{LANE}}}": f"{40 * 86_400}x120",
    f'pushgw_lane_state{{{LANE},state="open"}}': "0x120",
    f"pushgw_tokens_held{{{LANE}}}": "0x120",
    "pushgw_records_lost_total": "0x120",
    'pushgw_dead_letters_total{code="90001"}': "3x120",
    'pushgw_retries_total{tier="1800"}': "0x120",
    'pushgw_state_latency_seconds_bucket{operation="admit",le="0.05"}': "0+60x120",
    'pushgw_state_latency_seconds_bucket{operation="admit",le="+Inf"}': "0+60x120",
    "pushgw_intake_paused": "0 1 0 1x5 0x112",
    'process_open_fds{job="p",instance="i"}': "100x120",
    'process_max_fds{job="p",instance="i"}': "1000x120",
    'process_open_fds{job="other",instance="j"}': "999x120",
    'process_max_fds{job="other",instance="j"}': "1000x120",
}
"""All is well; a stranger's process is short of file descriptors."""

TROUBLE: dict[str, Series] = {
    "PushgwAbsent": {'pushgw_build_info{job="p",instance="i"}': "1x60"},
    "PushgwPartAway": {'pushgw_healthy{part="kafka"}': "1x60 0x60"},
    "PushgwBehind": {'pushgw_consumer_lag_records{topic="messages"}': "0+1000x120"},
    "PushgwLate": {'pushgw_receipt_latency_seconds_bucket{le="0.5"}': "0+50x120",
                   'pushgw_receipt_latency_seconds_bucket{le="300"}': "0+60x120"},
    "PushgwVendorSlow": {'pushgw_vendor_latency_seconds_bucket{vendor="apns",le="0.5"}': "0+50x120",
                         'pushgw_vendor_latency_seconds_bucket{vendor="apns",le="10"}': "0+60x120"},
    "PushgwPushesFail": {'pushgw_pushes_total{vendor="apns",action="given_up"}': "0+30x120"},
    "PushgwCredentialUnusable": {f"pushgw_credential_usable{{{LANE}}}": "0x120"},
    "PushgwCredentialStale": {f"pushgw_credential_stale{{{LANE}}}": "1x120"},
    "PushgwCertificateEndsSoon": {f"pushgw_credential_expiry_timestamp_seconds{{{LANE}}}": f"{20 * 86_400}x120"},
    "PushgwCertificateEnds": {f"pushgw_credential_expiry_timestamp_seconds{{{LANE}}}": f"{5 * 86_400}x120"},
    "PushgwBreakerOpen": {f'pushgw_lane_state{{{LANE},state="open"}}': "1x120"},
    "PushgwTokensKept": {f"pushgw_tokens_held{{{LANE}}}": "0x110 7x10"},
    "PushgwDeadLetters": {'pushgw_dead_letters_total{code="90001"}': "3x110 4x10"},
    "PushgwRecordsLost": {"pushgw_records_lost_total": "0x110 4x10"},
    "PushgwRetriesLinger": {'pushgw_retries_total{tier="1800"}': "0x110 4x10"},
    "PushgwStateSlow": {'pushgw_state_latency_seconds_bucket{operation="admit",le="0.05"}': "0+50x120",
                        'pushgw_state_latency_seconds_bucket{operation="admit",le="5"}': "0+60x120"},
    "PushgwIntakePaused": {"pushgw_intake_paused": "1x120"},
    "PushgwOpenFiles": {'process_open_fds{job="p",instance="i"}': "900x120"},
}  # fmt: skip
"""What makes each fire, in place of the same series when all is well."""
ALONG = {"PushgwCertificateEnds": {"PushgwCertificateEndsSoon"}}
"""Alerts that fire with another one."""


def test_rules_name_metrics_that_exist() -> None:
    """An alert on a metric that is not in the catalogue would be silent for ever."""
    names = {m.name for m in CATALOGUE} | {f"{m.name}_bucket" for m in CATALOGUE}
    for alert in ALERTS:
        assert set(re.findall(r"\b(?:pushgw|process)_\w+", alert.expr)) <= names, alert.name


def test_every_alert_has_a_trouble_here() -> None:
    """A new alert is not left untried."""
    assert list(TROUBLE) == [alert.name for alert in ALERTS]


@pytest.mark.prometheus
def test_promtool_takes_the_rules(promtool: str) -> None:
    """`promtool check rules` finds nothing to say against the file that we ship."""
    done = subprocess.run([promtool, "check", "rules", RULES], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"SUCCESS: {len(ALERTS)} rules found" in done.stdout


@pytest.mark.prometheus
def test_each_alert_fires_on_its_trouble_and_on_nothing_else(promtool: str, tmp_path: Path) -> None:
    """Two hours of series for each alert: it fires, and no other does; none fires when all is well."""
    tests = [_case("", {})]
    tests += [_case(name, series) for name, series in TROUBLE.items()]
    plan = {"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": tests}
    path = tmp_path / "alerts.json"  # YAML is a superset
    path.write_text(json.dumps(plan), "utf-8")
    done = subprocess.run([promtool, "test", "rules", path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _case(name: str, trouble: Series) -> dict[str, Any]:
    """After two hours, asked through ALERTS: the very alerts that fire."""
    series = {**WELL, **trouble}
    fires = {name, *ALONG.get(name, ())} - {""}
    return {
        "name": name or "all is well",
        "interval": "1m",
        "input_series": [{"series": key, "values": values} for key, values in series.items()],
        "promql_expr_test": [
            {
                "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
                "eval_time": f"{MINUTES}m",
                "exp_samples": [
                    {"labels": f'{{alertname="{alert}"}}', "value": 1} for alert in sorted(fires)
                ],
            }
        ],
    }
