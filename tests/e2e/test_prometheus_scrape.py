"""A real Prometheus scrapes a real gateway: every metric that docs/metrics.md names has a value in it."""

from __future__ import annotations

import asyncio
import datetime
import re
import socket
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pushgw.settings import StateSettings

ROOT = Path(__file__).resolve().parents[2]
WAIT_S = 60.0
DAYS = 20
WORKERS = (1, 2)
"""How many processes are scraped through one endpoint; above 1 they share a Redis."""
pytestmark = [pytest.mark.prometheus, pytest.mark.parametrize("servers", ["embedded"], indirect=True)]


def documented() -> list[str]:
    """Names in the table of docs/metrics.md; a histogram by its count."""
    page = (ROOT / "docs" / "metrics.md").read_text("utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \|", page, re.MULTILINE)
    assert len(rows) > 30
    return [name + ("_count" if kind == "histogram" else "") for name, kind in rows]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def certificate_credential(certs: Path) -> None:
    """9101: an APNs credential by certificate, which ends in `DAYS` days."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.USER_ID, "com.example.im"),
            x509.NameAttribute(NameOID.COMMON_NAME, "Apple Push Services: com.example.im"),
        ]
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=DAYS))
        .sign(key, hashes.SHA256())
    )
    p12 = serialization.pkcs12.serialize_key_and_certificates(
        b"push", key, certificate, None, serialization.BestAvailableEncryption(b"sesame")
    )
    (certs / "push.p12").write_bytes(p12)
    (certs / "9101.toml").write_text(
        'business_id = 9101\nvendor = "apns"\n[credential]\np12_file = "push.p12"\npassword = "sesame"\n'
        'bundle_id = "com.example.im"\n'
    )


class Prometheus:
    """A running server and its query interface."""

    def __init__(self, program: str, home: Path, config: Path, port: int) -> None:
        self.client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False)
        self.log = home / "prometheus.log"
        options = [
            f"--config.file={config}",
            f"--storage.tsdb.path={home / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        with self.log.open("wb") as sink:
            self.process = subprocess.Popen([program, *options], stdout=sink, stderr=sink)

    async def close(self) -> None:
        await self.client.aclose()
        self.process.terminate()
        await asyncio.to_thread(self.process.wait, 30)

    async def query(self, expr: str) -> list[dict[str, Any]]:
        try:
            answer = await self.client.get("/api/v1/query", params={"query": expr})
        except httpx.TransportError:
            assert self.process.poll() is None, self.log.read_text()
            return []
        body = answer.json()
        assert body["status"] == "success", body
        result: list[dict[str, Any]] = body["data"]["result"]
        return result

    async def until(self, expr: str) -> list[dict[str, Any]]:
        """The answer to ``expr`` as soon as there is one."""
        async with asyncio.timeout(WAIT_S):
            while not (found := await self.query(expr)):
                await asyncio.sleep(0.2)
        return found


@pytest.fixture(params=WORKERS, ids=lambda count: f"workers-{count}")
async def scraped(
    request: pytest.FixtureRequest, prometheus: str, rig: Any, tmp_path: Path
) -> AsyncIterator[tuple[Prometheus, Any]]:
    """Gateways with /metrics on a free port, and a Prometheus that scrapes it every second under our own rules."""
    certificate_credential(rig.home / "certs")
    target, web = free_port(), free_port()
    if request.param > 1:
        url = request.getfixturevalue("redis_server").url
        rig.settings = rig.settings.model_copy(update={"state": StateSettings(url=url)})
    rig.gateway("--workers", str(request.param), PUSHGW_HTTP__LISTEN=f"127.0.0.1:{target}")
    config = tmp_path / "prometheus.yml"
    config.write_text(
        "global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}\n"
        f"rule_files: [{ROOT / 'deploy' / 'prometheus-alerts.yml'}]\n"
        "scrape_configs:\n"
        f"  - job_name: pushgw\n    static_configs: [{{targets: ['127.0.0.1:{target}']}}]\n"
    )
    server = Prometheus(prometheus, tmp_path, config, web)
    yield server, rig
    await server.close()


async def test_every_documented_metric_has_a_value(scraped: Any, message: Any) -> None:
    """After pushes, a suppression and a dead letter, Prometheus has a sample of each metric in the documented table."""
    server, rig = scraped
    await rig.put_devices("bob")
    await rig.publish(*(message("bob") for _ in range(5)), message("nobody"), b"no json")
    await rig.collect(6, dead_letters=1)
    await server.until("pushgw_receipts_total == 6")
    missing = [name for name in documented() if not await server.query(name)]
    assert missing == []
    [up] = await server.query("up")
    assert up["value"][1] == "1"


async def test_what_prometheus_has_is_what_happened(scraped: Any, message: Any) -> None:
    """Counts by label, the days that a certificate has left, lag back at 0, and rules that Prometheus evaluates."""
    server, rig = scraped
    await rig.put_devices("bob")
    await rig.publish(*(message("bob") for _ in range(5)), message("nobody"), b"no json")
    await rig.collect(6, dead_letters=1)
    await server.until('pushgw_pushes_total{vendor="apns",action="pushed"} == 5')
    assert await server.query('pushgw_decisions_total{code="B3",reason="NOT_LOGGED_IN"} == 1')
    assert await server.until('pushgw_dead_letters_total{code="90001"} == 1')
    [days] = await server.query(
        '(pushgw_credential_expiry_timestamp_seconds{credential="9101"} - time()) / 86400'
    )
    assert DAYS - 0.1 < float(days["value"][1]) <= DAYS
    assert await server.until('pushgw_consumer_lag_records{topic="messages"} == 0')
    assert await server.until('sum(pushgw_partitions_assigned{topic="messages"}) == 4')
    assert await server.query("pushgw_receipt_latency_seconds_count == 6")
    rules = (await server.client.get("/api/v1/rules")).json()["data"]["groups"][0]["rules"]
    assert {rule["health"] for rule in rules} <= {"ok", "unknown"}
    assert await server.until('ALERTS{alertname="PushgwCertificateEndsSoon",credential="9101"}')
