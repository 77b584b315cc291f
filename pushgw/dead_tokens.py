"""What is done about tokens that vendors call dead: marked, left alone, or held for an operator when too many die at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial

import structlog

from pushgw.delivery.ending import End, Ending
from pushgw.delivery.tally import Tally
from pushgw.patience import Patience
from pushgw.policy.token_fate import TokenFate, fate_of_token
from pushgw.policy.token_guard import TokenGuard
from pushgw.settings import TokenSettings
from pushgw.state.protocol import DeadToken, StateStore, Suspect
from pushgw.vendor.push import Action

log = structlog.get_logger()

HELD_LIMIT = 10_000
"""About so many devices of a credential are remembered for review; those beyond are kept too, and come again when they are
pushed to."""
MEND = "look at the credential, then `pushgw tokens review`: --confirm removes what is held, --clear keeps it"

Verdict = tuple[str, str]
"""Action and Detail of the receipt."""
_PUSHED, _DEAD = End.PUSHED, End.DEAD
_Device = tuple[int, str, str]


class DeadTokens:
    """Judges a round's endings together. A tripped guard is found again after a restart, by what is held."""

    def __init__(
        self,
        settings: TokenSettings,
        *,
        state: StateStore,
        patience: Patience,
        tally: Tally,
        clock: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._guard = TokenGuard(settings)
        self._state = state
        self._patience = patience
        self._tally = tally
        self._clock = clock
        self._held: dict[int, set[_Device]] = {}
        """Of tripped credentials, what stands in the store."""

    async def restore(self) -> None:
        """The guards that were tripped when the last process ended, if that is no longer ago than the window."""
        now = self._clock()
        suspects = await self._patience.ask(self._state.suspects)
        newest: dict[int, int] = {}
        for one in suspects:
            newest[one.business_id] = max(one.held_ms, newest.get(one.business_id, 0))
        for business_id, held_ms in newest.items():
            if held_ms / 1000 <= now - self._settings.wipe_window:
                continue
            held = self._held[business_id] = {_device(s) for s in suspects if s.business_id == business_id}
            self._guard.trip(business_id, "too many tokens had died before the gateway was started anew", now)
            log.error("token_guard_still_tripped", credential=business_id, held=len(held), mend=MEND)
        self._show()

    async def judge(self, endings: list[Ending], now: float) -> dict[int, Verdict]:
        """What was done about each dead token of the round, by the ending's identity."""
        answered = Counter([e.entry.business_id for e in endings if e.end is _PUSHED or e.end is _DEAD])
        dead = [e for e in endings if e.end is _DEAD]
        self._look(answered, dead, now)
        if not dead:
            return {}
        verdicts: dict[int, Verdict] = {}
        doomed: list[Ending] = []
        held: list[Ending] = []
        for ending in dead:
            why = self._guard.tripped.get(ending.entry.business_id)
            fate = _fate_at_sending(ending, guarded=why is not None)
            verdicts[id(ending)] = (fate, "")
            if fate is TokenFate.REMOVED:
                doomed.append(ending)
            elif fate is TokenFate.KEPT_GUARD:
                held.append(ending)
                verdicts[id(ending)] = (
                    fate,
                    f"{why}; the token waits for an operator: pushgw tokens review.",
                )
        if doomed:
            tokens = [_dead_token(e) for e in doomed]
            fates = await self._patience.ask(lambda: self._state.mark_dead(tokens))
            verdicts |= {id(e): (fate, "") for e, fate in zip(doomed, fates, strict=True)}
        if held:
            await self._hold([_suspect(e, now) for e in held], now)
        for ending in dead:
            self._tally.tokens[ending.entry.vendor, str(verdicts[id(ending)][0])] += 1
        self._show()
        return verdicts

    async def look_again(self) -> None:
        """Open the guards of those credentials whose held devices an operator has confirmed or cleared meanwhile."""
        for business_id in list(self._guard.tripped):
            known = set(self._held.get(business_id, ()))
            if not known:
                continue
            found = await self._patience.ask(partial(self._state.suspects, business_id))
            if known <= {_device(s) for s in found}:
                continue
            self._guard.reopen(business_id)
            log.info("token_guard_reopened", credential=business_id, why="reviewed by an operator")
        self._show()

    def _look(self, answered: Counter[int], dead: list[Ending], now: float) -> None:
        """All of the round is counted before anything of it is removed."""
        before = set(self._guard.tripped)
        tripped = self._guard.look(answered, Counter([e.entry.business_id for e in dead]), now)
        if not before and not tripped:
            return
        vendors = {e.entry.business_id: e.entry.vendor for e in dead}
        for business_id in tripped:
            self._tally.guard_trips[business_id] += 1
            log.error(
                "token_guard_tripped",
                credential=business_id,
                vendor=vendors[business_id],
                why=self._guard.tripped[business_id],
                mend=MEND,
            )
        for business_id in before.difference(self._guard.tripped):
            log.info("token_guard_reopened", credential=business_id, why="a whole window was healthy")
        self._show()

    async def _hold(self, suspects: list[Suspect], now: float) -> None:
        kept = [s for s in suspects if self._has_room(s)]
        await self._patience.ask(lambda: self._state.hold(kept, now))
        for one in kept:  # only now: what is known and not in the store was released by an operator
            self._held.setdefault(one.business_id, set()).add(_device(one))

    def _has_room(self, suspect: Suspect) -> bool:
        known = self._held.get(suspect.business_id, set())
        return len(known) < HELD_LIMIT or _device(suspect) in known

    def _show(self) -> None:
        """The gauges; and what is no longer tripped is forgotten here, not in the store."""
        tripped = self._guard.tripped
        for business_id in [b for b in self._held if b not in tripped]:
            del self._held[business_id]
        self._tally.tokens_held = {b: len(self._held.get(b, ())) for b in tripped}


def _fate_at_sending(ending: Ending, *, guarded: bool) -> TokenFate:
    """By the device as it was when the push was decided; before it is marked, the store compares once more."""
    parcel, outcome = ending.parcel, ending.outcome
    return fate_of_token(
        parcel.device,
        said=outcome.action if outcome else Action.UNKNOWN,
        token=parcel.target.token,
        sent_ms=int(ending.sent_at * 1000),
        dead_since_ms=outcome.dead_since_ms if outcome else None,
        guarded=guarded,
    )


def _dead_token(ending: Ending) -> DeadToken:
    parcel = ending.parcel
    return DeadToken(
        app=parcel.work.message.app,
        user=parcel.user,
        device_id=parcel.device.device_id,
        token=parcel.target.token,
        sent_ms=int(ending.sent_at * 1000),
        dead_since_ms=ending.outcome.dead_since_ms if ending.outcome else None,
    )


def _suspect(ending: Ending, now: float) -> Suspect:
    parcel, outcome = ending.parcel, ending.outcome
    return Suspect(
        business_id=ending.entry.business_id,
        vendor=ending.entry.vendor,
        app=parcel.work.message.app,
        user=parcel.user,
        device_id=parcel.device.device_id,
        token=parcel.target.token,
        sent_ms=int(ending.sent_at * 1000),
        dead_since_ms=outcome.dead_since_ms if outcome else None,
        code=outcome.code if outcome else "",
        held_ms=int(now * 1000),
    )


def _device(suspect: Suspect) -> _Device:
    return suspect.app, suspect.user, suspect.device_id
