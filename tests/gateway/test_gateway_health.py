"""/livez, /readyz and /metrics over HTTP, in front of a real gateway."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
import structlog

from pushgw.cli.health import Health
from pushgw.credentials import CredentialDirectory, CredentialEntry
from pushgw.credentials.expiry import MEND
from pushgw.settings import HttpSettings
from pushgw.vendor import Summary
from pushgw.vendor.adapter import Account, Credential

NOW = 1_795_500_000.0
DAY = 86_400


class Dated(Credential):
    """A credential with an end."""

    ends: float

    def summary(self) -> Summary:
        return Summary(expires_at=self.ends)


@pytest.fixture
async def ask(plant: Any) -> AsyncIterator[Callable[..., Any]]:
    """GET a path of the plant's health server."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        listen = f"127.0.0.1:{probe.getsockname()[1]}"
    book = CredentialDirectory(dict(plant.book.entries), [], [])
    for number, ends in ((2, NOW + 12 * DAY), (3, NOW + 31 * DAY), (4, NOW - DAY), (6, NOW + 31 * DAY)):
        account = Account(business_id=number, vendor="plain", credential=Dated(ends=ends), cache={})
        book.entries[number] = CredentialEntry(number, "plain", adapter=plant.adapter, account=account)
    book.entries[3].stale = "3.toml: key_file: is missing"
    book.entries[5] = CredentialEntry(5, "plain", fault="5.toml: key_file: is missing")
    health = Health(HttpSettings(listen=listen), plant.gateway, book, clock=lambda: plant.now)
    async with health, httpx.AsyncClient(base_url=f"http://{listen}", trust_env=False) as client:

        async def get(path: str, **headers: str) -> httpx.Response:
            return await client.get(path, headers=headers)

        yield get


async def test_readyz_names_each_part_and_each_credential(ask: Any) -> None:
    """One line a part; a credential that cannot be used, was not replaced, or ends within 30 days has a sentence, and does not
    make us unready."""
    answer = await ask("/readyz")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.text.splitlines() == [
        "ready: yes",
        "kafka: ok",
        "state: ok",
        "receipts: ok",
        "credential 1: ok",
        f"credential 2: expires in 12 days, on 2026-12-06; {MEND}",
        "credential 3: ok, but its newest file is at fault and the one before it serves: 3.toml: key_file: is missing",
        f"credential 4: expired on 2026-11-23; {MEND}",
        "credential 5: 5.toml: key_file: is missing",
        "credential 6: ok",
    ]


async def test_readyz_is_json_for_who_asks_for_it(ask: Any) -> None:
    """`Accept: application/json` gives the same as one object."""
    answer = await ask("/readyz?verbose=1", Accept="application/json")
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert body["ready"] is True
    assert body["kafka"] == body["state"] == body["receipts"] == "ok"
    assert body["credentials"]["5"] == "5.toml: key_file: is missing"


@pytest.mark.parametrize("part", ["state", "receipts", "kafka"])
async def test_readyz_is_503_and_says_which_part_is_in_the_way(plant: Any, ask: Any, part: str) -> None:
    """While a part is away the answer is 503 with its sentence; the others stay ok, and we stay alive."""
    if part == "kafka":
        plant.intake.healthy = "no answer from Kafka at kafka:9092 for 7 s"
    else:
        plant.outlet.broken = part == "receipts"
        plant.state.away = part == "state"
        plant.intake.put({"From_Account": "a", "To_Account": "b", "MsgRandom": 1, "MsgBody": [
            {"MsgType": "TIMTextElem", "MsgContent": {"Text": "x"}}
        ]})  # fmt: skip
        await plant.until(lambda: part in plant.gateway.troubles)
    answer = await ask("/readyz", Accept="application/json")
    assert answer.status_code == 503
    body = answer.json()
    assert body["ready"] is False
    assert body[part] != "ok"
    assert [body[p] for p in ("kafka", "state", "receipts") if p != part] == ["ok", "ok"]
    assert (await ask("/livez")).status_code == 200
    plant.outlet.broken = plant.state.away = False
    await plant.until_idle()


async def test_livez_says_that_the_process_answers(ask: Any) -> None:
    """200 as long as the event loop turns."""
    assert (await ask("/livez")).text == "live: yes\n"
    assert (await ask("/livez", Accept="application/json")).json() == {"live": True}


async def test_metrics_are_served_as_prometheus_reads_them(ask: Any) -> None:
    """The text format with its version in the content type."""
    answer = await ask("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "# TYPE pushgw_pushes_total counter\n" in answer.text


async def test_other_paths_are_told_what_there_is(ask: Any) -> None:
    """Not found names what can be found; a longer path is not taken for the shorter."""
    assert (await ask("/livezzz")).status_code == 404
    assert "/readyz" in (await ask("/")).text


async def test_a_taken_port_does_not_stop_the_gateway(plant: Any) -> None:
    """It is said, with the mend."""
    with socket.socket() as taken, structlog.testing.capture_logs() as lines:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        async with Health(HttpSettings(listen=listen), plant.gateway, plant.book):
            pass
    assert [(line["event"], line["mend"]) for line in lines] == [
        ("health_not_served", "set http.listen to a free port")
    ]
