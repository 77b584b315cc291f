"""The offline checks of one credential: its file, what the vendor's model finds, its dates."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

import msgspec

from pushgw.credentials.expiry import expiry_sentence, warned_at
from pushgw.credentials.reader import Reading
from pushgw.vendor.checks import Finding, Level, Summary


class Result(StrEnum):
    """What a check came to; from good to bad."""

    PASS = "pass"  # noqa: S105  a word, no secret
    SKIPPED = "not tried"
    WARN = "warn"
    UNREACHABLE = "unreachable"
    """The vendor gave no answer that says anything of the credential."""
    FAIL = "fail"


class Check(msgspec.Struct, frozen=True):
    """One check, its result, and a sentence with the mend. Never holds a secret."""

    check: str
    result: Result
    sentence: str
    field: str = ""


_RESULTS = {Level.OK: Result.PASS, Level.WARNING: Result.WARN, Level.ERROR: Result.FAIL}


def offline_checks(reading: Reading, now: float) -> list[Check]:
    """All that can be said without a network. ``now``: epoch s."""
    checks = [Check("file", Result.FAIL, str(fault), fault.field) for fault in reading.faults]
    if not reading.faults:
        checks.append(Check("file", Result.PASS, f"{reading.file} is complete and can be read"))
    checks += [Check("file", Result.WARN, str(warning), warning.field) for warning in reading.warnings]
    account = reading.entry.account if reading.entry else None
    if account is not None:
        checks += [_of(finding) for finding in account.credential.checks(now, reading.files)]
        checks += _expiry(account.credential.summary(), now)
    return checks


def state_of(checks: Iterable[Check]) -> tuple[str, str]:
    """``ok``, ``warning`` or ``unusable``, with all that makes it so: an end that is near is not hidden by another warning."""
    found = list(checks)
    for result, state in ((Result.FAIL, "unusable"), (Result.WARN, "warning")):
        if said := [check.sentence for check in found if check.result is result]:
            return state, "; ".join(said)
    return "ok", ""


def _of(finding: Finding) -> Check:
    sentence = f"{finding.field}: {finding.sentence}" if finding.field else finding.sentence
    return Check(finding.check, _RESULTS[finding.level], sentence, finding.field)


def _expiry(summary: Summary, now: float) -> list[Check]:
    end = summary.expires_at
    if end is None:
        return []
    near = Result.PASS if warned_at(end, now) is None else Result.WARN
    return [Check("expiry", Result.FAIL if now >= end else near, expiry_sentence(end, now))]
