"""`pushgw tokens review` beside a running gateway: a bad credential, what it costs, and an operator's answer."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections import Counter
from typing import Any

import pytest

from pushgw.state import open_store

USERS = [f"u{n}" for n in range(12)]
FCM = 9002
TOKEN = "fcm-dead-token-of-"


async def review(rig: Any, *arguments: str) -> tuple[int, dict[str, Any], str]:
    """Exit code, answer and stderr of `pushgw tokens review --json`."""
    variables = {
        "PUSHGW_KAFKA__BOOTSTRAP_SERVERS": rig.servers,
        "PUSHGW_KAFKA__TOPICS__USER_EVENTS": rig.topics.user_events,
        "PUSHGW_STATE__URL": rig.settings.state.url,
    }
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PUSHGW_")}
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "pushgw", "tokens", "review", "--json", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env={**clean, **variables},
        timeout=60,
        check=False,
    )
    return done.returncode, json.loads(done.stdout or b"{}"), done.stderr.decode()


def put(user: str, token: str) -> dict[str, Any]:
    return {
        "Event": "Device.Put",
        "To_Account": user,
        "EventTime": int(time.time() * 1000),
        "DeviceID": "d1",
        "BusinessID": FCM,
        "Platform": "android",
        "Token": token,
    }


async def devices(rig: Any, users: list[str]) -> dict[str, str]:
    """Users that still have their device, and its token."""
    store = await open_store(rig.settings.state, read_only=True)
    try:
        found = {user: await store.user(0, user) for user in users}
        return {user: known.devices[0].token for user, known in found.items() if known and known.devices}
    finally:
        await store.close()


@pytest.fixture
async def wiped(rig: Any, message: Any) -> Any:
    """A gateway whose FCM calls every token dead: its guard has tripped, and all devices are held but two at most."""
    rig.gateway(PUSHGW_TOKENS__WIPE_MINIMUM="3")
    await rig.publish(*(put(user, TOKEN + user) for user in USERS), topic=rig.topics.user_events)
    async with asyncio.timeout(60):
        while not await rig._known(tuple(USERS)):
            await asyncio.sleep(0.1)
    await rig.publish(message(USERS))
    await rig.collect(len(USERS))
    return rig


def actions(rig: Any) -> Counter[str]:
    return Counter(r["PushGateway"].get("Action", r["PushGateway"]["Verdict"]) for r in rig.receipts)


def held(rig: Any) -> list[str]:
    return [r["To_Account"] for r in rig.receipts if r["PushGateway"]["Action"] == "token_kept_guard"]


async def test_a_bad_credential_wipes_nothing_and_is_listed(wiped: Any) -> None:
    """Two of twelve are removed at most, the others listed with masked tokens; to delete without being asked needs --yes."""
    rig = wiped
    assert actions(rig)["token_removed"] <= 2
    assert len(held(rig)) == len(USERS) - actions(rig)["token_removed"]
    assert "token_guard_tripped" in rig.log()
    code, answer, _ = await review(rig)
    assert (code, answer["Held"]) == (0, len(held(rig)))
    assert {row["To_Account"] for row in answer["Tokens"]} == set(held(rig))
    assert {(row["BusinessID"], row["VendorCode"]) for row in answer["Tokens"]} == {(FCM, "UNREGISTERED")}
    assert TOKEN not in json.dumps(answer)
    assert TOKEN not in rig.log()
    code, _, said = await review(rig, "--confirm")
    assert (code, "--yes" in said) == (2, True)
    code, _, said = await review(rig, "--clear", "--credential", "9001")
    assert (code, "no token is held of credential 9001" in said) == (1, True)
    assert len(await devices(rig, USERS)) == len(USERS)


async def test_confirm_deletes_all_but_what_is_newer(wiped: Any, message: Any) -> None:
    """Confirmed devices are gone (C1) in the running gateway; one that registered anew meanwhile lives and is pushed to."""
    rig = wiped
    suspects = held(rig)
    lives, dies = suspects[:2]
    await rig.publish(put(lives, "fcm-new-token"), topic=rig.topics.user_events)
    async with asyncio.timeout(60):
        while (await devices(rig, [lives]))[lives] != "fcm-new-token":
            await asyncio.sleep(0.1)
    code, answer, said = await review(rig, "--confirm", "--yes")
    assert (code, answer) == (0, {"Done": "deleted", "Devices": len(suspects), "Credentials": [FCM]}), said
    async with asyncio.timeout(60):
        while len(await devices(rig, suspects)) > 1:
            await asyncio.sleep(0.1)
    assert await devices(rig, suspects) == {lives: "fcm-new-token"}
    rig.receipts.clear()
    await rig.publish(message(lives), message(dies))
    await rig.collect(2)
    codes = {r["To_Account"]: r["PushGateway"].get("Code", "pushed") for r in rig.receipts}
    assert codes == {lives: "pushed", dies: "C1"}
    assert (await review(rig))[1] == {"Held": 0, "Tokens": []}


async def test_clear_keeps_the_devices_and_opens_the_guard(wiped: Any, message: Any) -> None:
    """Cleared devices stay, and the running gateway hears of it: the next dead token is removed again."""
    rig = wiped
    suspects = held(rig)
    code, answer, said = await review(rig, "--clear")
    assert (code, answer["Done"], answer["Devices"]) == (0, "cleared", len(suspects)), said
    assert len(await devices(rig, USERS)) == len(USERS)
    async with asyncio.timeout(60):
        while "token_guard_reopened" not in rig.log():
            await asyncio.sleep(0.1)
    rig.receipts.clear()
    await rig.publish(message(suspects[0]))
    await rig.collect(1)
    assert actions(rig) == {"token_removed": 1}
