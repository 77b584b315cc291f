"""Checks of ``interpret``: the result table holds, and nothing that comes back can crash it or cost a device its token."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite

from pushgw.vendor.adapter import AuthFailed
from pushgw.vendor.http import Response
from pushgw.vendor.push import Action, FollowUp, Outcome, Push
from pushgw.vendor.testing.promise import NotConformant, promise, shown
from pushgw.vendor.testing.samples import RETRY_AFTERS, STATUSES, UNREADABLE, altered, cut_short
from pushgw.vendor.testing.subject import Subject

_BUSY = (500, 502, 503, 504)
_TEMPORARY = (Action.RETRY, Action.RETRY_AFTER)
_LONGEST_REASON = 1_000


def check_every_code(subject: Subject) -> None:
    """Every row of the result table is what ``interpret`` (or ``read_auth``) makes of the vendor's answer with that code."""
    for code, (action, _) in subject.vendor.results.items():
        if code in subject.token_server_codes:
            _check_token_server_code(subject, code, action)
            continue
        push, response = subject.push_for(code), _response_for(subject, code)
        outcome = interpreted(subject, push, response, f"the answer with code {code}")[0]
        told = f"{code}: the table says {action!s}, interpret {outcome.action!s} ({shown(outcome.code)})"
        promise(outcome.action == action, told)
        promise(
            _spelled(subject, code, outcome.code),
            f"{code}: Outcome.code is {shown(outcome.code)}; see spellings",
        )


def check_unknown_code(subject: Subject) -> None:
    """A code that nobody has heard of is neither a success nor the end of a token."""
    code = subject.unknown_code
    if code is None:
        return
    promise(code not in subject.vendor.results, f"unknown_code {code} stands in the result table")
    for outcome in interpreted(
        subject, subject.push(), _response_for(subject, code), f"the unknown code {code}"
    ):
        harmless = outcome.action not in (Action.ACCEPTED, Action.INVALID_TOKEN)
        promise(harmless, f"the unknown code {code} is taken for {outcome.action!s}")


def check_unreadable_answers(subject: Subject) -> None:
    """No status with no body, HTML, broken JSON or other noise raises, kills a token or counts as accepted."""
    push, dead = subject.push(), subject.dead_statuses()
    for status in STATUSES:
        for case, body in UNREADABLE.items():
            told = f"status {status} with {case}"
            for outcome in interpreted(subject, push, Response(status=status, body=body), told):
                action = outcome.action
                promise(
                    action is not Action.INVALID_TOKEN or status in dead, f"{told} costs the device its token"
                )
                success = 200 <= status < 300 and subject.status_decides
                promise(action is not Action.ACCEPTED or success, f"{told} counts as accepted")
                promise(
                    action in _TEMPORARY or status not in _BUSY,
                    f"{told} is {action!s}; it is temporary: retry",
                )


def check_broken_answers(subject: Subject) -> None:
    """The vendor's own answers, cut short or with a value of the wrong type, never raise; cut short they decide nothing."""
    dead = subject.dead_statuses()
    for code, response in _answers(subject):
        push = subject.push_for(code)
        for short in cut_short(response):
            told = f"the answer with code {code} cut to {len(short.body)} bytes"
            action = interpreted(subject, push, short, told)[0].action
            promise(
                action is not Action.INVALID_TOKEN or response.status in dead,
                f"{told} costs the device its token",
            )
            promise(action is not Action.ACCEPTED or subject.status_decides, f"{told} counts as accepted")
        for where, odd in altered(response):
            understood(subject, push, odd, f"the answer with code {code}, odd at {where}")


def check_retry_after(subject: Subject) -> None:
    """Retry-After reaches the Outcome of a temporary failure in s; nonsense in it is no number and no crash."""
    push = subject.push()
    for status in (429, 503):
        outcome = interpreted(
            subject, push, Response(status=status, headers={"retry-after": "7"}), f"status {status}"
        )[0]
        kept = outcome.action not in _TEMPORARY or outcome.retry_after == 7
        promise(kept, f"status {status} with Retry-After: 7 gives retry_after={outcome.retry_after}")
        for value in RETRY_AFTERS:
            told = f"Retry-After {shown(value)}"
            wait = interpreted(subject, push, Response(status=status, headers={"retry-after": value}), told)[
                0
            ].retry_after
            promise(wait is None or (isfinite(wait) and wait >= 0), f"{told} gives retry_after={wait}")


