"""What /metrics says after known traffic: every metric of the catalogue, with the right numbers, under bounded labels."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pushgw.credentials import CredentialDirectory, CredentialEntry
from pushgw.metrics import CATALOGUE, Kind, exposition
from pushgw.vendor import Summary
from pushgw.vendor.adapter import Account, Credential
from pushgw.vendor.http import Response, TransportError

NOW = 1_795_500_000.0
Message = Callable[..., dict[str, Any]]


class Dated(Credential):
    """A credential with an end, as a certificate has."""

    def summary(self) -> Summary:
        return Summary(expires_at=NOW + 12 * 86_400)


def book_of(plant: Any) -> CredentialDirectory:
    """The plant's credential, one that ends in 12 days, and one that names a vendor nobody knows."""
    dated = Account(business_id=2, vendor="plain", credential=Dated(), cache={})
    entries = {
        1: plant.book.entries[1],
        2: CredentialEntry(2, "plain", adapter=plant.adapter, account=dated),
        3: CredentialEntry(3, "m" * 500, fault="no vendor is called so"),
    }
    return CredentialDirectory(entries, [], [])


class Scrape:
    """One exposition, read back."""

    def __init__(self, plant: Any) -> None:
        self.text = exposition(plant.gateway, book_of(plant))
        self.samples = {
            (s.name, tuple(sorted(s.labels.items()))): s.value
            for family in text_string_to_metric_families(self.text)
            for s in family.samples
        }

    def __call__(self, name: str, **labels: str) -> float:
        return self.samples[(name, tuple(sorted(labels.items())))]

    def has(self, name: str) -> bool:
        return any(sample == name for sample, _ in self.samples)


async def story(plant: Any, message: Message) -> None:
    """Two pushes, a duplicate, an unknown user, a dead token, a push refused for good, a repeat, a recall, a dead letter."""
    await plant.with_devices("bob", "cara", "dan", "eve")
    plant.answers["token-cara-d"] = [Response(status=200, body=b"invalid_token")]
    plant.answers["token-dan-d"] = [Response(status=200, body=b"bad_message")]
    plant.answers["token-eve-d"] = [Response(status=200, body=b"retry")]
    first = message("bob")
    plant.intake.put(first, message("cara"), message("dan"), message("eve"), message("nobody"))
    plant.intake.put({**first, "MsgSeq": first["MsgSeq"] + 1000}, b"no json")
    plant.intake.put(
        {
            "CallbackCommand": "C2C.CallbackAfterMsgWithDraw",
            "From_Account": "a",
            "To_Account": "b",
            "MsgKey": "1_1_1",
        }
    )
    await plant.until_idle()
    await plant.until(lambda: plant.gateway.tally.claims_held is not None)


async def test_every_metric_of_the_catalogue_has_a_value(plant: Any, message: Message) -> None:
    """After some traffic there is no metric in the documented table without a sample, and no sample outside the table."""
    await story(plant, message)
    scrape = Scrape(plant)
    shown = {name for name, _ in scrape.samples}
    for metric in CATALOGUE:
        suffix = "_count" if metric.kind is Kind.HISTOGRAM else ""
        assert metric.name + suffix in shown, f"{metric.name} has no value"
    expected = {m.name + s for m in CATALOGUE for s in ("", "_bucket", "_count", "_sum")}
    assert shown <= expected


