"""Xiaomi's receipts: by message, in a form or as plain JSON, nothing signed."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlencode

import pytest

from pushgw.vendor import Account, Notification, Origin, Push, Target
from pushgw.vendor.mask import mask_request
from pushgw.vendor.reports import ReportCall, ReportRefused, Stage
from vendors.xiaomi.adapter import XiaomiAdapter
from vendors.xiaomi.credential import XiaomiCredential
from vendors.xiaomi.results import REPORTS

NOW = 1_767_225_600.0
KEY = "0f1e2d3c4b5a69788796"
ECHO = "01JGMAZ2G0000000000000PVSH"
ONE = {"param": ECHO, "type": 1, "targets": "r1,r2", "jobkey": "j", "timestamp": 1_767_225_600_100}


def account(receipt_key: str = KEY, **defaults: str) -> Account:
    given = {"package": "com.example.chat", "app_secret": "app-secret", "receipt_key": receipt_key}
    credential = XiaomiCredential.model_validate(given)
    return Account(business_id=9004, vendor="xiaomi", credential=credential, defaults=defaults, cache={})


def call(body: bytes, key: str = KEY) -> ReportCall:
    return ReportCall(headers={}, body=body, key=key)


@pytest.mark.parametrize("form", [True, False])
def test_each_reg_id_of_each_message_is_a_report(form: bool) -> None:
    """As a form with the field data, which Xiaomi's sample has, and as plain JSON."""
    text = json.dumps({"sc1": ONE, "sc2": {**ONE, "type": 2, "targets": "r3"}, "sc3": 5})
    body = urlencode({"data": text}) if form else text
    reports = XiaomiAdapter().read_reports(call(body.encode()), account(), NOW)
    assert [(r.echo, r.token, r.stage, r.at_ms, r.vendor_id) for r in reports] == [
        (ECHO, "r1", Stage.ARRIVED, 1_767_225_600_100, "sc1"),
        (ECHO, "r2", Stage.ARRIVED, 1_767_225_600_100, "sc1"),
        (ECHO, "r3", Stage.CLICKED, 1_767_225_600_100, "sc2"),
    ]


@pytest.mark.parametrize("kind", [*REPORTS, "7"])
def test_every_type(kind: str) -> None:
    """1 has arrived, 2 was clicked, no other; one that is not listed is told with its number."""
    body = json.dumps({"sc": {**ONE, "type": int(kind), "targets": "r"}}).encode()
    [report] = XiaomiAdapter().read_reports(call(body), account(), NOW)
    assert report.code == kind
    assert report.stage is {"1": Stage.ARRIVED, "2": Stage.CLICKED}.get(kind, Stage.NOT_ARRIVED)


@pytest.mark.parametrize(
    ("body", "key", "own", "status"),
    [
        (b"", KEY, KEY, 400),
        (b"data=x", KEY, KEY, 400),
        (b"\xff", KEY, KEY, 400),
        (b"a=1&" * 30, KEY, KEY, 400),
        (b'{"a":{}}', "", KEY, 401),
        (b'{"a":{}}', "", "", 403),
    ],
)
def test_what_is_broken_or_not_at_the_right_address_is_refused(
    body: bytes, key: str, own: str, status: int
) -> None:
    """No messages: 400; without the key: 401; a credential without one: 403."""
    with pytest.raises(ReportRefused) as caught:
        XiaomiAdapter().read_reports(call(body, key), account(own), NOW)
    assert caught.value.status == status


def rendered(at: Account, *ids: str) -> Any:
    targets = tuple(Target(token=i, user=i, device_id="d", push_id=ECHO, vendor_id="v") for i in ids)
    note = Notification(body="hi", expires_at=int(NOW) + 600, collapse_id="c", notify_id=1)
    push = Push(notification=note, targets=targets, now=NOW, origin=Origin("m/0/7", 0, False))
    return XiaomiAdapter().render(push, at, None)


@pytest.mark.parametrize(("ids", "param"), [(("r1",), f"{ECHO}.1.0"), (("r1", "r2"), "m/0/7.1.0")])
def test_the_push_carries_what_comes_back(ids: tuple[str, ...], param: str) -> None:
    """One regId: the PushID; several: the record. Asked for: delivered, clicked, invalid. A dry run masks the key."""
    at = account(callback=f"https://gw.example/reports/9004/{KEY}")
    request = rendered(at, *ids)
    form = parse_qs(request.body.decode())
    assert form["extra.callback"] == [f"https://gw.example/reports/9004/{KEY}"]
    assert (form["extra.callback.param"], form["extra.callback.type"]) == ([param], ["19"])
    assert KEY not in str(mask_request(request, XiaomiAdapter().secrets(at, None)))


def test_without_an_address_nothing_is_asked_for() -> None:
    """Xiaomi refuses an address that is not registered: none is sent unless the operator names it."""
    assert b"callback" not in rendered(account(), "r1").body
