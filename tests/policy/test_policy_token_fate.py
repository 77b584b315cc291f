"""Invariant 5 as a table: when a token that a vendor spoke of is removed, and why it is kept."""

from __future__ import annotations

from typing import Any

import pytest

from pushgw.policy.facts import Device
from pushgw.policy.token_fate import TokenFate, fate_of_token
from pushgw.vendor.push import Action

PUT_MS = 1_000_000
SENT_MS = PUT_MS + 500


def device(**changes: Any) -> Device:
    return Device(**({"device_id": "d1", "business_id": 6666, "token": "t1", "put_ms": PUT_MS} | changes))


def fate(stored: Device | None, **changes: Any) -> TokenFate:
    """Of a dead result for t1, sent half a second after the Put."""
    facts: dict[str, Any] = {
        "said": Action.INVALID_TOKEN,
        "token": "t1",
        "sent_ms": SENT_MS,
        "dead_since_ms": None,
        "guarded": False,
    }
    return fate_of_token(stored, **(facts | changes))


@pytest.mark.parametrize(
    ("stored", "changes", "expected"),
    [
        pytest.param(device(), {}, "token_removed", id="unchanged, put before the push, no vendor time"),
        pytest.param(device(), {"dead_since_ms": PUT_MS + 1}, "token_removed", id="dead since after the Put"),
        pytest.param(device(), {"dead_since_ms": PUT_MS}, "token_kept_newer", id="dead since the very Put"),
        pytest.param(device(), {"dead_since_ms": PUT_MS - 1}, "token_kept_newer", id="dead before the Put"),
        pytest.param(device(), {"sent_ms": PUT_MS}, "token_kept_newer", id="sent in the Put's millisecond"),
        pytest.param(device(), {"sent_ms": PUT_MS + 1}, "token_removed", id="sent just after the Put"),
        pytest.param(device(), {"sent_ms": PUT_MS - 1}, "token_kept_newer", id="put again after the push"),
        pytest.param(
            device(),
            {"sent_ms": PUT_MS - 1, "dead_since_ms": PUT_MS + 9},
            "token_kept_newer",
            id="both times must agree",
        ),
        pytest.param(device(token="t2"), {}, "token_kept_newer", id="another token by now"),
        pytest.param(device(lost=True), {}, "token_kept_newer", id="the token moved elsewhere"),
        pytest.param(device(dead_ms=5), {}, "token_removed", id="said twice"),
        pytest.param(None, {}, "token_kept_newer", id="the device is gone"),
        pytest.param(device(), {"guarded": True}, "token_kept_guard", id="the guard has tripped"),
        pytest.param(
            device(),
            {"guarded": True, "dead_since_ms": PUT_MS + 1},
            "token_kept_guard",
            id="the guard has tripped, and the vendor is sure",
        ),
        pytest.param(
            device(token="t2"), {"guarded": True}, "token_kept_newer", id="nothing to hold: another token"
        ),
        pytest.param(None, {"guarded": True}, "token_kept_newer", id="nothing to hold: the device is gone"),
    ],
)
def test_when_a_token_is_removed(stored: Device | None, changes: dict[str, Any], expected: str) -> None:
    """Only an unchanged token, put before the push left and before the vendor's timestamp, of a credential whose guard has not tripped."""
    assert fate(stored, **changes) == expected


@pytest.mark.parametrize("said", [a for a in Action if a is not Action.INVALID_TOKEN])
@pytest.mark.parametrize("guarded", [False, True])
def test_only_an_answer_about_the_token_removes_it(said: Action, guarded: bool) -> None:
    """Whatever else a vendor answers (an outage, a refused credential, a code nobody knows), no token is touched."""
    assert fate(device(), said=said, guarded=guarded) is TokenFate.UNTOUCHED
