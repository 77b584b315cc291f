"""Who is there: users with their devices, and what each of them has set. The same seed gives the same cast."""

from __future__ import annotations

import random
from collections.abc import Iterator
from enum import Enum
from typing import Any

import msgspec

SENDERS = tuple(f"sender{n}" for n in range(12))
GROUPS = tuple(f"@TGS#chaos{n}" for n in range(8))

_VENDORS: tuple[tuple[int, str, str, str], ...] = (
    (9001, "ios", "apns", "{n:064d}"),
    (9002, "android", "fcm", "fcm-{n:06d}:APA91bChaosToken"),
    (9003, "android", "huawei", "IQAAAACy0Chaos{n:08d}"),
    (9004, "android", "xiaomi", "chaosRegId{n:08d}=="),
    (9005, "android", "oppo", "OPPO_CN_{n:024d}"),
    (9006, "android", "huawei", "IQAAAACy1Chaos{n:08d}"),
    (9009, "harmony", "harmony", "MAMzLgIkEUChaos{n:010d}"),
    (9010, "android", "honor", "chaosHonor{n:014d}"),
    (9011, "android", "vivo", "{n:023d}"),
    (9012, "android", "meizu", "S5Q4b726e6b735c7e6f7d5c60{n:014d}"),
)
"""Certificate id of certs.example, platform, vendor, and how a token of it looks."""
VENDORS = tuple(dict.fromkeys(vendor for _, _, vendor, _ in _VENDORS))


class Trait(Enum):
    """What is special about a user."""

    PLAIN = "plain"
    OFF = "switched pushes off"
    DISTURB_NOT = "global do-not-disturb"
    FRONT = "every device in the foreground"
    HALF = "one device of two in the foreground"
    OUT = "logged out"
    GHOST = "never heard of"
    BARE = "logged in, without a device"
    DEAD = "its token is dead"
    MUTES = "has muted one sender and one group"


_SHARES = {
    Trait.PLAIN: 74,
    Trait.OFF: 3,
    Trait.DISTURB_NOT: 3,
    Trait.FRONT: 3,
    Trait.HALF: 4,
    Trait.OUT: 2,
    Trait.GHOST: 2,
    Trait.BARE: 2,
    Trait.DEAD: 2,
    Trait.MUTES: 5,
}


class Phone(msgspec.Struct, frozen=True, gc=False):
    """One device."""

    device: str
    business_id: int
    platform: str
    vendor: str
    token: str
    front: bool = False
    dead: bool = False
    """Its vendor will call the token dead."""


class Person(msgspec.Struct, frozen=True, gc=False):
    """One user."""

    name: str
    trait: Trait
    phones: tuple[Phone, ...]
    mutes_sender: str = ""
    mutes_group: str = ""


class Cast:
    """All users, by name and by token."""

    def __init__(self, seed: int, size: int) -> None:
        rng = random.Random(f"cast/{seed}")
        self._tokens = 0
        traits = rng.choices(list(_SHARES), list(_SHARES.values()), k=size)
        traits[: len(Trait)] = list(Trait)[: len(traits)]  # everyone is there, however few
        self.people = tuple(self._person(rng, n, trait) for n, trait in enumerate(traits))
        self.by_name = {person.name: person for person in self.people}
        self.owners = {phone.token: (p.name, phone) for p in self.people for phone in p.phones}

    def events(self, now_ms: int) -> Iterator[dict[str, Any]]:
        """The user events that make the cast known."""
        for person in self.people:
            yield from _events_of(person, now_ms)

    def _person(self, rng: random.Random, number: int, trait: Trait) -> Person:
        count = {Trait.GHOST: 0, Trait.BARE: 0, Trait.DEAD: 1, Trait.HALF: 2}.get(
            trait, rng.choice((1, 1, 1, 2))
        )
        phones = tuple(self._phone(rng, n, trait) for n in range(count))
        return Person(
            name=f"user{number}",
            trait=trait,
            phones=phones,
            mutes_sender=rng.choice(SENDERS) if trait is Trait.MUTES else "",
            mutes_group=rng.choice(GROUPS) if trait is Trait.MUTES else "",
        )

    def _phone(self, rng: random.Random, number: int, trait: Trait) -> Phone:
        self._tokens += 1
        kind = _VENDORS[1] if trait is Trait.DEAD else rng.choice(_VENDORS)
        business_id, platform, vendor, shape = kind
        token = shape.format(n=self._tokens)
        return Phone(
            device=f"d{number}",
            business_id=business_id,
            platform=platform,
            vendor=vendor,
            token=f"dead-{token}" if trait is Trait.DEAD else token,
            front=trait is Trait.FRONT or (trait is Trait.HALF and number == 0),
            dead=trait is Trait.DEAD,
        )


def _events_of(person: Person, now_ms: int) -> Iterator[dict[str, Any]]:
    def event(name: str, **more: Any) -> dict[str, Any]:
        return {"Event": name, "To_Account": person.name, "EventTime": now_ms, **more}

    for phone in person.phones:
        yield event(
            "Device.Put",
            DeviceID=phone.device,
            BusinessID=phone.business_id,
            Platform=phone.platform,
            Token=phone.token,
        )
        if phone.front:
            yield event("Device.Foreground", DeviceID=phone.device)
    match person.trait:
        case Trait.OFF:
            yield event("User.PushSwitch", Enabled=False)
        case Trait.DISTURB_NOT:
            yield event("Option.Global", Option=2)
        case Trait.OUT:
            yield event("User.Logout")
        case Trait.BARE:
            yield event("User.Login")
        case Trait.MUTES:
            yield event("Option.C2C", Peer=person.mutes_sender, Option=2)
            yield event("Option.Group", GroupId=person.mutes_group, Option=2)