def check_words(subject: Subject) -> None:
    """Reason and hint are one short line each, and never quote the token back, however the vendor words it."""
    for code, response in _answers(subject):
        push = subject.push_for(code)
        token = push.targets[0].token
        for text in (f"no such device: {token}", "long words " * 10_000, "one\nline\r\nand another"):
            for where, loud in altered(response, text):
                told = f"the answer with code {code}, with {shown(text, 20)} at {where}"
                read = understood(subject, push, loud, told)
                for outcome in [] if isinstance(read, FollowUp) else read:
                    said = (outcome.reason, outcome.hint)
                    promise(
                        not any(token in words for words in said), f"{told}: the Outcome quotes the token"
                    )
                    promise(all(len(w) <= _LONGEST_REASON for w in said), f"{told}: the reason is not cut")
                    promise(
                        not any("\n" in w or "\r" in w for w in said), f"{told}: the reason has several lines"
                    )


def interpreted(subject: Subject, push: Push, response: Response, case: str) -> list[Outcome]:
    """What the adapter makes of it. Raises NotConformant unless that is one sound Outcome for each target."""
    outcomes = understood(subject, push, response, case)
    if isinstance(outcomes, FollowUp):
        raise NotConformant(f"interpret wants a follow-up, where it must decide, for {case}")
    return outcomes


def understood(subject: Subject, push: Push, response: Response, case: str) -> list[Outcome] | FollowUp:
    """As ``interpreted``, where a FollowUp will do."""
    try:
        outcomes = subject.vendor.adapter.interpret(push, subject.fresh_account(), response)
    except Exception as error:
        raise NotConformant(f"interpret raises {type(error).__name__} for {case}") from error
    if isinstance(outcomes, FollowUp):
        return outcomes
    fitting = isinstance(outcomes, list) and len(outcomes) == len(push.targets)
    promise(fitting, f"interpret must give a list of {len(push.targets)} Outcomes for {case}")
    for outcome in outcomes:
        promise(isinstance(outcome.action, Action), f"{outcome.action!r} is no Action ({case})")
        texts = (outcome.code, outcome.reason, outcome.vendor_id, outcome.hint)
        promise(
            all(isinstance(text, str) for text in texts),
            f"an Outcome's texts must be str ({case}): {outcome!r:.200}",
        )
    return outcomes


def _response_for(subject: Subject, code: str) -> Response:
    try:
        return subject.response_for(code)
    except Exception as error:
        error.add_note(f"response_for({code!r}) must give the vendor's answer with this code")
        raise


def _answers(subject: Subject) -> Iterator[tuple[str, Response]]:
    """The vendor's answers with a body, one for each code of the table."""
    for code in subject.vendor.results:
        if code not in subject.token_server_codes:
            response = _response_for(subject, code)
            if response.body:
                yield code, response


def _check_token_server_code(subject: Subject, code: str, action: str) -> None:
    try:
        subject.vendor.adapter.read_auth(
            subject.fresh_account(), subject.auth_response_for(code), subject.now
        )
    except AuthFailed as failed:
        told = f"{code}: the table says {action!s}, read_auth {failed.outcome.action!s} ({shown(failed.outcome.code)})"
        promise(failed.outcome.action == action, told)
        promise(_spelled(subject, code, failed.outcome.code), f"{told}; see spellings")
        return
    raise NotConformant(f"{code}: read_auth takes the token server's refusal for a token")


def _spelled(subject: Subject, code: str, given: str) -> bool:
    if code in subject.spellings:
        return given == subject.spellings[code]
    return given.startswith(code[:-2]) if code.startswith("HTTP ") and code.endswith("xx") else given == code
