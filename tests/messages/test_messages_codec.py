from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pushgw.messages.codec import MessageCodec
from pushgw.messages.model import (
    MAX_LIFETIME_S,
    AndroidInfo,
    ApnsInfo,
    C2CRecall,
    Element,
    GroupRecall,
    Kind,
    OfflineMessage,
    OfflinePushInfo,
    ReceiverHint,
    State,
)

EXAMPLES = Path(__file__).parent / "examples"
RECORD_MS = 1_796_000_100_500


def example(name: str) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((EXAMPLES / f"{name}.json").read_text("utf-8"))
    return record


def decode(record: dict[str, Any], **options: Any) -> Any:
    return MessageCodec(**options).decode(json.dumps(record).encode(), RECORD_MS)


def test_rest_body_of_one_to_one_message() -> None:
    """Every fact of a sendmsg body, and of the PushGateway object beside it, arrives in the message."""
    assert decode(example("c2c-rest")) == OfflineMessage(
        kind=Kind.C2C,
        app=1_600_000_007,
        sender="noor",
        receivers=("piet",),
        hints={"piet": ReceiverHint(user="piet", state=State.PUSH_ONLINE, unread=3)},
        random=424_242,
        time=1_796_000_000,
        time_in_body=True,
        record_time_ms=RECORD_MS,
        seq=7001,
        msg_key="7001_424242_1796000000",
        lifetime=3600,
        controls=frozenset({"WithMuteNotifications", "NoLastMsg"}),
        sender_nick="Noor",
        body=(Element("TIMTextElem", "The ferry leaves at six"),),
        push_info=OfflinePushInfo(
            ext='{"entity":{"sender":"noor"}}',
            android=AndroidInfo(xiaomi_channel_id="chat", huawei_category="IM", vivo_notify_type=2),
            apns=ApnsInfo(sound="bell.caf", badge_mode=1),
        ),
        event_id="ferry-1",
        origin="RESTAPI",
        trace_id="t-88",
    )


def test_webhook_of_one_to_one_message() -> None:
    """A republished after-send webhook keeps its command, its own MsgKey and the unread number."""
    message = decode(example("c2c-webhook"), default_app=9)
    assert (message.kind, message.command, message.app) == (Kind.C2C, "C2C.CallbackAfterSendMsg", 9)
    assert (message.msg_key, message.unread) == ("7002_424243_1796000001", 4)
    assert message.body == (Element("TIMTextElem", "see you"), Element("TIMFaceElem"))


def test_rest_body_of_group_message() -> None:
    """Receivers, mentions, names and the part number of a group message come from their own keys."""
    message = decode(example("group-rest"))
    assert (message.kind, message.group_id, message.random) == (Kind.GROUP, "@TGS#HARBOUR", 515_151)
    assert message.receivers == ("omar", "lena")
    assert message.hints["omar"].recv_opt == 3
    assert message.hints["lena"].background is True
    assert (message.mentions, message.mention_all) == (frozenset({"omar"}), False)
    assert (message.sender_card, message.group_name, message.part) == ("Y. (quay 3)", "Harbour", 2)
    assert message.group_type == "Work", "Private is the older name of Work"
    assert message.msg_key is None, "a group message is identified by its MsgSeq"


def test_webhook_of_group_message() -> None:
    """A group webhook that names nobody has no receivers; its Type, topic and @all are read."""
    message = decode(example("group-webhook"))
    assert (message.receivers, message.group_type, message.mention_all) == ((), "Community", True)
    assert message.topic_id == "@TGS#_@TGS#HARBOUR@TOPIC#_weather"
    assert message.seq == 32


def test_custom_element() -> None:
    """Desc, Ext and Sound of a custom element are kept; Data is not for notifications."""
    (element,) = decode(example("c2c-custom-element")).body
    assert element == Element("TIMCustomElem", "", "", "open=gift", "gift.caf")


@pytest.mark.parametrize(
    ("name", "field", "value"), [("c2c-online-only", "lifetime", 0), ("c2c-push-flag", "push_flag", 1)]
)
def test_flags_that_suppress(name: str, field: str, value: int) -> None:
    """MsgLifeTime 0 and PushFlag 1 are values of their own, not absence."""
    message = decode(example(name))
    assert getattr(message.push_info if field == "push_flag" else message, field) == value


@pytest.mark.parametrize(
    ("name", "recall"),
    [
        (
            "c2c-recall-webhook",
            C2CRecall(app=0, sender="noor", receiver="piet", msg_key="7002_424243_1796000001", unread=3),
        ),
        (
            "c2c-recall-rest",
            C2CRecall(app=0, sender="noor", receiver="piet", msg_key="7001_424242_1796000000"),
        ),
        ("group-recall", GroupRecall(app=0, group_id="@TGS#HARBOUR", topic_id=None, seqs=(31, 32))),
    ],
)
def test_recalls(name: str, recall: C2CRecall | GroupRecall) -> None:
    """Each of the three recall bodies is recognised; a sequence number named twice counts once."""
    assert decode(example(name)) == recall


def test_batch_names_each_receiver_once() -> None:
    """To_Account is deduplicated and keeps its order; a MsgKey is made for a batch too."""
    message = decode(example("batch"))
    assert (message.kind, message.receivers) == (Kind.BATCH, ("piet", "lena"))
    assert message.msg_key == "88_616161_1796000010"


def test_push_task() -> None:
    """A task without any time takes the record's, and then no MsgKey can be made."""
    message = decode(example("push-task"))
    assert (message.kind, message.receivers, message.data_id) == (
        Kind.TASK,
        ("piet", "omar"),
        "spring-sale",
    )
    assert (message.time, message.time_in_body, message.msg_key) == (1_796_000_100, False, None)
    assert message.body == ()


