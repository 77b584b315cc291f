"""The Adapter: what a vendor's folder gives the gateway. Two pure functions and some facts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import msgspec
from pydantic import BaseModel

from pushgw.vendor.checks import Finding, Recognized, Summary
from pushgw.vendor.http import Request, Response, TlsOptions
from pushgw.vendor.probe import Probe
from pushgw.vendor.push import FollowUp, Notification, Outcome, Push
from pushgw.vendor.reports import Report, ReportCall, ReportRefused


class Refused(Exception):
    """The push cannot be rendered for this vendor (code C6): the sentence says what and how large.

    Raised by ``render``; never quotes the token or the text.
    """


class AuthFailed(Exception):
    """The token server gave no token. ``outcome.action`` is RETRY (temporary) or CONFIG (credential unusable);
    ``outcome.code``, ``.reason`` and ``.hint`` are for the operator."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.reason or outcome.code)
        self.outcome = outcome


class Auth(msgspec.Struct, frozen=True, kw_only=True):
    """What ``render`` needs to authorize: a header value or a token. Its repr hides the value."""

    value: str
    expires_at: float
    """Epoch s at which it must have been replaced (already minus the vendor's safety margin)."""
    made_at: float

    def __repr__(self) -> str:
        return f"Auth(value='***', expires_at={self.expires_at})"


class Credential(BaseModel, extra="forbid", frozen=True):
    """Base of every vendor's credential model: the fields of ``[credential]`` in the TOML file.

    Secrets are ``pydantic.SecretStr`` (or ``SecretBytes``), so that they never show in a repr.
    File fields hold the *content* after loading; the store reads the file that the operator named.
    A model may do anything offline in its validators: parse keys, check curve and dates; a ValueError is a sentence
    for the operator (what is wrong, how to mend).
    """

    file_fields: ClassVar[dict[str, str]] = {}
    """Field of the TOML that names a file -> field of this model that takes its bytes."""

    def summary(self) -> Summary:
        """What may be shown of it: app, environment, when it expires. Holds no secret."""
        return Summary()

    def checks(self, now: float, files: Mapping[str, str]) -> Sequence[Finding]:
        """What the validators cannot say because it is no plain error: doubts about ids and secrets, and what is right.

        ``now``: epoch s. ``files``: file field of the TOML -> name of the file that the operator gave. Nothing is asked
        of a network. Dates need no check here: ``summary().expires_at`` is watched.
        """
        return ()

    @classmethod
    def recognize(cls, name: str, content: bytes, password: str) -> Recognized | None:
        """What this file of the vendor's console is and which fields it fills; None where it is none of the vendor's.

        ``name``: without its directory. ``password``: empty where none was given. Raises ValueError with a sentence for a
        file that is the vendor's and cannot be used.
        """
        return None


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """A loaded credential with everything around it: one lane is opened for each."""

    business_id: int
    vendor: str
    name: str = ""
    credential: Any
    """The vendor's own model."""
    endpoint: str | None = None
    """Base URL (scheme, host, port) in place of the vendor's, without a trailing slash."""
    auth_endpoint: str | None = None
    proxy: str | None = None
    """URL of the HTTP proxy on the way to all of these; may hold a login, so that it is never shown as it is."""
    ca_pem: bytes | None = None
    defaults: dict[str, str] = {}
    """channel_id, category, importance, sound, click_action, click_target; a message's own values win."""
    cache: dict[str, Any] = {}
    """A place of the adapter's for what it derives once (constant headers, parsed keys)."""

    def __repr__(self) -> str:
        """Without what may hold secrets: the cache has ready-made headers."""
        return f"Account(business_id={self.business_id}, vendor={self.vendor!r}, name={self.name!r})"


