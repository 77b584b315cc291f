"""/livez and /readyz of `pushgw run`: a sentence for each part, for machines and for people with curl."""

from __future__ import annotations

from pushgw.credentials import CredentialDirectory
from pushgw.gateway import Gateway
from pushgw.listener import Listener, Page, page_of
from pushgw.settings import HttpSettings


class Health(Listener):
    """What one gateway says about itself at ``http.listen``."""

    def __init__(self, settings: HttpSettings, gateway: Gateway, book: CredentialDirectory) -> None:
        super().__init__(settings.listen, self.page)
        self._gateway = gateway
        self._book = book

    async def page(self, path: str, as_json: bool = False) -> Page:
        """What is answered under ``path``."""
        if path == "/livez":
            return page_of(200, {"live": True}, as_json)
        if path == "/readyz":
            return self._ready(as_json)
        return page_of(404, {"error": "there are /livez and /readyz"}, as_json)

    def _ready(self, as_json: bool) -> Page:
        parts: dict[str, object] = {
            "kafka": self._gateway.kafka_health,
            "receipts": self._gateway.outlet_health,
        }
        parts.update(self._gateway.troubles)
        ready = not self._gateway.troubles and parts["kafka"] == parts["receipts"] == "ok"
        parts["credentials"] = {
            str(e.business_id): e.problem or "ok" for _, e in sorted(self._book.entries.items())
        }
        return page_of(200 if ready else 503, {"ready": ready, **parts}, as_json)
