"""Both vendors over real TLS: the sandbox hosts their emulators as it hosts pushgw's own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from pushgw.credentials import load_directory
from pushgw.sandbox import Journal, Sandbox, with_endpoint
from pushgw.vendor import Account, Action, AsyncSender, Outcome, Vendor, transport_named
from pushgw.vendor.testing import Subject

from pushgw_vendor_webhook import webhook, webpush
from pushgw_vendor_webhook.webpush.emulator import sandbox_subscription

CERTS = Path(__file__).resolve().parent.parent / "certs.example"
VENDORS: dict[str, Vendor] = {"webhook": webhook.vendor, "webpush": webpush.vendor}
TOKENS = {"webhook": "device-1", "webpush": sandbox_subscription("browser-1")}


def loaded(directory: Path) -> dict[str, Account]:
    """Vendor -> its account; no fault, no warning but that everyone may read a checkout."""
    book = load_directory(directory, VENDORS)
    warnings = [warning for warning in book.warnings if "can read it" not in warning.sentence]
    assert (book.faults, warnings) == ([], [])
    return {account.vendor: account for account in book.accounts}


async def sent(name: str, copy: Path, faults: Sequence[str] = ()) -> tuple[Outcome, Journal]:
    """What becomes of one push that goes through a sandbox of its own."""
    adapter, now = VENDORS[name].adapter, Subject.now
    accounts = list(loaded(CERTS).values())
    async with await Sandbox.start(accounts, vendors=VENDORS, faults=faults, clock=lambda: now) as sandbox:
        with_endpoint(CERTS, copy, sandbox.url, sandbox.ca_pem)
        account = loaded(copy)[name]
        push = Subject().push(tokens=[TOKENS[name]])
        request = adapter.render(push, account, adapter.local_auth(account, now))
        async with AsyncSender(
            transport_named("httpx"), http2=adapter.http2, tls=adapter.tls(account)
        ) as sender:
            [outcome] = adapter.interpret(push, account, await sender.send(request))
    return outcome, sandbox.journal


@pytest.mark.parametrize("name", sorted(VENDORS))
async def test_a_push_reaches_the_journal(name: str, tmp_path: Path) -> None:
    """Rendered, sent over TLS, verified by the double, and there it is: token, title and text."""
    outcome, journal = await sent(name, tmp_path / "certs")
    assert outcome.action is Action.ACCEPTED
    [line] = journal.lines()
    assert (line.vendor, line.token, line.title, line.body) == (name, TOKENS[name], "Alice", "Lunch at noon?")


@pytest.mark.parametrize("fault", ["webhook=gone", "webhook=410", "webpush=HTTP 410", "webpush=404"])
async def test_faults_are_dealt_to_them_too(fault: str, tmp_path: Path) -> None:
    """``--fault`` knows their result tables and bare statuses; nothing is shown, the token is dead."""
    outcome, journal = await sent(fault.partition("=")[0], tmp_path / "certs", [fault])
    assert outcome.action is Action.INVALID_TOKEN
    assert journal.counts().accepted == 0
