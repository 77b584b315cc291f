"""Repeated lines: what passes, what is counted, and when it is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

from pushgw.cli.log_sampler import KINDS, Sampler

log = structlog.get_logger()


class Bench:
    """A sampler under a clock and timers of the test, and the lines that came through."""

    def __init__(self) -> None:
        self.now = 0.0
        self.lines: list[dict[str, Any]] = []
        self.timers: list[tuple[float, Callable[[], None]]] = []
        self.sampler = Sampler(first=3, window=10.0, clock=lambda: self.now, timer=self._later)
        structlog.configure(processors=[self.sampler, structlog.processors.add_log_level, self._keep])

    def _later(self, delay: float, call: Callable[[], None]) -> None:
        self.timers.append((self.now + delay, call))

    def _keep(self, _logger: object, _method: str, line: Any) -> Any:
        self.lines.append(dict(line))
        raise structlog.DropEvent

    def wait(self, seconds: float) -> None:
        self.now += seconds
        due = [call for at, call in self.timers if at <= self.now]
        self.timers = [(at, call) for at, call in self.timers if at > self.now]
        for call in due:
            call()

    def told(self) -> list[dict[str, Any]]:
        return [line for line in self.lines if "more" in line]


@pytest.fixture
def bench() -> Iterator[Bench]:
    yield Bench()
    structlog.reset_defaults()


def refuse(times: int, **fields: Any) -> None:
    for number in range(times):
        log.error("push_refused", **{"credential": 9001, "code": "500", "source": f"t/0/{number}", **fields})


def test_the_first_pass_and_one_line_says_how_many_more(bench: Bench) -> None:
    """Of 315 equal lines three are written; when the window closes, one says "and 312 more in 10 s", at the same level."""
    refuse(315)
    assert [line["source"] for line in bench.lines] == ["t/0/0", "t/0/1", "t/0/2"]
    bench.wait(10)
    assert bench.lines[3:] == [
        {
            "event": "push_refused",
            "level": "error",
            "credential": 9001,
            "code": "500",
            "more": 312,
            "note": "and 312 more in 10 s",
        }
    ]


def test_no_line_is_needed_to_close_a_window(bench: Bench) -> None:
    """The timer tells it, also when nothing is logged any more; and only once."""
    refuse(5)
    bench.wait(10)
    refuse(1)
    bench.sampler.close()
    assert [line["more"] for line in bench.told()] == [2]


def test_a_new_window_lets_the_first_pass_again(bench: Bench) -> None:
    """A late timer does no harm: the next line closes the old window first."""
    refuse(5)
    bench.now = 11
    refuse(1)
    assert [line.get("more") for line in bench.lines] == [None, None, None, 2, None]
    bench.wait(0)
    assert len(bench.told()) == 1


@pytest.mark.parametrize(
    "other", [{"credential": 9002}, {"code": "503"}, {"vendor": "oppo"}, {"file": "1.toml"}]
)
def test_another_kind_has_its_own_window(bench: Bench, other: dict[str, Any]) -> None:
    """Another credential, code, vendor or file is another fact, and is not hidden by the first."""
    refuse(20)
    refuse(1, **other)
    assert bench.lines[-1]["source"] == "t/0/0"
    assert len(bench.lines) == 4


def test_few_lines_make_no_summary(bench: Bench) -> None:
    """Where nothing was left out nothing is told, and no timer runs."""
    refuse(3)
    assert bench.timers == []
    bench.wait(20)
    bench.sampler.close()
    assert len(bench.lines) == 3


def test_the_end_tells_what_is_open(bench: Bench) -> None:
    """A process that ends in the middle of a window says the rest."""
    refuse(9)
    bench.sampler.close()
    bench.sampler.close()
    assert [line["more"] for line in bench.told()] == [6]


def test_no_line_is_lost_between_passing_and_telling(bench: Bench) -> None:
    """Lines that passed and those that were told of are all lines."""
    for step in range(60):
        refuse(step % 7)
        bench.wait(1.7)
    bench.sampler.close()
    passed = sum(1 for line in bench.lines if "more" not in line)
    assert passed + sum(line["more"] for line in bench.told()) == sum(step % 7 for step in range(60))


def test_ever_new_codes_do_not_fill_memory(bench: Bench) -> None:
    """A vendor that puts a new code in each answer is sampled by the event alone; nothing grows without bound."""
    for number in range(3 * KINDS):
        log.error("push_refused", credential=1, code=f"made-up-{number}")
    assert len(bench.sampler._windows) <= KINDS + 1
    assert len(bench.lines) <= KINDS + 3
    bench.sampler.close()
    assert sum(line["more"] for line in bench.told()) + len(bench.lines) - len(bench.told()) == 3 * KINDS
