"""Checks of the adapter against its emulator: what the one renders the other accepts, and answers so that the first can read it."""

from __future__ import annotations

from typing import Any

import msgspec

from pushgw.vendor.adapter import Auth
from pushgw.vendor.emulator import Answer, Call, Emulator
from pushgw.vendor.http import Request
from pushgw.vendor.push import MOST_FOLLOW_UPS, Action, FollowUp, Outcome, Push
from pushgw.vendor.testing.promise import NotConformant, promise, shown
from pushgw.vendor.testing.reading import interpreted, understood
from pushgw.vendor.testing.rendering import rendered
from pushgw.vendor.testing.samples import FILLERS, HUGE, OPTIONAL_FIELDS, TEXTS, UNREADABLE
from pushgw.vendor.testing.subject import Subject
from pushgw.vendor.texts import ELLIPSIS, is_border

_SANDBOX_PATHS = ("/", "/_sandbox/journal", "/_sandbox/journal/count", "/_sandbox/reset")


def check_round_trip(subject: Subject) -> None:
    """The emulator takes what the adapter sends, token server included; a repeat bears the same id and shows nothing new."""
    emulator, account = subject.emulator(), subject.fresh_account()
    auth = subject.authorize(emulator, account)
    push, again = subject.push(), subject.push(at=30.0)
    answer, outcomes = _exchange(subject, emulator, push, auth, "a plain push")
    _check_taken(push, answer, outcomes, "a plain push")
    shown_as = (answer.accepted[0].title, answer.accepted[0].body)
    expected = (push.notification.title, push.notification.body)
    promise(shown_as == expected, f"the journal has {shown_as}, the push {expected}")
    promise(answer.accepted[0].vendor == subject.vendor.adapter.vendor, "Accepted.vendor is another vendor")
    vendor_id = answer.accepted[0].vendor_id
    promise(
        bool(vendor_id), "Accepted.vendor_id is empty: a repeat could not be told from a second notification"
    )
    repeat, outcomes = _exchange(subject, emulator, again, auth, "the same push again")
    promise(outcomes[0].action is Action.ACCEPTED, f"the same push again is {outcomes[0].action!s}")
    same = all(one.vendor_id == vendor_id for one in repeat.accepted)
    promise(same, "the same push again has another id: it would be shown twice")


