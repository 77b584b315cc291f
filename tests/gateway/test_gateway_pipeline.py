"""The invariants of the pipeline: one terminal receipt each, no early commit, claims by source, receipts before marks."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from pushgw import gateway as gateway_module
from pushgw.delivery.shipment import Parcel, Shipment
from pushgw.delivery.work import Work
from pushgw.kafka.intake import Record
from pushgw.messages.model import Source
from pushgw.vendor.http import Response, TransportError

Make = Callable[..., Any]
TOPIC = ("im.offline-messages", 0)


def verdicts(plant: Any) -> list[tuple[str | None, str, str]]:
    return [
        (
            r["To_Account"],
            r["PushGateway"]["Verdict"],
            r["PushGateway"].get("Code") or r["PushGateway"].get("Action", ""),
        )
        for r in plant.outlet.receipts
    ]


async def test_every_receiver_and_device_ends_in_exactly_one_receipt(plant: Any, message: Make) -> None:
    """Invariant 1: pushed, suppressed, failed and unknown receivers of one batch message each have one receipt."""
    plant.intake.put(
        plant.device("bob"), plant.device("bob", device="tab"), plant.device("eve"), topic="im.user-events"
    )
    await plant.until_idle()
    plant.answers["token-eve-d"] = [Response(status=200, body=b"bad_message")]
    plant.intake.put(message(["bob", "eve", "nobody"]))
    await plant.until_idle()
    keys = Counter((r["To_Account"], r["PushGateway"].get("DeviceID")) for r in plant.outlet.receipts)
    assert keys == {("bob", "d"): 1, ("bob", "tab"): 1, ("eve", "d"): 1, ("nobody", None): 1}
    assert set(verdicts(plant)) == {
        ("bob", "pushed", ""),
        ("eve", "failed", "given_up"),
        ("nobody", "suppressed", "B3"),
    }


async def test_nothing_is_committed_beyond_an_unsettled_record(plant: Any, message: Make) -> None:
    """Invariant 2: while the first record's push is being repeated, later settled records do not move the offset."""
    await plant.with_devices("bob", "eve")
    plant.answers["token-bob-d"] = [TransportError("no answer")] * 3
    plant.gateway._dispatcher._settings = plant.gateway._dispatcher._settings.model_copy(
        update={"backoff": 5.0, "backoff_max": 5.0}
    )
    plant.intake.put(message("bob"), message("eve"), message("eve"))
    await plant.until(lambda: len(plant.outlet.receipts) == 2)
    await plant.intake.commit()
    assert plant.intake.committed.get(TOPIC, 0) == 0
    await plant.crash()


@pytest.mark.parametrize("readable", [True, False], ids=["receipt", "dead letter"])
async def test_offsets_wait_for_the_broker(plant: Any, message: Make, readable: bool) -> None:
    """Invariant 2: while the broker takes neither receipts nor dead letters no offset advances; when it does, all is settled."""
    await plant.with_devices("bob")
    plant.outlet.broken = True
    plant.intake.put(message("bob") if readable else b"no json")
    await plant.until(lambda: "receipts" in plant.gateway.troubles)
    await plant.intake.commit()
    assert plant.intake.committed.get(TOPIC, 0) == 0
    plant.outlet.broken = False
    await plant.until_idle()
    await plant.intake.commit()
    assert plant.intake.committed[TOPIC] == 1
    assert len(plant.outlet.receipts) == int(readable)
    assert len(plant.outlet.letters) == int(not readable)


async def test_the_redelivered_owner_of_a_claim_passes(plant: Any, message: Make, make_plant: Make) -> None:
    """Invariant 3: after a crash before the receipt the same coordinate is pushed, with the same vendor-side id; a twin is A5."""
    await plant.with_devices("bob")
    body = message("bob")
    plant.outlet.broken = True
    plant.intake.put(body)
    await plant.until(lambda: len(plant.sent) == 1)
    await plant.until(lambda: "receipts" in plant.gateway.troubles)
    await plant.crash()

    again = make_plant()
    await again.start()
    again.intake.put(body, body, at=0)
    await again.until_idle()
    assert dict(again.sent[0].headers)["x-id"] == dict(plant.sent[0].headers)["x-id"]
    assert sorted(verdicts(again)) == [("bob", "pushed", ""), ("bob", "suppressed", "A5")]
    details = [r["PushGateway"].get("Detail", "") for r in again.outlet.receipts]
    assert any("im.offline-messages/0/0" in detail for detail in details), "A5 names the owner"
    await again.stop()


