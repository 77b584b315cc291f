"""Lists of regIds at vivo: two calls, an outcome for each regId, and no second task for a repeat."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

from pushgw.vendor.adapter import Account, Auth, Refused
from pushgw.vendor.emulator import Answer, Call
from pushgw.vendor.http import Request, Response
from pushgw.vendor.push import Action, FollowUp, Notification, Outcome, Push, Target
from vendors.vivo.adapter import VivoAdapter
from vendors.vivo.credential import VivoCredential
from vendors.vivo.emulator import VivoEmulator
from vendors.vivo.list_push import Task
from vendors.vivo.results import RESULTS

VECTORS = json.loads(Path(__file__).with_name("vectors.json").read_text("utf-8"))
NOW = 1_767_225_600.0
ADAPTER = VivoAdapter()
AUTH = Auth(value="tok123", expires_at=NOW + 82_800, made_at=NOW)
KNOWN = Task(id="542")


def account(app_id: int = 10004) -> Account:
    fields = {"app_id": app_id, "app_key": VECTORS["app_key"], "app_secret": VECTORS["app_secret"]}
    return Account(business_id=1, vendor="vivo", credential=VivoCredential.model_validate(fields), cache={})


def push(*regids: str, stage: object = None, **fields: Any) -> Push:
    given: dict[str, Any] = {
        "title": "Alice",
        "body": "Hi",
        "expires_at": int(NOW) + 86_400,
        "collapse_id": "m1",
        "notify_id": 42,
        **fields,
    }
    targets = tuple(
        Target(token=regid, user=regid, device_id="d", push_id="P", vendor_id=f"uuid-{regid}")
        for regid in regids or ("a", "b", "c")
    )
    return Push(notification=Notification(**given), targets=targets, now=NOW, stage=stage)


def sent(given: Push) -> tuple[str, dict[str, Any]]:
    request = ADAPTER.render(given, account(), AUTH)
    return urlsplit(request.url).path, json.loads(request.body)


def read(given: Push, told: dict[str, Any], status: int = 200) -> list[Outcome] | FollowUp:
    body = json.dumps(told).encode()
    return ADAPTER.interpret(given, account(), Response(status=status, body=body))


def actions(given: Push, told: dict[str, Any], status: int = 200) -> list[Action]:
    outcomes = read(given, told, status)
    assert isinstance(outcomes, list)
    return [outcome.action for outcome in outcomes]


# --- requests ---------------------------------------------------------------------------------------------


def test_the_first_call_stores_the_text_without_a_regid() -> None:
    """The same message as a single push, with the first target's requestId."""
    path, saved = sent(push("a", "b"))
    _, single = sent(push("a"))
    assert path == "/message/saveListPayload"
    assert saved == {name: value for name, value in single.items() if name != "regId"}
    assert saved["requestId"] == "uuid-a"


def test_the_second_call_names_the_task_and_the_regids() -> None:
    """Byte for byte; its requestId is its own, the same whenever it is rendered."""
    request = ADAPTER.render(push("a", "b", stage=KNOWN), account(), AUTH)
    assert request.url == "https://api-push.vivo.com.cn/message/pushToList"
    assert request.body.decode() == (
        '{"appId":10004,"regIds":["a","b"],"taskId":"542","requestId":"uuid-a-list","pushMode":0}'
    )
    later = msgspec.structs.replace(push("a", "b", stage=KNOWN), now=NOW + 30)
    assert ADAPTER.render(later, account(), AUTH) == request
    assert ("authtoken", "tok123") in request.shared


def test_a_batch_of_one_is_a_single_push() -> None:
    """vivo's lists begin at two regIds; also when all others of a list have ended or were withdrawn meanwhile."""
    for stage in (None, KNOWN):
        path, body = sent(push("a", stage=stage))
        assert (path, body["regId"], body["requestId"]) == ("/message/send", "a", "uuid-a")
    assert ADAPTER.batch_limit == 1000
    assert (ADAPTER.push_platform, ADAPTER.platforms) == (7, {"android"})


def test_the_mode_of_a_test_push_stands_in_both_calls() -> None:
    """--extra may set pushMode."""
    assert sent(push(extra={"pushMode": 1}))[1]["pushMode"] == 1
    assert sent(push(stage=KNOWN, extra={"pushMode": 1}))[1]["pushMode"] == 1


