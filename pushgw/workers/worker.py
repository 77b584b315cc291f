"""One worker: a process that is started, told to stop, and started again."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

import msgspec

from pushgw.workers.lifeline import Word
from pushgw.workers.restarts import Restarts

WRONG_CONFIGURATION = 3
"""Exit code of a worker that another try would not help."""


class Stage(StrEnum):
    """Where a worker is in its life."""

    RUNNING = "running"
    WAITING = "waiting"
    """Dead; starts again after a while."""
    ENDED = "ended"
    """Dead, and does not start again."""


class Death(msgspec.Struct, frozen=True):
    """How a process ended."""

    code: int
    """Exit code; minus the signal's number where a signal ended it."""
    lived: float
    """s"""
    stdout: bytes = b""
    why: str = ""
    """Where it could not be started at all."""

    @property
    def words(self) -> str:
        """ "exit code 1", "SIGKILL"."""
        if self.why:
            return self.why
        if self.code >= 0:
            return f"exit code {self.code}"
        with suppress(ValueError):
            return signal.Signals(-self.code).name
        return f"signal {-self.code}"


class Worker:
    """Worker ``number`` (from 1). Its health is at ``socket`` while it runs; its stderr is ours."""

    def __init__(
        self,
        number: int,
        command: Sequence[str],
        socket: Path,
        restarts: Restarts,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.number = number
        self.socket = socket
        self.restarts = restarts
        self.life = 0
        """Counts the processes."""
        self.stage = Stage.WAITING
        self.last: Death | None = None
        self._command = command
        self._clock = clock
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        """Of the running process."""
        return self._process.pid if self._process is not None else None

    async def live(self, started: Callable[[], None]) -> Death:
        """One life: start the process, call ``started``, and wait for its end. A cancelled call kills it."""
        self.socket.unlink(missing_ok=True)
        begin = self._clock()
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                start_new_session=True,  # a terminal's Ctrl-C is the supervisor's to pass on
            )
        except OSError as error:
            return self._ended(Death(-1, 0.0, why=f"it could not be started: {error}"))
        self._process, self.stage, self.life = process, Stage.RUNNING, self.life + 1
        try:
            started()
            assert process.stdout is not None  # noqa: S101  a pipe, as asked for above
            stdout = await process.stdout.read()
            code = await process.wait()
        finally:
            self.kill()
            self._process = None
        return self._ended(Death(code, self._clock() - begin, stdout))

    def tell(self, word: Word) -> None:
        """Say a word down its line. Nothing happens when it is dead."""
        if self._process is not None and self._process.stdin is not None:
            with suppress(OSError):
                self._process.stdin.write(word.encode() + b"\n")

    def kill(self) -> None:
        """SIGKILL, where it still runs."""
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()

    @property
    def state(self) -> str:
        """Where it is, in words."""
        if self.stage is Stage.RUNNING:
            return "running"
        if self.last is None:
            return "starting"
        if self.stage is Stage.ENDED:
            return f"ended ({self.last.words})"
        return f"died ({self.last.words}) and starts again"

    def _ended(self, death: Death) -> Death:
        self.last = death
        self.stage = Stage.WAITING
        return death
