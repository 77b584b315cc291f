"""The log of a real process: repeated lines are sampled, and what was left out is told before the process is gone."""

from __future__ import annotations

import json
from typing import Any

import pytest


@pytest.mark.parametrize("servers", ["embedded"], indirect=True)
async def test_a_flood_of_bad_records_is_a_few_lines(rig: Any, message: Any) -> None:
    """40 records that are no JSON: five lines with their sources, and lines that sum up to the other 35."""
    gateway = rig.gateway()
    await rig.put_devices("bob")
    await rig.publish(*(b"junk" for _ in range(40)), message("bob"))
    await rig.collect(1, dead_letters=40)
    assert await rig.stop(gateway) == 0
    lines = [json.loads(line) for line in rig.log().splitlines() if '"dead_letter"' in line]
    told = [line for line in lines if "more" in line]
    written = [line for line in lines if "more" not in line]
    assert sum(line["more"] for line in told) + len(written) == 40
    assert 5 <= len(written) <= 10
    assert all(line["source"] for line in written)
    assert told[0]["note"] == f"and {told[0]['more']} more in 10 s"
