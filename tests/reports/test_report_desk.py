"""The desk: a vendor's call becomes receipts with the PushID of the push, or a refusal that says why."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from pushgw.credentials import CredentialDirectory, CredentialEntry
from pushgw.delivery.tally import Tally
from pushgw.kafka.outlet import OutletError
from pushgw.listener import Page
from pushgw.messages.identity import push_id
from pushgw.messages.model import DeviceDelete, DevicePut
from pushgw.messages.receipts import mask_token
from pushgw.reports import Posted, ReportDesk
from pushgw.settings import StateSettings
from pushgw.state import open_store
from pushgw.state.protocol import StateUnavailable
from pushgw.vendor.adapter import Account, Adapter, Auth, Credential
from pushgw.vendor.http import Request, Response
from pushgw.vendor.push import Outcome, Push
from pushgw.vendor.reports import Report, ReportCall, ReportRefused, Stage

NOW = 1_795_500_000.0
SOURCE = "im.offline-messages/3/1042"
TOKEN = "token-of-bob"
BOB = push_id(SOURCE, "bob", "phone")


class TellingAdapter(Adapter):
    """Its reports are a JSON list of what a Report is made of; the header ``x-sign`` must be ``good``."""

    vendor = "telling"
    push_platform = 3
    platforms = frozenset({"android"})
    credential_model = Credential
    report_answer = b'{"code":"0"}'

    def render(self, push: Push, account: Account, auth: Auth | None) -> Request:
        raise NotImplementedError

    def interpret(self, push: Push, account: Account, response: Response) -> list[Outcome]:
        raise NotImplementedError

    def read_reports(self, call: ReportCall, account: Account, now: float) -> list[Report]:
        if "good" not in (call.headers.get("x-sign"), call.key):
            raise ReportRefused(401, "the signature is wrong")
        return [Report(**{**one, "stage": Stage(one["stage"])}) for one in json.loads(call.body)]


class MuteAdapter(TellingAdapter):
    """A vendor without reports."""

    vendor = "mute"
    read_reports = Adapter.read_reports


class Office:
    """A desk over a real store, with a list for a topic."""

    def __init__(self, store: Any) -> None:
        self.store = store
        self.rows: list[tuple[bytes | None, dict[str, Any]]] = []
        self.trouble: Exception | None = None
        self.tally = Tally()
        self.book = CredentialDirectory({7: entry(7, TellingAdapter()), 8: entry(8, MuteAdapter())}, [], [])
        self.desk = ReportDesk(
            self.book,
            owners=store.owners,
            publish=self.publish,
            tally=self.tally,
            clock=lambda: NOW,
            patience=0.05,
        )

    async def publish(self, rows: Sequence[tuple[bytes | None, bytes]]) -> None:
        if self.trouble:
            raise self.trouble
        self.rows += [(key, json.loads(value)) for key, value in rows]

    async def post(
        self, *reports: Any, path: str = "/reports/7", sign: str = "good", method: str = "POST"
    ) -> Page:
        body = json.dumps(reports).encode()
        return await self.desk.answer(Posted(method, path, {"x-sign": sign}, body))

    @property
    def counted(self) -> dict[str, int]:
        return {word: n for (_, word), n in self.tally.vendor_reports.items()}


def entry(business_id: int, adapter: Adapter) -> CredentialEntry:
    account = Account(business_id=business_id, vendor=adapter.vendor, credential=Credential(), cache={})
    return CredentialEntry(business_id, adapter.vendor, adapter=adapter, account=account)


def put(user: str, token: str = TOKEN, *, at: float = NOW - 100, app: int = 0) -> DevicePut:
    return DevicePut(
        app=app,
        user=user,
        time_ms=int(at * 1000),
        device_id="phone",
        business_id=7,
        token=token,
        platform="android",
    )


def arrived(echo: str = f"{BOB}.1.0", token: str = TOKEN, **more: Any) -> dict[str, Any]:
    at_ms = int(NOW * 1000) - 2000
    return {"echo": echo, "token": token, "stage": "arrived", "code": "0", "at_ms": at_ms, **more}


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    store = await open_store(StateSettings(url=f"sqlite:///{tmp_path / 'state.db'}"))
    await store.apply([put("bob")])
    yield Office(store)
    await store.close()


async def test_an_arrival_is_a_receipt_with_stage_2_and_the_same_push_id(office: Office) -> None:
    """Keyed by the receiver, with the token masked, at the time that the vendor says; the vendor hears what it wants."""
    page = await office.post(arrived(vendor_id="r-1"))
    assert (page.status, page.body) == (200, b'{"code":"0"}')
    assert office.rows == [
        (
            b"bob",
            {
                "CallbackCommand": "Push.OfflinePush",
                "EventType": 1,
                "EventTime": int(NOW) - 2,
                "From_Account": "",
                "To_Account": "bob",
                "PushPlatform": 3,
                "PushStage": 2,
                "PushID": BOB,
                "ErrCode": 0,
                "ErrInfo": "",
                "PushGateway": {
                    "Verdict": "pushed",
                    "DeviceID": "phone",
                    "BusinessID": 7,
                    "Vendor": "telling",
                    "VendorID": "r-1",
                    "VendorCode": "0",
                    "Token": mask_token(TOKEN),
                },
            },
        )
    ]
    assert office.counted == {"arrived": 1}


async def test_a_click_is_stage_3(office: Office) -> None:
    """PushStage 3, of a push to a group EventType 2."""
    await office.post(arrived(f"{BOB}.2.0", stage="clicked"))
    [(_, receipt)] = office.rows
    assert (receipt["PushStage"], receipt["EventType"]) == (3, 2)
    assert office.counted == {"clicked": 1}


async def test_what_did_not_arrive_says_why_and_touches_no_token(office: Office) -> None:
    """Verdict failed with the vendor's code and words; the device keeps its token, whatever the report says of it."""
    await office.post(arrived(stage="not_arrived", code="2", words="the app is uninstalled"))
    [(_, receipt)] = office.rows
    assert (receipt["PushStage"], receipt["ErrCode"], receipt["ErrInfo"]) == (2, 2, "the app is uninstalled")
    assert receipt["PushGateway"]["Verdict"] == "failed"
    assert receipt["PushGateway"]["Action"] == "reported"
    assert office.counted == {"not_arrived": 1}
    [device] = (await office.store.user(0, "bob")).devices
    assert device.dead_ms is None


