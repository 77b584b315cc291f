"""``python -m bench [--count N] [--transport NAME] [--json]``."""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
from importlib.util import find_spec
from pathlib import Path

from bench import c2c_apns_sqlite


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20_000, help="messages")
    parser.add_argument(
        "--transport",
        choices=["native", "pyreqwest", "httpx"],
        default="native" if find_spec("pushgw_native") else "pyreqwest",
        help="the gateway's; default: native where its wheel is installed (make native), else pyreqwest",
    )
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pushgw-bench-") as home:
        figures = asyncio.run(c2c_apns_sqlite.run(Path(home), arguments.count, arguments.transport))
    if arguments.json:
        told = {"messages": arguments.count, "transport": arguments.transport, **figures}
        print(json.dumps({"scenario": "c2c-apns-sqlite", **told}))
        return
    print(f"scenario c2c-apns-sqlite, {arguments.count} messages, one core for the gateway")
    print(f"transport of the gateway: {arguments.transport}\n")
    print(f"{'':24}{'CPU us/push':>14}{'pushes/s':>12}")
    print(f"{'bare pyreqwest loop':24}{figures['raw_cpu_us']:14.1f}{figures['raw_per_s']:12.0f}")
    print(f"{'gateway, end to end':24}{figures['gateway_cpu_us']:14.1f}{figures['gateway_per_s']:12.0f}")
    print(f"\nratio_to_raw {figures['ratio_to_raw']:.2f}  (CPU of the gateway over CPU of the bare loop)")


if __name__ == "__main__":
    main()
