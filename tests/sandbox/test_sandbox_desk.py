"""Faults, journal and pages, without sockets."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushgw.sandbox.desk import Desk
from pushgw.sandbox.faults import EveryToken, FaultPlan, FaultSyntaxError, parse_fault, parse_faults
from pushgw.sandbox.journal import Journal
from pushgw.sandbox.reply import Breakage, Reply
from pushgw.vendor.adapter import Adapter
from pushgw.vendor.emulator import Accepted, Answer, Call, Emulator
from pushgw.vendor.http import Response
from pushgw.vendor.plugin import Vendor, installed_vendors


class Box(Emulator):
    """Accepts the tokens of a body like ``a,b``, each under the id of the header ``id``."""

    vendor = "box"

    def claims(self, method: str, path: str) -> bool:
        return path == "/box"

    def handle(self, call: Call, now: float) -> Answer:
        tokens = call.body.decode().split(",")
        for token in tokens:
            if codes := self.scripted.get(token):
                return Answer(response=Response(status=200, body=codes.pop(0).encode()))
        accepted = [
            Accepted(
                vendor="box", token=t, title="<b>Ann</b>", body="héllo", vendor_id=call.headers.get("id", "")
            )
            for t in tokens
        ]
        return Answer(response=Response(status=200), accepted=tuple(accepted))


_NO_ADAPTER = cast("Adapter", None)  # neither faults nor the journal ask one
_RESULTS = {"20001": ("retry", "busy"), "quota": ("quota", "")}
VENDORS = {"box": Vendor(adapter=_NO_ADAPTER, emulator=Box, results=_RESULTS)}


def desk(*faults: str, journal: Journal | None = None, seed: int = 0) -> Desk:
    plan = FaultPlan(parse_faults(faults, VENDORS), seed)
    return Desk({"box": Box([])}, journal or Journal(), plan, clock=lambda: 1795500000.25)


def steerable(*faults: str) -> Desk:
    plan = FaultPlan(parse_faults(faults, VENDORS), 0)
    parse = partial(parse_faults, vendors=VENDORS)
    return Desk({"box": Box([])}, Journal(), plan, lambda: 0.0, parse)


def put_faults(at: Desk, body: bytes) -> Response:
    response = at.respond(Call(method="PUT", path="/_sandbox/faults", headers={}, body=body)).response
    assert response is not None
    return response


def push(at: Desk, tokens: str, id_: str = "") -> Reply:
    return at.respond(Call(method="POST", path="/box", headers={"id": id_}, body=tokens.encode()))


def get(at: Desk, path: str, method: str = "GET") -> Response:
    response = at.respond(Call(method=method, path=path, headers={}, body=b"")).response
    assert response is not None
    return response


def lines(response: Response) -> list[dict[str, object]]:
    return [json.loads(line) for line in response.body.splitlines()]


def test_every_accepted_token_is_one_line() -> None:
    """A request with two tokens makes two lines, with time, ids and texts."""
    at = desk()
    push(at, "a,b", "7")
    first, second = lines(get(at, "/_sandbox/journal"))
    assert first == {
        "seq": 1,
        "at": 1795500000250,
        "vendor": "box",
        "token": "a",
        "vendor_id": "7",
        "repeat": False,
        "title": "<b>Ann</b>",
        "body": "héllo",
        "payload": {},
    }
    assert (second["seq"], second["token"]) == (2, "b")


def test_the_journal_is_read_by_vendor_token_and_since() -> None:
    """Each of the three narrows what is given; since is the seq of the last line already seen."""
    at = desk()
    push(at, "a,b,a+b")
    assert [line["seq"] for line in lines(get(at, "/_sandbox/journal?token=b"))] == [2]
    assert [line["seq"] for line in lines(get(at, "/_sandbox/journal?token=a%2Bb&vendor=box"))] == [3]
    assert [line["seq"] for line in lines(get(at, "/_sandbox/journal?since=1"))] == [2, 3]
    assert lines(get(at, "/_sandbox/journal?vendor=other")) == []
    assert get(at, "/_sandbox/journal?since=yesterday").status == 400


def test_repeats_are_told_from_new_notifications() -> None:
    """The same token under the same vendor id is a repeat; under another id, or without any, it is new."""
    at = desk()
    for tokens, id_ in (("a", "1"), ("a", "1"), ("b", "1"), ("a", "2"), ("a", ""), ("a", "")):
        push(at, tokens, id_)
    assert json.loads(get(at, "/_sandbox/journal/count").body) == {
        "accepted": 6,
        "distinct": 5,
        "repeats": 1,
        "vendors": {"box": {"requests": 6, "accepted": 6, "distinct": 5, "repeats": 1, "faults": {}}},
    }


def test_memory_is_bounded_and_the_counts_are_not() -> None:
    """The oldest lines go; the numbers know all."""
    journal = Journal(max_lines=3)
    at = desk(journal=journal)
    push(at, "a,b,c,d,e")
    assert [line.token for line in journal.lines()] == ["c", "d", "e"]
    assert journal.counts().accepted == 5


def test_the_file_holds_every_line_at_once(tmp_path: Path) -> None:
    """A line is in the file before the vendor's answer goes out, readable for its owner alone, and appended to."""
    file = tmp_path / "journal.jsonl"
    for tokens in ("a,b", "c"):
        journal = Journal(file)
        push(desk(journal=journal), tokens)
        written = [json.loads(line)["token"] for line in file.read_text().splitlines()]
        journal.close()
    assert written == ["a", "b", "c"]
    assert file.stat().st_mode & 0o077 == 0


