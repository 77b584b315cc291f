"""``python -m tests.chaos``: run under a nemesis, judge, and say what was found; exit code 1 on any violation."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import random
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import msgspec

from tests.chaos.checker import judge
from tests.chaos.history import History, load, save
from tests.chaos.run import run
from tests.chaos.schedule import PROFILES, Profile
from tests.chaos.stage import StageError
from tests.chaos.summary import offenders, summary, table
from tests.real_kafka.broker import KafkaMissing
from tests.real_redis.server import RedisMissing


def main() -> int:
    """0: all is as promised; 1: a violation; 4: Kafka or another part could not be had."""
    wanted = _arguments()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # its brokers are killed on purpose
    if wanted.check:
        return _judge(load(wanted.check), wanted)
    seed = wanted.seed if wanted.seed is not None else random.randrange(1_000_000)
    profile = _profile(wanted)
    home = wanted.keep or Path(tempfile.mkdtemp(prefix="pushgw-chaos-"))
    home.mkdir(parents=True, exist_ok=True)
    print(
        f"chaos: profile {profile.name}, {profile.records} records, seed {seed}, files in {home}", flush=True
    )
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGINT, _interrupt)  # ignored by whatever a shell put in the background
    try:
        history = asyncio.run(run(profile, seed, home, wanted.state))
    except KeyboardInterrupt:
        print(f"chaos: interrupted; everything was stopped, files are in {home}", file=sys.stderr)
        return 1
    except (StageError, KafkaMissing, RedisMissing) as error:
        print(f"chaos: {error}", file=sys.stderr)
        return 4
    save(history, home)
    code = _judge(history, wanted)
    if code == 0 and wanted.keep is None:
        shutil.rmtree(home, ignore_errors=True)
    else:
        print(f"kept in {home}; judge again with: python -m tests.chaos --check {home}")
    return code


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _judge(history: History, wanted: argparse.Namespace) -> int:
    verdict = judge(history, may_give_up=wanted.may_give_up)
    facts = summary(history, verdict)
    print(json.dumps(facts) if wanted.json else table(facts))
    if wanted.json_file:
        wanted.json_file.write_text(json.dumps(facts, indent=1) + "\n")
    if verdict.violations:
        print(offenders(history, verdict), file=sys.stderr)
        print(
            f"chaos: {len(verdict.violations)} violations; --seed {history.setup.seed} repeats the schedule"
        )
        return 1
    return 0


def _profile(wanted: argparse.Namespace) -> Profile:
    profile = PROFILES[wanted.profile]
    given = {name: getattr(wanted, name) for name in ("records", "duration", "fault_share")}
    given["always"] = tuple(wanted.fault)
    return msgspec.structs.replace(profile, **{n: v for n, v in given.items() if v is not None})


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos",
        description="Example: python -m tests.chaos --profile short --seed 7 --keep /tmp/run",
    )
    parser.add_argument("--profile", choices=sorted(PROFILES), default="normal")
    parser.add_argument(
        "--seed", type=int, help="the same seed strikes at the same times; default: a new one"
    )
    parser.add_argument(
        "--state",
        default="redis",
        help="redis: a server of its own, and several gateways; sqlite: one gateway; or a state.url",
    )
    parser.add_argument("--records", type=int, help="instead of the profile's number")
    parser.add_argument("--duration", type=float, help="s of publishing instead of the profile's")
    parser.add_argument("--fault-share", type=float, help="mean share of vendor faults, 0...1")
    parser.add_argument(
        "--fault", action="append", default=[], help="one fault all the time, vendor=code:share"
    )
    parser.add_argument(
        "--may-give-up", action="store_true", help="a push that met vendor faults may be given up"
    )
    parser.add_argument("--keep", type=Path, help="folder for logs and histories")
    parser.add_argument("--check", type=Path, help="judge a kept folder again; runs nothing")
    parser.add_argument("--json", action="store_true", help="the summary as one object")
    parser.add_argument("--json-file", type=Path, help="write the summary there, too")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
