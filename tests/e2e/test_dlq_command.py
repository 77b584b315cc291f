"""`pushgw dlq` on a real topic: what is listed and shown, and what becomes of a letter that is replayed."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import subprocess
import sys
import time
from typing import Any

from pushgw.state import open_store

LENIENT = {"PUSHGW_POLICY__LENIENT": "true"}


async def dlq(rig: Any, *arguments: str, **environ: str) -> tuple[int, list[Any], str]:
    """Exit code, JSON lines and stderr of `pushgw dlq … --json`."""
    t = rig.topics
    variables = {
        "PUSHGW_KAFKA__BOOTSTRAP_SERVERS": rig.servers,
        "PUSHGW_KAFKA__TOPICS__MESSAGES": t.messages,
        "PUSHGW_KAFKA__TOPICS__USER_EVENTS": t.user_events,
        "PUSHGW_KAFKA__TOPICS__RETRIES": t.retries,
        "PUSHGW_KAFKA__TOPICS__DEAD_LETTERS": t.dead_letters,
        **environ,
    }
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PUSHGW_")}
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "pushgw", "dlq", *arguments, "--json"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env={**clean, **variables},
        timeout=60,
        check=False,
    )
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr.decode()


def unread(body: dict[str, Any]) -> dict[str, Any]:
    """The message with its random as a text: no message, until `policy.lenient` is on."""
    return body | {"MsgRandom": str(body["MsgRandom"])}


async def test_an_empty_topic_has_no_letters(rig: Any) -> None:
    """Nothing is listed, nothing found, nothing replayed."""
    assert (await dlq(rig, "list"))[:2] == (0, [])
    assert (await dlq(rig, "show", "0/0"))[0] == 1
    assert (await dlq(rig, "show", "0"))[0] == 2
    assert (await dlq(rig, "replay", "--yes"))[0] == 1


async def test_letters_are_listed_by_filter_and_shown_whole(rig: Any, message: Any) -> None:
    """All letters to the very last one, by code, topic, user, certificate id and time; each with its own bytes and headers."""
    rig.gateway()
    await rig.put_devices("bob")
    before = time.time()
    many = [unread(message("bob")) for _ in range(40)]
    sources = await rig.publish(b"\x00\xff no json", *many)
    wrong = {"Event": "Device.Put", "To_Account": "eve", "BusinessID": 9001, "Token": 5}
    await rig.publish(wrong, topic=rig.topics.user_events)
    await rig.collect(0, dead_letters=42)

    code, letters, said = await dlq(rig, "list")
    assert (code, len(letters)) == (0, 42), said
    assert [row["TimeMs"] for row in letters] == sorted(row["TimeMs"] for row in letters)
    _, found, _ = await dlq(rig, "list", "--user", "bob", "--code", "90005")
    assert sorted(row["Source"] for row in found) == sorted(sources[1:])
    assert {(row["JsonPath"], row["Key"], row["Attempt"]) for row in found} == {
        ("MsgRandom", "C2C_alice_bob", 1)
    }
    assert len((await dlq(rig, "list", "--code", "90005", "--limit", "3"))[1]) == 3
    for filters in (("--topic", rig.topics.user_events), ("--user", "eve"), ("--credential", "9001")):
        assert [row["Code"] for row in (await dlq(rig, "list", *filters))[1]] == ["20001"]
    assert len((await dlq(rig, "list", "--since", f"{before:.3f}"))[1]) == 42
    assert (await dlq(rig, "list", "--until", f"{before:.3f}"))[1] == []
    assert (await dlq(rig, "list", "--since", "2100-01-01T00:00:00Z"))[1] == []

    _, [shown], _ = await dlq(rig, "show", found[-1]["Coordinate"])
    assert shown["Value"] in many
    assert shown["Headers"]["pushgw-error-code"] == "90005"
    [garbage] = [row for row in letters if row["Code"] == "90001"]
    _, [shown], _ = await dlq(rig, "show", garbage["Coordinate"])
    assert base64.b64decode(shown["Base64"]) == b"\x00\xff no json"
    assert (await dlq(rig, "show", "0/100000"))[0] == 1


async def test_a_replayed_letter_is_pushed_under_its_first_name(rig: Any, message: Any) -> None:
    """When its cause is mended a letter is pushed, its receipt names the first record; replayed twice it is pushed once; a dry run publishes nothing."""
    first = rig.gateway()
    await rig.put_devices("bob")
    [source] = await rig.publish(unread(message("bob")))
    await rig.collect(0, dead_letters=1)
    await rig.stop(first)
    rig.gateway(**LENIENT)

    code, answer, _ = await dlq(rig, "replay", "--dry-run", **LENIENT)
    assert code == 0
    assert [row["Prospect"] for row in answer[:-1]] == ["readable"]
    assert answer[-1]["DryRun"]
    code, _, said = await dlq(rig, "replay", **LENIENT)
    assert (code, "--yes" in said) == (2, True)
    code, [summary], said = await dlq(rig, "replay", "--yes", **LENIENT)
    assert (code, summary["Replayed"], summary["Unreadable"]) == (0, 1, 0), said
    [receipt] = await rig.collect(1)
    assert (receipt["PushGateway"]["Verdict"], receipt["PushGateway"]["Source"]) == ("pushed", source)
    assert (await dlq(rig, "replay", "--yes", **LENIENT))[0] == 0
    await rig.until_committed(rig.topics.messages, 3)
    await rig.quiet()
    assert len(rig.receipts) == 1
    assert rig.sandbox.journal.of("apns").accepted == 1


async def test_a_letter_that_fails_again_does_not_go_round(rig: Any, message: Any) -> None:
    """It is a dead letter once more, of the same record and one attempt later; only this newest one is replayed the next time."""
    rig.gateway()
    await rig.put_devices("bob")
    [source] = await rig.publish(unread(message("bob")))
    await rig.collect(0, dead_letters=1)
    for attempt in (2, 3):
        code, [summary], said = await dlq(rig, "replay", "--yes")
        assert (code, summary["Replayed"], summary["Unreadable"]) == (0, 1, 1), said
        await rig.collect(0, dead_letters=attempt)
    await rig.quiet()
    _, letters, _ = await dlq(rig, "list")
    assert [(row["Source"], row["Attempt"]) for row in letters] == [(source, n) for n in (1, 2, 3)]
    assert rig.receipts == []
    code, _, said = await dlq(rig, "replay", "--dry-run", letters[0]["Coordinate"])
    assert (code, "newest letter" in said) == (1, True)


async def test_an_expired_letter_says_so(rig: Any, message: Any) -> None:
    """Its replay is foretold to end as A11, and so it does."""
    first = rig.gateway()
    await rig.put_devices("bob")
    old = message("bob", MsgLifeTime=60, MsgTimeStamp=int(time.time()) - 3600)
    await rig.publish(unread(old))
    await rig.collect(0, dead_letters=1)
    await rig.stop(first)
    rig.gateway(**LENIENT)
    _, [row, summary], _ = await dlq(rig, "replay", "--dry-run", **LENIENT)
    assert (row["Prospect"], summary["Expired"]) == ("expired", 1)
    assert "A11" in row["Why"]
    await dlq(rig, "replay", "--yes", **LENIENT)
    [receipt] = await rig.collect(1)
    assert receipt["PushGateway"]["Code"] == "A11"


async def test_a_replayed_user_event_is_as_old_as_it_was(rig: Any) -> None:
    """An event without an EventTime has its first record's time, also when it is replayed: what came since stays."""
    first = rig.gateway()
    event = {
        "Event": "Device.Put",
        "To_Account": "bob",
        "DeviceID": "d1",
        "BusinessID": 9001,
        "Platform": "ios",
    }
    await rig.publish(event | {"BusinessID": "9001", "Token": "ab" * 32}, topic=rig.topics.user_events)
    await rig.collect(0, dead_letters=1)
    await rig.put_devices("bob", token="cd" * 32)
    await rig.stop(first)
    second = rig.gateway(**LENIENT)
    code, [summary], said = await dlq(rig, "replay", "--yes", **LENIENT)
    assert (code, summary["Unreadable"]) == (0, 0), said
    await rig.until_committed(rig.topics.user_events, 3)
    await rig.stop(second)
    store = await open_store(rig.settings.state, read_only=True)
    user = await store.user(0, "bob")
    await store.close()
    assert user is not None
    assert [d.token for d in user.devices] == ["cd" * 32]


async def test_no_broker_is_exit_4(rig: Any) -> None:
    """What is not reachable is named with the setting to look at."""
    code, _, said = await dlq(rig, "list", PUSHGW_KAFKA__BOOTSTRAP_SERVERS="127.0.0.1:1")
    assert code == 4
    assert "kafka.bootstrap_servers" in said
