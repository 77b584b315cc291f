"""A list of regIds: the text is stored under a task, then the task is sent to the list.

Neither call shows anything twice when it is repeated: each has a requestId of its own that stays the same over repeats, and a
repeat of the second call names the task that is known.
"""

from __future__ import annotations

from typing import Any

import msgspec

from pushgw.vendor.push import Action, FollowUp, Outcome, Push
from vendors.vivo.results import ACCEPTED, lookup

MAX_TASK_ID = 128
"""Characters; vivo's have some twenty."""


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """Stage of a list push."""

    id: str = ""
    """vivo's taskId; empty: the text is still to be stored."""
    anew: bool = False
    """vivo had forgotten the first task: this is the second and last one."""


NEW = Task()


def task_of(push: Push) -> Task:
    """How far the push has come."""
    return push.stage if isinstance(push.stage, Task) else NEW


def fields(push: Push, message: dict[str, Any]) -> dict[str, Any]:
    """What the next call carries, made from the whole message to the first target."""
    task = task_of(push)
    return _sending(push, message, task) if task.id else _saving(push, message, task)


def _saving(push: Push, message: dict[str, Any], task: Task) -> dict[str, Any]:
    """The first call: the message without its regId."""
    stored = {name: value for name, value in message.items() if name != "regId"}
    if task.anew:
        stored["requestId"] = f"{push.targets[0].vendor_id}-anew"
    return stored


def _sending(push: Push, message: dict[str, Any], task: Task) -> dict[str, Any]:
    """The second call: the task to the regIds."""
    return {
        "appId": message["appId"],
        "regIds": [target.token for target in push.targets],
        "taskId": task.id,
        "requestId": f"{push.targets[0].vendor_id}-list{'-anew' if task.anew else ''}",
        "pushMode": message["pushMode"],
    }


def saved(push: Push, answer: dict[str, Any]) -> list[Outcome] | FollowUp:
    """Result 0 of the first call: the task to send. Nobody has been sent anything yet."""
    task_id = _text(answer.get("taskId"))
    if 0 < len(task_id) <= MAX_TASK_ID:
        return FollowUp(stage=Task(id=task_id, anew=task_of(push).anew))
    return [_unclear("no_task", "vivo stored the text of the list and named no task")] * len(push.targets)


def anew(push: Push) -> FollowUp | None:
    """vivo does not know the task (any more): the text is stored once more, but only once."""
    task = task_of(push)
    return FollowUp(stage=Task(anew=True)) if task.id and not task.anew else None


def taken(push: Push, answer: dict[str, Any]) -> list[Outcome]:
    """Result 0 of what was sent: accepted for all but those whom the answer names."""
    task_id = _text(answer.get("taskId")) or task_of(push).id
    return _by_name(push, answer, Outcome(action=Action.ACCEPTED, code=ACCEPTED, vendor_id=task_id))


def of_whom_it_is_said(push: Push, answer: dict[str, Any]) -> list[Outcome]:
    """The whole list is refused for the sake of some: of these that are named it is true, of the others nothing is known."""
    words = "the list was refused for some regId's sake, and the answer does not say that it is this one"
    return _by_name(push, answer, _unclear("not_named", words))


def _by_name(push: Push, answer: dict[str, Any], rest: Outcome) -> list[Outcome]:
    """What is said of a regId that was not sent to is believed of no other, and neither is a success."""
    users = _users(answer)
    if not users:
        return [rest] * len(push.targets)
    only = push.targets[0].token if len(push.targets) == 1 else ""
    by_token = {
        _text(user.get("userid", only)): f"status {_text(user.get('status'))}".strip() for user in users
    }
    if not by_token.keys() <= {target.token for target in push.targets}:
        rest = _unclear("other_user", "the answer speaks of another regId than was sent to")
    return [_said(by_token[t.token]) if t.token in by_token else rest for t in push.targets]


def _users(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """``invalidUser`` of a single push, ``invalidUsers`` of a list: either is seen in either shape."""
    found: list[dict[str, Any]] = []
    for name in ("invalidUser", "invalidUsers"):
        told = answer.get(name)
        listed = told if isinstance(told, list) else [told]
        found += [user for user in listed if isinstance(user, dict) and user]
    return found


def _said(code: str) -> Outcome:
    action, words = lookup(code)
    return Outcome(action=action, code=code, reason=words, hint=words)


def _unclear(code: str, words: str) -> Outcome:
    return Outcome(action=Action.UNKNOWN, code=code, reason=words, hint=words)


def _text(value: object) -> str:
    return str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