def test_the_page_escapes_texts_and_masks_tokens() -> None:
    """Markup in a message is shown, not run; a token is shown as its beginning and a hash."""
    at = desk("box=503:0%")
    push(at, "0123456789abcdef")
    page = get(at, "/").body.decode()
    assert "&lt;b&gt;Ann&lt;/b&gt;" in page
    assert "<b>Ann" not in page
    assert "012345…#" in page
    assert "0123456789" not in page


def test_reset_forgets_all_but_the_place() -> None:
    """Lines, numbers and scripted codes go, faults are drawn anew, and seq goes on."""
    emulator = Box([])
    emulator.fail("a", "20001")
    at = Desk({"box": emulator}, Journal(), FaultPlan(), clock=lambda: 0.0)
    push(at, "b", "1")
    assert get(at, "/_sandbox/reset", "POST").status == 200
    assert json.loads(get(at, "/_sandbox/journal/count").body)["accepted"] == 0
    push(at, "a", "1")
    assert [(line["seq"], line["repeat"]) for line in lines(get(at, "/_sandbox/journal"))] == [(2, False)]


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/_sandbox/reset"), ("POST", "/"), ("GET", "/_sandbox/x")]
)
def test_other_addresses_of_the_sandbox_are_404(method: str, path: str) -> None:
    """A reset needs a POST; what is not there is said to be not there."""
    assert get(desk(), path, method).status == 404


def test_faults_hit_the_share_that_was_asked_for_and_the_same_ones_again() -> None:
    """One in ten, give or take; the same seed hits the same requests, another seed others."""

    def hits(seed: int) -> list[int]:
        at = desk("box=503:10%", seed=seed)
        replies = [push(at, "a").response for _ in range(2000)]
        return [n for n, response in enumerate(replies) if response is not None and response.status == 503]

    assert 140 < len(hits(1)) < 260
    assert hits(1) == hits(1)
    assert hits(1) != hits(2)


def test_reset_draws_the_same_faults_again() -> None:
    """A scenario can be repeated without a new sandbox."""
    at = desk("box=hang:50%")

    def run() -> list[object]:
        return [push(at, "a").breakage for _ in range(50)]

    first = run()
    get(at, "/_sandbox/reset", "POST")
    assert run() == first


def test_faults_of_one_vendor_are_tried_in_order_and_latency_adds_up() -> None:
    """The first that hits holds; a latency goes with any."""
    at = desk("box=latency-200", "box=503:0%", "box=drop", "box=500", "box=latency-300")
    assert push(at, "a") == Reply(None, Breakage.DROP, 0.5)
    counts = json.loads(get(at, "/_sandbox/journal/count").body)
    assert counts["vendors"]["box"]["faults"] == {"box=latency-200": 1, "box=latency-300": 1, "box=drop": 1}


def test_expired_auth_is_the_vendors_own_word_for_it() -> None:
    """Each vendor with a token says that it has expired; the others give none that could."""
    codes = {
        "apns": "ExpiredProviderToken",
        "fcm": "UNAUTHENTICATED",
        "harmony": "80200003",
        "honor": "80200003",
        "huawei": "80200003",
        "oppo": "11",
        "vivo": "10000",
    }
    vendors = installed_vendors()
    for vendor, code in codes.items():
        rule = parse_fault(f"{vendor}=expired-auth:10%", vendors)
        assert (rule.code, rule.share, rule.spelling) == (code, 0.1, f"{vendor}=expired-auth:10%")
        assert vendors[vendor].results[code][0] == "auth"
    for vendor in ("xiaomi", "meizu"):
        with pytest.raises(FaultSyntaxError, match="no token that could expire"):
            parse_fault(f"{vendor}=expired-auth", vendors)


def test_a_lost_answer_is_accepted_first() -> None:
    """LOST is what tells a gateway that repeats under a new id from one that repeats under the old."""
    journal = Journal()
    assert push(desk("box=lost", journal=journal), "a") == Reply(None, Breakage.DROP)
    assert journal.counts().accepted == 1


