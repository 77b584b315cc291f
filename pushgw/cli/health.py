"""/livez and /readyz of `pushgw run`: a sentence for each part, for machines and for people with curl."""

from __future__ import annotations

import asyncio
from types import TracebackType

import msgspec
import structlog

from pushgw.credentials import CredentialDirectory
from pushgw.gateway import Gateway
from pushgw.settings import HttpSettings

log = structlog.get_logger()
READ_TIMEOUT_S = 5.0


class Health:
    """A tiny HTTP/1.1 server, one request a connection. A port that is taken is said and does not stop the gateway."""

    def __init__(self, settings: HttpSettings, gateway: Gateway, book: CredentialDirectory) -> None:
        self._listen = settings.listen
        self._gateway = gateway
        self._book = book
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Health:
        if self._listen:
            host, _, port = self._listen.rpartition(":")
            try:
                self._server = await asyncio.start_server(self._answer, host.strip("[]"), int(port))
            except OSError as error:
                log.warning(
                    "health_not_served",
                    listen=self._listen,
                    why=str(error),
                    mend="set http.listen to a free port",
                )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), READ_TIMEOUT_S)
            status, body = self._route(head.split(b" ", 2)[1])
            payload = msgspec.json.encode(body)
            writer.write(
                b"HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%s"
                % (status, len(payload), payload)
            )
            await asyncio.wait_for(writer.drain(), READ_TIMEOUT_S)
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError, IndexError):
            log.debug("health_request_broken")
        finally:
            writer.close()

    def _route(self, path: bytes) -> tuple[bytes, dict[str, object]]:
        if path.startswith(b"/livez"):
            return b"200 OK", {"live": True}
        if path.startswith(b"/readyz"):
            return self._ready()
        return b"404 Not Found", {"error": "there are /livez and /readyz"}

    def _ready(self) -> tuple[bytes, dict[str, object]]:
        parts: dict[str, object] = {
            "kafka": self._gateway.kafka_health,
            "receipts": self._gateway.outlet_health,
        }
        parts.update(self._gateway.troubles)
        ready = not self._gateway.troubles and parts["kafka"] == parts["receipts"] == "ok"
        parts["credentials"] = {
            str(e.business_id): e.problem or "ok" for _, e in sorted(self._book.entries.items())
        }
        return (b"200 OK" if ready else b"503 Service Unavailable"), {"ready": ready, **parts}
