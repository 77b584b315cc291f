"""The figures of docs/vendors.md: hosts, limits, what gives way and what makes a repeat replace itself, all by rendering."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

import msgspec
import pytest

from pushgw.credentials import load_directory
from pushgw.messages.model import AndroidInfo, ApnsInfo
from pushgw.sandbox import example_directory
from pushgw.vendor import Account, Auth, Call, Notification, Push, Refused, Request, Target, installed_vendors

VENDORS = installed_vendors()
ACCOUNTS = {a.vendor: a for a in reversed(load_directory(example_directory(), VENDORS).accounts)}
"""The first of each vendor."""
NOW = 1_767_225_600.0
AUTH = Auth(value="auth-1", made_at=NOW, expires_at=NOW + 3600)
DAY = 86_400

COUNTED: dict[str, Callable[[Request], int]] = {
    "the whole JSON": lambda request: len(request.body),
    "the message's JSON without its target": lambda request: len(
        msgspec.json.encode({k: v for k, v in _json(request)["message"].items() if k != "token"})
    ),
    "the body without its tokens": lambda request: len(request.body) - len('"token"') - len(","),
    "title, description and payload together": lambda request: sum(
        len(parse_qs(request.body.decode())[name][0].encode()) for name in ("title", "description", "payload")
    ),
}
"""What a vendor counts -> how it is counted here."""


def _json(request: Request) -> Any:
    return msgspec.json.decode(request.body)


def rendered(vendor: str, *, at: float = NOW, account: Account | None = None, **fields: Any) -> Request:
    account = account or ACCOUNTS[vendor]
    content: dict[str, Any] = {
        "title": "Alice",
        "body": "Lunch at noon?",
        "expires_at": int(NOW) + DAY,
        "collapse_id": "a" * 32,
        "notify_id": 1,
    }
    target = Target(token="token", user="u", device_id="d", push_id="P", vendor_id=VENDOR_ID)
    push = Push(notification=Notification(**{**content, **fields}), targets=(target,), now=at)
    return VENDORS[vendor].adapter.render(push, account, AUTH)


VENDOR_ID = "11111111-1111-4111-8111-111111111111"


def shown(vendor: str, key: str, request: Request) -> Any:
    """What stands in the first field that the vendor's mapping names for the key."""
    return at(VENDORS[vendor].mapping[key].split(", ")[0], request)


def at(path: str, request: Request) -> Any:
    """What stands in this field of the request; None where nothing does."""
    if path.startswith("header "):
        return dict((*request.shared, *request.headers)).get(path.removeprefix("header "))
    value = _document(request)
    if path in value:  # a form's field, whose name may have dots
        return value[path]
    for name in path.split("."):
        value = value.get(name.removesuffix("[]"), {})
        if name.endswith("[]"):
            [value] = value
    return None if value == {} else value


def _document(request: Request) -> Any:
    if not request.body.startswith(b"{"):
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        nested = {
            name: msgspec.json.decode(form[name]) for name in ("messages", "messageJson") if name in form
        }
        return {**form, **nested}
    return _json(request)


@pytest.mark.parametrize("vendor", VENDORS)
def test_every_vendor_has_facts(vendor: str) -> None:
    """No section of the page is empty."""
    facts = VENDORS[vendor].facts
    assert facts.hosts
    assert facts.auth
    assert facts.replaces_by
    assert VENDORS[vendor].mapping


@pytest.mark.parametrize("account", ACCOUNTS.values(), ids=list(ACCOUNTS))
def test_requests_go_to_the_hosts_that_are_named(account: Account) -> None:
    """Without an endpoint of its own a credential's requests go to a host of the table, and to no other."""
    bare = msgspec.structs.replace(account, endpoint=None, auth_endpoint=None, cache={})
    adapter, hosts = VENDORS[account.vendor].adapter, VENDORS[account.vendor].facts.hosts
    asked = adapter.auth_request(bare, NOW)
    urls = [rendered(account.vendor, account=bare).url, *([asked.url] if asked else [])]
    for url in urls:
        assert any(url.startswith(f"{host}/") for host in hosts.values())
    assert any("token" in use for use in hosts) == (asked is not None)


@pytest.mark.parametrize("vendor", VENDORS)
def test_an_authorization_is_renewed_when_the_page_says(vendor: str) -> None:
    """Of the emulator's token, or of one made here, as much is used as the facts tell; else it outlives a year."""
    adapter, account = VENDORS[vendor].adapter, ACCOUNTS[vendor]
    auth = adapter.local_auth(msgspec.structs.replace(account, cache={}), NOW)
    asked = adapter.auth_request(account, NOW)
    if asked is not None:
        path = asked.url.removeprefix(account.auth_endpoint or account.endpoint or "")
        call = Call(method=asked.method, path=path, headers=dict(asked.headers), body=asked.body)
        answer = VENDORS[vendor].emulator([account]).handle(call, NOW)
        auth = adapter.read_auth(account, answer.response, NOW)
    renewed = VENDORS[vendor].facts.renewed_after
    if renewed is None:
        assert auth is None or auth.expires_at - NOW >= 365 * DAY
    else:
        assert auth is not None
        assert auth.expires_at - NOW == renewed