def test_what_cannot_be_rendered_is_refused_before_the_first_call() -> None:
    """Half a surrogate pair, and an ext beyond its limit."""
    with pytest.raises(Refused):
        sent(push(body="\ud83d"))
    with pytest.raises(Refused, match="1024 are allowed"):
        sent(push(ext="x" * 1100))


def test_a_dry_run_knows_the_second_call() -> None:
    """Its stage is made up; a single push has none."""
    [stage] = ADAPTER.sample_stages(push())
    assert sent(push(stage=stage))[1]["taskId"] == "<taskId>"
    assert ADAPTER.sample_stages(push("a")) == ()


# --- answers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task_id", ["542", 542])
def test_a_stored_text_is_followed_by_the_list(task_id: object) -> None:
    """The first call's success sends nobody anything: it only names the task."""
    assert read(push(), {"result": 0, "desc": "ok", "taskId": task_id}) == FollowUp(stage=KNOWN)


@pytest.mark.parametrize("task_id", [None, "", True, [], "x" * 129])
def test_a_success_without_a_task_is_none(task_id: object) -> None:
    """Nothing was sent: said loudly, and no token is touched."""
    assert actions(push(), {"result": 0, "taskId": task_id}) == [Action.UNKNOWN] * 3


def test_each_regid_has_its_own_outcome() -> None:
    """Result 0 with invalidUsers: those named by their status, the rest accepted under the task's id."""
    told = {
        "result": 0,
        "requestId": "r",
        "invalidUsers": [{"userid": "a", "status": 1}, {"userid": "c", "status": "2"}],
    }
    outcomes = read(push("a", "b", "c", "d", stage=KNOWN), told)
    assert isinstance(outcomes, list)
    assert [(o.action, o.code, o.vendor_id) for o in outcomes] == [
        (Action.INVALID_TOKEN, "status 1", ""),
        (Action.ACCEPTED, "0", "542"),
        (Action.INVALID_TOKEN, "status 2", ""),
        (Action.ACCEPTED, "0", "542"),
    ]


def test_no_invalid_users_are_no_refusal() -> None:
    """An empty list, or none."""
    for nobody in ({}, {"invalidUsers": []}, {"invalidUsers": None}, {"invalidUser": {}}):
        assert actions(push(stage=KNOWN), {"result": 0, **nobody}) == [Action.ACCEPTED] * 3


def test_strangers_among_the_invalid_spoil_the_success() -> None:
    """Who is named dies; who is not may be the one that was meant by the unknown name, so that nobody is called accepted."""
    told = {"result": 0, "invalidUsers": [{"userid": "a", "status": 1}, {"userid": "zz", "status": 1}]}
    assert actions(push(stage=KNOWN), told) == [Action.INVALID_TOKEN, Action.UNKNOWN, Action.UNKNOWN]
    assert actions(push(stage=KNOWN), {"result": 0, "invalidUsers": [{"status": 1}]}) == [Action.UNKNOWN] * 3


def test_a_list_refused_for_a_dead_regid_kills_only_whom_it_names() -> None:
    """10302 for a whole list: the named one is dead, of the others nothing is known."""
    told = {"result": 10302, "invalidUsers": [{"userid": "b", "status": 1}]}
    assert actions(push(stage=KNOWN), told) == [Action.UNKNOWN, Action.INVALID_TOKEN, Action.UNKNOWN]
    assert actions(push(stage=KNOWN), {"result": 10302}) == [Action.UNKNOWN] * 3
    assert actions(push(), {"result": 10302}) == [Action.UNKNOWN] * 3


@pytest.mark.parametrize("code", ["10152", "10155"])
def test_a_forgotten_task_is_stored_anew_once(code: str) -> None:
    """Under a requestId of its own, since the old one would bring the old task; the second time the table's action holds."""
    given = push(stage=KNOWN)
    anew = read(given, {"result": int(code)})
    assert isinstance(anew, FollowUp)
    path, body = sent(push(stage=anew.stage))
    assert (path, body["requestId"]) == ("/message/saveListPayload", "uuid-a-anew")
    second = read(push(stage=anew.stage), {"result": 0, "taskId": "543"})
    assert isinstance(second, FollowUp)
    path, body = sent(push(stage=second.stage))
    assert (path, body["taskId"], body["requestId"]) == ("/message/pushToList", "543", "uuid-a-list-anew")
    assert actions(push(stage=second.stage), {"result": int(code)}) == [Action.BAD_MESSAGE] * 3
    assert actions(push(), {"result": int(code)}) == [Action.BAD_MESSAGE] * 3


