"""The command line: answers on stdout, exit codes as promised, nothing changed by `explain`."""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

import msgspec
import pytest
import structlog
from typer.testing import CliRunner, Result

from pushgw.cli import app
from pushgw.credentials import load_directory
from pushgw.messages.model import C2COption, DevicePut, UserEvent
from pushgw.messages.schema import message_schema
from pushgw.policy.reasons import Reason
from pushgw.sandbox import Sandbox, example_directory, with_endpoint
from pushgw.settings import StateSettings
from pushgw.state import open_store
from pushgw.vendor import installed_vendors

AT = 1_795_500_100
VENDORS = {9001: "apns", 9002: "fcm", 9003: "huawei", 9004: "xiaomi", 9005: "oppo", 9006: "huawei"}
TOKENS = {
    9001: "ab" * 32,
    9002: "fcm:token",
    9003: "IQAAhms",
    9004: "regid==",
    9005: "OPPO_CN_x",
    9006: "IQAAhms2",
}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PUSHGW_CREDENTIALS__DIRECTORY", str(example_directory()))
    url = f"sqlite:///{tmp_path / 'state.db'}"
    monkeypatch.setenv("PUSHGW_STATE__URL", url)

    async def fill() -> None:
        store = await open_store(StateSettings(url=url))
        put = DevicePut(
            app=0,
            user="bob",
            time_ms=(AT - 500) * 1000,
            device_id="iphone",
            business_id=9001,
            token="ab" * 32,
            platform="ios",
        )
        muted = C2COption(app=0, user="bob", time_ms=1, peer="mallory", option=2)
        await store.apply([put, muted])
        await store.close()

    asyncio.run(fill())

    def call(*arguments: str, stdin: bytes | None = None, env: dict[str, str] | None = None) -> Result:
        result = CliRunner().invoke(app, list(arguments), input=stdin, env=env)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    yield call
    structlog.reset_defaults()


def message(**more: Any) -> bytes:
    body = {
        "From_Account": "alice",
        "To_Account": "bob",
        "MsgSeq": 1,
        "MsgRandom": 1,
        "MsgTimeStamp": AT - 100,
        "MsgBody": [{"MsgType": "TIMTextElem", "MsgContent": {"Text": "Lunch at noon?"}}],
        **more,
    }
    return json.dumps(body).encode()


def test_explain_shows_every_check_and_the_request(run: Any) -> None:
    """For a message that would be pushed every check passes, and the exact request is there with its secret masked."""
    result = run("explain", "-", "--user", "bob", "--at", str(AT), "--json", stdin=message())
    assert result.exit_code == 0, result.output
    [receiver] = json.loads(result.stdout)["receivers"]
    assert receiver["Verdict"] == "push"
    codes = [c["Code"] for c in receiver["Checks"]]
    assert codes[0] == "A1"
    assert {"A5", "A12", "B3", "B9"} <= set(codes)
    assert {c["Result"] for c in receiver["Checks"]} == {"pass"}
    [device] = receiver["Devices"]
    assert device["Verdict"] == "push"
    assert {"C2", "C3", "C4", "C5", "C6"} <= {c["Code"] for c in device["Checks"]}
    assert device["Request"]["url"].endswith("/3/device/" + "ab" * 32)
    assert "***" in json.dumps(device["Request"]["headers"])


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"MsgLifeTime": 0}, "A7"),
        ({"OfflinePushInfo": {"PushFlag": 1}}, "A9"),
        ({"From_Account": "mallory"}, "B7"),
        ({"To_Account": "nobody"}, "B3"),
        ({"MsgTimeStamp": AT - 700_000}, "A11"),
    ],
)
def test_explain_says_the_reason_and_what_was_not_reached(run: Any, more: dict[str, Any], code: str) -> None:
    """The first check that fails is the reason, later ones are not reached; the exit code is 1."""
    result = run("explain", "-", "--at", str(AT), "--json", stdin=message(**more))
    assert result.exit_code == 1
    [receiver] = json.loads(result.stdout)["receivers"]
    assert (receiver["Verdict"], receiver["Code"]) == ("suppress", code)
    results = [c["Result"] for c in receiver["Checks"]]
    at = results.index("fail")
    assert receiver["Checks"][at]["Code"] == code
    assert set(results[at + 1 :]) <= {"not reached"}
    assert set(results[:at]) <= {"pass"}