async def test_a_done_mark_stops_a_settled_record(plant: Any, message: Make, make_plant: Make) -> None:
    """Invariant 3: a record that was settled but not committed is neither pushed nor receipted again."""
    await plant.with_devices("bob")
    body = message("bob")
    plant.intake.put(body)
    await plant.until_idle()
    await plant.crash()
    again = make_plant()
    await again.start()
    again.intake.put(body, at=0)
    await again.until_idle()
    assert again.sent == []
    assert again.outlet.receipts == []
    await again.stop()


async def later(plant: Any, make_plant: Make, seconds: float = 3600) -> Any:
    """The gateway after a crash, so much later."""
    await plant.crash()
    again = make_plant()
    again.now = plant.now + seconds
    await again.start()
    return again


async def test_a_new_record_at_a_used_offset_is_no_old_one(
    plant: Any, message: Make, make_plant: Make
) -> None:
    """Invariant 1: a topic made anew begins at offset 0 again, and its records are pushed and receipted, though there are
    done marks of their coordinates. The old record, delivered again, is not; nor is the new one when it comes again."""
    await plant.with_devices("bob")
    old, new = message("bob"), message("bob")
    no_message = {"CallbackCommand": "State.StateChange", "Info": {"To_Account": "bob", "Action": "Login"}}
    plant.intake.put(old, message("bob"))
    await plant.until_idle()
    again = await later(plant, make_plant)
    again.intake.put(old, at=0)
    await again.until_idle()
    assert (again.sent, again.outlet.receipts) == ([], [])
    again.intake.put(new, no_message, at=0, made=again.now)
    await again.until_idle()
    assert [request.body for request in again.sent] == [b"text 2"]
    assert sorted(code for _, _, code in verdicts(again)) == ["", "A3"]
    last = await later(again, make_plant)
    last.intake.put(new, no_message, at=0, made=again.now)
    await last.until_idle()
    assert (last.sent, last.outlet.receipts) == ([], [])
    await last.stop()


@pytest.mark.parametrize("dated", [True, False], ids=["with the first time", "without"])
async def test_a_settled_record_that_is_replayed_stays_settled(
    plant: Any, message: Make, make_plant: Make, dated: bool
) -> None:
    """What comes back has the time of the first record, whatever its own timestamp is; where it has none the mark is
    believed."""
    await plant.with_devices("bob")
    body = message("bob")
    plant.intake.put(body)
    await plant.until_idle()
    again = await later(plant, make_plant)
    headers = [("pushgw-source", b"im.offline-messages/0/0")]
    if dated:
        headers.append(("pushgw-first-seen", b"%d" % (plant.now * 1000)))
    record = Record(Source("x", 0, 0), b"k", json.dumps(body).encode(), (), 0, 0)
    again.intake.put_back(TOPIC[0], record, headers, at=1)
    await again.until_idle()
    assert (again.sent, again.outlet.receipts) == ([], [])
    await again.stop()


async def test_done_devices_of_a_half_settled_record_are_left_out(
    plant: Any, message: Make, make_plant: Make
) -> None:
    """Of a record that was settled for one receiver before the crash only the other is pushed after it."""
    await plant.with_devices("bob", "eve")
    body = message(["bob", "eve"])
    plant.answers["token-eve-d"] = [TransportError("no answer")] * 3
    plant.gateway._dispatcher._settings = plant.gateway._dispatcher._settings.model_copy(
        update={"backoff": 5.0, "backoff_max": 5.0}
    )
    plant.intake.put(body)
    await plant.until(lambda: "settle" in plant.state.calls and len(plant.outlet.receipts) == 1)
    await asyncio.sleep(0.05)
    await plant.crash()
    again = make_plant()
    await again.start()
    again.intake.put(body, at=0)
    await again.until_idle()
    assert verdicts(again) == [("eve", "pushed", "")]
    await again.stop()


