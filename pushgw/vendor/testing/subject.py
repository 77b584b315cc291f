"""Subject: the vendor under test, an account of it, and what the checks must be told of its ways."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import urlsplit
from uuid import UUID

import msgspec

from pushgw.vendor.adapter import Account, Auth
from pushgw.vendor.emulator import Call, Emulator
from pushgw.vendor.http import Request, Response
from pushgw.vendor.plugin import Vendor
from pushgw.vendor.push import Action, Notification, Push, Target

_STATUS = re.compile(r"HTTP ([0-9])([0-9]{2}|xx)")
_BARE_STATUS = re.compile(r"(?:HTTP )?([1-5][0-9]{2})")
_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_USUAL = (502, 418, 500, 504, 402, 299, 399)
"""Statuses to stand for ``HTTP 5xx`` and its like; vendors list none of them by itself, or not all."""


class Subject:
    """Subclass it (or AdapterConformance, which is one) and set the first three; the rest has defaults that often do."""

    vendor: Vendor
    account: Account
    """One that the vendor's emulator accepts."""
    token: str
    """A device token of the right shape, that the emulator takes for a living one."""

    now: ClassVar[float] = 1_767_225_600.0
    """When all this happens, epoch s."""
    dead_token: str | None = None
    """A token of the right shape that the emulator calls dead; default: ``dead`` before ``token``."""
    has_dead_token: ClassVar[bool] = True
    """False where the vendor never names a single token as dead."""
    status_decides: ClassVar[bool] = False
    """Whether a 2xx alone means accepted, whatever the body. Elsewhere a proxy's 200 must not count."""
    unknown_code: ClassVar[str | None] = "999999"
    """A code that the result table lacks, for ``response_for``."""
    token_server_codes: ClassVar[frozenset[str]] = frozenset()
    """Rows of the result table that only the token server says; see ``auth_response_for``."""
    spellings: ClassVar[Mapping[str, str]] = {}
    """Row of the result table -> ``Outcome.code``, where the two differ."""

    # --- what a subclass may have to say otherwise ---------------------------------------------------------

    def numbered(self, n: int) -> str:
        """Token number ``n`` of a batch; number 0 is ``token``. Default: ``token`` with 8 hexadecimal digits behind it."""
        return f"{self.token}{n:08x}" if n else self.token

    def targets_for(self, code: str) -> int:
        """To how many tokens the push went that is answered with ``code``."""
        return 1

    def push_for(self, code: str) -> Push:
        """The push that is answered with ``code``. Default: to ``targets_for(code)`` tokens, at its first call."""
        return self.push(self.targets_for(code))

    def response_for(self, code: str) -> Response:
        """The vendor's answer with this code.

        Default: a bare status for ``HTTP <status>``; for the first code that means accepted, the emulator's answer to a good
        push; else whatever the emulator says when it is told to ``fail`` every token of the push with the code.
        """
        if (status := self._status_of(code)) is not None:
            return Response(status=status)
        emulator = self.emulator()
        account = self.fresh_account()
        push = self.push_for(code)
        auth = self.authorize(emulator, account)
        if code != next(
            (c for c, (action, _) in self.vendor.results.items() if action == Action.ACCEPTED), None
        ):
            for target in push.targets:
                emulator.fail(target.token, code)
        request = self.vendor.adapter.render(push, account, auth)
        return emulator.handle(self.call(request), self.now).response

    def auth_response_for(self, code: str) -> Response:
        """The token server's answer with a code of ``token_server_codes``."""
        raise NotImplementedError(f"auth_response_for must give the token server's answer for {code!r}")

    def garbled(self, call: Call, auth: Auth) -> Call | None:
        """The same call under an authorization that the vendor does not know; None where there is none to spoil.

        Default: the ``authorization`` header, and wherever else ``auth.value`` stands, is replaced.
        """
        spoilt = {
            name: "garbled" if name == "authorization" else _without(value, auth.value)
            for name, value in call.headers.items()
        }
        body = call.body.replace(auth.value.encode(), b"garbled") if auth.value else call.body
        changed = msgspec.structs.replace(
            call, headers=spoilt, body=body, path=_without(call.path, auth.value)
        )
        return None if changed == call else changed

    # --- what the checks use ------------------------------------------------------------------------------

    def push(self, count: int = 1, *, tokens: Sequence[str] = (), at: float = 0.0, **changes: Any) -> Push:
        """A push to ``tokens``, or to the first ``count`` numbered ones, ``at`` s after ``now``."""
        content: dict[str, Any] = {
            "title": "Alice",
            "body": "Lunch at noon?",
            "ext": '{"conversation":"alice"}',
            "badge": 3,
            "expires_at": int(self.now) + 86_400,
            "collapse_id": "c0ffee0123456789c0ffee0123456789",
            "notify_id": 4_242_424,
            "conversation": "C2C_alice",
        }
        platform: str | None = changes.pop("platform", None)
        named = tokens or [self.numbered(n) for n in range(count)]
        targets = tuple(
            Target(
                token=token,
                user=f"user-{n}",
                device_id=f"device-{n}",
                push_id=f"01JZZZZZZZZZZZZZZZZZ{n:06d}",
                vendor_id=str(UUID(int=n + 1, version=4)),
                platform=platform,
            )
            for n, token in enumerate(named)
        )
        return Push(notification=Notification(**{**content, **changes}), targets=targets, now=self.now + at)

    def fresh_account(self) -> Account:
        """The account as it is just after loading: nothing cached."""
        return msgspec.structs.replace(self.account, cache={})

    def emulator(self) -> Emulator:
        """A new emulator that accepts the account."""
        return self.vendor.emulator([self.fresh_account()])

    def authorize(self, emulator: Emulator, account: Account) -> Auth | None:
        """The adapter's authorization, from the emulator's token server where one must be asked; None where none is wanted."""
        adapter = self.vendor.adapter
        auth = adapter.local_auth(account, self.now)
        if auth is not None:
            return auth
        request = adapter.auth_request(account, self.now)
        if request is None:
            return None
        return adapter.read_auth(account, emulator.handle(self.call(request), self.now).response, self.now)

    def call(self, request: Request) -> Call:
        """``request`` as a server receives it, with the account's client certificate where it has one."""
        parts = urlsplit(request.url)
        identity = self.vendor.adapter.tls(self.account).identity_pem or b""
        certificate = _CERTIFICATE.search(identity)
        return Call(
            method=request.method,
            path=f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/",
            headers=dict((*request.shared, *request.headers)),
            body=request.body,
            http_version="2" if self.vendor.adapter.http2 else "1.1",
            peer_cert_der=ssl.PEM_cert_to_DER_cert(certificate[0].decode()) if certificate else None,
        )

    def dead(self) -> str | None:
        """The dead token, where the vendor has such a thing."""
        return (self.dead_token or f"dead{self.token}") if self.has_dead_token else None

    def dead_statuses(self) -> frozenset[int]:
        """HTTP statuses that the result table itself calls the end of a token."""
        return frozenset(
            int(found[1])
            for code, (action, _) in self.vendor.results.items()
            if action == Action.INVALID_TOKEN and (found := _BARE_STATUS.fullmatch(code))
        )

    def _status_of(self, code: str) -> int | None:
        found = _STATUS.fullmatch(code)
        if found is None:
            return None
        if found[2] != "xx":
            return int(found[1] + found[2])
        family = int(found[1]) * 100
        statuses: tuple[int, ...] = (*_USUAL, *range(family, family + 100))
        listed = self.vendor.results
        return next(s for s in statuses if s // 100 * 100 == family and f"HTTP {s}" not in listed)


def _without(text: str, secret: str) -> str:
    return text.replace(secret, "garbled") if secret else text
