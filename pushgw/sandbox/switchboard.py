"""Faults while the sandbox runs: which ones hold, and others from now on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import msgspec

from pushgw.sandbox.faults import FaultPlan, FaultRule, FaultSyntaxError
from pushgw.sandbox.reply import json_response, sentence
from pushgw.vendor.http import Response

PUT_EXAMPLE = '{"faults": ["apns=503:10%", "fcm=hang"]}'


class Wish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of ``PUT /_sandbox/faults``."""

    faults: list[str]
    """As ``--fault`` spells them; empty: none any more."""
    seed: int | None = None
    """Draw by this one; default: the one in force."""


class Switchboard:
    """Answers ``GET`` and ``PUT /_sandbox/faults``."""

    def __init__(self, plan: FaultPlan, parse: Callable[[Iterable[str]], Sequence[FaultRule]]) -> None:
        self._plan = plan
        self._parse = parse

    def show(self) -> Response:
        """The faults in force, as they were spelled."""
        return json_response(200, {"faults": [rule.spelling for rule in self._plan.rules]})

    def put(self, body: bytes) -> Response:
        """These faults from the next request on, instead of those in force. One that cannot be followed changes nothing."""
        try:
            wish = msgspec.json.decode(body, type=Wish)
            rules = self._parse(wish.faults)
        except FaultSyntaxError as error:
            return sentence(400, str(error))
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return sentence(400, f"The body is not what is expected; write {PUT_EXAMPLE}")
        self._plan.replace(rules, wish.seed)
        return self.show()
