"""What stands in the log of a gateway at level info: facts, and never a message's text or a token in the clear."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

from pushgw.cli.logs import set_up_logs
from pushgw.settings import LogSettings
from pushgw.vendor.http import Response
from pushgw.vendor.push import Action, Outcome, Push

TEXT = "see you at eight by the old harbour"
TOKEN = "c0ffee" * 10 + "beef"
Message = Callable[..., dict[str, Any]]


@pytest.fixture(params=["json", "console"])
def form(request: pytest.FixtureRequest) -> Iterator[str]:
    """Logs as `pushgw run` sets them up."""
    set_up_logs(LogSettings(format=request.param, level="info"))
    yield request.param
    structlog.reset_defaults()


def said(text: str, **more: Any) -> dict[str, Any]:
    return {"MsgBody": [{"MsgType": "TIMTextElem", "MsgContent": {"Text": text}}], **more}


async def test_neither_text_nor_token_is_logged_at_info(
    form: str, plant: Any, message: Message, capsys: pytest.CaptureFixture[str]
) -> None:
    """Pushed, refused for good with the token quoted, an answer nobody knows, defects that quote the text, poison, junk."""
    render, interpret = plant.adapter.render, plant.adapter.interpret

    def quoting_render(push: Push, *rest: Any) -> Any:
        if push.targets[0].user == "defect":
            raise ValueError(push.notification.body, push.targets[0].token)
        return render(push, *rest)

    def quoting_interpret(push: Push, account: Any, response: Response) -> list[Outcome]:
        if push.targets[0].user == "answer":
            raise KeyError(push.targets[0].token, push.notification.body)
        [outcome] = interpret(push, account, response)
        return [Outcome(action=Action(outcome.action), code=outcome.code, reason=f"no such device {TOKEN}")]

    plant.adapter.render, plant.adapter.interpret = quoting_render, quoting_interpret
    users = ("ok", "gone", "unknown", "again", "config", "defect", "answer")
    plant.intake.put(
        *(plant.device(user, TOKEN[:-2] + f"{n:02}") for n, user in enumerate(users)), topic="im.user-events"
    )
    await plant.until_idle()
    for user, word in (
        ("gone", b"bad_message"),
        ("unknown", b"unknown"),
        ("again", b"retry"),
        ("config", b"config"),
    ):
        number = users.index(user)
        plant.answers[TOKEN[:-2] + f"{number:02}"] = [Response(status=200, body=word)]
    plant.intake.put(*(message(user, **said(TEXT)) for user in users if user != "config"))
    plant.intake.put(
        TEXT.encode(), json.dumps({**message("ok"), **said(TEXT), "To_Account": [TEXT, 5]}).encode()
    )
    await plant.until_idle()
    plant.intake.put(message("config", **said(TEXT)))
    await plant.until_idle()
    plant.gateway._decider.decide = lambda *_: _raise(TEXT)
    plant.intake.put(message("ok", **said(TEXT)))
    await plant.until_idle()
    logged = capsys.readouterr().err
    for event in (
        "unknown_answer",
        "push_retry",
        "adapter_defect",
        "poison_record",
        "dead_letter",
        "credential_refused",
    ):
        assert event in logged, f"{event} was to be provoked"
    assert TEXT not in logged
    assert TOKEN[:-2] not in logged


def _raise(words: str) -> Any:
    raise RuntimeError(words)


async def test_each_line_is_one_object_with_one_event(
    form: str, plant: Any, message: Message, capsys: pytest.CaptureFixture[str]
) -> None:
    """In JSON a line is an object with event, level and time, tracebacks included; on a console the event is in the line."""
    plant.adapter.render = lambda *_: _raise(TEXT)
    await plant.with_devices("bob")
    plant.intake.put(message("bob"), b"junk")
    await plant.until_idle()
    lines = capsys.readouterr().err.splitlines()
    if form == "json":
        found = [json.loads(line) for line in lines]
        assert all({"event", "level", "timestamp"} <= set(line) for line in found)
        [defect] = [line for line in found if line["event"] == "adapter_defect"]
        assert "in _raise" in defect["exception"]
        assert defect["exception"].endswith("RuntimeError")
    else:
        assert any("adapter_defect" in line for line in lines)
        assert any("in _raise" in line for line in lines)


async def test_a_line_about_a_record_names_its_source(plant: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """A dead letter's line has the record's coordinate, which its headers have, too."""
    set_up_logs(LogSettings(format="json", level="info"))
    plant.intake.put(b"junk", partition=2)
    await plant.until_idle()
    [line] = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    structlog.reset_defaults()
    assert (line["event"], line["source"], line["code"]) == ("dead_letter", "im.offline-messages/2/0", 90001)
    assert plant.outlet.letters[0][1]["pushgw-source"] == line["source"]


def told(capsys: pytest.CaptureFixture[str], event: str) -> list[dict[str, Any]]:
    """The lines of an event since the last look."""
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    return [line for line in lines if line["event"] == event]


@pytest.mark.parametrize("form", ["json"], indirect=True)
@pytest.mark.parametrize(
    ("event", "answer"),
    [("push_retry", b"retry"), ("unknown_answer", b"unknown"), ("adapter_defect", b"no action of ours")],
)
async def test_a_line_about_a_push_names_record_key_and_credential(
    form: str,
    plant: Any,
    message: Message,
    capsys: pytest.CaptureFixture[str],
    event: str,
    answer: bytes,
) -> None:
    """The coordinate and the MsgKey that its receipt has, and whose credential it was."""
    await plant.with_devices("bob")
    plant.answers["token-bob-d"] = [Response(status=200, body=answer)]
    plant.intake.put(message("bob", MsgSeq=7, MsgRandom=9), partition=1)
    await plant.until_idle()
    [receipt] = plant.outlet.receipts
    [line] = told(capsys, event)
    assert line["source"] == receipt["PushGateway"]["Source"] == "im.offline-messages/1/0"
    assert line["msg_key"] == receipt["MsgKey"] == "7_9_1795500000"
    assert line["credential"] == 1


@pytest.mark.parametrize("form", ["json"], indirect=True)
async def test_a_deferred_push_is_found_by_its_first_coordinate(
    form: str, plant: Any, message: Message, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each time that it is put off, and the defect that it ends with: the first record's coordinate, and where it stood."""
    await plant.with_devices("bob")
    plant.answers["token-bob-d"] = [Response(status=200, body=b"retry")] * 8
    plant.intake.put(message("bob", MsgSeq=7, MsgRandom=9), partition=1)
    await plant.until_idle()
    [line] = told(capsys, "deferred")
    assert (line["source"], line["msg_key"]) == ("im.offline-messages/1/0", "7_9_1795500000")
    plant.gateway._reader._codec.decode = lambda *_: _raise(TEXT)
    await plant.come_back()
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    poisoned = {line["event"]: line for line in lines}
    for event in ("poison_record", "dead_letter"):
        assert poisoned[event]["source"] == "im.push-retries.5/0/0"
        assert poisoned[event]["first_source"] == "im.offline-messages/1/0"


