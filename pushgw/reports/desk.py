"""From a vendor's request to receipts: who may say it, which pushes it is about, and only then the vendor's yes."""

from __future__ import annotations

import asyncio
import re
import time
import traceback
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import msgspec
import structlog

from pushgw.credentials import CredentialDirectory, CredentialEntry
from pushgw.delivery.report import Keyed
from pushgw.delivery.tally import REFUSED, UNMATCHED, Tally
from pushgw.kafka.outlet import OutletError
from pushgw.listener import Page
from pushgw.messages import receipts
from pushgw.messages.identity import push_id
from pushgw.reports.door import Posted
from pushgw.state.protocol import Owner, StateUnavailable
from pushgw.state.tokens import token_key
from pushgw.vendor.adapter import Account, Adapter
from pushgw.vendor.reports import Echo, Report, ReportCall, ReportRefused, Stage, read_echo

log = structlog.get_logger()

ANSWER_TIMEOUT_S = 10.0
"""A vendor waits some seconds; what is not on the topic by then it shall say again."""
DEFECT_FRAMES = 5
_PATH = re.compile(r"/reports/([0-9]{1,18})(?:/([^/]{1,200}))?")
_STAGES = {Stage.ARRIVED: 2, Stage.CLICKED: 3, Stage.NOT_ARRIVED: 2}
"""PushStage of a receipt. What did not arrive is told of the stage that was not reached."""

Owners = Callable[[Sequence[str]], Awaitable[dict[str, Owner]]]
Publish = Callable[[Sequence[Keyed]], Awaitable[None]]


class ReportDesk:
    """Answers ``POST /reports/<credential id>``, or ``/reports/<credential id>/<key>`` where a vendor signs nothing.

    200 is only said when every receipt is acknowledged by Kafka: else the vendor repeats, and a receipt that was written
    before comes again with the same PushID and PushStage.
    """

    def __init__(
        self,
        book: CredentialDirectory,
        *,
        owners: Owners,
        publish: Publish,
        tally: Tally,
        app: int = 0,
        clock: Callable[[], float] = time.time,
        patience: float = ANSWER_TIMEOUT_S,
    ) -> None:
        """``owners``, ``publish``: of the state store and of the receipts' topic. ``app``: SdkAppId of pushes that name none.
        ``patience``: how long both may take, s."""
        self._book = book
        self._owners = owners
        self._publish = publish
        self._tally = tally
        self._app = app
        self._clock = clock
        self._patience = patience

    async def answer(self, posted: Posted) -> Page:
        """The answer to one request. Never quotes the request."""
        found = _PATH.fullmatch(posted.path)
        if found is None:
            return _said(404, "there is /reports/<credential id>")
        if posted.method != "POST":
            return _said(405, "reports are taken by POST")
        entry = self._book.entries.get(int(found[1]))
        if entry is None:
            return _said(404, f"there is no credential {int(found[1])}")
        adapter, account = entry.adapter, entry.account
        if adapter is None or account is None:
            return _said(503, f"credential {entry.business_id} cannot be used just now")
        call = ReportCall(headers=posted.headers, body=posted.body, key=found[2] or "")
        return await self._take(call, entry, adapter, account)

    async def _take(
        self, call: ReportCall, entry: CredentialEntry, adapter: Adapter, account: Account
    ) -> Page:
        try:
            reports = adapter.read_reports(call, account, self._clock())
        except ReportRefused as refused:
            return self._refused(entry, refused.status, str(refused))
        except Exception as error:  # noqa: BLE001  an adapter may be a third party's: its words may quote the request
            log.error("adapter_defect", **_place(error), vendor=entry.vendor, credential=entry.business_id)
            return self._refused(entry, 500, f"the adapter failed with {type(error).__name__}")
        try:
            async with asyncio.timeout(self._patience):
                told = await self._told(reports, entry, adapter)
                await self._publish([keyed for _, keyed in told])
        except (StateUnavailable, OutletError, TimeoutError) as error:
            why = str(error) or f"no answer within {self._patience:g} s"
            log.warning("reports_not_taken", credential=entry.business_id, vendor=entry.vendor, why=why)
            return _said(503, "the reports could not be stored; send them again")
        self._count(entry.vendor, [stage for stage, _ in told], len(reports))
        return Page(200, "application/json", adapter.report_answer)

    async def _told(
        self, reports: Sequence[Report], entry: CredentialEntry, adapter: Adapter
    ) -> list[tuple[Stage, Keyed]]:
        """The receipts of those reports whose push can be told."""
        ours = [(report, echo) for report in reports if (echo := read_echo(report.echo)) is not None]
        keys = [self._token_key(report, echo, entry.business_id) for report, echo in ours]
        owners = await self._owners(list({key for key in keys if key is not None}))
        now_ms = int(self._clock() * 1000)
        told = []
        for (report, echo), key in zip(ours, keys, strict=True):
            owner = _owner_then(owners.get(key) if key is not None else None, report)
            keyed = _receipt(report, echo, owner, entry.business_id, adapter, now_ms)
            if keyed is not None:
                told.append((report.stage, keyed))
        return told

    def _token_key(self, report: Report, echo: Echo, business_id: int) -> str | None:
        return token_key(self._app if echo.app is None else echo.app, business_id, report.token)

    def _refused(self, entry: CredentialEntry, status: int, sentence: str) -> Page:
        self._tally.vendor_reports[entry.vendor, REFUSED] += 1
        log.warning(
            "reports_refused",
            credential=entry.business_id,
            vendor=entry.vendor,
            status=status,
            why=sentence,
        )
        return _said(status, sentence)

    def _count(self, vendor: str, told: Sequence[Stage], of: int) -> None:
        counts = self._tally.vendor_reports
        for stage in told:
            counts[vendor, stage.value] += 1
        if len(told) < of:
            counts[vendor, UNMATCHED] += of - len(told)


def _owner_then(owner: Owner | None, report: Report) -> Owner | None:
    """The token's owner, but nobody where it came to its device only after what is reported: then it was another's."""
    if owner is not None and report.at_ms is not None and owner.put_ms > report.at_ms:
        return None
    return owner


def _receipt(
    report: Report,
    echo: Echo,
    owner: Owner | None,
    business_id: int,
    adapter: Adapter,
    now_ms: int,
) -> Keyed | None:
    """None where the PushID cannot be known: it went to several tokens, and this one is nobody's any more."""
    named = echo.push_id
    if not named:
        if owner is None:
            return None
        named = push_id(echo.source, owner.user, owner.device_id)
    value = receipts.reported(
        push_id=named,
        stage=_STAGES[report.stage],
        group=echo.group,
        receiver=owner.user if owner else None,
        now_ms=report.at_ms or now_ms,
        device_id=owner.device_id if owner else None,
        business_id=business_id,
        vendor=adapter.vendor,
        push_platform=adapter.push_platform,
        token=report.token,
        error=report.words if report.stage is Stage.NOT_ARRIVED else None,
        vendor_id=report.vendor_id,
        vendor_code=report.code,
        source=echo.source.partition("#")[0],
    )
    return (owner.user.encode("utf-8", "surrogatepass") if owner else None), value


def _place(error: Exception) -> dict[str, str]:
    """Where it went wrong, innermost last; not the error's words, which may quote the request."""
    frames = traceback.extract_tb(error.__traceback__)[-DEFECT_FRAMES:]
    at = [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]
    return {"where": "read_reports", "error": type(error).__name__, "at": ", ".join(at)}


def _said(status: int, sentence: str) -> Page:
    return Page(status, "application/json", msgspec.json.encode({"error": sentence}))
