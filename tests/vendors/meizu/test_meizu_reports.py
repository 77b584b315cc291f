"""Meizu's receipts: a form with the messages and the operator's own token; arrivals and clicks."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlencode

import pytest
from pydantic import ValidationError

from pushgw.vendor import Account, Notification, Origin, Push, Target
from pushgw.vendor.reports import Report, ReportCall, ReportRefused, Stage
from vendors.meizu.adapter import MeizuAdapter
from vendors.meizu.credential import MeizuCredential

NOW = 1_767_225_600.0
KEY = "0f1e2d3c4b5a69788796"
ECHO = "01JGMAZ2G0000000000000PVSH"


def account(receipt_key: str = KEY) -> Account:
    given = {"app_id": "110011", "app_secret": "app-secret", "receipt_key": receipt_key}
    credential = MeizuCredential.model_validate(given)
    return Account(
        business_id=9012,
        vendor="meizu",
        credential=credential,
        defaults={"callback": "https://gw.example/reports/9012"},
        cache={},
    )


def call(messages: Any, token: str | None = KEY) -> ReportCall:
    form = {"cb": messages if isinstance(messages, str) else json.dumps(messages)}
    return ReportCall(
        headers={}, body=urlencode(form if token is None else {**form, "access_token": token}).encode()
    )


def read(call: ReportCall, at: Account | None = None) -> list[Report]:
    return MeizuAdapter().read_reports(call, at or account(), NOW)


def test_arrivals_and_clicks_of_each_push_id() -> None:
    """Type 1 and 2; what is of no type that Meizu names, or no message, says nothing."""
    reports = read(
        call(
            {
                "NS1-1": {"param": ECHO, "type": 1, "targets": ["p1", "p2", 5]},
                "NS1-2": {"param": ECHO, "type": 2, "targets": ["p1"]},
                "NS1-9": {"param": ECHO, "type": 9, "targets": ["p1"]},
                "NS2-1": {"param": None, "type": 1, "targets": "p1"},
                "NS3-1": "x",
            }
        )
    )
    assert [(r.echo, r.token, r.stage, r.vendor_id) for r in reports] == [
        (ECHO, "p1", Stage.ARRIVED, "NS1"),
        (ECHO, "p2", Stage.ARRIVED, "NS1"),
        (ECHO, "p1", Stage.CLICKED, "NS1"),
    ]


@pytest.mark.parametrize(
    ("messages", "token", "own", "status"),
    [
        ({"a-1": {}}, None, KEY, 401),
        ({"a-1": {}}, KEY[:-1], KEY, 401),
        ({"a-1": {}}, KEY, "", 403),
        ({"a-1": {}}, "", "", 403),
        ("<x>", KEY, KEY, 400),
        ({}, KEY, KEY, 400),
    ],
)
def test_another_token_or_a_broken_form_is_refused(
    messages: Any, token: str | None, own: str, status: int
) -> None:
    """The token in the form is the only proof: it counts, not what ends the address."""
    with pytest.raises(ReportRefused) as caught:
        read(call(messages, token), account(own))
    assert caught.value.status == status


def test_a_body_of_any_bytes_is_refused_in_words() -> None:
    """Never another exception."""
    for body in (b"", b"\xff\xfe", b"cb=%ff&access_token=%00", b"a=1&" * 30):
        with pytest.raises(ReportRefused):
            read(ReportCall(headers={}, body=body))


@pytest.mark.parametrize(("ids", "param"), [(("p1",), f"{ECHO}.1.0"), (("p1", "p2"), "m/0/7.1.0")])
def test_the_push_carries_what_comes_back(ids: tuple[str, ...], param: str) -> None:
    """One pushId: the PushID; several: the record."""
    targets = tuple(Target(token=i, user=i, device_id="d", push_id=ECHO, vendor_id="v") for i in ids)
    note = Notification(body="hi", expires_at=int(NOW) + 600, collapse_id="c", notify_id=1)
    push = Push(notification=note, targets=targets, now=NOW, origin=Origin("m/0/7", 0, False))
    form = parse_qs(MeizuAdapter().render(push, account(), None).body.decode())
    assert json.loads(form["messageJson"][0])["extra"]["callback.param"] == param


def test_a_token_that_can_be_guessed_is_said() -> None:
    """16 characters at least."""
    with pytest.raises(ValidationError, match="16 or more letters"):
        account("short")
