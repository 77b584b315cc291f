"""Honor's receipts: nothing is signed, so that the address must be one that nobody can guess."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from pushgw.vendor import Account, Notification, Push, Target
from pushgw.vendor.reports import ReportCall, ReportRefused, Stage
from vendors.honor.adapter import HonorAdapter
from vendors.honor.credential import HonorCredential
from vendors.honor.results import REPORTS

NOW = 1_767_225_600.0
KEY = "0f1e2d3c4b5a69788796"
ECHO = "01JGMAZ2G0000000000000PVSH"


def account(receipt_key: str = KEY) -> Account:
    given = {"app_id": "104412345", "client_id": "client", "client_secret": "secret"}
    credential = HonorCredential.model_validate({**given, "receipt_key": receipt_key})
    return Account(business_id=9010, vendor="honor", credential=credential, cache={})


def call(status: Any = 40000002, key: str = KEY) -> ReportCall:
    one = {
        "biTag": ECHO,
        "appid": "104412345",
        "token": "T1",
        "status": status,
        "timestamp": 1_767_225_600_100,
        "requestId": "r",
    }
    return ReportCall(headers={}, body=json.dumps({"statuses": [one]}).encode(), key=key)


@pytest.mark.parametrize("status", REPORTS)
def test_every_status(status: str) -> None:
    """Each row of the table; the two arrivals are the first two."""
    [report] = HonorAdapter().read_reports(call(int(status)), account(), NOW)
    assert (report.stage, report.words, report.code) == (*REPORTS[status], status)
    assert (report.echo, report.token, report.at_ms) == (ECHO, "T1", 1_767_225_600_100)
    assert (report.stage is Stage.ARRIVED) == (status in ("40000001", "40000002"))


def test_an_unknown_status_has_not_arrived() -> None:
    """Nothing is called arrived that is not known as such."""
    [report] = HonorAdapter().read_reports(call(0), account(), NOW)
    assert report.stage is Stage.NOT_ARRIVED


@pytest.mark.parametrize("key", ["", "0f1e2d3c4b5a69788797", "0f1e2d3c4b5a6978879", "界"])
def test_another_address_is_refused(key: str) -> None:
    """401 without the key, or with another; 403 where the credential has none, also for an address without one."""
    for at, status in ((account(), 401), (account(""), 403)):
        with pytest.raises(ReportRefused) as caught:
            HonorAdapter().read_reports(call(key=key), at, NOW)
        assert caught.value.status == status
        assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    "key", ["short", "0123456789abcde", "0123456789abcdef/", "0123456789 abcdef", "界" * 16]
)
def test_a_key_that_can_be_guessed_or_is_no_part_of_an_address_is_said(key: str) -> None:
    """16 characters at least, of those that an address may have as they are."""
    with pytest.raises(ValidationError, match="16 or more letters"):
        account(key)


def test_the_push_carries_what_comes_back() -> None:
    """biTag holds the PushID."""
    target = Target(token="T1", user="bob", device_id="d", push_id=ECHO, vendor_id="v")
    note = Notification(body="hi", expires_at=int(NOW) + 60, collapse_id="c", notify_id=1)
    push = Push(notification=note, targets=(target,), now=NOW)
    assert json.loads(HonorAdapter().render(push, account(), None).body)["android"]["biTag"] == ECHO
