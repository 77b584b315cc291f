"""What several workers say becomes one exposition."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pushgw.metrics import CATALOGUE, Across, sum_expositions

ONE = """# HELP pushgw_receipts_total Receipts.
# TYPE pushgw_receipts_total counter
pushgw_receipts_total 3
# HELP pushgw_ready Ready.
# TYPE pushgw_ready gauge
pushgw_ready 1
# HELP pushgw_lane_in_flight_requests In flight.
# TYPE pushgw_lane_in_flight_requests gauge
pushgw_lane_in_flight_requests{credential="1",vendor="apns"} 7
# HELP pushgw_credential_expiry_timestamp_seconds End.
# TYPE pushgw_credential_expiry_timestamp_seconds gauge
pushgw_credential_expiry_timestamp_seconds{credential="1",vendor="apns"} 900
# HELP pushgw_claims_held Claims.
# TYPE pushgw_claims_held gauge
pushgw_claims_held 10
# HELP pushgw_receipt_latency_seconds Whole.
# TYPE pushgw_receipt_latency_seconds histogram
pushgw_receipt_latency_seconds_bucket{le="0.1"} 2
pushgw_receipt_latency_seconds_bucket{le="+Inf"} 3
pushgw_receipt_latency_seconds_count 3
pushgw_receipt_latency_seconds_sum 1.5
"""
OTHER = """# HELP pushgw_receipts_total Receipts.
# TYPE pushgw_receipts_total counter
pushgw_receipts_total 4
# HELP pushgw_ready Ready.
# TYPE pushgw_ready gauge
pushgw_ready 0
# HELP pushgw_lane_in_flight_requests In flight.
# TYPE pushgw_lane_in_flight_requests gauge
pushgw_lane_in_flight_requests{credential="1",vendor="apns"} 5
pushgw_lane_in_flight_requests{credential="2",vendor="fcm"} 1
# HELP pushgw_credential_expiry_timestamp_seconds End.
# TYPE pushgw_credential_expiry_timestamp_seconds gauge
pushgw_credential_expiry_timestamp_seconds{credential="1",vendor="apns"} 800
# HELP pushgw_claims_held Claims.
# TYPE pushgw_claims_held gauge
pushgw_claims_held 12
# HELP pushgw_receipt_latency_seconds Whole.
# TYPE pushgw_receipt_latency_seconds histogram
pushgw_receipt_latency_seconds_bucket{le="0.1"} 1
pushgw_receipt_latency_seconds_bucket{le="+Inf"} 1
pushgw_receipt_latency_seconds_count 1
pushgw_receipt_latency_seconds_sum 0.25
"""


def read(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (s.name, tuple(sorted(s.labels.items()))): s.value
        for family in text_string_to_metric_families(text)
        for s in family.samples
    }


def test_counters_and_histograms_are_added() -> None:
    """What the workers counted is what they counted together, bucket by bucket."""
    summed = read(sum_expositions([ONE, OTHER]))
    assert summed[("pushgw_receipts_total", ())] == 7
    assert summed[("pushgw_receipt_latency_seconds_bucket", (("le", "0.1"),))] == 3
    assert summed[("pushgw_receipt_latency_seconds_bucket", (("le", "+Inf"),))] == 4
    assert summed[("pushgw_receipt_latency_seconds_sum", ())] == 1.75


def test_gauges_are_joined_as_they_mean() -> None:
    """In flight is added; ready and a certificate's end are the worst of all; claims in one store are not counted twice."""
    summed = read(sum_expositions([ONE, OTHER]))
    lane = (("credential", "1"), ("vendor", "apns"))
    assert summed[("pushgw_lane_in_flight_requests", lane)] == 12
    assert summed[("pushgw_lane_in_flight_requests", (("credential", "2"), ("vendor", "fcm")))] == 1
    assert summed[("pushgw_ready", ())] == 0
    assert summed[("pushgw_credential_expiry_timestamp_seconds", lane)] == 800
    assert summed[("pushgw_claims_held", ())] == 12


def test_one_exposition_stays_as_it_is() -> None:
    """A single worker loses nothing, types and sentences included; the order is the catalogue's."""
    assert read(sum_expositions([ONE])) == read(ONE)
    assert "# TYPE pushgw_receipts_total counter" in sum_expositions([ONE])
    assert sorted(sum_expositions([ONE]).splitlines()) == sorted(
        line if line.startswith("#") or "." in line.rsplit(" ", 1)[1] else f"{line}.0"
        for line in ONE.splitlines()
    )


def test_sentences_may_stand_in_any_of_them() -> None:
    """What a dead worker had counted comes without sentences; those of the living are kept."""
    bare = "\n".join(line for line in OTHER.splitlines() if not line.startswith("# HELP")) + "\n"
    assert "# HELP pushgw_receipts_total Receipts." in sum_expositions([bare, ONE])


def test_what_is_no_exposition_is_refused() -> None:
    """A worker's error page is not added up as if it had numbers."""
    with pytest.raises(ValueError, match=r".+"):
        sum_expositions([ONE, "<html>not found</html>"])


def test_what_must_not_be_added_is_not() -> None:
    """States that say bad by 0, moments and constants are never sums."""
    across = {metric.name: metric.across for metric in CATALOGUE}
    assert (
        across["pushgw_ready"] is across["pushgw_healthy"] is across["pushgw_credential_usable"] is Across.MIN
    )
    assert across["pushgw_credential_expiry_timestamp_seconds"] is Across.MIN
    assert across["pushgw_build_info"] is Across.MAX
