"""A verdict as a table, as JSON, and the first offending records with all that is known of them."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tests.chaos.cast import Cast
from tests.chaos.checker import Sin, Verdict
from tests.chaos.history import STARTED_IN_VAIN, Deed, History, spelled
from tests.chaos.schedule import Blow
from tests.chaos.script import Script

SHOWN = 5
"""Offending records whose whole history is printed."""

_ROWS: tuple[tuple[str, tuple[Sin, ...]], ...] = (
    ("lost", (Sin.LOST, Sin.UNSTORED)),
    ("doubles", (Sin.DOUBLE,)),
    ("wrongly sent", (Sin.WRONGLY_SENT,)),
    ("premature commits", (Sin.PREMATURE,)),
    ("tokens wrongly removed", (Sin.TOKEN,)),
    ("gateways that ended unasked", (Sin.ENDED,)),
    ("wrong outcomes", (Sin.WRONG, Sin.TWO_RECEIPTS, Sin.NOT_SENT, Sin.STRANGER)),
)


def summary(history: History, verdict: Verdict) -> dict[str, Any]:
    """One object for machines."""
    deeds = Counter(deed.what for deed in history.deeds)
    counts = verdict.counts
    faults = {name: number for name, number in history.faults.items() if name != "requests"}
    return {
        "profile": history.setup.profile,
        "seed": history.setup.seed,
        "date": history.setup.date,
        "commit": history.setup.commit,
        "state": history.setup.state,
        "records": counts.get("records", 0),
        "receipts": counts.get("receipts", 0),
        "pushed": counts.get("pushed", 0),
        "dead letters": counts.get("dead letters", 0),
        "retry records": sum(not one.letter for one in history.handed),
        "gateway kills": deeds[Blow.KILL.value],
        "gateway stops": deeds[Blow.END.value],
        "gateways added and removed": deeds[Blow.ADD.value] + deeds[Blow.REMOVE.value],
        "broker restarts": deeds[Blow.BROKER_RESTART.value] + deeds[Blow.BROKER_KILL.value],
        "broker kills among them": deeds[Blow.BROKER_KILL.value],
        "state restarts": deeds[Blow.STATE_RESTART.value] + deeds[Blow.STATE_KILL.value],
        "gateways started in vain": deeds[STARTED_IN_VAIN],
        "vendor requests": history.faults.get("requests", 0),
        "vendor faults": sum(faults.values()),
        "share of requests with a fault": f"{sum(faults.values()) / max(1, history.faults.get('requests', 0)):.0%}",
        "faults by kind": faults,
        "notifications": counts.get("notifications", 0),
        "repeats with the same id": counts.get("repeats with the same id", 0),
        "repeated receipts": counts.get("repeated receipts", 0),
        "of these with another outcome": counts.get("of these with another outcome", 0),
        "told as a whole and by device": counts.get("receivers told as a whole and by device", 0),
        "repeated dead letters": counts.get("repeated dead letters", 0),
        "given up after vendor faults": counts.get("given up after vendor faults", 0),
        **{name: sum(len(verdict.of(sin)) for sin in sins) for name, sins in _ROWS},
        "ok": not verdict.violations,
    }


def table(facts: dict[str, Any]) -> str:
    """The same for people."""
    rows = [(name, _shown(value)) for name, value in facts.items()]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:{width}}  {value}" for name, value in rows)


def offenders(history: History, verdict: Verdict) -> str:
    """The first violations of each sort, each with the history of its record."""
    setup = history.setup
    cast = Cast(setup.seed, setup.people)
    script = Script(setup.seed, cast, setup.epoch)
    lines = []
    for sin in Sin:
        for violation in verdict.of(sin)[:SHOWN]:
            lines.append(f"{sin.value}: record {violation.number}: {violation.sentence}")
            if violation.number >= 0:
                lines += [f"    {line}" for line in record_history(history, cast, script, violation.number)]
    return "\n".join(lines)


def record_history(history: History, cast: Cast, script: Script, number: int) -> list[str]:
    """All that is known of one record, and of those that are the same message, in the order of time."""
    draft = script.draft(number)
    lines = [f"it is a {draft.kind.value}, from {draft.sender} to {', '.join(draft.receivers)}"]
    for user in draft.receivers:
        person = cast.by_name[user]
        phones = ", ".join(f"{p.device} {p.vendor}{' front' if p.front else ''}" for p in person.phones)
        lines.append(f"{user}: {person.trait.value}; {phones or 'no device'}")
    places = {spelled(s.place) for s in history.stored if s.number == number}
    events: list[tuple[float, str]] = [
        (p.at, f"acknowledged at {spelled(p.place)}") for p in history.published if p.number == number
    ]
    events += [
        (s.at, f"{s.vendor} took record {s.number} for {s.token[:12]}… as {s.vendor_id}")
        for s in history.sent
        if s.number == number or s.message == draft.message >= 0
    ]
    events += [
        (t.at, f"receipt at {spelled(t.place)}: {t.user} {t.device} {t.outcome} {t.code} attempt {t.attempt}")
        for t in history.told
        if t.source in places
    ]
    events += [
        (0.0, f"{'dead letter' if h.letter else 'retry'} at {spelled(h.place)}, attempt {h.attempt}")
        for h in history.handed
        if h.source in places
    ]
    return lines + [
        f"{at:.2f} {words}" for at, words in sorted(events + _deeds_around(history.deeds, events))
    ]


def _deeds_around(deeds: list[Deed], events: list[tuple[float, str]]) -> list[tuple[float, str]]:
    """What the nemesis did while the record was on its way."""
    times = [at for at, _ in events if at]
    if not times:
        return []
    start, end = min(times) - 2, max(times) + 1
    return [(d.at, f"* {d.what} {d.detail}") for d in deeds if start <= d.at <= end]


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {number}" for name, number in value.items()) or "none"
    return str(value)
