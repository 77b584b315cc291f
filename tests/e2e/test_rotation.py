"""Certificates are rotated under load: nothing fails and nothing is lost, and a broken one changes nothing."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import Any

import pytest

from pushgw.sandbox import Sandbox, example_directory, with_endpoint


async def until_logged(rig: Any, event: str, count: int) -> None:
    """The gateway's log has the event so many times."""
    async with asyncio.timeout(30):
        while rig.log().count(f'"{event}"') < count:
            await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    ("servers", "rotations"),
    [("embedded", 4), pytest.param("apache", 20, marks=pytest.mark.kafka)],
    indirect=["servers"],
)
async def test_rotations_under_load_fail_and_lose_nothing(rig: Any, message: Any, rotations: int) -> None:
    """Pushes flow all the time while the credential is replaced by one for another server and back, and once by a
    broken file: every message is pushed, once, and both servers had their share."""
    other = await Sandbox.start(rig._example_accounts())
    rig.gateway()
    await rig.put_devices("bob", "carol")
    published: list[str] = []
    rotating = True

    async def flow() -> None:
        while rotating:
            published.extend(
                await rig.publish(*(message(user) for user in ("bob", "carol") for _ in range(5)))
            )
            await asyncio.sleep(0.05)

    started = time.monotonic()
    flowing = asyncio.create_task(flow())
    toml = rig.home / "certs" / "9001.toml"
    good = 0
    for n in range(rotations):
        before = toml.read_text()
        if n == rotations // 2:
            toml.write_text("<html>a page instead of a credential</html>")
            await until_logged(rig, "credential_not_replaced", 1)
            toml.write_text(before)
            await asyncio.sleep(2.5)
            continue
        there = other if n % 2 == 0 else rig.sandbox
        home = rig.home / f"material-{n}"
        with_endpoint(example_directory(), home, there.url, there.ca_pem)
        fresh = home / "fresh.toml"
        fresh.write_text((home / "9001.toml").read_text() + f"# rotation {n}\n")
        fresh.rename(toml)
        good += 1
        await until_logged(rig, "credential_replaced", good)
    least_s = 3.0 * rotations
    await asyncio.sleep(max(0.0, least_s - (time.monotonic() - started)))
    rotating = False
    await flowing
    seconds = time.monotonic() - started
    receipts = await rig.collect(len(published))
    await rig.quiet()
    verdicts = Counter((r["PushGateway"]["Verdict"], r["PushGateway"].get("Action")) for r in receipts)
    print(f"{seconds:.0f} s, {rotations} rotations, {len(published)} messages: {dict(verdicts)}")
    assert verdicts == {("pushed", None): len(published)}
    assert sorted(r["PushGateway"]["Source"] for r in receipts) == sorted(published)
    here, there_too = rig.sandbox.journal.of("apns").accepted, other.journal.of("apns").accepted
    assert here + there_too == len(published)
    assert min(here, there_too) > 0
    await other.close()