def test_push_task_to_one_user() -> None:
    """To_Account of a push task may be a string."""
    assert decode(example("push-task") | {"To_Account": "piet"}).receivers == ("piet",)


def test_lifetime_is_clamped() -> None:
    """More than seven days count as seven days, however much more; so do absent ones, by expires_at."""
    record = example("c2c-online-only")
    for given in (604_801, 10**30):
        assert decode(record | {"MsgLifeTime": given}).lifetime == MAX_LIFETIME_S
    del record["MsgLifeTime"]
    message = decode(record)
    assert message.lifetime is None
    assert message.expires_at == message.time + MAX_LIFETIME_S


def test_msg_time_comes_before_msg_time_stamp() -> None:
    """MsgTime wins over MsgTimeStamp, in the time and in the MsgKey."""
    message = decode(example("c2c-rest") | {"MsgTime": 1_796_000_050})
    assert (message.time, message.msg_key) == (1_796_000_050, "7001_424242_1796000050")


@pytest.mark.parametrize("missing", ["MsgSeq", "MsgTimeStamp"])
def test_no_msg_key_without_its_three_parts(missing: str) -> None:
    """A MsgKey is made only from MsgSeq, MsgRandom and a time of the body: else a recall could never match it."""
    record = example("c2c-rest")
    del record[missing]
    assert decode(record).msg_key is None


@pytest.mark.parametrize("name", ["c2c-rest", "group-rest", "batch", "push-task", "c2c-recall-rest"])
@pytest.mark.parametrize("given", [None, {"From_Account": ""}])
def test_sender_may_be_absent_or_empty(name: str, given: dict[str, str] | None) -> None:
    """An empty From_Account is an absent one: both decode to the empty string, in recalls too."""
    record = example(name)
    del record["From_Account"]
    assert decode(record | (given or {})).sender == ""


def test_group_random_may_be_spelt_msg_random() -> None:
    """MsgRandom serves in a group body without Random; where both are given, Random is meant."""
    record = example("group-rest")
    random = record.pop("Random")
    assert decode(record | {"MsgRandom": 5}).random == 5
    assert decode(record | {"MsgRandom": 5, "Random": random}).random == random


def test_targeted_group_message_without_receivers() -> None:
    """To_Account of a group body names the receivers where PushGateway names none."""
    message = decode(example("group-webhook") | {"To_Account": ["omar", "lena", "omar"]})
    assert (message.receivers, message.targets) == (("omar", "lena"), None)


def test_targeted_group_message_with_receivers() -> None:
    """Where both are given every named user gets a verdict, and To_Account says who may be notified."""
    message = decode(example("group-rest") | {"To_Account": ["lena", "ines"]})
    assert message.receivers == ("omar", "lena", "ines")
    assert message.targets == frozenset({"lena", "ines"})


def test_body_digest_only_on_request() -> None:
    """The digest of a group's MsgBody depends on its content and not on the spelling of the JSON."""
    record = example("group-rest")
    other = record | {"MsgBody": [{"MsgType": "TIMTextElem", "MsgContent": {"Text": "other"}}]}
    spelt = record | {"MsgBody": [dict(reversed(e.items())) for e in record["MsgBody"]]}
    assert decode(record).body_digest == b""
    digest = decode(record, with_body_digest=True).body_digest
    assert len(digest) == 16
    assert digest == decode(spelt, with_body_digest=True).body_digest
    assert digest != decode(other, with_body_digest=True).body_digest


def test_keys_without_meaning_for_the_shape_kill_nothing() -> None:
    """A wrong value under a key that only other shapes have is an unknown key: kept and ignored."""
    strange = {
        "Random": "no number",
        "GroupAtInfo": 5,
        "TopicId": None,
        "DataId": [],
        "MsgSeqList": {},
        "Colour": 1,
    }
    assert decode(example("c2c-rest") | strange) == decode(example("c2c-rest"))


def test_last_of_two_equal_keys_counts() -> None:
    """Duplicate keys are no fault: the last one counts, even where the first is of a wrong type."""
    text = json.dumps(example("c2c-rest")).replace(
        '"MsgSeq": 7001', '"MsgSeq": "x", "MsgSeq": 7, "MsgSeq": 8'
    )
    assert MessageCodec().decode(text.encode(), RECORD_MS).seq == 8  # type: ignore[union-attr]  # a message


def test_whole_numbers_with_a_fraction_of_zero_are_integers() -> None:
    """1.0 is an integer, as it is for JSON Schema."""
    assert decode(example("c2c-rest") | {"MsgRandom": 424242.0}) == decode(example("c2c-rest"))


def test_lenient_mode_takes_digit_strings() -> None:
    """Digit strings pass for integers only where the operator asked for it."""
    spelt = {"MsgRandom": "424242", "MsgSeq": "7001", "MsgLifeTime": "3600", "MsgTimeStamp": "1796000000"}
    record = example("c2c-rest")
    record["OfflinePushInfo"]["PushFlag"] = "0"
    record["OfflinePushInfo"]["ApnsInfo"]["BadgeMode"] = "1"
    assert decode(record | spelt, lenient=True) == decode(example("c2c-rest"))


@pytest.mark.parametrize("name", sorted(path.stem for path in EXAMPLES.glob("*.json")))
def test_both_roads_agree(name: str) -> None:
    """The exact road gives what the short road gives, so that it may have the last word."""
    value = json.dumps(example(name)).encode()
    codec = MessageCodec(default_app=3)
    assert codec.decode_exactly(value, RECORD_MS) == codec.decode(value, RECORD_MS)
