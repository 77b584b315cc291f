"""Keeps worker processes running until it is told to stop."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from pushgw.workers.lifeline import Word
from pushgw.workers.restarts import TRIES
from pushgw.workers.worker import WRONG_CONFIGURATION, Death, Stage, Worker

log = structlog.get_logger()

FAREWELL_S = 30.0
"""Beyond ``shutdown.grace``, what a worker may take to commit, leave the group and close."""
FAREWELL_NOW_S = 5.0
"""The same after the second signal."""


class Supervisor:
    """Starts every worker, starts the dead again, passes stops on. `run` returns the exit code."""

    def __init__(self, workers: Sequence[Worker], *, grace: float) -> None:
        """``grace``: what a worker takes to finish what is in flight, s."""
        self.workers = tuple(workers)
        self.deaths: dict[int, Death] = {}
        """How each worker ended, after `run`."""
        self._grace = grace
        self._stopping = asyncio.Event()
        self._hurried = False
        self._hopeless: int | None = None
        self._executioner: asyncio.TimerHandle | None = None

    async def run(self) -> int:
        """Until `stop`, or until no worker can live. 0: all ended well. Else why not: 3 wrong configuration, or the exit
        code of the last to fail, or 1."""
        try:
            async with asyncio.TaskGroup() as group:
                for worker in self.workers:
                    group.create_task(self._keep(worker))
        finally:
            if self._executioner is not None:
                self._executioner.cancel()
        if self._hopeless is not None:
            return self._hopeless
        return 1 if self._hurried or any(death.code for death in self.deaths.values()) else 0

    def stop(self) -> None:
        """Let every worker finish what is in flight."""
        self._stopping.set()
        self._tell(Word.STOP, self._grace + FAREWELL_S)

    def stop_now(self) -> None:
        """End every worker at once."""
        self._hurried = True
        self._stopping.set()
        self._tell(Word.NOW, FAREWELL_NOW_S)

    # --- one worker --------------------------------------------------------------------------------------

    async def _keep(self, worker: Worker) -> None:
        """Life after life of one worker."""
        while not self._stopping.is_set():
            death = await worker.live(lambda: self._started(worker))
            if self._stopping.is_set():
                self._note_end(worker, death)
                return
            if death.code == WRONG_CONFIGURATION:
                worker.stage = Stage.ENDED
                log.error(
                    "worker_given_up",
                    worker=worker.number,
                    why="wrong configuration (exit code 3); starting it again would not mend that",
                    mend="correct what it said, then restart pushgw",
                )
                self._judge(death)
                return
            await self._wait_for_next(worker, death)

    def _started(self, worker: Worker) -> None:
        log.info("worker_started", worker=worker.number, pid=worker.pid, starts=worker.life)
        if self._stopping.is_set():  # told while it was being made
            worker.tell(Word.NOW if self._hurried else Word.STOP)

    async def _wait_for_next(self, worker: Worker, death: Death) -> None:
        wait = worker.restarts.died(death.lived)
        failing = worker.restarts.failing
        log.error(
            "worker_failing" if failing else "worker_died",
            worker=worker.number,
            how=death.words,
            lived_s=round(death.lived, 1),
            starts_again_in_s=wait,
            **({"why": f"it has died {TRIES} times or more soon after its start"} if failing else {}),
        )
        self._judge(death)
        try:
            await asyncio.wait_for(self._stopping.wait(), wait)
        except TimeoutError:
            return

    def _note_end(self, worker: Worker, death: Death) -> None:
        worker.stage = Stage.ENDED
        self.deaths[worker.number] = death
        say = log.info if death.code == 0 else log.warning
        say("worker_ended", worker=worker.number, how=death.words, lived_s=round(death.lived, 1))

    # --- all of them -------------------------------------------------------------------------------------

    def _judge(self, death: Death) -> None:
        """When no worker can live there is nothing to supervise."""
        if self._stopping.is_set() or any(
            w.stage is not Stage.ENDED and not w.restarts.failing for w in self.workers
        ):
            return
        self._hopeless = death.code if 0 < death.code <= 4 else 1
        log.error(
            "no_worker_can_live",
            workers=len(self.workers),
            last=death.words,
            exit_code=self._hopeless,
            mend="see what the workers said before they died",
        )
        self.stop()

    def _tell(self, word: Word, patience: float) -> None:
        for worker in self.workers:
            worker.tell(word)
        if self._executioner is not None:
            self._executioner.cancel()
        self._executioner = asyncio.get_running_loop().call_later(patience, self._kill, patience)

    def _kill(self, patience: float) -> None:
        for worker in self.workers:
            if worker.pid is not None:
                log.error(
                    "worker_killed",
                    worker=worker.number,
                    pid=worker.pid,
                    why=f"not ended after {patience:.0f} s",
                )
                worker.kill()