def test_explain_changes_nothing(run: Any, tmp_path: Path) -> None:
    """Asked twice it answers the same, and the store's file has no claim afterwards."""
    first = run("explain", "-", "--at", str(AT), "--json", stdin=message()).stdout
    assert run("explain", "-", "--at", str(AT), "--json", stdin=message()).stdout == first
    with sqlite3.connect(tmp_path / "state.db") as database:
        assert database.execute("select count(*) from claims").fetchone() == (0,)
    database.close()


def test_explain_for_people_and_for_a_stranger(run: Any) -> None:
    """Without --json it is readable; a user that the record does not name is B1."""
    result = run("explain", "-", "--at", str(AT), stdin=message())
    assert "C6" in result.stdout
    result = run("explain", "-", "--user", "zoe", "--json", stdin=message())
    assert result.exit_code == 1
    assert json.loads(result.stdout)["receivers"][0]["Code"] == "B1"


def test_explain_names_what_cannot_be_decoded(run: Any) -> None:
    """Malformed input is A1 with code and path, exit 1; a bad --at is wrong use, exit 2."""
    result = run("explain", "-", "--json", stdin=message(MsgRandom="x"))
    assert result.exit_code == 1
    answer = json.loads(result.stdout)
    assert (answer["Code"], answer["ErrorCode"], answer["Path"]) == ("A1", 90005, "MsgRandom")
    assert run("explain", "-", "--at", "yesterday", stdin=message()).exit_code == 2
    assert run("explain", "-", "--at", "2026-11-24T12:00:00", stdin=message()).exit_code == 2


@pytest.mark.parametrize("credential", sorted(VENDORS))
def test_send_dry_run_prints_the_exact_request(run: Any, credential: int) -> None:
    """For each vendor the request is printed with the token shown and every secret masked."""
    result = run(
        "send", "--credential", str(credential), "--token", TOKENS[credential], "--title", "Alice", "--body", "Hi", "--dry-run", "--json"
    )  # fmt: skip
    assert result.exit_code == 0, result.output + result.stderr
    request = json.loads(result.stdout)["Request"]
    assert request["method"] == "POST"
    assert request["url"].startswith("https://127.0.0.1:8443/")
    assert TOKENS[credential] in json.dumps(request) or TOKENS[credential].replace("=", "%3D") in json.dumps(
        request
    )
    for secret in _secrets(credential):
        assert secret not in result.stdout


def test_send_dry_run_shows_every_call_of_a_list(run: Any) -> None:
    """Several tokens travel together; where the vendor wants two calls for that, both are shown, in either form."""
    given = (
        "send",
        "--credential",
        "9011",
        "--token",
        "v2-a",
        "--token",
        "v2-b",
        "--token",
        "v2-a",
        "--dry-run",
    )
    [line] = run(*given, "--json").stdout.splitlines()
    told = json.loads(line)
    assert told["Request"]["url"].endswith("/message/saveListPayload")
    [second] = told["Then"]
    assert second["url"].endswith("/message/pushToList")
    assert json.loads(second["body"])["regIds"] == ["v2-a", "v2-b"]
    text = run(*given).stdout
    assert "saveListPayload" in text
    assert "pushToList" in text
    alone = json.loads(run("send", "--credential", "9011", "--token", "v2-a", "--dry-run", "--json").stdout)
    assert "Then" not in alone