@pytest.mark.parametrize(
    ("spelling", "words"),
    [
        ("box", "vendor=code:share"),
        ("box=503:x", "vendor=code:share"),
        ("bax=503", "no vendor is called 'bax'; known are box"),
        ("box=503:101%", "0% to 100%"),
        ("box=503:1.5", "0% to 100%"),
        ("box=503:1..5", "0% to 100%"),
        ("box=quote:1%", "near it: quota"),
        ("box=Busy", "no result code 'Busy'"),
        ("box=latency-fast", "latency-200"),
        ("box=latency-99999999", "at most 600000"),
    ],
)
def test_a_fault_that_cannot_be_followed_is_refused_with_the_mend(spelling: str, words: str) -> None:
    """The sentence quotes what was written and says what to write."""
    with pytest.raises(FaultSyntaxError) as caught:
        parse_fault(spelling, VENDORS)
    assert spelling in str(caught.value)
    assert words in str(caught.value)


@given(st.floats(0, 100, allow_nan=False).map(lambda x: round(x, 3)))
def test_a_share_in_percent_and_as_a_number_are_the_same(percent: float) -> None:
    """``5%`` is ``0.05``; no share at all is every request."""
    one = parse_fault(f"box=503:{percent:.3f}%", VENDORS).share
    other = parse_fault(f"box=503:{percent / 100:.5f}", VENDORS).share
    assert one == pytest.approx(other)
    assert parse_fault("box=503", VENDORS).share == 1.0


def test_a_number_that_the_vendors_table_lacks_is_allowed() -> None:
    """So that an operator sees what becomes of a code that the vendor invents tomorrow."""
    assert parse_fault("box=4711:1%", VENDORS).code == "4711"


def test_every_token_looks_scripted_however_an_emulator_looks() -> None:
    """get, [], in, pop and del all behave as if this code were due, and leave nothing behind."""
    scripted = EveryToken("20001")
    assert "any" in scripted
    assert scripted
    assert scripted.get("any") == scripted["any"] == scripted.pop("any") == ["20001"]
    scripted["any"].pop(0)
    del scripted["any"]
    assert scripted["any"] == ["20001"]
    assert len(scripted) == 0


def test_what_an_emulator_raises_is_not_shown() -> None:
    """Neither the answer nor the log quotes the words of an unexpected error, which may hold a secret."""
    from structlog.testing import capture_logs

    class Broken(Box):
        def handle(self, call: Call, now: float) -> Answer:
            raise ValueError("the secret")

    at = Desk({"box": Broken([])}, Journal(), FaultPlan(), clock=lambda: 0.0)
    with capture_logs() as logs:
        response = push(at, "a").response
    assert response is not None
    assert response.status == 500
    assert b"secret" not in response.body
    assert [log["event"] for log in logs] == ["emulator_failed"]
    assert "handle" in logs[0]["at"]
    assert "secret" not in str(logs)


def test_faults_are_changed_while_the_sandbox_runs() -> None:
    """PUT /_sandbox/faults holds from the next request on and replaces what held; an empty list ends all faults."""
    at = steerable("box=503")
    assert json.loads(get(at, "/_sandbox/faults").body) == {"faults": ["box=503"]}
    changed = put_faults(at, b'{"faults": ["box=429", "box=latency-20:100%"], "seed": 7}')
    assert json.loads(changed.body) == {"faults": ["box=429", "box=latency-20:100%"]}
    reply = push(at, "a")
    assert reply.response is not None
    assert (reply.response.status, reply.delay) == (429, 0.02)
    put_faults(at, b'{"faults": []}')
    reply = push(at, "a")
    assert reply.response is not None
    assert reply.response.status == 200


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"faults": ["bx=503"]}', "no vendor is called 'bx'"),
        (b'{"faults": ["box=503:200%"]}', "the share is no share"),
        (b'{"faults": "box=503"}', "write {"),
        (b'{"fault": []}', "write {"),
        (b"\xff", "write {"),
    ],
)
def test_faults_that_cannot_be_followed_change_nothing(body: bytes, words: str) -> None:
    """A wrong PUT is 400 with what to write, and the faults in force stay."""
    at = steerable("box=503")
    refused = put_faults(at, body)
    assert refused.status == 400
    assert words in json.loads(refused.body)["error"]
    assert json.loads(get(at, "/_sandbox/faults").body) == {"faults": ["box=503"]}


def test_a_desk_without_a_switchboard_has_no_faults_page() -> None:
    """Where spellings cannot be read the address does not exist, rather than doing nothing."""
    assert get(desk(), "/_sandbox/faults").status == 404
