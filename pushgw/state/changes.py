"""User events on their way into a store: what of users, badges and token owners they change. Pure, but for the two
questions that only the store can answer; each store writes the result down in its own way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from pushgw.messages.model import DevicePut, UserEvent
from pushgw.policy.facts import NOBODY, User
from pushgw.state.documents import user_key
from pushgw.state.events import apply_event, device_of
from pushgw.state.tokens import Owner, lose_token, takes_token, token_key

RELEASED_TOKEN_TTL_S = 604_800
"""How long it is remembered who had a token that its device gave up: late events are judged by it."""


class Changes:
    """`apply` events in their order; then `users`, `badges` and `owners` are what is to be written."""

    def __init__(
        self,
        known: dict[str, User],
        find_user: Callable[[str], User | None],
        find_owner: Callable[[str], Owner | None],
    ) -> None:
        """``known``: the stored users whom the events name, by `user_key`; who is missing is not stored."""
        self.users: dict[str, User] = {}
        """By `user_key`; among them may be some whom no event names, who lost a token."""
        self.badges: dict[str, int] = {}
        self.owners: dict[str, tuple[Owner, int | None]] = {}
        """By `token_key`: the owner, and the end of the entry (epoch s) where its device gave the token up."""
        self._known = known
        self._find_user = find_user
        self._find_owner = find_owner
        self._seen_owners: dict[str, Owner | None] = {}

    def apply(self, events: Iterable[UserEvent]) -> None:
        """All events. What ``find_user`` and ``find_owner`` raise comes out."""
        for event in events:
            self._one(event)

    def _one(self, event: UserEvent) -> None:
        key = user_key(event.app, event.user)
        before = self._known.get(key, NOBODY)
        after = apply_event(before, event)
        if before.devices != after.devices:
            self._release(event, before, after)
        if isinstance(event, DevicePut):
            after = self._own(event, after)
        if after.badge_ms != before.badge_ms or after.badge != before.badge:
            self.badges[key] = after.badge
        if after != before or key not in self._known:
            self._store(key, after)

    def _own(self, event: DevicePut, user: User) -> User:
        """The token goes to the device of its newest Put, be the event itself stale for its device or not."""
        key = token_key(event.app, event.business_id, event.token)
        if key is None:
            return user
        owner = self._owner(key)
        device = device_of(user, event.device_id)
        holds = device is not None and (device.business_id, device.token) == (event.business_id, event.token)
        if not takes_token(owner, event):
            return lose_token(user, event.device_id, event.token) if holds else user
        if owner is None or event.time_ms >= owner.put_ms:
            expires = None if holds else event.time_ms // 1000 + RELEASED_TOKEN_TTL_S
            self._own_by(key, Owner(event.user, event.device_id, event.time_ms), expires)
        if owner is None or (owner.user == event.user and owner.device_id == event.device_id):
            return user
        if owner.user == event.user:
            return lose_token(user, owner.device_id, event.token)
        loser_key = user_key(event.app, owner.user)
        loser = self._known.get(loser_key) or self._find_user(loser_key)
        if loser is not None:
            self._store(loser_key, lose_token(loser, owner.device_id, event.token))
        return user

    def _release(self, event: UserEvent, before: User, after: User) -> None:
        """Tokens that a device gave up are remembered for a while only."""
        kept = {(d.device_id, d.business_id, d.token) for d in after.devices}
        for device in before.devices:
            if (device.device_id, device.business_id, device.token) in kept:
                continue
            key = token_key(event.app, device.business_id, device.token)
            owner = self._owner(key) if key is not None else None
            if (
                key is None
                or owner is None
                or (owner.user, owner.device_id) != (event.user, device.device_id)
            ):
                continue
            self._own_by(key, owner, event.time_ms // 1000 + RELEASED_TOKEN_TTL_S)

    def _owner(self, key: str) -> Owner | None:
        if key not in self._seen_owners:
            self._seen_owners[key] = self._find_owner(key)
        return self._seen_owners[key]

    def _own_by(self, key: str, owner: Owner, expires: int | None) -> None:
        self._seen_owners[key] = owner
        self.owners[key] = (owner, expires)

    def _store(self, key: str, user: User) -> None:
        self._known[key] = self.users[key] = user
