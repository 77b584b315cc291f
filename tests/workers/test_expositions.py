"""What of Prometheus' text outlives a worker."""

from __future__ import annotations

from pushgw.workers.expositions import counters_only

ONE = """# HELP pushed Pushes that a vendor took.
# TYPE pushed counter
pushed_total{vendor="apns"} 5
pushed_total{vendor="fcm"} 2
# HELP wait Waiting.
# TYPE wait histogram
wait_bucket{le="0.1"} 1
wait_bucket{le="+Inf"} 2
wait_sum 0.25
wait_count 2
# HELP lag Lag.
# TYPE lag gauge
lag{topic="a b"} 4
"""


def test_only_what_rises_outlives_its_process() -> None:
    """Counters and histograms stay, with what is said of them; gauges go."""
    assert counters_only(ONE) == ONE[: ONE.index("# HELP lag")]
    assert (
        counters_only("# TYPE lag gauge\nlag 1\n# TYPE n counter\nn_total 2\n")
        == "# TYPE n counter\nn_total 2\n"
    )