# --- limits -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize(
    ("key", "limit", "style"), [("Title", "title", 0), ("Desc", "text", 0), ("Desc", "big_text", 1)]
)
def test_texts_are_cut_at_their_limits(vendor: str, key: str, limit: str, style: int) -> None:
    """A text of exactly the limit is whole, a longer one is cut to it; where no limit is named, 1,000 characters stay."""
    allowed = getattr(VENDORS[vendor].facts.limits, limit)
    field = "title" if key == "Title" else "body"
    hints = AndroidInfo(push_style=style)
    if allowed is None:
        if limit != "big_text":
            assert shown(vendor, key, rendered(vendor, android=hints, **{field: "x" * 1000})) == "x" * 1000
        return
    for size in (allowed, allowed + 1, 5000):
        got = shown(vendor, key, rendered(vendor, android=hints, **{field: "x" * size}))
        assert got == ("x" * size if size == allowed else "x" * (allowed - 1) + "…")


@pytest.mark.parametrize("vendor", VENDORS)
def test_the_payload_is_filled_up_to_its_limit_and_no_further(vendor: str) -> None:
    """The longest ext that is taken fills the payload to within a text's shortest rest; one more is Refused with sizes."""
    limits = VENDORS[vendor].facts.limits
    longest = _longest_ext(vendor)
    if limits.payload is None:
        assert longest == limits.ext
        return
    assert longest is not None
    size = COUNTED[limits.payload_is](rendered(vendor, ext="x" * longest))
    assert limits.payload - 40 < size <= limits.payload
    with pytest.raises(Refused, match=r"\d{4}"):
        rendered(vendor, ext="x" * (longest + 1))


def _longest_ext(vendor: str) -> int | None:
    """Characters of the longest ext that is not Refused, by halving; None where 20,000 are taken."""
    low, high = 0, 20_000
    while low < high:
        middle = (low + high + 1) // 2
        try:
            rendered(vendor, ext="x" * middle)
            low = middle
        except Refused:
            high = middle - 1
    return None if low == 20_000 else low


@pytest.mark.parametrize("vendor", VENDORS)
def test_lifetimes_are_kept_within_their_limits(vendor: str) -> None:
    """What is shorter or longer than the limits is sent as the limit; in between it is told apart."""
    limits = VENDORS[vendor].facts.limits

    def told(seconds: int) -> Any:
        return shown(vendor, "MsgLifeTime", rendered(vendor, expires_at=int(NOW) + seconds))

    shortest, longest = limits.shortest_ttl, limits.longest_ttl
    assert told(0) != told(1) if shortest == 0 else told(1) == told(shortest) != told(2 * shortest)
    if longest is None:
        assert told(400 * DAY) != told(400 * DAY + 3600)
    else:
        assert told(longest - 3600) != told(longest) == told(longest + 3600) == told(longest * 2)


# --- what gives way, what replaces ------------------------------------------------------------------------

PIECES: dict[str, dict[str, Any]] = {
    "Title": {"title": "Al " * 30},
    "Desc": {"body": "Lunch " * 60},
    "conversation": {"conversation": "C2C_alice"},
    "AndroidInfo.GoogleImage": {"android": AndroidInfo(google_image="https://a.example/1.png")},
    "ApnsInfo": {
        "apns": ApnsInfo(
            subtitle="at work", image="https://a.example/1.png", interruption_level="time-sensitive"
        )
    },
}


@pytest.mark.parametrize("vendor", VENDORS)
def test_texts_give_way_to_ext_in_the_order_of_the_page(vendor: str) -> None:
    """As ext grows, exactly the keys of ``gives_way`` shrink or go, one after the other; the last ext is still whole."""
    fields = {name: value for piece in PIECES.values() for name, value in piece.items()}
    mapping, expected = VENDORS[vendor].mapping, VENDORS[vendor].facts.gives_way
    keys = [
        k
        for k in (*PIECES, "ApnsInfo.Image", "ApnsInfo.SubTitle", "ApnsInfo.InterruptionLevel")
        if k in mapping
    ]
    whole = rendered(vendor, ext="x", **fields)
    before = {key: shown(vendor, key, whole) for key in keys}
    gave_way: dict[str, int] = {}
    for size in range(1, 4200, 20):
        try:
            request = rendered(vendor, ext="x" * size, **fields)
        except Refused:
            break
        assert b"x" * size in request.body
        for key in keys:
            if shown(vendor, key, request) != before[key]:
                gave_way.setdefault(key, size)
    assert gave_way.keys() == set(expected)
    sizes = [gave_way[key] for key in expected]
    assert sizes == sorted(sizes)


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_repeat_has_the_same_identity_and_another_message_another(vendor: str) -> None:
    """The fields of ``replaces_by`` come from the push's identities alone: not from the time, and not from the text."""
    identities = {"collapse_id", "notify_id", "vendor_id", "push_id"}
    by_identity = {
        path
        for key in identities & VENDORS[vendor].mapping.keys()
        for path in VENDORS[vendor].mapping[key].split(", ")
    }
    assert set(VENDORS[vendor].facts.replaces_by) <= by_identity
    first, again, edited = (
        rendered(vendor),
        rendered(vendor, at=NOW + 90),
        rendered(vendor, body="edited"),
    )
    for path in VENDORS[vendor].facts.replaces_by:
        assert at(path, first) is not None
        assert at(path, first) == at(path, again) == at(path, edited)
