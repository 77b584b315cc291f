"""HarmonyOS' receipts: signed as Huawei's are, of version 2."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from pushgw.credentials import load_directory
from pushgw.sandbox import example_directory
from pushgw.vendor import Account, Notification, Push, Target, installed_vendors
from pushgw.vendor.receipts_of_huawei import callback_header
from pushgw.vendor.reports import ReportCall, ReportRefused, Stage
from vendors.harmony.adapter import HarmonyAdapter
from vendors.harmony.credential import HarmonyCredential
from vendors.harmony.results import REPORTS

NOW = 1_767_225_600.0
SECRET = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
EXAMPLE = load_directory(example_directory(), installed_vendors()).entries[9009]


def account(**fields: Any) -> Account:
    assert EXAMPLE.account is not None
    given = {
        "service_account": EXAMPLE.account.credential.service_account,
        "receipt_user": "im",
        "receipt_secret": SECRET,
    }
    credential = HarmonyCredential.model_validate({**given, **fields})
    return Account(business_id=9009, vendor="harmony", credential=credential, cache={})


def call(result: int = 0, *, signed_with: str = SECRET) -> ReportCall:
    header = callback_header(signed_with, "im", str(int(NOW * 1000)), "n1")
    one = {
        "biTag": "01JGMAZ2G0000000000000PVSH.1.0",
        "pushType": 0,
        "appPackageName": "com.example.chat",
        "token": "T1",
        "requestId": "r",
        "deliveryStatus": {"result": result, "timestamp": 1_767_225_600_100},
    }
    body = json.dumps({"statuses": [one]}).encode()
    return ReportCall(headers={"x-huawei-callback-id": header}, body=body)


@pytest.mark.parametrize("result", REPORTS)
def test_every_result(result: str) -> None:
    """Each row of the table; only 0 has arrived."""
    [report] = HarmonyAdapter().read_reports(call(int(result)), account(), NOW)
    assert (report.stage, report.words) == REPORTS[result]
    assert (report.stage is Stage.ARRIVED) == (result == "0")
    assert (report.echo, report.token, report.at_ms) == (
        "01JGMAZ2G0000000000000PVSH.1.0",
        "T1",
        1_767_225_600_100,
    )


def test_an_unknown_result_has_not_arrived() -> None:
    """Nothing is called arrived that Huawei does not call so."""
    [report] = HarmonyAdapter().read_reports(call(999), account(), NOW)
    assert (report.stage, report.code) == (Stage.NOT_ARRIVED, "999")


def test_only_the_credentials_own_signature_is_taken() -> None:
    """Another key is refused, and so is everything where the credential has none."""
    for wrong, status in ((call(signed_with="b3RoZXI="), 401), (call(), 403)):
        at = account() if status == 401 else account(receipt_user="", receipt_secret="")
        with pytest.raises(ReportRefused) as caught:
            HarmonyAdapter().read_reports(wrong, at, NOW)
        assert caught.value.status == status


def test_the_push_carries_what_comes_back() -> None:
    """biTag holds the PushID."""
    target = Target(
        token="T1", user="bob", device_id="d", push_id="01JGMAZ2G0000000000000PVSH", vendor_id="v"
    )
    note = Notification(body="hi", expires_at=int(NOW) + 60, collapse_id="c", notify_id=1)
    push = Push(
        notification=note,
        targets=(target,),
        now=NOW,
    )
    at = Account(
        business_id=9009,
        vendor="harmony",
        credential=account().credential,
        defaults={"category": "IM"},
        cache={},
    )
    body = json.loads(HarmonyAdapter().render(push, at, None).body)
    assert body["pushOptions"]["biTag"] == "01JGMAZ2G0000000000000PVSH"


@pytest.mark.parametrize(
    ("fields", "words"),
    [({"receipt_secret": ""}, "receipt_secret is missing"), ({"receipt_secret": " x"}, "blanks around it")],
)
def test_half_a_pair_or_an_untidy_secret_is_said(fields: dict[str, str], words: str) -> None:
    """It would refuse every receipt in silence."""
    with pytest.raises(ValidationError, match=words):
        account(**fields)