@pytest.mark.parametrize("stage", [None, KNOWN], ids=["first", "second"])
@pytest.mark.parametrize("code", [c for c in RESULTS if c.isdecimal() and c not in ("0", "10152", "10155")])
def test_a_refused_call_is_every_tokens_outcome(code: str, stage: object) -> None:
    """Each row of the table, in either call; only a dead regId that is not named is nobody's death."""
    action = RESULTS[code][0]
    expected = Action.UNKNOWN if action is Action.INVALID_TOKEN else action
    assert actions(push(stage=stage), {"result": int(code), "desc": "x"}) == [expected] * 3


@pytest.mark.parametrize("stage", [None, KNOWN], ids=["first", "second"])
def test_no_answer_of_vivos_is_temporary_in_either_call(stage: object) -> None:
    """A proxy's 502, and a success in a failed response."""
    assert actions(push(stage=stage), {}, 502) == [Action.RETRY] * 3
    assert actions(push(stage=stage), {"result": 0, "taskId": "1"}, 500) == [Action.RETRY] * 3


# --- the double -------------------------------------------------------------------------------------------


class Cloud:
    """vivo's double, and what is asked of it."""

    def __init__(self) -> None:
        self.double = VivoEmulator([account(), account(10005)])
        self.auth = self.token(account())

    def token(self, at: Account) -> Auth:
        return ADAPTER.read_auth(at, self.ask(ADAPTER.auth_request(at, NOW)).response, NOW)

    def ask(self, request: Request, now: float = NOW, **changes: Any) -> Answer:
        headers = dict((*request.shared, *request.headers))
        body = request.body
        if changes:
            whole = {**json.loads(body), **changes}
            body = json.dumps({name: value for name, value in whole.items() if value is not None}).encode()
        call = Call(method="POST", path=urlsplit(request.url).path, headers=headers, body=body)
        return self.double.handle(call, now)

    def send(self, given: Push, now: float = NOW, **changes: Any) -> Answer:
        return self.ask(ADAPTER.render(given, account(), self.auth), now, **changes)

    def task(self, given: Push) -> Task:
        stage = ADAPTER.interpret(given, account(), self.send(given).response)
        assert isinstance(stage, FollowUp)
        assert isinstance(stage.stage, Task)
        return stage.stage


def code(answer: Answer) -> int:
    return int(json.loads(answer.response.body)["result"])


def test_a_list_is_shown_to_all_but_the_dead() -> None:
    """Nothing is shown by the first call; the second shows the stored text, and names who is dead."""
    cloud = Cloud()
    given = push("a", "dead-b", "c", ext='{"a":1}')
    stored = cloud.send(given)
    assert (code(stored), stored.accepted) == (0, ())
    listed = msgspec.structs.replace(given, stage=cloud.task(given))
    answer = cloud.send(listed)
    assert [(one.token, one.title, one.body, one.vendor_id) for one in answer.accepted] == [
        ("a", "Alice", "Hi", "42"),
        ("c", "Alice", "Hi", "42"),
    ]
    outcomes = ADAPTER.interpret(listed, account(), answer.response)
    assert isinstance(outcomes, list)
    assert [o.action for o in outcomes] == [Action.ACCEPTED, Action.INVALID_TOKEN, Action.ACCEPTED]


def test_a_repeat_of_either_call_makes_no_second_task_and_shows_nothing_again() -> None:
    """The same requestId gets the same answer."""
    cloud = Cloud()
    assert cloud.task(push()) == cloud.task(push())
    listed = push(stage=cloud.task(push()))
    first, again = cloud.send(listed), cloud.send(listed, NOW + 30)
    assert first.response == again.response
    assert (len(first.accepted), again.accepted) == (3, ())