async def test_each_counter_says_what_happened(plant: Any, message: Message) -> None:
    """Records, verdicts, outcomes, tokens, repeats, receipts and dead letters are counted where they belong."""
    await story(plant, message)
    scrape = Scrape(plant)
    assert scrape("pushgw_records_received_total", topic="user_events") == 4
    assert scrape("pushgw_records_received_total", topic="messages") == 8
    assert scrape("pushgw_user_events_total") == 4
    assert scrape("pushgw_recalls_total") == 1
    assert scrape("pushgw_decisions_total", verdict="push", code="", reason="") == 4
    assert scrape("pushgw_decisions_total", verdict="suppress", code="A5", reason="DUPLICATE") == 1
    assert scrape("pushgw_decisions_total", verdict="suppress", code="B3", reason="NOT_LOGGED_IN") == 1
    assert scrape("pushgw_decisions_total", verdict="suppress", code="A1", reason="MALFORMED") == 1
    assert scrape("pushgw_decisions_total", verdict="suppress", code="B7", reason="C2C_DND") == 0
    assert scrape("pushgw_pushes_total", vendor="plain", action="pushed") == 2
    assert scrape("pushgw_pushes_total", vendor="plain", action="dead") == 1
    assert scrape("pushgw_pushes_total", vendor="plain", action="given_up") == 1
    assert scrape("pushgw_pushes_total", vendor="plain", action="expired") == 0
    assert scrape("pushgw_dead_tokens_total", vendor="plain", action="token_removed") == 1
    assert scrape("pushgw_token_guard_trips_total", credential="1", vendor="plain") == 0
    assert scrape("pushgw_tokens_held", credential="1", vendor="plain") == 0
    assert scrape("pushgw_records_lost_total") == 0
    assert scrape("pushgw_retries_total", tier="lane") == 1
    assert scrape("pushgw_retries_total", tier="300") == 0
    assert scrape("pushgw_receipts_total") == len(plant.outlet.receipts) == 6
    assert scrape("pushgw_dead_letters_total", code="90001") == 1


async def test_latencies_are_counted_once_for_each_message_and_push(plant: Any, message: Message) -> None:
    """Decided: once a readable message. Vendor: once a push that was sent. Receipt: once a receipt. State: once a batch."""
    await story(plant, message)
    scrape = Scrape(plant)
    assert scrape("pushgw_decide_latency_seconds_count") == 6
    assert scrape("pushgw_vendor_latency_seconds_count", vendor="plain") == 4
    assert scrape("pushgw_receipt_latency_seconds_count") == 6
    assert scrape("pushgw_state_latency_seconds_count", operation="admit") == 2
    assert scrape("pushgw_state_latency_seconds_count", operation="settle") >= 1


async def test_latency_runs_from_the_records_time(plant: Any, message: Message) -> None:
    """A record that waited 40 s in Kafka is 40 s late in the decision and in the receipt, not in the vendor's time."""
    await plant.with_devices("bob")
    plant.now = NOW + 40
    plant.intake.put(message("bob"))
    await plant.until_idle()
    scrape = Scrape(plant)
    for name in ("pushgw_decide_latency_seconds", "pushgw_receipt_latency_seconds"):
        assert scrape(f"{name}_sum") == 40
        assert scrape(f"{name}_bucket", le="30.0") == 0
        assert scrape(f"{name}_bucket", le="60.0") == 1
    assert scrape("pushgw_vendor_latency_seconds_sum", vendor="plain") == 0


async def test_credentials_say_whether_they_can_be_used_and_when_they_end(
    plant: Any, message: Message
) -> None:
    """One that the vendor refused is 0 and its lane open; a certificate's end is there; an unknown vendor's name is `other`."""
    await plant.with_devices("bob")
    plant.answers["token-bob-d"] = [Response(status=200, body=b"config")]
    plant.intake.put(message("bob"))
    await plant.until_idle()
    scrape = Scrape(plant)
    assert scrape("pushgw_credential_usable", credential="1", vendor="plain") == 0
    assert scrape("pushgw_credential_usable", credential="2", vendor="plain") == 1
    assert scrape("pushgw_credential_usable", credential="3", vendor="other") == 0
    assert (
        scrape("pushgw_credential_expiry_timestamp_seconds", credential="2", vendor="plain")
        == NOW + 12 * 86_400
    )
    assert scrape("pushgw_credential_stale", credential="2", vendor="plain") == 0
    assert scrape("pushgw_lane_state", credential="1", vendor="plain", state="open") == 1
    assert scrape("pushgw_lane_state", credential="1", vendor="plain", state="closed") == 0
    assert scrape("pushgw_pushes_total", vendor="plain", action="credential_unusable") == 1


