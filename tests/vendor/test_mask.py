"""A request may be shown once its secrets are gone, in whatever spelling they stand in it."""

from __future__ import annotations

import json
from urllib.parse import quote, quote_plus

from hypothesis import given
from hypothesis import strategies as st

from pushgw.vendor import Request, mask_request


def test_shows_all_but_the_secrets() -> None:
    """Headers, url and JSON body are shown; the secret is not, and JSON is indented."""
    shown = mask_request(
        Request(
            url="https://v.example/send?key=s3cret",
            shared=(("authorization", "bearer s3cret"),),
            headers=(("apns-topic", "com.example"), ("x", "1"), ("x", "2")),
            body='{"token":"s3cret","text":"你好"}'.encode(),
        ),
        ["s3cret"],
    )
    assert shown == {
        "method": "POST",
        "url": "https://v.example/send?key=***",
        "headers": {"authorization": "bearer ***", "apns-topic": "com.example", "x": "1, 2"},
        "body": '{\n  "token": "***",\n  "text": "你好"\n}',
    }


def test_form_and_binary_bodies() -> None:
    """A form's percent-encoded secret goes too; a body that is no text is told by its length."""
    form = Request(url="https://v.example/", body=b"sign=a%2Fb%2bc&x=1")  # escapes in both cases
    assert mask_request(form, ["a/b+c"])["body"] == "sign=***&x=1"
    assert mask_request(Request(url="https://v.example/", body=b"\xff\xfe"), [])["body"] == (
        "(2 bytes that are no text)"
    )


def test_no_secret_masks_nothing() -> None:
    """An empty secret (NO_AUTH) is none; a longer secret goes before one that is a part of it."""
    assert mask_request(Request(url="https://v.example/ab"), [""])["url"] == "https://v.example/ab"
    assert mask_request(Request(url="https://v.example/abc"), ["b", "abc"])["url"].endswith("/***")


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=8))
def test_no_spelling_survives(secret: str) -> None:
    """Plain, percent-encoded or escaped in JSON: a secret of any characters is not in what is shown."""
    for body in (
        secret,
        quote(secret, safe=""),
        quote_plus(secret),
        json.dumps({"a": [secret], secret: 1}),
        json.dumps({"a": secret}).replace("/", "\\/"),
    ):
        request = Request(
            url="https://v.example/", headers=(("authorization", f"k={secret}"),), body=body.encode()
        )
        shown = mask_request(request, [secret])
        assert secret not in shown["headers"]["authorization"]
        assert secret not in shown["body"]