def test_thousand_regids_fit_and_one_more_does_not() -> None:
    """2...1000, with 10153 beyond; repeated ones count once."""
    cloud = Cloud()
    task = cloud.task(push())
    full = push(*(f"r{n}" for n in range(1000)), stage=task)
    assert len(cloud.send(full).accepted) == 1000
    over = push(*(f"r{n}" for n in range(1001)), stage=task)
    assert code(cloud.send(over)) == 10153
    assert code(cloud.send(push(stage=task), regIds=["a"])) == 10153
    assert code(cloud.send(push(stage=task), regIds=["a", "a"])) == 10153


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"appId": None}, 10094),
        ({"appId": 10005}, 10094),
        ({"regIds": None}, 10150),
        ({"regIds": []}, 10150),
        ({"regIds": "a,b"}, 10150),
        ({"regIds": ["a", ""]}, 10150),
        ({"taskId": None}, 10151),
        ({"taskId": "unknown"}, 10152),
        ({"requestId": None}, 10352),
        ({"requestId": "r" * 65}, 10353),
        ({"requestId": "r" * 64}, 0),
    ],
)
def test_fields_of_the_second_call(change: dict[str, Any], expected: int) -> None:
    """Every bound is enforced with vivo's own code."""
    cloud = Cloud()
    assert code(cloud.send(push(stage=cloud.task(push())), **change)) == expected


def test_the_first_call_is_checked_like_a_single_push() -> None:
    """Texts, category, requestId: nothing that a single push could not say can be stored."""
    cloud = Cloud()
    for change, expected in (
        ({"title": "t" * 41}, 10056),
        ({"timeToLive": 59}, 10059),
        ({"category": "im"}, 10096),
        ({"content": "123"}, 10104),
        ({"requestId": None}, 10352),
        ({"appId": 10005}, 10094),
    ):
        assert code(cloud.send(push(), **change)) == expected


def test_a_stored_text_lives_as_long_as_its_messages() -> None:
    """After timeToLive the task is 10155; another app's task is unknown here."""
    cloud = Cloud()
    task = cloud.task(push(expires_at=int(NOW) + 600))
    assert code(cloud.send(push(stage=task), NOW + 599)) == 0
    other = push(stage=cloud.task(push("x", "y", expires_at=int(NOW) + 600)))
    assert code(cloud.send(other, NOW + 600)) == 10155
    cloud.auth = cloud.token(account(10005))
    assert code(cloud.send(push(stage=task), appId=10005)) == 10152


def test_the_double_forgets_the_oldest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """It keeps so many stored texts and no more: the oldest task is unknown, the newest is sent."""
    monkeypatch.setattr("vendors.vivo.emulator.REMEMBERED", 2)
    cloud = Cloud()
    first, _, last = [cloud.task(push(name, "other")) for name in ("a", "b", "c")]
    assert code(cloud.send(push("x", "y", stage=first))) == 10152
    assert code(cloud.send(push("x", "y", stage=last))) == 0


def test_a_wrong_token_stops_either_call() -> None:
    """10000 before anything is looked at."""
    cloud = Cloud()
    cloud.auth = AUTH
    for stage in (None, KNOWN):
        answer = cloud.send(push(stage=stage))
        assert code(answer) == 10000
        assert actions(push(stage=stage), json.loads(answer.response.body)) == [Action.AUTH] * 3


def test_a_test_push_names_every_device() -> None:
    """pushMode 1 left on: status 4 for all, which is the operator's to mend."""
    cloud = Cloud()
    given = push(extra={"pushMode": 1})
    listed = msgspec.structs.replace(given, stage=cloud.task(given))
    answer = cloud.send(listed)
    assert answer.accepted == ()
    assert actions(listed, json.loads(answer.response.body)) == [Action.CONFIG] * 3


def test_scripted_codes_spoil_one_regid_or_the_whole_call() -> None:
    """A status or a dead regId is one device's; any other code is the call's. The first call has the blank token's."""
    cloud = Cloud()
    task = cloud.task(push())
    cloud.double.fail("b", "10072", "10302", "status 2", "0")
    assert code(cloud.send(push(stage=task))) == 10072
    assert [one.token for one in cloud.send(push(stage=task)).accepted] == ["a", "c"]
    cloud.double.fail("", "10070", "status 1")
    assert code(cloud.send(push("n", "m"))) == 10070
    assert code(cloud.send(push("n", "m"))) == 0
