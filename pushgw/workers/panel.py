"""/livez, /readyz and /metrics of a supervisor: the worst of its workers, each by its number, and their sum."""

from __future__ import annotations

import asyncio

import httpx
import msgspec

from pushgw.listener import Page, page_of
from pushgw.workers.expositions import Add, Running
from pushgw.workers.worker import Stage, Worker

ASK_TIMEOUT_S = 4.0
"""Less than what a probe of Kubernetes or a scrape waits for, more than a busy worker needs."""


class Said(msgspec.Struct, frozen=True):
    """What one worker answered."""

    life: int
    status: int = 0
    kind: str = ""
    body: bytes = b""
    silent: bool = False
    """It took the question and did not answer in time."""


class Panel:
    """Asks every worker at once; its `page` is what a Listener serves."""

    def __init__(self, workers: tuple[Worker, ...], add: Add, *, timeout: float = ASK_TIMEOUT_S) -> None:
        """``add``: how expositions become one. ``timeout``: for a worker's answer, s."""
        self._workers = workers
        self._running = Running(add)
        self._timeout = timeout
        self._kind = "text/plain; version=0.0.4; charset=utf-8"

    async def page(self, path: str, as_json: bool = False) -> Page:
        """What is answered under ``path``."""
        if path == "/livez":
            return await self._livez(as_json)
        if path == "/readyz":
            return await self._readyz(as_json)
        if path == "/metrics":
            return await self._metrics()
        return page_of(404, {"error": "there are /livez, /readyz and /metrics"}, as_json)

    async def _livez(self, as_json: bool) -> Page:
        """A worker that hangs is not live. One that is dead is: the supervisor is about to start it again."""
        said = await self._ask("/livez")
        workers = {
            str(w.number): {"live": not one.silent, "process": self._process(w, one)}
            for w, one in said.items()
        }
        live = not any(one.silent for one in said.values())
        return page_of(200 if live else 503, {"live": live, "workers": workers}, as_json)

    async def _readyz(self, as_json: bool) -> Page:
        said = await self._ask("/readyz")
        workers = {str(w.number): self._readiness(w, one) for w, one in said.items()}
        ready = all(one.status == 200 for one in said.values())
        return page_of(200 if ready else 503, {"ready": ready, "workers": workers}, as_json)

    async def _metrics(self) -> Page:
        said = await self._ask("/metrics")
        answering = {w: one for w, one in said.items() if one.status == 200}
        for worker, one in answering.items():
            self._kind = one.kind
            self._running.heard(worker.number, one.life, one.body.decode())
        text = self._running.total({worker.number for worker in answering})
        return Page(200, self._kind, text.encode())

    def _readiness(self, worker: Worker, said: Said) -> dict[str, object]:
        try:
            own: dict[str, object] = msgspec.json.decode(said.body or b"{}", type=dict[str, object])
        except msgspec.DecodeError:
            own = {}
        return {"ready": said.status == 200, "process": self._process(worker, said), **own}

    def _process(self, worker: Worker, said: Said) -> str:
        if worker.stage is not Stage.RUNNING or said.status:
            return worker.state
        return f"no answer within {self._timeout:g} s" if said.silent else "starting"

    async def _ask(self, path: str) -> dict[Worker, Said]:
        answers = await asyncio.gather(*[self._ask_one(worker, path) for worker in self._workers])
        return dict(zip(self._workers, answers, strict=True))

    async def _ask_one(self, worker: Worker, path: str) -> Said:
        life = worker.life
        if worker.stage is not Stage.RUNNING:
            return Said(life)
        transport = httpx.AsyncHTTPTransport(uds=str(worker.socket))
        try:
            async with httpx.AsyncClient(transport=transport, timeout=self._timeout) as client:
                response = await client.get(f"http://worker{path}", headers={"accept": "application/json"})
        except httpx.TimeoutException:
            return Said(life, silent=True)
        except httpx.TransportError:  # it does not listen yet, or has just died
            return Said(life)
        kind = response.headers.get("content-type", "")
        return Said(life, response.status_code, kind, response.content)
