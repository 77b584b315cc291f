"""Users as documents in Redis: JSON without what has its default."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
from msgspec.structs import replace

from pushgw.policy.facts import NOBODY, User
from pushgw.state.documents import document

MOST_REMEMBERED = 32_000

_decode = msgspec.json.Decoder(User).decode
_encode = msgspec.json.Encoder().encode


def written(user: User) -> bytes:
    """The document of a user, without the badge."""
    return _encode(document(user))


class Documents:
    """Reads documents. It remembers what a text means, never what a user has: the text comes from Redis each time."""

    def __init__(self, limit: int = MOST_REMEMBERED) -> None:
        self._limit = limit
        self._meaning: dict[bytes | None, User] = {None: NOBODY}

    def user(self, text: bytes | None, badge: int) -> User:
        """The user with this document; `NOBODY` for none, whatever the badge."""
        return self.users((text,), (badge,))[0]

    def users(self, texts: Sequence[bytes | None], badges: Iterable[int]) -> list[User]:
        """The users with these documents and badges."""
        meaning = self._meaning
        try:
            users = [meaning[text] for text in texts]
        except KeyError:
            users = self._read(texts)
        return [
            replace(user, badge=badge) if badge and user is not NOBODY else user
            for user, badge in zip(users, badges, strict=True)
        ]

    def _read(self, texts: Sequence[bytes | None]) -> list[User]:
        if len(self._meaning) + len(texts) > self._limit:
            self._meaning = {None: NOBODY}
        meaning = self._meaning
        new: dict[bytes | None, User] = {
            text: _decode(text) for text in {*texts} if text is not None and text not in meaning
        }
        meaning.update(new)
        return [meaning[text] for text in texts]
