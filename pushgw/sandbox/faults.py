"""Faults on request: ``vendor=code:share``, drawn in a repeatable order."""

from __future__ import annotations

import difflib
import random
import re
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from pushgw.sandbox.reply import Breakage
from pushgw.vendor.plugin import Vendor
from pushgw.vendor.push import Action

MAX_LATENCY_MS = 600_000
EXPIRED_AUTH = "expired-auth"

_SPELLING = re.compile(r"(?P<vendor>[^=]+)=(?P<code>[^:]+?)(?::(?P<share>[\d.]+)(?P<percent>%?))?")
_BREAKAGES = {breakage.value: breakage for breakage in Breakage}


class FaultSyntaxError(ValueError):
    """A ``--fault`` that cannot be followed; the sentence says what to write."""


class FaultRule(msgspec.Struct, frozen=True, kw_only=True):
    """Of this vendor's requests, this share goes wrong in this way. Exactly one of the last four is set."""

    vendor: str
    share: float
    """0...1"""
    spelling: str
    """As the operator wrote it; the name under which it is counted."""
    status: int | None = None
    """The server answers with this status and no body, without asking the emulator."""
    code: str | None = None
    """The emulator answers every token of the request with this code of its own."""
    breakage: Breakage | None = None
    latency: float | None = None
    """Seconds by which the answer is late."""


class Fault(msgspec.Struct, frozen=True):
    """What goes wrong with one request: a latency, and at most one rule beside it."""

    rule: FaultRule | None
    latency: float
    spellings: tuple[str, ...]


class FaultPlan:
    """Draws the fault of each request. The same seed and the same order of requests give the same faults."""

    def __init__(self, rules: Sequence[FaultRule] = (), seed: int = 0) -> None:
        self.rules = tuple(rules)
        self._seed = seed
        self.restart()

    def replace(self, rules: Sequence[FaultRule], seed: int | None = None) -> None:
        """From the next request on these rules hold and no others, drawn from the beginning."""
        self.rules = tuple(rules)
        if seed is not None:
            self._seed = seed
        self.restart()

    def restart(self) -> None:
        """Draw from the beginning again."""
        self._by_vendor: dict[str, list[tuple[FaultRule, random.Random]]] = {}
        for number, rule in enumerate(self.rules):
            rng = random.Random(f"{self._seed}/{number}/{rule.spelling}")  # noqa: S311  repeatable, not secret
            self._by_vendor.setdefault(rule.vendor, []).append((rule, rng))

    def draw(self, vendor: str) -> Fault | None:
        """The fault of this vendor's next request. Latencies add up; of the other rules the first that hits holds."""
        rules = self._by_vendor.get(vendor)
        if not rules:
            return None
        hits = [rule for rule, rng in rules if rng.random() < rule.share]
        if not hits:
            return None
        chosen = next((rule for rule in hits if rule.latency is None), None)
        slow = [rule for rule in hits if rule.latency is not None]
        spellings = [rule.spelling for rule in slow] + ([chosen.spelling] if chosen else [])
        return Fault(chosen, sum(rule.latency or 0.0 for rule in slow), tuple(spellings))


class EveryToken(dict[str, list[str]]):
    """Stands in for an emulator's ``scripted`` during one request: whatever the token, this code is due for it."""

    def __init__(self, code: str) -> None:
        super().__init__()
        self._code = code

    def __contains__(self, token: object) -> bool:
        return True

    def __bool__(self) -> bool:
        return True

    def __getitem__(self, token: str) -> list[str]:
        return [self._code]

    def __delitem__(self, token: str) -> None:
        """Nothing is stored, so nothing is left behind."""

    def get(self, token: str, default: object = None) -> list[str]:
        return [self._code]

    def pop(self, token: str, default: object = None) -> list[str]:
        return [self._code]