async def test_of_several_tokens_each_gets_its_own_push_id(office: Office) -> None:
    """One text went with all of them: the record. The PushID follows from it and the token's owner."""
    await office.store.apply([put("eve", "token-of-eve")])
    echo = f"{SOURCE}.2.0"
    await office.post(arrived(echo), arrived(echo, "token-of-eve"))
    assert [(key, r["PushID"], r["To_Account"]) for key, r in office.rows] == [
        (b"bob", BOB, "bob"),
        (b"eve", push_id(SOURCE, "eve", "phone"), "eve"),
    ]
    assert all(r["PushGateway"]["Source"] == SOURCE for _, r in office.rows)


async def test_the_source_of_an_overwriting_push_is_the_recalls(office: Office) -> None:
    """Its PushID is made of more than the coordinate; the receipt names the coordinate alone."""
    await office.post(arrived(f"{SOURCE}#12.2.0"))
    [(_, receipt)] = office.rows
    assert receipt["PushID"] == push_id(f"{SOURCE}#12", "bob", "phone")
    assert receipt["PushGateway"]["Source"] == SOURCE


async def test_the_app_of_the_push_is_where_the_token_is_looked_for(office: Office) -> None:
    """The same token under another SdkAppId is another's."""
    await office.store.apply([put("carl", app=42)])
    await office.post(arrived(f"{BOB}.1.42"), arrived(BOB), arrived(f"{BOB}.1.43"))
    assert [r["To_Account"] for _, r in office.rows] == ["carl", "bob", None]


async def test_a_token_that_moved_since_names_nobody(office: Office) -> None:
    """What arrived before another user's login is not that user's: a lone push keeps its PushID, of several it is unmatched."""
    await office.store.apply([put("eve", at=NOW - 1)])
    assert (await office.post(arrived(), arrived(f"{SOURCE}.1.0"))).status == 200
    [(key, receipt)] = office.rows
    assert (key, receipt["To_Account"], receipt["PushID"]) == (None, None, BOB)
    assert "DeviceID" not in receipt["PushGateway"]
    assert office.counted == {"arrived": 1, "unmatched": 1}


async def test_a_deleted_device_is_still_told(office: Office) -> None:
    """A released token keeps its last owner for a while: reports are late by nature."""
    await office.store.apply(
        [DeviceDelete(app=0, user="bob", time_ms=int(NOW * 1000) - 50, device_id="phone")]
    )
    await office.post(arrived())
    assert [key for key, _ in office.rows] == [b"bob"]


