"""/livez, /readyz and /metrics of one gateway: a sentence for each part, for machines, for people with curl, for Prometheus."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from pushgw.credentials import CredentialDirectory, CredentialEntry
from pushgw.credentials.expiry import expiry_sentence, warned_at
from pushgw.gateway import Gateway
from pushgw.listener import Listener, Page, page_of
from pushgw.metrics import CONTENT_TYPE, exposition
from pushgw.settings import HttpSettings


class Health(Listener):
    """What one gateway says about itself at ``http.listen``."""

    def __init__(
        self,
        settings: HttpSettings,
        gateway: Gateway,
        book: CredentialDirectory,
        *,
        vendors: Collection[str] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``vendors``: names that may stand in a metric's label."""
        super().__init__(settings.listen, self.page)
        self._gateway = gateway
        self._book = book
        self._vendors = frozenset(vendors)
        self._clock = clock

    async def page(self, path: str, as_json: bool = False) -> Page:
        """What is answered under ``path``."""
        if path == "/metrics":
            return Page(200, CONTENT_TYPE, exposition(self._gateway, self._book, self._vendors).encode())
        if path == "/livez":
            return page_of(200, {"live": True}, as_json)
        if path == "/readyz":
            return self._ready(as_json)
        return page_of(404, {"error": "there are /livez, /readyz and /metrics"}, as_json)

    def _ready(self, as_json: bool) -> Page:
        """A bad credential costs its own devices, so none of them makes the gateway unready."""
        parts = self._gateway.health
        ready = all(said == "ok" for said in parts.values())
        now = self._clock()
        credentials = {str(n): _sentence(entry, now) for n, entry in sorted(self._book.entries.items())}
        return page_of(200 if ready else 503, {"ready": ready, **parts, "credentials": credentials}, as_json)


def _sentence(entry: CredentialEntry, now: float) -> str:
    """The word ok, or what an operator should know of a credential."""
    if entry.problem is not None:
        return entry.problem
    if entry.stale is not None:
        return f"ok, but its newest file is at fault and the one before it serves: {entry.stale}"
    end = entry.expires_at
    if end is None or (now < end and warned_at(end, now) is None):
        return "ok"
    return expiry_sentence(end, now)
