"""``python -m bench [--scenario NAME] [--count N] [--seconds S] [--transport NAME] [--kafka SERVERS|apache] [--json]``."""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path

from bench import c2c_apns_sqlite, hanging_vendor
from tests.real_kafka.broker import ApacheKafka

THROUGHPUT, HANGING = "c2c-apns-sqlite", "hanging-vendor"
APACHE = "apache"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenario", choices=[THROUGHPUT, HANGING], default=THROUGHPUT)
    parser.add_argument("--count", type=int, default=20_000, help=f"messages ({THROUGHPUT})")
    parser.add_argument("--seconds", type=float, default=60.0, help=f"of each phase ({HANGING})")
    parser.add_argument(
        "--kafka",
        help=f"bootstrap servers, or '{APACHE}': one started for this run, with Java ({HANGING}); default: the embedded broker",
    )
    parser.add_argument(
        "--transport",
        choices=["native", "pyreqwest", "httpx"],
        default="native" if find_spec("pushgw_native") else "pyreqwest",
        help="the gateway's; default: native where its wheel is installed (make native), else pyreqwest",
    )
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pushgw-bench-") as home:
        if arguments.scenario == HANGING:
            _hanging(Path(home), arguments)
        else:
            _throughput(Path(home), arguments)


def _throughput(home: Path, arguments: argparse.Namespace) -> None:
    figures = asyncio.run(c2c_apns_sqlite.run(home, arguments.count, arguments.transport))
    if arguments.json:
        told = {"messages": arguments.count, "transport": arguments.transport, **figures}
        print(json.dumps({"scenario": THROUGHPUT, **told}))
        return
    print(f"scenario {THROUGHPUT}, {arguments.count} messages, one core for the gateway")
    print(f"transport of the gateway: {arguments.transport}\n")
    print(f"{'':24}{'CPU us/push':>14}{'pushes/s':>12}")
    print(f"{'bare pyreqwest loop':24}{figures['raw_cpu_us']:14.1f}{figures['raw_per_s']:12.0f}")
    print(f"{'gateway, end to end':24}{figures['gateway_cpu_us']:14.1f}{figures['gateway_per_s']:12.0f}")
    print(f"\nratio_to_raw {figures['ratio_to_raw']:.2f}  (CPU of the gateway over CPU of the bare loop)")


def _hanging(home: Path, arguments: argparse.Namespace) -> None:
    with ApacheKafka() if arguments.kafka == APACHE else nullcontext() as kafka:
        servers = arguments.kafka if kafka is None else kafka.servers
        figures = asyncio.run(hanging_vendor.run(home, arguments.seconds, arguments.transport, servers))
    if arguments.json:
        told = {"seconds": arguments.seconds, "transport": arguments.transport, **figures}
        print(json.dumps({"scenario": HANGING, **told}))
        return
    without = min(arguments.seconds, hanging_vendor.WITHOUT_S)
    print(
        f"scenario {HANGING}, {without:.0f} s without, {arguments.seconds:.0f} s beside a vendor that answers nothing"
    )
    print(
        f"transport of the gateway: {arguments.transport}; {figures['most_in_flight']:.0f} requests unanswered\n"
    )
    print(f"{'APNs, published to receipt':28}{'p50 ms':>10}{'p99 ms':>10}")
    for phase in ("without", "beside"):
        print(f"{phase:28}{figures[f'{phase}_p50_ms']:10.1f}{figures[f'{phase}_p99_ms']:10.1f}")
    print(f"\np99_ratio {figures['p99_ratio']:.2f}   most resident memory {figures['resident_mb']:.0f} MB")


if __name__ == "__main__":
    main()
