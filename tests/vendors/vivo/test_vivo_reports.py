"""vivo's receipts: by task, nothing signed, what is not known has not arrived."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from pushgw.vendor import Account, Auth, Notification, Origin, Push, Target
from pushgw.vendor.mask import mask_request
from pushgw.vendor.reports import ReportCall, ReportRefused, Stage
from vendors.vivo.adapter import VivoAdapter
from vendors.vivo.credential import VivoCredential
from vendors.vivo.results import REPORTS

NOW = 1_767_225_600.0
KEY = "0f1e2d3c4b5a69788796"
ECHO = "01JGMAZ2G0000000000000PVSH"


def account(receipt_key: str = KEY) -> Account:
    given = {"app_id": "10004", "app_key": "app-key", "app_secret": "app-secret"}
    credential = VivoCredential.model_validate({**given, "receipt_key": receipt_key})
    defaults = {"category": "IM", "callback": f"https://gw.example/reports/9011/{KEY}"}
    return Account(business_id=9011, vendor="vivo", credential=credential, defaults=defaults, cache={})


def call(body: Any, key: str = KEY) -> ReportCall:
    return ReportCall(
        headers={}, body=body if isinstance(body, bytes) else json.dumps(body).encode(), key=key
    )


def push(*regids: str) -> Push:
    targets = tuple(
        Target(token=r, user=r, device_id="d", push_id=ECHO, vendor_id="00000000-0000-8000-8000-000000000000")
        for r in regids
    )
    note = Notification(body="hi", expires_at=int(NOW) + 600, collapse_id="c", notify_id=1)
    return Push(notification=note, targets=targets, now=NOW, origin=Origin("m/0/7", 0, True))


def test_each_reg_id_of_each_task_is_a_report() -> None:
    """regIds are joined by commas, blanks may be among them; time and task are told."""
    body = {
        "t1": {"targets": "r1, r2,", "param": ECHO, "ackTime": 1_767_225_600_100, "ackType": "0"},
        "t2": {"targets": "r3", "param": "m/0/7.2.0"},
        "t3": 5,
    }
    reports = VivoAdapter().read_reports(call(body), account(), NOW)
    assert [(r.echo, r.token, r.stage, r.at_ms, r.vendor_id) for r in reports] == [
        (ECHO, "r1", Stage.ARRIVED, 1_767_225_600_100, "t1"),
        (ECHO, "r2", Stage.ARRIVED, 1_767_225_600_100, "t1"),
        ("m/0/7.2.0", "r3", Stage.ARRIVED, None, "t2"),
    ]


@pytest.mark.parametrize("ack_type", [*REPORTS, "7"])
def test_every_ack_type(ack_type: str) -> None:
    """Only 0 has arrived; also a type that is not listed is told with its code."""
    body = {"t": {"targets": "r", "param": ECHO, "ackTime": 1, "ackType": ack_type}}
    [report] = VivoAdapter().read_reports(call(body), account(), NOW)
    assert report.code == ack_type
    assert (report.stage is Stage.ARRIVED) == (ack_type == "0")


@pytest.mark.parametrize(
    ("body", "key", "own", "status"),
    [({}, KEY, KEY, 400), (b"<x>", KEY, KEY, 400), ({"t": {}}, "", KEY, 401), ({"t": {}}, "", "", 403)],
)
def test_what_is_broken_or_not_at_the_right_address_is_refused(
    body: Any, key: str, own: str, status: int
) -> None:
    """No tasks: 400; without the key: 401; a credential without one: 403."""
    with pytest.raises(ReportRefused) as caught:
        VivoAdapter().read_reports(call(body, key), account(own), NOW)
    assert caught.value.status == status


@pytest.mark.parametrize(("regids", "param"), [(("r1",), f"{ECHO}.2.0"), (("r1", "r2"), "m/0/7.2.0")])
def test_the_push_carries_what_comes_back(regids: tuple[str, ...], param: str) -> None:
    """One regId: the PushID; a list: the record, since all of them share the text. A dry run masks the address's key."""
    auth = Auth(value="token", made_at=NOW, expires_at=NOW + 60)
    request = VivoAdapter().render(push(*regids), account(), auth)
    extra = json.loads(request.body)["extra"]
    assert extra == {"callback": f"https://gw.example/reports/9011/{KEY}", "callback.param": param}
    assert KEY not in str(mask_request(request, VivoAdapter().secrets(account(), auth)))


def test_a_key_that_can_be_guessed_is_said() -> None:
    """16 characters at least."""
    with pytest.raises(ValidationError, match="16 or more letters"):
        account("short")
