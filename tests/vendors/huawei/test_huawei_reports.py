"""Huawei's receipts: the signature with the figures of a known case, and what each status says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from pushgw.vendor.adapter import Account
from pushgw.vendor.receipts_of_huawei import callback_header, signature
from pushgw.vendor.reports import Report, ReportCall, ReportRefused, Stage
from vendors.huawei.adapter import HuaweiAdapter
from vendors.huawei.credential import HuaweiCredential
from vendors.huawei.results import REPORTS

VECTOR = json.loads(Path(__file__).with_name("vectors.json").read_text("utf-8"))["receipt"]
MADE_AT = int(VECTOR["timestamp"]) / 1000
ONE = {
    "biTag": "01JGMAZ2G0000000000000PVSH.1.0",
    "appid": "104000001",
    "token": "T1",
    "status": 0,
    "timestamp": 1767225600100,
    "requestId": "157000006",
}


def account(**fields: Any) -> Account:
    given = {
        "app_id": "104000001",
        "app_secret": "app-secret",
        "package": "com.example.chat",
        "receipt_user": VECTOR["userName"],
        "receipt_secret": VECTOR["secret"],
        **fields,
    }
    return Account(
        business_id=9003, vendor="huawei", credential=HuaweiCredential.model_validate(given), cache={}
    )


def call(header: str | None = VECTOR["header_with_new_key"], body: Any = None) -> ReportCall:
    headers = {} if header is None else {"x-huawei-callback-id": header}
    content = {"statuses": [ONE]} if body is None else body
    return ReportCall(
        headers=headers, body=content if isinstance(content, bytes) else json.dumps(content).encode()
    )


def read(call: ReportCall, account: Account, now: float = MADE_AT) -> list[Report]:
    return HuaweiAdapter().read_reports(call, account, now)


def refusal(call: ReportCall, account: Account, now: float = MADE_AT) -> ReportRefused:
    with pytest.raises(ReportRefused) as caught:
        read(call, account, now)
    assert VECTOR["secret"] not in str(caught.value)
    return caught.value


def test_the_known_signature_is_made_and_taken() -> None:
    """User name, key, timestamp and nonce of the known case give its value and its header, and are let in."""
    user, stamp, nonce = VECTOR["userName"], VECTOR["timestamp"], VECTOR["nonce"]
    assert signature(VECTOR["secret"], user, stamp, nonce) == VECTOR["value_key_base64_decoded"]
    assert callback_header(VECTOR["secret"], user, stamp, nonce) == VECTOR["header_with_new_key"]
    assert read(call(), account()) == [
        Report(
            echo=ONE["biTag"],
            token="T1",
            stage=Stage.ARRIVED,
            code="0",
            words="delivered",
            at_ms=1767225600100,
            vendor_id="157000006",
        )
    ]


def test_an_old_secret_is_the_key_as_it_is_written() -> None:
    """Secrets of older consoles are no Base64 of the key: the known value with the raw key is let in as well."""
    header = VECTOR["header_with_new_key"].replace(
        VECTOR["value_key_base64_decoded"], VECTOR["value_key_utf8"]
    )
    assert header != VECTOR["header_with_new_key"]
    assert len(read(call(header), account())) == 1
    raw = callback_header("bm90", "im-gateway", VECTOR["timestamp"], "n").rpartition("value=")[0]
    assert refusal(call(raw + "bm90"), account(receipt_secret="no base64!")).status == 401


def test_blanks_may_follow_a_semicolon() -> None:
    """Huawei writes the header with and without them."""
    assert len(read(call(VECTOR["header_with_new_key"].replace(";", ";  ")), account())) == 1


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "value=" + VECTOR["value_key_base64_decoded"],
        VECTOR["header_with_new_key"][:-1],
        VECTOR["header_with_new_key"] + "=",
        VECTOR["header_with_new_key"].replace("1767225600123", "1767225600124"),
        VECTOR["header_with_new_key"].replace("a07bfa17", "b07bfa17"),
        "timestamp=1767225600123;nonce=n;value=界",
        "timestamp=²;nonce=n;value=x",
    ],
)
def test_another_signature_is_refused(header: str | None) -> None:
    """Whatever is changed of the header, or missing: 401, and nothing of the body is believed."""
    assert refusal(call(header), account()).status == 401


@pytest.mark.parametrize("change", [{"receipt_user": "other"}, {"receipt_secret": "b3RoZXI="}])
def test_a_signature_under_another_name_or_key_is_refused(change: dict[str, str]) -> None:
    """User name and key of the credential are what counts."""
    assert refusal(call(), account(**change)).status == 401


def test_without_a_secret_nothing_is_taken() -> None:
    """A credential that has no receipt_secret refuses every call, also one that is signed with an empty key."""
    none = account(receipt_user="", receipt_secret="")
    assert refusal(call(), none).status == 403
    assert refusal(call(callback_header("", "", VECTOR["timestamp"], "n")), none).status == 403


@pytest.mark.parametrize("after", [86_401.0, -86_401.0])
def test_an_old_signature_is_refused(after: float) -> None:
    """The body is not signed: a header that leaked is of no use after a day."""
    assert len(read(call(), account(), MADE_AT + after * 0.99)) == 1
    assert refusal(call(), account(), MADE_AT + after).status == 401


@pytest.mark.parametrize("status", REPORTS)
def test_every_status(status: str) -> None:
    """Each row of the table, as a number and as a text; only 0 has arrived."""
    for spelled in (int(status), status):
        [report] = read(call(body={"statuses": [{**ONE, "status": spelled}]}), account())
        assert (report.stage, report.words) == REPORTS[status]
        assert (report.stage is Stage.ARRIVED) == (status == "0")


def test_a_status_that_is_not_listed_has_not_arrived() -> None:
    """Nothing is called arrived that Huawei does not call so."""
    [report] = read(call(body={"statuses": [{**ONE, "status": 999}]}), account())
    assert (report.stage, report.code) == (Stage.NOT_ARRIVED, "999")


def test_version_2_is_read_as_well() -> None:
    """Receipts of version 2 have the status one level deeper."""
    entry = {"biTag": "b", "token": "T", "deliveryStatus": {"result": 2, "timestamp": 5}, "requestId": "r"}
    [report] = read(call(body={"statuses": [entry]}), account())
    assert (report.echo, report.token, report.code, report.at_ms) == ("b", "T", "2", 5)


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"{}", b'{"statuses":{}}', {"statuses": [ONE] * 1001}]
)
def test_a_broken_body_is_refused(body: Any) -> None:
    """What is no list of statuses is 400; a list of more than a thousand too."""
    assert refusal(call(body=body), account()).status == 400


def test_an_entry_that_cannot_be_read_costs_only_itself() -> None:
    """Its neighbours are taken."""
    entries = [5, {}, {"status": None}, {"status": True}, {"status": 0, "biTag": 5, "token": None}, ONE]
    reports = read(call(body={"statuses": entries}), account())
    assert [(r.echo, r.token) for r in reports] == [("", ""), (ONE["biTag"], "T1")]


def test_a_user_name_without_its_secret_is_said() -> None:
    """Half of the pair would refuse every receipt in silence."""
    with pytest.raises(ValidationError, match="receipt_secret is missing"):
        account(receipt_secret="")


def test_the_secret_is_never_shown() -> None:
    """Neither by the credential's repr nor in what `certs show` tells."""
    credential = account().credential
    assert VECTOR["secret"] not in f"{credential!r} {credential.summary()!r}"
