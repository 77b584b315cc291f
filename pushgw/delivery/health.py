"""How a credential's vendor is doing: how much may be in flight, when to pause, when to stop trying for a while."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import StrEnum

import structlog

from pushgw.credentials import CredentialEntry
from pushgw.settings import DispatchSettings
from pushgw.vendor.push import Outcome

log = structlog.get_logger()

FIRST_LIMIT = 32
"""Requests in flight that a lane begins with."""
LEAST_LIMIT = 4
"""However slow a vendor is, so many go at once: with less, a slow vendor would look like a dead one."""
BACK_OFF = 0.5
"""What a throttled, slow or silent vendor leaves of the limit."""
LONGEST_PAUSE_S = 60.0
"""A vendor that asks for a longer pause than this is not waited for in memory."""
FIRST_PAUSE_S = 1.0
"""A vendor that throttles us and names no time is left alone for so long; each time in a row for twice as long."""
PROBE_AFTER_S = 30.0
"""A refused credential is tried again after this time, then after twice as long each time."""
LONGEST_PROBE_S = 900.0


class Breaker(StrEnum):
    """The states of a circuit breaker (Nygard, Release It!)."""

    CLOSED = "closed"
    OPEN = "open"
    """Nothing is sent."""
    HALF_OPEN = "half_open"
    """One request at a time, to see."""


class Health:
    """One lane's in-flight limit, pause and circuit breaker.

    The limit follows AIMD (additive increase, multiplicative decrease; Chiu and Jain 1989, as in Netflix's
    concurrency-limits): every answer in good time adds one while the limit is in use, up to ``dispatch.in_flight``; a
    throttled, slow or missing answer to a request that left after the last decrease halves it.
    """

    def __init__(
        self,
        entry: CredentialEntry,
        settings: DispatchSettings,
        *,
        clock: Callable[[], float],
        resume: Callable[[], None],
    ) -> None:
        """``resume`` is called when sending may go on after a pause or a break."""
        self._entry = entry
        self._settings = settings
        self._clock = clock
        self._resume = resume
        self._ceiling = settings.in_flight
        self._allowed = float(min(FIRST_LIMIT, settings.in_flight))
        self._decreased_at = 0.0
        self._failures = 0
        self._failing_since = 0.0
        self._break_s = settings.breaker_pause
        self._probe_s = PROBE_AFTER_S
        self._pause_s = FIRST_PAUSE_S
        self._pause: asyncio.TimerHandle | None = None
        self._probe: asyncio.TimerHandle | None = None
        self.breaker = Breaker.CLOSED
        self.limit = int(self._allowed)
        """Requests that may be in flight now, were it not for pause and breaker."""

    # --- may we send? ------------------------------------------------------------------------------------

    @property
    def paused(self) -> bool:
        """The vendor throttles us: nothing is sent for a moment."""
        return self._pause is not None

    @property
    def down(self) -> bool:
        """The vendor does not work at all: what is to be sent is not to wait in memory."""
        return self.breaker is Breaker.OPEN and self._entry.refused is None

    # --- what the vendor does ----------------------------------------------------------------------------

    def answered(self, count: int, in_flight: int, sent_at: float) -> None:
        """``count`` pushes were accepted, of which one left at ``sent_at``; so many requests had been in flight."""
        self._failures = 0
        if self.breaker is Breaker.HALF_OPEN:
            self._close()
        if self._pause is None:
            self._pause_s = FIRST_PAUSE_S
        if self._clock() - sent_at > self._settings.slow:
            self._decrease(sent_at)
        elif in_flight * 2 >= self.limit < self._ceiling:
            self._allowed = min(self._allowed + count, self._ceiling)
            self.limit = int(self._allowed)

    def failed(self, sent_at: float, why: str) -> None:
        """A temporary failure of a request that left at ``sent_at``. Many of them over some time open the breaker."""
        if self._failures == 0:
            self._failing_since = sent_at
        self._failures += 1
        self._decrease(sent_at)
        if self.breaker is Breaker.HALF_OPEN or (
            self.breaker is Breaker.CLOSED
            and self._failures >= self._settings.breaker_failures
            and self._clock() - self._failing_since >= self._settings.breaker_after
        ):
            self._open(why)

    def throttled(self, outcome: Outcome, sent_at: float) -> None:
        """The vendor throttles this credential: its lane, and no other, sends nothing for a while."""
        self._decrease(sent_at)
        if self._pause is not None:
            return
        wait = min(outcome.retry_after or self._pause_s, LONGEST_PAUSE_S)
        self._pause_s = min(self._pause_s * 2, LONGEST_PAUSE_S)
        log.warning("lane_paused", **self._who(), code=outcome.code, wait_s=wait)
        self._pause = asyncio.get_running_loop().call_later(wait, self.end_pause)

    def refused(self, outcome: Outcome, words: str) -> None:
        """The vendor refused the credential: C4 for what follows, until a probe after a while."""
        if self._entry.refused is not None:
            return
        self._entry.refused = f"{self._entry.vendor} refused the credential: {words}"
        log.error(
            "credential_refused",
            **self._who(),
            code=outcome.code,
            reason=outcome.reason,
            hint=outcome.hint,
            probe_after_s=self._probe_s,
        )
        self._break(self._probe_s)
        self._probe_s = min(self._probe_s * 2, LONGEST_PROBE_S)

    # --- time passes -------------------------------------------------------------------------------------

    def end_pause(self) -> None:
        """The pause is over."""
        if self._pause is not None:
            self._pause.cancel()
        self._pause = None
        self._resume()

    def probe(self) -> None:
        """The break is over: one push at a time may try; the first success closes the breaker."""
        if self._probe is not None:
            self._probe.cancel()
        self._probe = None
        self.breaker = Breaker.HALF_OPEN
        self._entry.refused = None
        self._allowed = 1.0
        self.limit = 1
        self._resume()

    def close(self) -> None:
        """Forget the timers."""
        for timer in (self._pause, self._probe):
            if timer is not None:
                timer.cancel()

    # --- inside ------------------------------------------------------------------------------------------

    def _decrease(self, sent_at: float) -> None:
        """Once for all that was in flight when the trouble began."""
        if sent_at <= self._decreased_at:
            return
        self._decreased_at = self._clock()
        if self.breaker is not Breaker.CLOSED:
            return
        self._allowed = max(float(min(LEAST_LIMIT, self._ceiling)), self._allowed * BACK_OFF)
        self.limit = int(self._allowed)

    def _open(self, why: str) -> None:
        log.error(
            "breaker_opened", **self._who(), why=why, failures=self._failures, probe_after_s=self._break_s
        )
        self._break(self._break_s)
        self._break_s = min(self._break_s * 2, self._settings.breaker_pause_max)

    def _break(self, seconds: float) -> None:
        self.breaker = Breaker.OPEN
        if self._probe is not None:
            self._probe.cancel()
        self._probe = asyncio.get_running_loop().call_later(seconds, self.probe)

    def _close(self) -> None:
        log.info("breaker_closed", **self._who())
        if self._probe is not None:
            self._probe.cancel()
            self._probe = None
        self._entry.refused = None
        self.breaker = Breaker.CLOSED
        self._break_s = self._settings.breaker_pause
        self._probe_s = PROBE_AFTER_S
        self._allowed = float(min(FIRST_LIMIT, self._ceiling))
        self.limit = int(self._allowed)

    def _who(self) -> dict[str, int | str]:
        return {"credential": self._entry.business_id, "vendor": self._entry.vendor}
