"""The runner of the real Kafka says what it lacks; needs neither Java nor Kafka."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).with_name("broker.py")


def test_a_missing_java_is_said_in_one_sentence(tmp_path: Path) -> None:
    """Without java on the PATH the script ends with code 4 and a sentence, not a traceback."""
    done = subprocess.run(
        [sys.executable, str(SCRIPT)],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 4
    assert done.stderr.startswith("`java` is not on the PATH")
    assert "Traceback" not in done.stderr


def test_a_missing_maven_is_said_when_the_jars_are_not_there(tmp_path: Path) -> None:
    """Maven is only asked for when the jars have to be fetched, and then by name."""
    java = tmp_path / "java"
    java.write_text("#!/bin/sh\n")
    java.chmod(0o755)
    checkout = tmp_path / "tests" / "real_kafka"
    checkout.mkdir(parents=True)
    script = checkout / "broker.py"
    script.write_text(SCRIPT.read_text("utf-8"), "utf-8")
    done = subprocess.run(
        [sys.executable, str(script)],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 4
    assert done.stderr.startswith("`mvn` is not on the PATH")
