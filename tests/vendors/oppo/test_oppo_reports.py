"""OPPO's receipts: a list of events, nothing signed."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs

import pytest

from pushgw.vendor import Account, Auth, Notification, Origin, Push, Target
from pushgw.vendor.mask import mask_request
from pushgw.vendor.reports import ReportCall, ReportRefused, Stage
from vendors.oppo.adapter import OppoAdapter
from vendors.oppo.credential import OppoCredential
from vendors.oppo.results import REPORTS

NOW = 1_767_225_600.0
KEY = "0f1e2d3c4b5a69788796"
ECHO = "01JGMAZ2G0000000000000PVSH"
EVENT = {
    "messageId": "m1",
    "appId": "1",
    "taskId": "m1",
    "registrationIds": "r1, r2",
    "eventTime": "1767225600100",
    "param": ECHO,
    "eventType": "push_arrive",
}


def account(receipt_key: str = KEY, callback: str = f"https://gw.example/reports/9005/{KEY}") -> Account:
    given = {"app_key": "app-key", "master_secret": "master-secret", "receipt_key": receipt_key}
    credential = OppoCredential.model_validate(given)
    return Account(
        business_id=9005, vendor="oppo", credential=credential, defaults={"callback": callback}, cache={}
    )


def call(body: Any, key: str = KEY) -> ReportCall:
    return ReportCall(
        headers={}, body=body if isinstance(body, bytes) else json.dumps(body).encode(), key=key
    )


def test_each_id_of_each_event_is_a_report() -> None:
    """Ids are joined by commas, the time is a text; what is no event costs only itself."""
    reports = OppoAdapter().read_reports(call([EVENT, 5, {**EVENT, "eventTime": "soon"}]), account(), NOW)
    assert [(r.echo, r.token, r.at_ms, r.vendor_id) for r in reports] == [
        (ECHO, "r1", 1_767_225_600_100, "m1"),
        (ECHO, "r2", 1_767_225_600_100, "m1"),
        (ECHO, "r1", None, "m1"),
        (ECHO, "r2", None, "m1"),
    ]


@pytest.mark.parametrize("event", [*REPORTS, "new_event"])
def test_every_event_type(event: str) -> None:
    """Only push_arrive has arrived; one that is not listed is told with its name."""
    body = [{**EVENT, "registrationIds": "r1", "eventType": event}]
    [report] = OppoAdapter().read_reports(call(body), account(), NOW)
    assert report.code == event
    assert (report.stage is Stage.ARRIVED) == (event == "push_arrive")


@pytest.mark.parametrize(
    ("body", "key", "own", "status"),
    [
        ({}, KEY, KEY, 400),
        (b"", KEY, KEY, 400),
        (b"<x>", KEY, KEY, 400),
        ([EVENT], "", KEY, 401),
        ([EVENT], "", "", 403),
    ],
)
def test_what_is_broken_or_not_at_the_right_address_is_refused(
    body: Any, key: str, own: str, status: int
) -> None:
    """No list: 400; without the key: 401; a credential without one: 403."""
    with pytest.raises(ReportRefused) as caught:
        OppoAdapter().read_reports(call(body, key), account(own), NOW)
    assert caught.value.status == status


def rendered(at: Account, *ids: str) -> Any:
    targets = tuple(Target(token=i, user=i, device_id="d", push_id=ECHO, vendor_id="v") for i in ids)
    note = Notification(body="hi", expires_at=int(NOW) + 600, collapse_id="c", notify_id=1)
    push = Push(notification=note, targets=targets, now=NOW, origin=Origin("m/0/7", 0, False))
    return OppoAdapter().render(push, at, Auth(value="token", made_at=NOW, expires_at=NOW + 60))


@pytest.mark.parametrize(("ids", "param"), [(("r1",), f"{ECHO}.1.0"), (("r1", "r2"), "m/0/7.1.0")])
def test_the_push_carries_what_comes_back(ids: tuple[str, ...], param: str) -> None:
    """One id: the PushID; several: the record, in each message. A dry run masks the address's key."""
    at = account()
    request = rendered(at, *ids)
    [(_, [text])] = [f for f in parse_qs(request.body.decode()).items() if f[0] in ("message", "messages")]
    messages = json.loads(text)
    shown = [m["notification"] for m in (messages if isinstance(messages, list) else [messages])]
    assert [(n["call_back_url"], n["call_back_parameter"]) for n in shown] == [
        (f"https://gw.example/reports/9005/{KEY}", param)
    ] * len(ids)
    auth = Auth(value="token", made_at=NOW, expires_at=NOW + 60)
    assert KEY not in str(mask_request(request, OppoAdapter().secrets(at, auth)))


@pytest.mark.parametrize("url", ["", "https://gw.example/" + "c" * 200])
def test_no_address_or_one_too_long_is_left_out(url: str) -> None:
    """200 characters are OPPO's limit: a longer one costs the receipt, not the message."""
    at = account(callback=url)
    assert b"call_back" not in rendered(at, "r1").body
    note = Notification(body="hi", expires_at=1, collapse_id="c", notify_id=1)
    assert any("callback" in words for words in OppoAdapter().warnings(note, at)) == bool(url)
