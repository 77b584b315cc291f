"""What a vendor tells later of a push: it arrived, it was clicked, the device did not take it.

A vendor knows our push by one short text that it was sent and gives back (Huawei's ``bi_tag``, a ``callback.param``): the
echo. A push to one token has its PushID there. Many tokens share one text: it names the record then, and the PushID
follows from the record, the user and the device that the token belongs to.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

import msgspec
from pydantic import AfterValidator, SecretStr

from pushgw.messages.identity import is_push_id
from pushgw.vendor.push import Push

MAX_ECHO_BYTES = 64
"""What the strictest of the vendors gives back whole."""
_ONE, _GROUP = "1", "2"
"""Tencent's EventType of a receipt: to one user, to a group."""


class Stage(StrEnum):
    """How far a push came, as its vendor says."""

    ARRIVED = "arrived"
    """On the device (PushStage 2)."""
    CLICKED = "clicked"
    """The user opened it (PushStage 3)."""
    NOT_ARRIVED = "not_arrived"
    """The vendor took it and the device did not: the code says why."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What a vendor says of one push to one token."""

    echo: str
    """The text of ``echo_of``, as it came back; empty where there was none."""
    token: str = ""
    stage: Stage
    code: str = ""
    """The vendor's status."""
    words: str = ""
    """What the status means; no token in it."""
    at_ms: int | None = None
    """When it happened, epoch ms; None where the vendor does not say."""
    vendor_id: str = ""
    """The vendor's id of the message."""

    def __repr__(self) -> str:
        """Without the token."""
        return f"Report(echo={self.echo!r}, stage={self.stage!r}, code={self.code!r})"


class ReportCall(msgspec.Struct, frozen=True, kw_only=True):
    """A vendor's request to us. Its repr shows nothing of it: signatures, tokens and a key may be anywhere in it."""

    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    key: str = ""
    """What stands in the path behind the credential's id: the only proof that some vendors can give of themselves."""

    def __repr__(self) -> str:
        return f"ReportCall({len(self.body)} bytes)"


class ReportRefused(Exception):
    """These reports are not taken. ``status`` is HTTP's; the sentence is for the operator and quotes nothing of the call."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class Echo(msgspec.Struct, frozen=True, kw_only=True):
    """What an echo says. Either ``push_id`` or ``source`` is there."""

    push_id: str = ""
    source: str = ""
    """The record's coordinate, as PushIDs are made of it."""
    group: bool = False
    app: int | None = None
    """SdkAppId; None where the text holds a PushID alone."""


LAST_MS = 1 << 47
"""No time is as late as this (year 6429)."""
SHORTEST_KEY = 16
_KEY = re.compile(r"[A-Za-z0-9_.~-]*")


def _unguessable(key: SecretStr) -> SecretStr:
    text = key.get_secret_value()
    if text and not (len(text) >= SHORTEST_KEY and _KEY.fullmatch(text)):
        raise ValueError(
            f"must be {SHORTEST_KEY} or more letters, digits, -, _, . or ~ that nobody can guess; "
            "make one with `openssl rand -hex 20`"
        )
    return key


ReceiptKey = Annotated[SecretStr, AfterValidator(_unguessable)]
"""A credential's field: what an operator puts into the address of reports. Empty: no reports are taken."""


def time_of(value: object) -> int | None:
    """A vendor's time of day, epoch ms; None for what is none."""
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 < value < LAST_MS else None


def check_key(call: ReportCall, key: str) -> None:
    """For a vendor that signs nothing: whether the call came to the address with the key in it. Raises ReportRefused."""
    if not key:
        raise ReportRefused(403, "the credential has no receipt_key: its vendor's reports are not taken")
    if not hmac.compare_digest(call.key.encode("utf-8", "replace"), key.encode()):
        raise ReportRefused(
            401, "the address is wrong: behind the credential's id it must have the receipt_key"
        )


def echo_of(push: Push) -> str:
    """The text that is to come back with reports of this push: at most `MAX_ECHO_BYTES` of ASCII, as Kafka's topic names are.

    A push to several tokens from nowhere (``pushgw send``), or from a topic with a very long name, has its collapse id
    there: nobody can tell whose reports those are.
    """
    origin = push.origin
    if origin is None:
        return push.targets[0].push_id if len(push.targets) == 1 else push.notification.collapse_id
    head = push.targets[0].push_id if len(push.targets) == 1 else origin.source
    text = f"{head}.{_GROUP if origin.group else _ONE}.{origin.app}"
    return text if len(text) <= MAX_ECHO_BYTES else push.notification.collapse_id


def read_echo(text: str) -> Echo | None:
    """What `echo_of` wrote; None for any other text, such as that of a push that somebody else sent for the app."""
    if is_push_id(text):
        return Echo(push_id=text)
    head, _, app = text.rpartition(".")
    head, _, kind = head.rpartition(".")
    if kind not in (_ONE, _GROUP) or not (app.isascii() and app.isdigit() and len(app) <= 19):
        return None
    if is_push_id(head):
        return Echo(push_id=head, group=kind == _GROUP, app=int(app))
    if head.count("/") == 2:
        return Echo(source=head, group=kind == _GROUP, app=int(app))
    return None
