"""The sandbox: every vendor's emulator behind one local TLS server."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType

from pushgw.sandbox.authority import Authority, load_authority
from pushgw.sandbox.desk import Desk
from pushgw.sandbox.examples import example_directory, with_endpoint
from pushgw.sandbox.faults import FaultPlan, parse_faults
from pushgw.sandbox.journal import Journal
from pushgw.sandbox.postman import Postman
from pushgw.sandbox.server import Server, server_context
from pushgw.vendor.adapter import Account
from pushgw.vendor.emulator import Emulator
from pushgw.vendor.plugin import Vendor, installed_vendors

__all__ = ["Sandbox", "example_directory", "with_endpoint"]

_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


class Sandbox:
    """A running sandbox; close it, or use it as an async context manager."""

    def __init__(
        self,
        server: Server,
        host: str,
        authority: Authority,
        emulators: dict[str, Emulator],
        journal: Journal,
        postman: Postman | None = None,
    ) -> None:
        self._server = server
        self.port = server.port
        shown = "127.0.0.1" if host in ("", "0.0.0.0") else host  # noqa: S104  compared, not bound
        self.url = f"https://[{shown}]:{self.port}" if ":" in shown else f"https://{shown}:{self.port}"
        self.ca_pem = authority.ca_pem
        """What a client must trust: the value for ``with_endpoint``."""
        self.emulators = emulators
        self.journal = journal
        self.postman = postman
        """Who carries reports, where they are wanted."""

    @classmethod
    async def start(
        cls,
        accounts: Sequence[Account],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        faults: Sequence[str] = (),
        seed: int = 0,
        journal_file: Path | None = None,
        tls: Authority | None = None,
        reports_to: str | None = None,
        vendors: Mapping[str, Vendor] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> Sandbox:
        """Serve the emulators of ``vendors`` (default: all that are installed), each with its own of the ``accounts``.

        ``faults``: as ``--fault`` spells them. ``tls``: default, the example authority. ``reports_to``: base URL of a gateway that takes vendors' later reports. ``clock``: epoch s.
        Raises FaultSyntaxError, FileNotFoundError (no authority), OSError (address in use, journal not writable).
        """
        vendors = installed_vendors() if vendors is None else vendors
        plan = FaultPlan(parse_faults(faults, vendors), seed)
        authority = tls or load_authority(example_directory())
        context = server_context(authority, _client_certificates(accounts, vendors))
        emulators = {
            name: vendor.emulator([account for account in accounts if account.vendor == name])
            for name, vendor in vendors.items()
        }
        journal = Journal(journal_file)
        postman = Postman(reports_to) if reports_to else None
        for emulator in emulators.values():
            emulator.reporting = postman is not None
        desk = Desk(
            emulators,
            journal,
            plan,
            clock,
            partial(parse_faults, vendors=vendors),
            reports=postman.take if postman else None,
        )
        try:
            server = await Server.start(desk.respond, context, host, port)
        except OSError:
            journal.close()
            if postman is not None:
                await postman.close()
            raise
        return cls(server, host, authority, emulators, journal, postman)

    async def close(self) -> None:
        """Stop serving. The journal's lines and numbers stay readable."""
        await self._server.close()
        if self.postman is not None:
            await self.postman.close()
        self.journal.close()

    async def __aenter__(self) -> Sandbox:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


def _client_certificates(accounts: Sequence[Account], vendors: Mapping[str, Vendor]) -> list[bytes]:
    """The certificates (never the keys) that adapters would show for these accounts."""
    found: list[bytes] = []
    for account in accounts:
        if account.vendor in vendors:
            identity = vendors[account.vendor].adapter.tls(account).identity_pem
            found += _CERTIFICATE.findall(identity or b"")
    return found
