"""The desk: gives each request to the emulator that claims it, deals faults, and keeps the journal."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import structlog

from pushgw.sandbox.faults import EveryToken, Fault, FaultPlan, FaultRule
from pushgw.sandbox.journal import Journal
from pushgw.sandbox.pages import Pages
from pushgw.sandbox.reply import Breakage, Reply, sentence
from pushgw.sandbox.switchboard import Switchboard
from pushgw.vendor.emulator import Answer, Call, Emulator, Told
from pushgw.vendor.http import Response

_log = structlog.get_logger("pushgw.sandbox")


class Desk:
    """One for the whole sandbox. ``respond`` is what the connections call; it never raises."""

    def __init__(
        self,
        emulators: Mapping[str, Emulator],
        journal: Journal,
        faults: FaultPlan,
        clock: Callable[[], float],
        parse: Callable[[Iterable[str]], Sequence[FaultRule]] | None = None,
        reports: Callable[[Sequence[Told]], None] | None = None,
    ) -> None:
        """``reports``: who takes what emulators report later. ``parse``: what makes rules of spellings; with it faults can be changed over HTTP while the sandbox runs."""
        self._emulators = tuple(emulators.items())
        self._journal = journal
        self._faults = faults
        self._clock = clock
        self._reports = reports
        self._pages = Pages(journal, self.reset, Switchboard(faults, parse) if parse else None)

    def respond(self, call: Call) -> Reply:
        """The reply to one request."""
        for vendor, emulator in self._emulators:
            if emulator.claims(call.method, call.path):
                return self._ask(vendor, emulator, call)
        page = self._pages.answer(call)
        return Reply(page if page is not None else _unclaimed(call))

    def reset(self) -> None:
        """Forget the journal and every scripted code, and draw faults from the beginning. Issued tokens stay valid."""
        self._journal.reset()
        self._faults.restart()
        for _, emulator in self._emulators:
            emulator.scripted.clear()

    def _ask(self, vendor: str, emulator: Emulator, call: Call) -> Reply:
        self._journal.of(vendor).requests += 1
        fault = self._faults.draw(vendor)
        if fault is None:
            return Reply(self._handle(vendor, emulator, call))
        self._journal.note_fault(vendor, fault.spellings)
        return self._spoil(vendor, emulator, call, fault)

    def _spoil(self, vendor: str, emulator: Emulator, call: Call, fault: Fault) -> Reply:
        rule = fault.rule
        if rule is None:
            return Reply(self._handle(vendor, emulator, call), delay=fault.latency)
        if rule.breakage is Breakage.LOST:
            self._handle(vendor, emulator, call)
            return Reply(None, Breakage.DROP, fault.latency)
        if rule.breakage is not None:
            return Reply(None, rule.breakage, fault.latency)
        if rule.status is not None:
            return Reply(Response(status=rule.status), delay=fault.latency)
        scripted = emulator.scripted
        emulator.scripted = EveryToken(rule.code or "")
        try:
            return Reply(self._handle(vendor, emulator, call), delay=fault.latency)
        finally:
            emulator.scripted = scripted

    def _handle(self, vendor: str, emulator: Emulator, call: Call) -> Response:
        now = self._clock()
        try:
            answer: Answer = emulator.handle(call, now)
        except Exception as error:  # noqa: BLE001  an emulator is a plug-in; its defect is one request's, and loud
            _log.error("emulator_failed", vendor=vendor, error=type(error).__name__, at=_places(error))
            return sentence(
                500, f"The emulator of {vendor} failed ({type(error).__name__}); see the sandbox's log."
            )
        self._journal.note(answer.accepted, now)
        if answer.reports and self._reports is not None:
            self._reports(answer.reports)
        return answer.response


def _places(error: BaseException) -> str:
    """Where it was raised; without its words and the variables around it, which hold secrets of the request."""
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    return " < ".join(
        f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in reversed(frames)
    )


def _unclaimed(call: Call) -> Response:
    path = call.path.partition("?")[0]
    shown = path if len(path) <= 40 else path[:40] + "…"
    return sentence(404, f"No vendor of this sandbox has {call.method} {shown}.")