async def test_another_record_with_the_same_event_id_is_redelivered(plant: Any, message: Make) -> None:
    """A2: one EventId, two records, two marks: the second is suppressed though its MsgRandom differs."""
    await plant.with_devices("bob")
    extra = {"SchemaVersion": 1, "EventId": "same"}
    plant.intake.put(message("bob", PushGateway=extra), message("bob", PushGateway=extra))
    await plant.until_idle()
    assert sorted(verdicts(plant)) == [("bob", "pushed", ""), ("bob", "suppressed", "A2")]


async def test_a_store_that_is_away_pauses_and_guesses_nothing(plant: Any, message: Make) -> None:
    """While the store does not answer nothing is sent and nothing is lost; it goes on by itself."""
    await plant.with_devices("bob")
    plant.state.away = True
    plant.intake.put(message("bob"))
    await plant.until(lambda: "state" in plant.gateway.troubles)
    assert plant.sent == []
    plant.state.away = False
    await plant.until_idle()
    assert verdicts(plant) == [("bob", "pushed", "")]
    assert not plant.gateway.troubles


async def test_admit_and_settle_take_whole_batches(plant: Any, message: Make) -> None:
    """One admit for a batch of 200 messages, and far fewer settles than messages."""
    await plant.with_devices("bob")
    plant.state.calls.clear()
    plant.intake.put(*(message("bob", From_Account=f"s{n}") for n in range(200)))
    await plant.until_idle()
    assert plant.state.calls.count("admit") == 1
    assert plant.state.calls.count("settle") <= 210
    assert len(plant.outlet.receipts) == 200