async def test_repeats_are_kept_when_a_credential_is_replaced(plant: Any, message: Message) -> None:
    """A counter never falls: what a lane that made way had repeated stays counted."""
    await story(plant, message)
    plant.gateway._dispatcher.supersede([1])
    await plant.until(lambda: not plant.gateway._dispatcher._leaving)
    assert not plant.gateway.lanes
    assert Scrape(plant)("pushgw_retries_total", tier="lane") == 1


async def test_what_is_in_the_way_is_a_number_too(plant: Any, message: Message) -> None:
    """While the broker takes no receipts, the part and the whole are 0, the record stays open, and lag counts it."""
    plant.outlet.broken = True
    plant.intake.put(message("nobody"))
    await plant.until(lambda: "receipts" in plant.gateway.troubles)
    scrape = Scrape(plant)
    assert scrape("pushgw_healthy", part="receipts") == 0
    assert scrape("pushgw_healthy", part="kafka") == scrape("pushgw_healthy", part="state") == 1
    assert scrape("pushgw_ready") == 0
    assert scrape("pushgw_records_open") == 1
    assert scrape("pushgw_consumer_lag_records", topic="messages") == 1
    assert scrape("pushgw_partitions_assigned", topic="messages") == 3
    plant.outlet.broken = False
    await plant.until_idle()
    scrape = Scrape(plant)
    assert scrape("pushgw_ready") == 1
    assert scrape("pushgw_consumer_lag_records", topic="messages") == 0


async def test_100000_users_make_no_new_series(plant: Any, message: Message) -> None:
    """Users, devices, tokens and messages never become labels: the series are the same before and after 100,000 users."""
    await story(plant, message)
    before = set(Scrape(plant).samples)
    users = [f"user-{n}" for n in range(100_000)]
    for start in range(0, len(users), 500):
        some = users[start : start + 500]
        plant.intake.put(*(plant.device(user) for user in some), topic="im.user-events")
        body = message(some)
        plant.intake.put({**body, "MsgRandom": 1_000_000 + start})
        if start % 10_000 == 0:
            await plant.until_idle()
    await plant.until_idle()
    after = Scrape(plant)
    assert set(after.samples) == before
    assert after("pushgw_receipts_total") == 100_006
    assert after("pushgw_pushes_total", vendor="plain", action="pushed") == 100_002


@pytest.mark.prometheus
async def test_promtool_has_nothing_to_say(plant: Any, message: Message, promtool: str) -> None:
    """`promtool check metrics` is clean: names, units, suffixes and sentences are as Prometheus's conventions want them."""
    await story(plant, message)
    done = await asyncio.to_thread(
        subprocess.run,
        [promtool, "check", "metrics"],
        input=Scrape(plant).text,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


async def test_a_push_that_comes_back_is_one_verdict_and_its_whole_way_is_long(
    plant: Any, message: Message
) -> None:
    """A deferred push counts in its tier and no outcome; its return is a record received, no second verdict, and its
    receipt is late by the wait."""
    await plant.with_devices("bob")
    plant.answers["token-bob-d"] = [TransportError("no answer")] * 4
    plant.intake.put(message("bob"))
    await plant.until_idle()
    scrape = Scrape(plant)
    assert scrape("pushgw_retries_total", tier="5") == 1
    assert scrape("pushgw_retries_total", tier="lane") == 3
    assert scrape("pushgw_decisions_total", verdict="push", code="", reason="") == 1
    assert scrape("pushgw_pushes_total", vendor="plain", action="pushed") == 0
    assert scrape("pushgw_receipt_latency_seconds_count") == 0
    assert not any("deferred" in str(labels) for _, labels in scrape.samples)
    plant.now = NOW + 5
    await plant.come_back()
    scrape = Scrape(plant)
    assert scrape("pushgw_records_received_total", topic="retries") == 1
    assert scrape("pushgw_records_received_total", topic="messages") == 1
    assert scrape("pushgw_decisions_total", verdict="push", code="", reason="") == 1
    assert scrape("pushgw_decide_latency_seconds_count") == 1
    assert scrape("pushgw_pushes_total", vendor="plain", action="pushed") == 1
    assert scrape("pushgw_receipt_latency_seconds_sum") == 5