class Adapter(ABC):
    """One vendor. Stateless; methods are pure unless they say otherwise."""

    vendor: ClassVar[str]
    push_platform: ClassVar[int]
    """Tencent's PushPlatform number."""
    platforms: ClassVar[frozenset[str]]
    """Device platforms it can reach (decision 28)."""
    credential_model: ClassVar[type[Credential]]
    batch_limit: ClassVar[int] = 1
    """Tokens in one request."""
    http2: ClassVar[bool] = True
    sends_badge: ClassVar[bool] = False
    """Whether render uses ``notification.badge`` as an absolute number: then users differ and are not batched."""
    overwrites: ClassVar[bool] = False
    """Whether a push with the ids of an earlier one replaces it on the device without being a new notification's noise:
    then a recall may overwrite what is shown."""
    ios: ClassVar[bool] = False
    """Whether texts follow the iOS rules (name prefix, ApnsInfo.Title, no default title)."""
    max_token_bytes: ClassVar[int] = 4096
    report_answer: ClassVar[bytes] = b"{}"
    """The JSON that the vendor wants to hear when its reports were taken."""

    def token_fault(self, token: str) -> str | None:
        """Why this cannot be a token of this vendor, in one sentence, or None. Checked before the wire (C6)."""
        if (
            token.isascii()
            and token.isprintable()
            and " " not in token
            and 0 < len(token) <= self.max_token_bytes
        ):
            return None  # the common case in four quick looks
        if not token.strip():
            return "the token is blank"
        if len(token.encode("utf-8", "surrogatepass")) > self.max_token_bytes:
            return f"the token is longer than {self.max_token_bytes} bytes"
        return "the token holds blanks, control characters or characters beyond ASCII"

    def channel_fault(self, notification: Notification, account: Account) -> str | None:
        """A vendor rule known beforehand that this push breaks (C6), or None."""
        return None

    def uses_badge(self, account: Account) -> bool:
        """Whether ``notification.badge`` counts under this account; False lets users of different badges share a batch."""
        return self.sends_badge

    def warnings(self, notification: Notification, account: Account) -> tuple[str, ...]:
        """What the push lacks though it goes out (a channel that is not configured): one sentence each, for ``explain``."""
        return ()

    def tls(self, account: Account) -> TlsOptions:
        """Trust and identity for this account's connections."""
        return TlsOptions(ca_pem=account.ca_pem)

    def local_auth(self, account: Account, now: float) -> Auth | None:
        """The authorization where no server need be asked (static key, self-signed JWT); else None."""
        return None

    def auth_request(self, account: Account, now: float) -> Request | None:
        """The request to the vendor's token server, or None where ``local_auth`` serves."""
        return None

    def read_auth(self, account: Account, response: Response, now: float) -> Auth:
        """The token server's answer. Raises AuthFailed with the operator's sentence."""
        raise NotImplementedError

    @abstractmethod
    def render(self, push: Push, account: Account, auth: Auth | None) -> Request:
        """The exact request. The same arguments give the same bytes. Raises Refused (C6)."""

    @abstractmethod
    def interpret(self, push: Push, account: Account, response: Response) -> list[Outcome] | FollowUp:
        """One Outcome per target, in their order. Any status, any body, also none and HTML: never raises.

        A FollowUp instead, where the vendor wants another call before anything is sent (``push.stage`` then says which one
        was answered).
        """

    def read_reports(self, call: ReportCall, account: Account, now: float) -> list[Report]:
        """What the vendor tells in this call of pushes that it was sent, in its order.

        ``now``: epoch s. Raises ReportRefused: 401 or 403 where the call does not prove that it is the vendor's, 400 where it
        cannot be read, and 404 (as here) where the vendor sends none.
        """
        raise ReportRefused(404, f"{self.vendor} sends no reports")

    def sample_stages(self, push: Push) -> tuple[object, ...]:
        """The stages that follow the first call of this push, made up, for a dry run. Without follow-ups: none."""
        return ()

    def probe(self, account: Account, now: float) -> Probe | None:
        """A push that no device can get, for ``pushgw certs check``; None where the token server says enough, or nothing
        is surely harmless. ``now``: epoch s."""
        return None

    def render_probe(self, probe: Probe, account: Account, auth: Auth | None) -> Request:
        """As ``render``; override it where the vendor can be told to validate only."""
        return self.render(probe.push, account, auth)

    def secrets(self, account: Account, auth: Auth | None) -> tuple[str, ...]:
        """Every secret string that a rendered request may hold, so that a dry run can mask it."""
        return (auth.value,) if auth else ()