def check_batches(subject: Subject) -> None:
    """One token, two, and as many as ``batch_limit`` says: all accepted, one Outcome each, in order; a dead one alone dies.

    A repeat of a batch has the ids of the first.
    """
    limit = subject.vendor.adapter.batch_limit
    for count in sorted({1, min(2, limit), limit}):
        emulator, account = subject.emulator(), subject.fresh_account()
        push = subject.push(count)
        auth = subject.authorize(emulator, account)
        answer, outcomes = _exchange(subject, emulator, push, auth, f"a push to {count} tokens")
        _check_taken(push, answer, outcomes, f"a push to {count} tokens")
        again, outcomes = _exchange(subject, emulator, subject.push(count, at=30.0), auth, "the batch again")
        promise(all(o.action is Action.ACCEPTED for o in outcomes), "the same batch again is refused")
        ids = {(one.token, one.vendor_id) for one in answer.accepted}
        same = {(one.token, one.vendor_id) for one in again.accepted} <= ids
        promise(same, f"a push to {count} tokens again has other ids: it would be shown twice")
    if limit > 1 and (dead := subject.dead()) is not None:
        count = min(limit, 3)
        tokens = [subject.numbered(n) for n in range(count)]
        tokens[count // 2] = dead
        emulator = subject.emulator()
        auth = subject.authorize(emulator, subject.fresh_account())
        _, outcomes = _exchange(
            subject, emulator, subject.push(tokens=tokens), auth, "a batch with a dead token"
        )
        told = [str(outcome.action) for outcome in outcomes]
        wanted = [str(Action.INVALID_TOKEN if token == dead else Action.ACCEPTED) for token in tokens]
        promise(told == wanted, f"a batch with a dead token gives {told}, not {wanted}")
        twice = subject.push(tokens=[subject.token, subject.token])
        _exchange(subject, subject.emulator(), twice, auth, "the same token twice")


def check_dead_token(subject: Subject) -> None:
    """The emulator's dead token is reported as ``invalid_token`` and shows nothing."""
    dead = subject.dead()
    if dead is None:
        return
    emulator = subject.emulator()
    auth = subject.authorize(emulator, subject.fresh_account())
    answer, outcomes = _exchange(
        subject, emulator, subject.push(tokens=[dead]), auth, "a push to a dead token"
    )
    promise(
        outcomes[0].action is Action.INVALID_TOKEN,
        f"a dead token is {outcomes[0].action!s}, not invalid_token",
    )
    promise(not answer.accepted, "the emulator accepts a push to a dead token")


def check_refused_authorization(subject: Subject) -> None:
    """Under a wrong authorization the emulator takes nothing, and the adapter says ``auth`` or ``config``: no token dies."""
    emulator, account = subject.emulator(), subject.fresh_account()
    auth = subject.authorize(emulator, account)
    if auth is None:
        return
    push = subject.push()
    call = subject.garbled(subject.call(subject.vendor.adapter.render(push, account, auth)), auth)
    if call is None:
        return
    answer = _handled(subject, emulator, call, "a wrong authorization")
    promise(not answer.accepted, "the emulator accepts a push under a wrong authorization")
    action = interpreted(subject, push, answer.response, "a wrong authorization")[0].action
    promise(
        action in (Action.AUTH, Action.CONFIG),
        f"a wrong authorization is {action!s}, neither auth nor config",
    )


def check_emulator_stands(subject: Subject) -> None:
    """The emulator claims its own paths only, answers any junk on them without raising or accepting it, and deals any fault."""
    emulator, account = subject.emulator(), subject.fresh_account()
    for path in _SANDBOX_PATHS:
        promise(not emulator.claims("GET", path), f"the emulator claims {path}, a page of the sandbox's own")
    auth = subject.authorize(emulator, account)
    requests = [subject.vendor.adapter.render(subject.push(), account, auth)]
    if (asked := subject.vendor.adapter.auth_request(account, subject.now)) is not None:
        requests.append(asked)
    for code in subject.vendor.results:
        emulator.fail(subject.token, code)
        _handled(subject, emulator, subject.call(requests[0]), f"the fault {code} that a test asked for")
        emulator.scripted.clear()
    for request in requests:
        good = subject.call(request)
        promise(emulator.claims(good.method, good.path), f"the emulator does not claim {shown(good.path)}")
        for case, body in {**UNREADABLE, "a form": b"a=b&c&=d&%ff=%00"}.items():
            for headers in (good.headers, {}):
                for method in (good.method, "GET"):
                    junk = msgspec.structs.replace(good, method=method, headers=headers, body=body)
                    if emulator.claims(method, good.path):
                        answer = _handled(subject, emulator, junk, f"{method} with {case}")
                        promise(not answer.accepted, f"the emulator accepts {method} with {case}")


def check_accepted_content(subject: Subject) -> None:
    """Whatever the adapter renders is within the limits that the emulator knows, and texts are cut between graphemes."""
    cases: dict[str, dict[str, Any]] = {name: dict(changes) for name, changes in OPTIONAL_FIELDS.items()}
    cases |= {f"{name} as text": {"title": text, "body": text, "ext": text} for name, text in TEXTS.items()}
    for name, filler in FILLERS.items():
        text = "text " + filler * (HUGE // len(filler))
        cases |= {
            f"{HUGE} characters ({name}) of {field}": {field: text} for field in ("title", "body", "ext")
        }
    for case, changes in cases.items():
        emulator = subject.emulator()
        auth = subject.authorize(emulator, subject.fresh_account())
        push = subject.push(**changes)
        request = rendered(subject, push, case, auth=auth)
        if request is not None:
            answer = _handled(subject, emulator, subject.call(request), case)
            outcomes = interpreted(subject, push, answer.response, case)
            _check_taken(push, answer, outcomes, case)
            for field in ("title", "body"):
                _check_cut(
                    getattr(push.notification, field), getattr(answer.accepted[0], field), f"{field}, {case}"
                )


def _exchange(
    subject: Subject, emulator: Emulator, push: Push, auth: Auth | None, case: str
) -> tuple[Answer, list[Outcome]]:
    """The last answer and the outcomes, after every follow-up that the adapter asks for."""
    for call in range(1, MOST_FOLLOW_UPS + 2):
        request: Request | None = rendered(subject, push, f"{case}, call {call}", auth=auth)
        if request is None:
            raise NotConformant(f"render refuses {case}")
        again = rendered(subject, push, case, auth=auth)
        promise(again == request, f"render gives another request the second time ({case}, call {call})")
        answer = _handled(subject, emulator, subject.call(request), case)
        read = understood(subject, push, answer.response, case)
        if not isinstance(read, FollowUp):
            return answer, read
        promise(not answer.accepted, f"the emulator shows {case} before the last call")
        push = msgspec.structs.replace(push, stage=read.stage)
    raise NotConformant(f"more than {MOST_FOLLOW_UPS} follow-ups for {case}")


def _handled(subject: Subject, emulator: Emulator, call: Call, case: str) -> Answer:
    promise(
        emulator.claims(call.method, call.path) is True,
        f"the emulator does not claim {call.method} {shown(call.path)}",
    )
    try:
        return emulator.handle(call, subject.now)
    except Exception as error:
        raise NotConformant(f"the emulator raises {type(error).__name__} for {case}") from error


def _check_taken(push: Push, answer: Answer, outcomes: list[Outcome], case: str) -> None:
    refused = [outcome for outcome in outcomes if outcome.action is not Action.ACCEPTED]
    told = f"{refused[0].action!s} {refused[0].code} {refused[0].reason}" if refused else ""
    promise(not refused, f"the emulator refuses {case}: {told}")
    taken, sent = [one.token for one in answer.accepted], [target.token for target in push.targets]
    promise(
        taken == sent, f"the journal has {len(taken)} tokens, not the {len(sent)} of {case} in their order"
    )


def _check_cut(text: str, taken: str, case: str) -> None:
    """Where what was taken is a beginning of what was sent, it ends between two graphemes."""
    beginning = taken.removesuffix(ELLIPSIS)
    if text.startswith(beginning) and beginning != text:
        promise(is_border(text, len(beginning)), f"a grapheme is cut in two: {case}")
