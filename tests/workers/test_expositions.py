"""Adding up Prometheus' text."""

from __future__ import annotations

from pushgw.workers.expositions import add_up, counters_only

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
OTHER = """# HELP pushed Pushes that a vendor took.
# TYPE pushed counter
pushed_total{vendor="oppo"} 1
pushed_total{vendor="apns"} 10
# HELP wait Waiting.
# TYPE wait histogram
wait_bucket{le="0.1"} 0
wait_bucket{le="+Inf"} 1
wait_sum 0.5
wait_count 1
# HELP lag Lag.
# TYPE lag gauge
lag{topic="a b"} 1.5
"""


def test_equal_series_are_added_and_families_stay_whole() -> None:
    """One HELP and TYPE a family, its series together, also those that only one text has."""
    assert add_up([ONE, OTHER]) == (
        "# HELP pushed Pushes that a vendor took.\n# TYPE pushed counter\n"
        'pushed_total{vendor="apns"} 15\npushed_total{vendor="fcm"} 2\npushed_total{vendor="oppo"} 1\n'
        "# HELP wait Waiting.\n# TYPE wait histogram\n"
        'wait_bucket{le="0.1"} 1\nwait_bucket{le="+Inf"} 3\nwait_sum 0.75\nwait_count 3\n'
        '# HELP lag Lag.\n# TYPE lag gauge\nlag{topic="a b"} 5.5\n'
    )


def test_the_sum_of_one_is_itself() -> None:
    """Nothing is lost on the way through."""
    assert add_up([ONE]) == ONE
    assert add_up([]) == ""


def test_only_what_rises_outlives_its_process() -> None:
    """Counters and histograms stay, with what is said of them; gauges go."""
    assert counters_only(ONE) == ONE[: ONE.index("# HELP lag")]
    assert (
        counters_only("# TYPE lag gauge\nlag 1\n# TYPE n counter\nn_total 2\n")
        == "# TYPE n counter\nn_total 2\n"
    )
