"""Why a record could not be decoded.

::

    DecodeError   the record goes to the dead-letter topic with this code, sentence and path
"""

from __future__ import annotations

CODES = (
    20001,
    90001,
    90002,
    90003,
    90005,
    90006,
    90008,
    90010,
    90011,
    90018,
    90031,
    90044,
    90054,
    93000,
)
"""Every code that a `DecodeError` may have."""


class DecodeError(ValueError):
    """A record that is no message and no event. It never stops the partition.

    ``code`` is Tencent's error code (contract, section 1.6); ``path`` is ``$`` or dotted with indexes,
    such as ``MsgBody[0].MsgContent.Text``. The sentence never quotes message text.
    """

    def __init__(self, code: int, sentence: str, path: str = "$") -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence
        self.path = path

    def __str__(self) -> str:
        return f"{self.code} at {self.path}: {self.sentence}"
