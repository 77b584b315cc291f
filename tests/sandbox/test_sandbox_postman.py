"""The postman: what emulators report later reaches the address of its credential, and is repeated until it is taken."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from pushgw.sandbox import postman as module
from pushgw.sandbox.postman import Postman
from pushgw.vendor.emulator import Told

TOLD = Told(vendor="box", business_id=7, headers=(("x-sign", "s"),), body=b'{"a":1}')


def served(answer: Callable[[httpx.Request], httpx.Response], url: str = "http://gw:1/") -> Postman:
    return Postman(url, transport=httpx.MockTransport(answer), pause=0.0)


@pytest.mark.parametrize(("key", "path"), [("", "/reports/7"), ("k-1", "/reports/7/k-1")])
async def test_a_report_goes_to_the_credentials_address(key: str, path: str) -> None:
    """With its headers and body as the emulator made them; the key ends the address where there is one."""
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200)

    post = served(answer)
    post.take([Told(vendor="box", business_id=7, headers=TOLD.headers, body=TOLD.body, key=key)])
    await post.idle()
    assert [(r.method, r.url.path, r.headers["x-sign"], r.content) for r in seen] == [
        ("POST", path, "s", TOLD.body)
    ]
    assert (post.delivered, post.lost) == (1, 0)
    await post.close()


async def test_what_is_not_taken_is_sent_again() -> None:
    """A refusal and a broken connection are repeated, a few times; then the report is lost and counted."""
    answers: list[object] = [503, httpx.ConnectError("no"), 200]

    def answer(request: httpx.Request) -> httpx.Response:
        said = answers.pop(0) if answers else 503
        if isinstance(said, Exception):
            raise said
        assert isinstance(said, int)
        return httpx.Response(said)

    post = served(answer)
    post.take([TOLD])
    await post.idle()
    assert (post.delivered, post.lost, answers) == (1, 0, [])
    post.take([TOLD])
    await post.idle()
    assert (post.delivered, post.lost) == (1, 1)
    await post.close()


async def test_more_than_may_wait_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gateway that takes nothing does not fill the sandbox's memory."""
    monkeypatch.setattr(module, "MOST_WAITING", 2)
    post = served(lambda _: httpx.Response(200))
    post.take([TOLD] * 3)
    assert post.lost == 1
    await post.idle()
    await post.close()
