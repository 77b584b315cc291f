"""The baseline: a bare pyreqwest loop under uvloop that posts the same requests to the same server.

Run as its own process: ``python -m bench.raw URL CA_FILE COUNT IN_FLIGHT``; prints one JSON object.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from datetime import timedelta
from pathlib import Path

import uvloop
from pyreqwest.client import Client, ClientBuilder

BODY = json.dumps(
    {"aps": {"alert": {"body": "Alice:Lunch at noon? Number 12345"}, "badge": 3, "thread-id": "C2C_alice"}},
    separators=(",", ":"),
).encode()
HEADERS = {
    "authorization": "bearer " + "x" * 180,
    "apns-topic": "com.example.im",
    "apns-push-type": "alert",
    "apns-priority": "10",
}


async def main(url: str, ca_file: str, count: int, in_flight: int) -> None:
    builder = ClientBuilder().http2_prior_knowledge().add_root_certificate_pem(Path(ca_file).read_bytes())
    tokens = [path.name for path in Path(sys.argv[5]).iterdir()][:2000]
    async with builder.timeout(timedelta(seconds=10)).build() as client:

        async def worker(first: int) -> None:
            for number in range(first, count, in_flight):
                request = client.post(f"{url}/3/device/{tokens[number % len(tokens)]}").headers(HEADERS)
                request = request.header("apns-id", f"123e4567-e89b-12d3-a456-{number:012d}")
                request = request.header("apns-expiration", "1796000000").header(
                    "apns-collapse-id", f"{number:032x}"
                )
                response = await request.body_bytes(BODY).build().send()
                if response.status != 200:
                    raise SystemExit(f"the server answered {response.status}")

        await worker_warm(client, url, tokens)
        before, started = _cpu(), time.perf_counter()
        await asyncio.gather(*(worker(n) for n in range(in_flight)))
        wall, cpu = time.perf_counter() - started, _cpu() - before
    print(json.dumps({"cpu_us": cpu / count * 1e6, "per_s": count / wall}))


async def worker_warm(client: Client, url: str, tokens: list[str]) -> None:
    """Connect before the clock starts."""
    response = await client.post(f"{url}/3/device/{tokens[0]}").body_bytes(BODY).build().send()
    if response.status != 200:
        raise SystemExit(f"the server answered {response.status}")


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