async def test_a_poison_record_goes_to_the_dead_letters_with_a_traceback_id(
    plant: Any, message: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exception that nobody expected costs its record only; the log has the traceback under the letter's id."""
    await plant.with_devices("bob")
    decide = plant.gateway._decider.decide

    def burst(subject: Any, admission: Any, now: float, **options: Any) -> Any:
        if subject.seq == 1:
            raise ZeroDivisionError
        return decide(subject, admission, now, **options)

    monkeypatch.setattr(plant.gateway._decider, "decide", burst)
    with capture_logs() as logs:
        plant.intake.put(message("bob"), message("bob"))
        await plant.until_idle()
    [(record, headers)] = plant.outlet.letters
    assert record.source.offset == 0
    assert headers["pushgw-error-code"] == "20001"
    [entry] = [entry for entry in logs if entry["event"] == "poison_record"]
    assert isinstance(entry["exc_info"], ZeroDivisionError)
    assert headers["pushgw-error"] == f"unexpected ZeroDivisionError; traceback id {entry['traceback_id']}"
    assert verdicts(plant) == [("bob", "pushed", "")]


async def test_recall_in_both_orders(plant: Any, message: Make) -> None:
    """A6: a recall before its message suppresses it, and so does one that comes later in the same batch."""
    await plant.with_devices("bob")
    late, early = message("bob"), message("bob")

    def recall(body: dict[str, Any]) -> dict[str, Any]:
        key = f"{body['MsgSeq']}_{body['MsgRandom']}_{body['MsgTimeStamp']}"
        return {"From_Account": "alice", "To_Account": "bob", "MsgKey": key}

    plant.intake.put(recall(late))
    plant.intake.put(late)
    plant.intake.put(early, recall(early))
    await plant.until_idle()
    assert verdicts(plant) == [("bob", "suppressed", "A6")] * 2
    assert plant.sent == []


async def test_badges_count_pushed_messages(plant: Any, message: Make) -> None:
    """Base 0 and one more with each pushed message, also within a batch; the publisher's number becomes the base; suppressed ones count nothing."""
    await plant.with_devices("bob")
    plant.intake.put(message("bob"), message("bob", MsgLifeTime=0), message("bob"))
    await plant.until_idle()
    plant.intake.put(message("bob", UnreadMsgNum=9))
    await plant.until_idle()
    plant.intake.put(message("bob"))
    await plant.until_idle()
    assert [dict(r.headers)["x-badge"] for r in plant.sent] == ["1", "2", "9", "10"]


async def test_a_failed_push_raises_no_badge(plant: Any, message: Make) -> None:
    """The number after a failed push is the one that the failed push had."""
    await plant.with_devices("bob")
    plant.answers["token-bob-d"] = [Response(status=200, body=b"bad_message")]
    plant.intake.put(message("bob"))
    await plant.until_idle()
    plant.intake.put(message("bob"))
    await plant.until_idle()
    assert [dict(r.headers)["x-badge"] for r in plant.sent] == ["1", "1"]


async def test_a_dead_token_is_marked_and_the_next_message_is_c5(plant: Any, message: Make) -> None:
    """The receipt says token_removed; afterwards the device is C5 until it reports a newer token."""
    await plant.with_devices("bob")
    plant.answers["token-bob-d"] = [Response(status=200, body=b"invalid_token")]
    plant.intake.put(message("bob"))
    await plant.until_idle()
    plant.intake.put(message("bob"))
    await plant.until_idle()
    assert verdicts(plant) == [("bob", "failed", "token_removed"), ("bob", "suppressed", "C5")]
    plant.now += 10
    plant.intake.put(
        {**plant.device("bob", token="newer"), "EventTime": int(plant.now * 1000)}, topic="im.user-events"
    )
    await plant.until_idle()
    plant.intake.put(message("bob"))
    await plant.until_idle()
    assert verdicts(plant)[-1] == ("bob", "pushed", "")


async def test_now_is_dispatch_time(make_plant: Make, message: Make) -> None:
    """Invariant 8: with the injected clock moved past the lifetime the message is A11, without any waiting."""
    plant = make_plant()
    await plant.start()
    await plant.with_devices("bob")
    plant.now += 604_800
    plant.intake.put(message("bob"))
    await plant.until_idle()
    assert verdicts(plant) == [("bob", "suppressed", "A11")]
    await plant.stop()


async def test_tokens_and_texts_are_in_no_log_or_receipt(
    plant: Any, message: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    """Invariant 7: neither the device token nor the message's text is in the logs, receipts or dead-letter headers."""
    token = "very-secret-device-token-0123456789"
    plant.intake.put(plant.device("bob", token=token), topic="im.user-events")
    await plant.until_idle()
    plant.answers[token] = [Response(status=200, body=b"invalid_token")]
    body = message("bob")
    body["MsgBody"][0]["MsgContent"]["Text"] = "a very private text"
    broken = {**body, "MsgRandom": "a very private text"}
    plant.intake.put(body, broken)
    await plant.until_idle()
    said = capsys.readouterr()
    everything = said.out + said.err + str(plant.outlet.receipts) + str([h for _, h in plant.outlet.letters])
    assert token not in everything
    assert "a very private text" not in everything


async def test_a_revoked_partition_is_finished_first(plant: Any, message: Make) -> None:
    """The rebalance callback returns only when the partition's records are settled."""
    await plant.with_devices("bob")
    plant.answers["token-bob-d"] = [TransportError("no answer")]
    plant.intake.put(message("bob"))
    await plant.until(lambda: len(plant.sent) >= 1)
    await plant.intake.on_revoke({TOPIC})
    assert plant.intake.in_flight({TOPIC}) == 0
    assert len(plant.outlet.receipts) == 1


async def test_a_defect_ends_the_process_at_once(
    plant: Any, message: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exception that nobody foresaw in the settle loop comes out of `run`, and leaving the group waits for nobody."""
    await plant.with_devices("bob")

    async def broken(_receipts: Any) -> None:
        raise ZeroDivisionError

    async def close() -> None:
        await plant.intake.on_revoke({TOPIC})

    monkeypatch.setattr(plant.outlet, "publish", broken)
    monkeypatch.setattr(plant.intake, "close", close)
    plant.intake.put(message("bob"))
    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(asyncio.shield(plant.running), 5)
    await plant.state.store.close()


async def test_a_full_backlog_pauses_intake(make_plant: Make, message: Make) -> None:
    """With more in flight than the backlog allows, intake pauses; it resumes when there is room."""
    plant = make_plant()
    await plant.start()
    await plant.with_devices("bob")
    plant.gateway._settings = plant.gateway._settings.model_copy(
        update={"dispatch": plant.gateway._settings.dispatch.model_copy(update={"backlog": 2})}
    )
    plant.outlet.broken = True
    plant.intake.put(message("bob"), message("bob"), message("bob"))
    await plant.until(lambda: plant.intake.paused)
    plant.intake.put(message("bob"))
    await plant.until(lambda: "receipts" in plant.gateway.troubles)
    assert plant.intake.untaken == 1
    plant.outlet.broken = False
    await plant.until_idle()
    assert len(plant.outlet.receipts) == 4
    await plant.stop()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
KEYS = [
    "From_Account", "To_Account", "MsgSeq", "MsgRandom", "MsgTimeStamp", "MsgBody", "MsgLifeTime", "OnlineOnlyFlag",
    "OfflinePushInfo", "PushGateway", "GroupId", "Random", "CallbackCommand", "MsgKey", "MsgSeqList", "GroupAtInfo",
    "UnreadMsgNum", "SendMsgControl", "Event", "EventTime", "DeviceID", "BusinessID", "Token", "Info",
]  # fmt: skip


@given(
    st.lists(
        st.binary(max_size=40) | st.dictionaries(st.sampled_from(KEYS), json_values, max_size=8),
        min_size=1,
        max_size=12,
    )
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_on_any_topic_end_somewhere(
    tmp_path_factory: pytest.TempPathFactory, make_plant: Make, values: list[Any]
) -> None:
    """Random bytes, random JSON and messages with random parts never crash, never stall a partition, never vanish: each record ends settled, as receipts, an applied event or a dead letter."""

    async def run() -> None:
        plant = make_plant()
        plant.home = tmp_path_factory.mktemp("any")
        await plant.start()
        base = {
            "From_Account": "alice",
            "To_Account": "bob",
            "MsgRandom": 1,
            "MsgBody": [{"MsgType": "TIMTextElem", "MsgContent": {"Text": "x"}}],
        }
        mutated = [{**base, **v} if isinstance(v, dict) and n % 2 else v for n, v in enumerate(values)]
        plant.intake.put(*mutated)
        plant.intake.put(*mutated, topic="im.user-events")
        await plant.until_idle()
        tally = plant.gateway.tally
        outcomes = len({r["PushGateway"]["Source"] for r in plant.outlet.receipts})
        outcomes += len(plant.outlet.letters) + tally.user_events + tally.recalls
        assert outcomes == 2 * len(values)
        await plant.stop()

    asyncio.run(run())


async def test_what_is_settled_is_freed_without_the_collector(plant: Any, message: Make) -> None:
    """The collector runs once a minute: what is settled must not wait for it in cycles, or a busy minute fills the memory."""
    await plant.with_devices("bob", "eve")
    gc.collect()
    gc.disable()
    try:
        for n in range(20):
            if n % 4 == 0:
                plant.answers["token-eve-d"] = [TransportError("no answer")] * 4
            plant.intake.put(*(message(user) for user in ("bob", "eve", "nobody")), message(["bob", "eve"]))
            await plant.until_idle()
        assert plant.outlet.deferred, "some of them went to a retry topic"
        plant.outlet.deferred.clear()
        left = Counter(type(o).__name__ for o in gc.get_objects() if isinstance(o, Work | Shipment | Parcel))
    finally:
        gc.enable()
    assert sum(left.values()) < 20, left


async def test_a_stop_during_the_start_ends_though_a_cancellation_is_swallowed(make_plant: Any) -> None:
    """A client that answers just as it is cancelled may swallow the cancellation: the gateway asks again and ends."""
    plant = make_plant()
    await plant.start()

    async def swallowing() -> list[Any]:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return []

    plant.state.suspects = swallowing
    plant.gateway.stop()
    await asyncio.wait_for(plant.running, 20)
    await plant.state.store.close()


async def test_what_cannot_be_closed_does_not_keep_the_process(
    make_plant: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that never closes is named and left behind: the stop ends."""
    monkeypatch.setattr(gateway_module, "CLOSE_S", 0.05)
    plant = make_plant()
    await plant.start()
    plant.outlet.close = asyncio.Event().wait
    plant.gateway.stop()
    with capture_logs() as logs:
        await asyncio.wait_for(plant.running, 20)
    assert [line["what"] for line in logs if line["event"] == "not_closed"] == ["producer"]
    await plant.state.store.close()
