"""When the nemesis strikes, and with what: drawn from the seed before anything starts."""

from __future__ import annotations

import random
from enum import StrEnum

import msgspec

from tests.chaos.cast import VENDORS

OUTAGES, HEALTHY = 0.05, 0.15
"""Shares of a vendor's time in which all of its requests go wrong, and in which none does."""
FAULT_CODES = ("503", "500", "429", "hang", "half-open", "reset", "drop", "lost", "latency-1500")


class Blow(StrEnum):
    """What the nemesis can do."""

    KILL = "kill -9 of a gateway"
    END = "SIGTERM to a gateway"
    ADD = "one gateway more"
    REMOVE = "one gateway less"
    BROKER_RESTART = "Kafka restarted"
    BROKER_KILL = "Kafka killed"
    STATE_RESTART = "state restarted"
    STATE_KILL = "state killed"
    FAULTS = "vendor faults"


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """How long and how hard."""

    name: str
    records: int
    people: int
    duration: float
    """For so long records are published, s."""
    kills: int = 0
    ends: int = 0
    broker_restarts: int = 0
    broker_kills: int = 0
    state_restarts: int = 0
    """Of a state that is a server; half of them are kills. A state that is a file dies with its gateway."""
    moves: int = 0
    """Gateways that are added, and as many that are removed; only where the state can be shared."""
    gateways: int = 3
    """Where the state can be shared; else there is one."""
    fault_share: float = 0.0
    """Of the vendors' requests, on average."""
    always: tuple[str, ...] = ()
    """Faults that hold all the time beside the drawn ones, until all is healed."""
    fault_window: float = 8.0
    """So long faults stay the same, s."""
    quiet: float = 120.0
    """How long to wait at the end until everything is settled, s."""


PROFILES = {
    profile.name: profile
    for profile in (
        Profile(
            name="short",
            records=4_000,
            people=120,
            duration=36,
            kills=2,
            ends=1,
            broker_restarts=1,
            state_restarts=1,
            moves=1,
            gateways=2,
            fault_share=0.15,
            fault_window=5,
        ),
        Profile(
            name="normal",
            records=40_000,
            people=400,
            duration=220,
            kills=8,
            ends=3,
            broker_restarts=2,
            broker_kills=1,
            state_restarts=3,
            moves=3,
            fault_share=0.2,
        ),
        Profile(
            name="long",
            records=1_000_000,
            people=2_000,
            duration=3_000,
            kills=20,
            ends=5,
            broker_restarts=3,
            broker_kills=2,
            state_restarts=5,
            moves=6,
            fault_share=0.3,
            fault_window=15,
            quiet=1_800,
        ),
    )
}


class Strike(msgspec.Struct, frozen=True, order=True):
    """One blow, so many seconds after the first record."""

    at: float
    blow: Blow
    pick: float = 0.0
    """0...1: which gateway; or how long something stays away."""
    faults: tuple[str, ...] = ()
    """What vendors do from now on; spelled as for the sandbox."""


def schedule(profile: Profile, seed: int, *, shared_state: bool) -> list[Strike]:
    """All strikes in their order. Without a shared state there is one gateway, and no server of the state to strike."""
    rng = random.Random(f"schedule/{seed}/{profile.name}")
    blows = (
        [Blow.KILL] * profile.kills
        + [Blow.END] * profile.ends
        + [Blow.BROKER_RESTART] * profile.broker_restarts
        + [Blow.BROKER_KILL] * profile.broker_kills
    )
    if shared_state:
        kills = profile.state_restarts // 2
        blows += [Blow.STATE_KILL] * kills + [Blow.STATE_RESTART] * (profile.state_restarts - kills)
        blows += [Blow.ADD, Blow.REMOVE] * profile.moves
    rng.shuffle(blows)
    slot = profile.duration / max(1, len(blows))
    strikes = [
        Strike(at=(index + rng.uniform(0.2, 0.8)) * slot, blow=blow, pick=rng.random())
        for index, blow in enumerate(blows)
    ]
    return sorted([*strikes, *_fault_windows(rng, profile)])


def _fault_windows(rng: random.Random, profile: Profile) -> list[Strike]:
    """Every so many seconds each vendor has other faults, or none; the last strike heals all."""
    found: list[Strike] = []
    at = 0.0
    while at < profile.duration and (profile.fault_share > 0 or profile.always):
        drawn = tuple(fault for vendor in VENDORS for fault in _faults_of(rng, vendor, profile.fault_share))
        found.append(Strike(at=at, blow=Blow.FAULTS, faults=profile.always + drawn))
        at += profile.fault_window
    return [*found, Strike(at=profile.duration, blow=Blow.FAULTS)]


def _faults_of(rng: random.Random, vendor: str, share: float) -> list[str]:
    """Now and then nothing works or nothing is wrong, else a part of the requests goes wrong; ``share`` is the mean."""
    luck = rng.random()
    code = rng.choice(FAULT_CODES)
    if luck < OUTAGES and share > OUTAGES:
        return [f"{vendor}={code}:100%"]
    if luck < OUTAGES + HEALTHY:
        return []
    usual = (share - OUTAGES if share > OUTAGES else share) / (1 - OUTAGES - HEALTHY)
    return [f"{vendor}={code}:{min(1.0, usual * rng.uniform(0.6, 1.4)) * 100:.0f}%"]