@pytest.mark.parametrize("form", ["json"], indirect=True)
async def test_a_lane_that_is_full_names_the_push_that_it_turned_away(
    form: str, plant: Any, message: Message, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where it is one; of several it says how many."""
    await plant.with_devices("bob", "eve", "joe")
    plant.intake.put(message("bob"))
    await plant.until_idle()
    lane = plant.gateway.lanes[1]
    lane._settings = lane._settings.model_copy(update={"backlog": 1})
    plant.intake.put(message("bob"), message("eve", MsgSeq=7, MsgRandom=9))
    await plant.until_idle()
    [line] = told(capsys, "lane_full")
    assert line["deferred"] == 1
    assert (line["source"], line["msg_key"]) == ("im.offline-messages/0/2", "7_9_1795500000")
    plant.intake.put(message("bob"), message("eve"), message("joe"))
    await plant.until_idle()
    [line] = told(capsys, "lane_full")
    assert line["deferred"] == 2
    assert "source" not in line


async def test_a_long_topic_name_does_not_hide_a_source(
    plant: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """A coordinate is never taken for a token, however long its topic's name."""
    set_up_logs(LogSettings(format="json", level="info"))
    topic = "offline_messages_of_the_customers_in_the_second_region"
    structlog.get_logger().info("push_retry", source=f"{topic}/1/2", first_source=f"{topic}/1/1")
    [line] = told(capsys, "push_retry")
    structlog.reset_defaults()
    assert (line["source"], line["first_source"]) == (f"{topic}/1/2", f"{topic}/1/1")
