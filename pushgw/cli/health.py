"""/livez and /readyz of `pushgw run`: a sentence for each part, for machines and for people with curl."""

from __future__ import annotations

from pushgw.credentials import CredentialDirectory
from pushgw.gateway import Gateway
from pushgw.listener import Answer, Listener, json_answer
from pushgw.settings import HttpSettings


class Health(Listener):
    """What one gateway says about itself at ``http.listen``."""

    def __init__(self, settings: HttpSettings, gateway: Gateway, book: CredentialDirectory) -> None:
        super().__init__(settings.listen, self._answer)
        self._gateway = gateway
        self._book = book

    async def _answer(self, path: str) -> Answer:
        if path.startswith("/livez"):
            return json_answer(200, {"live": True})
        if path.startswith("/readyz"):
            return self._ready()
        return json_answer(404, {"error": "there are /livez and /readyz"})

    def _ready(self) -> Answer:
        parts: dict[str, object] = {
            "kafka": self._gateway.kafka_health,
            "receipts": self._gateway.outlet_health,
        }
        parts.update(self._gateway.troubles)
        ready = not self._gateway.troubles and parts["kafka"] == parts["receipts"] == "ok"
        parts["credentials"] = {
            str(e.business_id): e.problem or "ok" for _, e in sorted(self._book.entries.items())
        }
        return json_answer(200 if ready else 503, {"ready": ready, **parts})
