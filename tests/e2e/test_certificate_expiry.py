"""A push certificate that is about to end is said everywhere; one that has ended asks no vendor."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import httpx
import pytest
import structlog
from typer.testing import CliRunner

from pushgw.assembly import credentials_of
from pushgw.cli import app
from pushgw.credentials.expiry import MEND
from pushgw.sandbox import Sandbox
from tests.e2e.certificate import write_certificate_credential

ENDING, ENDED, BRIEF = 9101, 9102, 9103
BRIEF_S = 20
"""What a gateway needs for its start, and some pushes, many times over."""
SERIES = 'pushgw_credential_{}{{credential="{}",vendor="apns"}}'


def metric(text: str, name: str, credential: int) -> float:
    [line] = [one for one in text.splitlines() if one.startswith(SERIES.format(name, credential))]
    return float(line.split()[1])


def device(number: int) -> dict[str, Any]:
    return {
        "Event": "Device.Put",
        "To_Account": f"u{number}",
        "EventTime": int(time.time() * 1000),
        "DeviceID": "d1",
        "BusinessID": number,
        "Platform": "ios",
        "Token": f"{number:064x}",
    }


@pytest.mark.parametrize("servers", ["embedded"], indirect=True)
async def test_20_days_left_is_a_warning_and_none_is_c4(rig: Any, message: Any, unused_tcp_port: int) -> None:
    """20 days: pushed, with a warning in the log, /readyz, `certs list` and a metric. Over: C4, and no request is sent."""
    certs = rig.home / "certs"
    write_certificate_credential(certs, ENDING, days=20.5, password="planted-20-days")
    good = credentials_of(rig.settings).accounts
    port = rig.sandbox.port
    await rig.sandbox.close()
    rig.sandbox = await Sandbox.start(good, port=port)
    write_certificate_credential(certs, ENDED, days=-0.5, password="planted-0-days")
    rig.gateway(PUSHGW_HTTP__LISTEN=f"127.0.0.1:{unused_tcp_port}")
    await rig.publish(device(ENDING), device(ENDED), topic=rig.topics.user_events)
    async with asyncio.timeout(60):
        while not await rig._known((f"u{ENDING}", f"u{ENDED}")):
            await asyncio.sleep(0.1)
    await rig.publish(message(f"u{ENDED}"), message(f"u{ENDING}"))
    receipts = {r["To_Account"]: r["PushGateway"] for r in await rig.collect(2)}
    assert receipts[f"u{ENDING}"]["Verdict"] == "pushed"
    over = receipts[f"u{ENDED}"]
    assert (over["Verdict"], over["Code"]) == ("suppressed", "C4")
    today = datetime.now(UTC)
    soon = f"expires in 20 days, on {(today + timedelta(days=20.5)).date()}; {MEND}"
    ended = f"expired on {(today - timedelta(days=0.5)).date()}"
    assert ended in over["Detail"]
    assert rig.sandbox.journal.of("apns").requests == 1

    lines = [json.loads(line) for line in rig.log().splitlines()]
    assert [(w["credential"], w["why"]) for w in lines if w["event"] == "credential_expires"] == [
        (ENDING, soon)
    ]
    assert any(w["level"] == "error" and ended in str(w) for w in lines)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{unused_tcp_port}", trust_env=False) as client:
        ready = await client.get("/readyz", headers={"accept": "application/json"})
        metrics = (await client.get("/metrics")).text
    assert (ready.status_code, ready.json()["credentials"][str(ENDING)]) == (200, soon)
    assert ended in ready.json()["credentials"][str(ENDED)]
    left = (metric(metrics, "expiry_timestamp_seconds", ENDING) - time.time()) / 86_400
    assert 20 < left < 20.5
    assert metric(metrics, "usable", ENDING) == 1
    assert metric(metrics, "usable", ENDED) == 0
    assert time.time() - metric(metrics, "last_good_push_timestamp_seconds", ENDING) < 60

    assert await rig.stop(rig.gateways[0]) == 0
    environ = {"PUSHGW_CREDENTIALS__DIRECTORY": str(certs), "PUSHGW_STATE__URL": rig.settings.state.url}
    call = partial(CliRunner().invoke, app, ["certs", "list", "--json"], env=environ)
    listed = await asyncio.to_thread(call)
    structlog.reset_defaults()
    rows = {row["BusinessID"]: row for row in json.loads(listed.stdout)["Credentials"]}
    assert (rows[ENDING]["DaysLeft"], rows[ENDING]["State"]) == (20, "warning")
    assert "expires in 20 days" in rows[ENDING]["Detail"]
    assert rows[ENDING]["LastGoodPush"] is not None
    assert rows[ENDED]["State"] == "unusable"
    assert rows[ENDED]["LastGoodPush"] is None


@pytest.mark.parametrize("servers", ["embedded"], indirect=True)
async def test_a_certificate_that_ends_while_the_gateway_runs(
    rig: Any, message: Any, unused_tcp_port: int
) -> None:
    """Until its last moment pushes go out, with a warning; from then on receipts say C4, and Apple sees no request more."""
    certs = rig.home / "certs"
    write_certificate_credential(certs, BRIEF, days=BRIEF_S / 86_400, password="planted-brief")
    port = rig.sandbox.port
    await rig.sandbox.close()
    rig.sandbox = await Sandbox.start(credentials_of(rig.settings).accounts, port=port)
    rig.gateway(PUSHGW_HTTP__LISTEN=f"127.0.0.1:{unused_tcp_port}")
    await rig.publish(device(BRIEF), topic=rig.topics.user_events)
    async with asyncio.timeout(60):
        while not await rig._known((f"u{BRIEF}",)):
            await asyncio.sleep(0.1)
    await rig.publish(*(message(f"u{BRIEF}") for _ in range(5)))
    before = list(await rig.collect(5))
    assert {r["PushGateway"]["Verdict"] for r in before} == {"pushed"}

    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{unused_tcp_port}", trust_env=False) as client:
        soon, metrics = await health(client)
        end = metric(metrics, "expiry_timestamp_seconds", BRIEF)
        assert metric(metrics, "usable", BRIEF) == 1
        assert soon.startswith("expires in less than a day")
        assert time.time() < end, f"this machine took more than {BRIEF_S} s for five pushes"
        while time.time() < end:
            await asyncio.sleep(min(0.05, max(end - time.time(), 0.001)))
        await rig.publish(*(message(f"u{BRIEF}") for _ in range(20)))
        after = (await rig.collect(25))[5:]
        assert {(r["PushGateway"]["Verdict"], r["PushGateway"]["Code"]) for r in after} == {
            ("suppressed", "C4")
        }
        ended = f"expired on {datetime.fromtimestamp(end, UTC).date()}; {MEND}"
        assert {r["PushGateway"]["Detail"].endswith(ended) for r in after} == {True}
        assert rig.sandbox.journal.of("apns").requests == 5

        async with asyncio.timeout(10):
            while (told := await health(client))[0] != ended:
                await asyncio.sleep(0.05)
        metrics = told[1]
        assert metric(metrics, "expiry_timestamp_seconds", BRIEF) == end
        assert metric(metrics, "usable", BRIEF) == 0
    lines = [json.loads(line) for line in rig.log().splitlines()]
    assert [w["why"] for w in lines if w["event"] == "credential_expired"] == [ended]


async def health(client: httpx.AsyncClient) -> tuple[str, str]:
    """What /readyz says of the credential, and all metrics."""
    ready = await client.get("/readyz", headers={"accept": "application/json"})
    assert ready.status_code == 200
    return ready.json()["credentials"][str(BRIEF)], (await client.get("/metrics")).text