async def test_what_is_not_ours_is_counted_and_taken(office: Office) -> None:
    """Another system may push for the same app. A refusal would have the vendor repeat its reports for ever."""
    assert (await office.post(arrived("spring-sale"), arrived(""), arrived())).status == 200
    assert len(office.rows) == 1
    assert office.counted == {"unmatched": 2, "arrived": 1}


async def test_a_wrong_signature_is_refused_and_counted(office: Office) -> None:
    """401 with the adapter's sentence, no receipt."""
    page = await office.post(arrived(), sign="bad")
    assert (page.status, json.loads(page.body)) == (401, {"error": "the signature is wrong"})
    assert office.rows == []
    assert office.counted == {"refused": 1}


async def test_a_key_in_the_path_reaches_the_adapter(office: Office) -> None:
    """For vendors that sign nothing: an address that nobody can guess."""
    assert (await office.post(arrived(), path="/reports/7/good", sign="")).status == 200
    assert (await office.post(arrived(), path="/reports/7/other", sign="")).status == 401


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/reports/9", "POST", 404),
        ("/reports/8", "POST", 404),
        ("/reports/", "POST", 404),
        ("/reports/7/a/b", "POST", 404),
        ("/reports/٧", "POST", 404),
        ("/metrics", "POST", 404),
        ("/readyz", "GET", 404),
        ("/reports/7", "GET", 405),
    ],
)
async def test_any_other_request_says_what_there_is(
    office: Office, path: str, method: str, status: int
) -> None:
    """An unknown credential, a vendor that reports nothing, any other path or method. Neither metrics nor health are here."""
    page = await office.post(arrived(), path=path, method=method)
    assert page.status == status
    assert json.loads(page.body).keys() == {"error"}
    assert office.rows == []


async def test_a_credential_that_is_added_later_counts(office: Office) -> None:
    """The table is the gateway's own: what is added, replaced or removed counts from then on."""
    office.book.entries = {9: entry(9, TellingAdapter())}
    assert (await office.post(arrived(), path="/reports/9")).status == 200
    assert (await office.post(arrived(), path="/reports/7")).status == 404


async def test_a_credential_that_cannot_be_used_is_the_vendors_to_repeat(office: Office) -> None:
    """Its reports are not lost while an operator mends the file."""
    office.book.entries[7] = CredentialEntry(7, "telling", fault="broken")
    assert (await office.post(arrived())).status == 503


@pytest.mark.parametrize("trouble", [OutletError("no broker"), TimeoutError()])
async def test_without_an_acknowledgement_there_is_no_yes(office: Office, trouble: Exception) -> None:
    """503, so that the vendor sends it again; nothing is counted as told."""
    office.trouble = trouble
    assert (await office.post(arrived())).status == 503
    assert office.counted == {}


async def test_a_topic_that_does_not_answer_is_not_waited_for_long(office: Office) -> None:
    """A vendor gives up after some seconds; what it is not told by then it sends again."""

    async def never(_: Any) -> None:
        await asyncio.Event().wait()

    desk = ReportDesk(
        office.book, owners=office.store.owners, publish=never, tally=office.tally, patience=0.01
    )
    body = json.dumps([arrived()]).encode()
    assert (await desk.answer(Posted("POST", "/reports/7", {"x-sign": "good"}, body))).status == 503


async def test_a_store_that_is_away_is_no_yes(office: Office) -> None:
    """Whose report it is cannot be told: the vendor sends it again."""

    async def away(_: Any) -> dict[str, Any]:
        raise StateUnavailable("gone")

    desk = ReportDesk(office.book, owners=away, publish=office.publish, tally=office.tally)
    body = json.dumps([arrived()]).encode()
    assert (await desk.answer(Posted("POST", "/reports/7", {"x-sign": "good"}, body))).status == 503
    assert office.rows == []


async def test_an_adapter_that_fails_costs_one_request_and_quotes_nothing(office: Office) -> None:
    """500 with the kind of the error alone, and in the log where it happened: its words may hold a token."""
    with capture_logs() as logs:
        page = await office.desk.answer(Posted("POST", "/reports/7", {"x-sign": "good"}, b"secret-token"))
    [defect] = [line for line in logs if line["event"] == "adapter_defect"]
    assert "test_report_desk.py:" in defect["at"]
    assert (defect["error"], defect["credential"]) == ("JSONDecodeError", 7)
    assert "secret" not in str(logs)
    assert page.status == 500
    assert b"secret" not in page.body
    assert b"JSONDecodeError" in page.body