def parse_faults(spellings: Iterable[str], vendors: Mapping[str, Vendor]) -> list[FaultRule]:
    """The rules that these ``--fault`` options mean. Raises FaultSyntaxError for the first that cannot be followed."""
    return [parse_fault(spelling, vendors) for spelling in spellings]


def parse_fault(spelling: str, vendors: Mapping[str, Vendor]) -> FaultRule:
    """One rule out of ``vendor=code:share``; without a share it holds for every request.

    ``code``: an HTTP status (200...599), ``hang``, ``half-open``, ``drop``, ``reset``, ``lost``, ``latency-<ms>``, ``expired-auth``
    (the vendor's code for it), or a code of the vendor's own: one of its result table or, where these are numbers, any number. ``share``: ``5%`` or ``0.05``. Raises FaultSyntaxError.
    """
    found = _SPELLING.fullmatch(spelling.strip())
    if found is None:
        raise FaultSyntaxError(f"{spelling!r} is no fault; write vendor=code:share, such as apns=503:5%")
    vendor, code = found["vendor"].strip(), found["code"].strip()
    if vendor not in vendors:
        raise FaultSyntaxError(
            f"{spelling!r}: no vendor is called {vendor!r}; known are {', '.join(sorted(vendors))}"
        )
    share = _share(spelling, found["share"], percent=bool(found["percent"]))
    if code in _BREAKAGES:
        return FaultRule(vendor=vendor, share=share, spelling=spelling, breakage=_BREAKAGES[code])
    if code.startswith("latency-"):
        return FaultRule(vendor=vendor, share=share, spelling=spelling, latency=_latency(spelling, code))
    if len(code) == 3 and code.isdecimal() and 200 <= int(code) <= 599:
        return FaultRule(vendor=vendor, share=share, spelling=spelling, status=int(code))
    results = vendors[vendor].results
    if code == EXPIRED_AUTH:
        code = _expired(spelling, vendor, results)
    if results and code not in results and not _unlisted(code, results):
        near = difflib.get_close_matches(code, list(results), n=3, cutoff=0.5)
        hint = f"; near it: {', '.join(near)}" if near else ""
        raise FaultSyntaxError(
            f"{spelling!r}: {vendor} has no result code {code!r}{hint}. Besides its own codes: "
            "an HTTP status, hang, half-open, drop, reset, lost, latency-<ms>, expired-auth"
        )
    return FaultRule(vendor=vendor, share=share, spelling=spelling, code=code)


def _expired(spelling: str, vendor: str, results: Mapping[str, tuple[str, str]]) -> str:
    """The code with which this vendor refuses an authorization that was good once."""
    codes = {code: words for code, (action, words) in results.items() if action == Action.AUTH}
    if not codes:
        raise FaultSyntaxError(f"{spelling!r}: {vendor} gives no token that could expire")
    return next((code for code, words in codes.items() if "expired" in words), next(iter(codes)))


def _unlisted(code: str, results: Mapping[str, tuple[str, str]]) -> bool:
    """A number that the vendor's table of numbers lacks: vendors invent new ones, and a gateway must survive them."""
    number = re.compile(r"-?\d+")
    of_numbers = any(
        number.fullmatch(known) for known in results if len(known) > 3
    )  # 200 is no vendor's code
    return of_numbers and number.fullmatch(code) is not None


def _share(spelling: str, digits: str | None, *, percent: bool) -> float:
    if digits is None:
        return 1.0
    try:
        share = float(digits) / (100 if percent else 1)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise FaultSyntaxError(f"{spelling!r}: the share is no share; write 0% to 100%, or 0 to 1")
    return share


def _latency(spelling: str, code: str) -> float:
    digits = code.removeprefix("latency-")
    if not digits.isdecimal() or int(digits) > MAX_LATENCY_MS:
        raise FaultSyntaxError(
            f"{spelling!r}: write the milliseconds as latency-200, at most {MAX_LATENCY_MS}"
        )
    return int(digits) / 1000