def test_send_tells_of_each_token_of_a_list(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sent to the sandbox: a line for each token, the dead one told apart, and exit 1 for its sake."""

    async def serve() -> tuple[Any, list[str]]:
        accounts = load_directory(example_directory(), installed_vendors()).accounts
        async with await Sandbox.start(accounts) as sandbox:
            with_endpoint(example_directory(), tmp_path / "aimed", sandbox.url, sandbox.ca_pem)
            monkeypatch.setenv("PUSHGW_CREDENTIALS__DIRECTORY", str(tmp_path / "aimed"))
            given = (
                "send",
                "--credential",
                "9011",
                "--token",
                "v2-a",
                "--token",
                "dead-b",
                "--title",
                "Alice",
                "--json",
            )
            result = await asyncio.to_thread(run, *given)
            return result, [line.token for line in sandbox.journal.lines(vendor="vivo")]

    result, shown = asyncio.run(serve())
    told = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(t["Verdict"], t["Action"], t["VendorCode"]) for t in told] == [
        ("pushed", "accepted", "0"),
        ("failed", "invalid_token", "status 1"),
    ]
    assert (result.exit_code, shown) == (1, ["v2-a"])


def _secrets(credential: int) -> list[str]:
    lines = (example_directory() / f"{credential}.toml").read_text("utf-8").splitlines()
    return [line.split('"')[1] for line in lines if line.startswith(("app_secret", "master_secret"))]


def test_send_refuses_wrong_use_and_unknown_credentials(run: Any) -> None:
    """Neither or both of --token and --user is exit 2; an unknown credential exit 3; a token without shape exit 1 and C6."""
    assert run("send", "--credential", "9001").exit_code == 2
    assert run("send", "--credential", "1", "--token", "ab").exit_code == 3
    assert run("send", "--credential", "9001", "--token", "ab", "--extra", "[]").exit_code == 2
    result = run("send", "--credential", "9001", "--token", "not hex\r\nx: y", "--dry-run", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["Code"] == "C6"


def test_wrong_settings_stop_with_one_list(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every wrong setting is named at once, with the nearest right one; exit 3."""
    monkeypatch.setenv("PUSHGW_KAFKA__GROUPID", "x")
    monkeypatch.setenv("PUSHGW_POLICY__TIME_ZONE", "Mars/Olympus")
    result = run("run")
    assert result.exit_code == 3
    assert "PUSHGW_KAFKA__GROUP_ID" in result.stderr
    assert "policy.time_zone" in result.stderr


def test_devices_list_masks_tokens(run: Any) -> None:
    """Stored devices are shown without the token; an unknown user is exit 1."""
    result = run("devices", "list", "bob", "--json")
    assert result.exit_code == 0
    [device] = json.loads(result.stdout)["Devices"]
    assert device["DeviceID"] == "iphone"
    assert "ab" * 32 not in result.stdout
    assert run("devices", "list", "nobody").exit_code == 1
    assert "iphone" in run("devices", "list", "bob").stdout


def test_schema_message_is_a_json_schema(run: Any) -> None:
    """The schema of the message topic comes as JSON."""
    result = run("schema", "message")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["$schema"].startswith("https://json-schema.org/")


def test_every_command_has_help_with_an_example(run: Any) -> None:
    """--help of each command shows an example."""
    for command in ("demo", "run", "send", "explain", "publish", "sandbox"):
        result = run(command, "--help")
        assert result.exit_code == 0
        assert "Example" in result.stdout, command


def put(device_id: str, business_id: int, **more: Any) -> DevicePut:
    fields: dict[str, Any] = {"token": "cd" * 32, "platform": "ios", "time_ms": (AT - 400) * 1000, **more}
    return DevicePut(app=0, user="bob", device_id=device_id, business_id=business_id, **fields)


def store_more(home: Path, *events: UserEvent) -> None:
    async def fill() -> None:
        store = await open_store(StateSettings(url=f"sqlite:///{home / 'state.db'}"))
        await store.apply(events)
        await store.close()

    asyncio.run(fill())


ALL_CODES = [reason.code for reason in Reason]


def test_explain_has_every_row_of_the_table(run: Any) -> None:
    """Pushed, held back early, without a receiver or not even readable: the rows A1 to C6 are all there, once, in order."""
    group = {"GroupId": "g", "Random": 1, "MsgBody": [{"MsgType": "TIMFaceElem", "MsgContent": {}}]}
    asked = (
        message(),
        message(MsgLifeTime=0),
        message(To_Account="nobody"),
        message(MsgRandom="x"),
        json.dumps(group).encode(),
    )
    for record in asked:
        result = run("explain", "-", "--at", str(AT), "--json", stdin=record)
        [receiver] = json.loads(result.stdout)["receivers"]
        assert [c["Code"] for c in receiver["Checks"]] == ALL_CODES
        assert set(receiver) >= {"To_Account", "Verdict", "Code", "Reason", "Checks", "Devices"}


def test_explain_shows_each_device(run: Any, tmp_path: Path) -> None:
    """Every stored device has its verdict, and a request or null; the receiver's checks are those of the device that decides."""
    store_more(tmp_path, put("strange", 1), put("web", 9001, platform="web", token="ef" * 32))
    result = run("explain", "-", "--at", str(AT), "--json", stdin=message())
    [receiver] = json.loads(result.stdout)["receivers"]
    assert receiver["Verdict"] == "push"
    assert {d["DeviceID"]: d["Code"] for d in receiver["Devices"]} == {
        "iphone": None,
        "strange": "C2",
        "web": "C3",
    }
    assert {d["DeviceID"]: d["Request"] is None for d in receiver["Devices"]} == {
        "iphone": False,
        "strange": True,
        "web": True,
    }
    moved = put("hers", 9001, token="ab" * 32)
    store_more(tmp_path, msgspec.structs.replace(moved, user="eve"))
    result = run("explain", "-", "--at", str(AT), "--json", stdin=message())
    assert result.exit_code == 1
    [receiver] = json.loads(result.stdout)["receivers"]
    assert {d["DeviceID"]: d["Code"] for d in receiver["Devices"]} == {
        "iphone": "C1",
        "strange": "C2",
        "web": "C3",
    }
    assert receiver["Code"] == "C3"
    assert next(c["Code"] for c in receiver["Checks"] if c["Result"] == "fail") == "C3"


def test_explain_shows_what_only_the_renderer_sees(run: Any, tmp_path: Path) -> None:
    """An Ext that fits into no payload is C6 in the verdict and in the checks."""
    big = {"Desc": "hi", "Ext": "x" * 5000}
    result = run("explain", "-", "--at", str(AT), "--json", stdin=message(OfflinePushInfo=big))
    assert result.exit_code == 1
    [receiver] = json.loads(result.stdout)["receivers"]
    assert receiver["Code"] == receiver["Devices"][0]["Code"] == "C6"
    assert receiver["Checks"][-1]["Result"] == receiver["Devices"][0]["Checks"][-1]["Result"] == "fail"


@pytest.mark.parametrize("at", ["nan", "inf", "-1", f"{AT}000", "2026-11-24"])
def test_explain_refuses_a_time_that_is_none(run: Any, at: str) -> None:
    """No number, no epoch second or no zone: wrong use, exit 2, nothing on stdout."""
    result = run("explain", "-", "--at", at, "--json", stdin=message())
    assert (result.exit_code, result.stdout) == (2, "")


def test_names_that_look_like_markup_are_shown(run: Any, tmp_path: Path) -> None:
    """Brackets in a user's or a device's id are text."""
    store_more(tmp_path, put("[/r]", 9001))
    result = run("explain", "-", "--at", str(AT), stdin=message(To_Account=["bob", "[/b]"]))
    assert "[/r]" in result.stdout
    assert "[/b]" in result.stdout
    assert "[/r]" in run("devices", "list", "bob").stdout
    assert run("devices", "list", "[/b]").exit_code == 1


def test_before_the_first_run_nobody_is_known(run: Any, tmp_path: Path) -> None:
    """Without a store explain answers as for strangers, devices list and send --user say no; a note goes to stderr, and no store is made."""
    (tmp_path / "state.db").unlink()
    result = run("explain", "-", "--at", str(AT), "--json", stdin=message())
    assert result.exit_code == 1
    assert json.loads(result.stdout)["receivers"][0]["Code"] == "B3"
    assert "nobody is known yet" in result.stderr
    result = run("devices", "list", "bob", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["Devices"] == []
    result = run("send", "--credential", "9001", "--user", "bob", "--dry-run", "--json")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "has no device" in result.stderr
    assert not (tmp_path / "state.db").exists()


def test_a_store_that_is_none_is_not_reachable(run: Any, tmp_path: Path) -> None:
    """A file that is no database: exit 4 with its name, for every command that looks into it."""
    (tmp_path / "state.db").write_bytes(b"this is no database, whatever it is" * 100)
    for arguments in (
        ("explain", "-"),
        ("devices", "list", "bob"),
        ("send", "--credential", "9001", "--user", "bob"),
    ):
        result = run(*arguments, "--json", stdin=message())
        assert (result.exit_code, result.stdout) == (4, "")
        assert "state.db" in result.stderr


def test_kafka_settings_that_make_no_client_are_configuration(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A login that is missing is exit 3 with the setting's name, not a broker that is away."""
    monkeypatch.setenv("PUSHGW_KAFKA__SECURITY_PROTOCOL", "SASL_PLAINTEXT")
    for arguments in (("run",), ("publish", "-")):
        result = run(*arguments, stdin=message())
        assert result.exit_code == 3
        assert "kafka.sasl_username" in result.stderr


def test_logs_never_reach_stdout(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What any part logs while a command runs is on stderr, from warnings up."""

    def noisy(*_: Any) -> Any:
        structlog.get_logger().info("chatter")
        structlog.get_logger().warning("trouble")
        logging.getLogger("library").warning("grumble")
        return message_schema()

    monkeypatch.setattr(import_module("pushgw.cli.schema"), "message_schema", noisy)
    result = run("schema", "message")
    json.loads(result.stdout)
    assert "trouble" in result.stderr
    assert "grumble" in result.stderr
    assert "chatter" not in result.stderr


@pytest.mark.parametrize("credential", [9001, 9002, 9003, 9004, 9005])
def test_send_says_when_nobody_answers(run: Any, tmp_path: Path, credential: int) -> None:
    """A vendor or a token server that is not there: exit 4 with one object that names the address, for each vendor."""
    ca = (example_directory() / "sandbox-ca.pem").read_bytes()
    with_endpoint(example_directory(), tmp_path / "certs", "https://127.0.0.1:9", ca)
    result = run(
        "send", "--credential", str(credential), "--token", TOKENS[credential], "--json",
        env={"PUSHGW_CREDENTIALS__DIRECTORY": str(tmp_path / "certs")},
    )  # fmt: skip
    answer = json.loads(result.stdout)
    assert (result.exit_code, answer["Verdict"]) == (4, "failed")
    assert "127.0.0.1:9" in answer["ErrInfo"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--listen", "8443"),
        ("--listen", "127.0.0.1:99999"),
        ("--listen", "127.0.0.1:0", "--fault", "nobody=1:1%"),
        ("--listen", "127.0.0.1:0", "--certs", "nowhere"),
        ("--listen", "127.0.0.1:0", "--tls", "nowhere"),
    ],
)
def test_sandbox_refuses_wrong_use(run: Any, arguments: tuple[str, ...]) -> None:
    """Exit 2 with a sentence, nothing on stdout."""
    result = run("sandbox", *arguments, "--json")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("pushgw: ")


def test_send_asks_for_exactly_the_given_lifetime(run: Any) -> None:
    """--ttl 60 is 60 seconds in the vendors' own units, not 59 and a bit."""
    bodies = {}
    for credential in (9002, 9003, 9004, 9005):
        arguments = ("--credential", str(credential), "--token", TOKENS[credential], "--ttl", "60")
        result = run("send", *arguments, "--dry-run", "--json")
        bodies[credential] = json.loads(result.stdout)["Request"]["body"]
    assert json.loads(bodies[9002])["message"]["android"]["ttl"] == "60s"
    assert json.loads(bodies[9003])["message"]["android"]["ttl"] == "60s"
    assert "time_to_live=60000&" in bodies[9004]
    assert '"off_line_ttl":60,' in unquote_plus(bodies[9005])


def test_workers_on_sqlite_are_refused(run: Any) -> None:
    """`--workers` above 1 needs a state that several processes may write to: exit 3, with the setting and the way out."""
    result = run("run", "--workers", "2")
    assert result.exit_code == 3
    said = " ".join(result.stderr.split())
    assert "--workers above 1 needs a state store that several processes may write to" in said
    assert "set state.url to redis://HOST:6379, or run one worker" in said


def test_what_starts_workers_is_not_for_people(run: Any) -> None:
    """The help names --workers, and not the options that a supervisor starts its workers with."""
    shown = run("run", "--help").output
    assert "--workers" in shown
    assert "--socket" not in shown
