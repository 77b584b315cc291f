"""Checks of the authorization: what is asked of a token server, what is made of its answer, and that secrets stay hidden."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote_plus

from pydantic import SecretBytes, SecretStr

from pushgw.vendor.adapter import Auth, AuthFailed
from pushgw.vendor.http import Request, Response
from pushgw.vendor.mask import mask_request
from pushgw.vendor.push import Action
from pushgw.vendor.testing.promise import NotConformant, promise, shown
from pushgw.vendor.testing.rendering import rendered
from pushgw.vendor.testing.samples import HUGE, STATUSES, UNREADABLE, altered, cut_short
from pushgw.vendor.testing.subject import Subject

_SHORTEST_SECRET = 6
"""A shorter one would be found anywhere."""
_KEY_LINE = re.compile(r"[A-Za-z0-9+/=_-]{48,}")
"""What looks like a line of a private key inside a secret file."""
_BASIC = re.compile(r"[Bb]asic ([A-Za-z0-9+/=_-]{8,})")


def check_authorization(subject: Subject) -> None:
    """An authorization says when it was made and ends later than that; a later one ends later."""
    adapter, account, now = subject.vendor.adapter, subject.fresh_account(), subject.now
    for at in (now, now + 30 * 86_400):
        auth = adapter.local_auth(account, at)
        if auth is not None:
            promise(auth.expires_at > at, f"local_auth gives one that has ended: {auth.expires_at} at {at}")
            promise(abs(at - auth.made_at) <= 3600, f"local_auth says made_at={auth.made_at} at {at}")
            promise(
                adapter.auth_request(account, at) is None,
                "local_auth serves and a token server is asked as well",
            )
    if adapter.auth_request(account, now) is not None:
        auth = subject.authorize(subject.emulator(), account)
        promise(auth is not None and auth.expires_at > now, "read_auth gives a token that has ended")


def check_token_server(subject: Subject) -> None:
    """Whatever the token server says, ``read_auth`` gives a usable token or raises AuthFailed with a sentence."""
    good = _token_answer(subject)
    if good is None:
        return
    for status in STATUSES:
        for case, body in UNREADABLE.items():
            _check_no_token(subject, Response(status=status, body=body), f"status {status} with {case}")
    for short in cut_short(good):
        _check_no_token(subject, short, f"a token cut short after {len(short.body)} bytes")
    for where, odd in altered(good):
        _read(subject, odd, f"a token answer, odd at {where}")
    token = _good_auth(subject).value
    for evil in (f"{token}\r\nx-injected: 1", f"{token}\n", f"{token}é"):
        body = good.body.replace(json.dumps(token).encode(), json.dumps(evil).encode())
        if body == good.body:
            break  # the token does not stand in the answer as it is
        auth = _read(
            subject, Response(status=good.status, headers=good.headers, body=body), f"the token {shown(evil)}"
        )
        if auth is not None:
            rendered(subject, subject.push(), f"the token server's token {shown(evil)}", auth=auth)


def check_secrets(subject: Subject) -> None:
    """No secret of the credential, and no authorization, in any repr, in a masked request or in the text of an error."""
    adapter, account = subject.vendor.adapter, subject.fresh_account()
    auth = subject.authorize(subject.emulator(), account)
    secrets = [*secrets_of(subject), *([auth.value] if auth is not None else ())]
    request = adapter.render(subject.push(), account, auth)
    secrets += [secret for secret in adapter.secrets(account, auth) if len(secret) >= _SHORTEST_SECRET]
    for thing in (account.credential, account, auth, subject.vendor, adapter):
        check_hidden(f"{thing!r} {thing!s}", secrets, f"the repr of {type(thing).__name__}")
    _check_masked(request, adapter.secrets(account, auth), secrets, "the push")
    asked = adapter.auth_request(account, subject.now)
    if asked is not None:
        _check_masked(asked, adapter.secrets(account, None), secrets, "the request for a token")
        _check_echoes(subject, asked, secrets)
    unfit: tuple[dict[str, Any], ...] = ({"ext": "x" * HUGE}, {"title": "\ud800"}, {"body": ""})
    for fields in unfit:
        try:
            adapter.render(subject.push(**fields), account, auth)
        except Exception as error:  # noqa: BLE001  what may be raised is another check's question
            check_hidden(str(error), secrets, "the text of Refused")


def secrets_of(subject: Subject) -> list[str]:
    """Every SecretStr and SecretBytes of the credential; of whole files the lines that look like a key's."""
    found: list[str] = []
    for name in type(subject.account.credential).model_fields:
        value = getattr(subject.account.credential, name)
        if isinstance(value, SecretStr):
            found.append(value.get_secret_value())
        elif isinstance(value, SecretBytes):
            text = value.get_secret_value().decode("latin-1").strip()
            found += _KEY_LINE.findall(text) if "\n" in text else [text]
    return [secret for secret in found if len(secret) >= _SHORTEST_SECRET]


def _check_masked(request: Request, told: tuple[str, ...], secrets: list[str], case: str) -> None:
    masked = json.dumps(mask_request(request, told), ensure_ascii=False)
    check_hidden(masked, secrets, f"{case} as a dry run shows it (see Adapter.secrets)")
    for encoded in _BASIC.findall(masked):
        check_hidden(_decoded(encoded), secrets, f"the Basic authorization of {case} (see Adapter.secrets)")


def _check_echoes(subject: Subject, asked: Request, secrets: list[str]) -> None:
    """A token server, or a proxy before it, that quotes the request in its refusal."""
    quoted = " ".join([unquote_plus(asked.body.decode("utf-8", "replace")), *(v for _, v in asked.headers)])
    for name in ("error_description", "message", "msg", "reason", "description"):
        body = json.dumps({name: quoted, "code": 400}).encode()
        try:
            subject.vendor.adapter.read_auth(
                subject.fresh_account(), Response(status=400, body=body), subject.now
            )
        except AuthFailed as failed:
            said = f"{failed} {failed.outcome!r}"
            check_hidden(said, secrets, f"AuthFailed, where the token server quotes the request under {name}")


def check_hidden(text: str, secrets: list[str], where: str) -> None:
    for secret in secrets:
        promise(not secret or secret not in text, f"a secret stands in {where}")


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_").decode("latin-1")
    except binascii.Error:
        return ""


def _token_answer(subject: Subject) -> Response | None:
    emulator, account = subject.emulator(), subject.fresh_account()
    request = subject.vendor.adapter.auth_request(account, subject.now)
    return None if request is None else emulator.handle(subject.call(request), subject.now).response


def _good_auth(subject: Subject) -> Auth:
    auth = subject.authorize(subject.emulator(), subject.fresh_account())
    promise(auth is not None, "the adapter asks a token server and has no authorization")
    assert auth is not None  # noqa: S101  for the type checker: promised on the line above
    return auth


def _check_no_token(subject: Subject, response: Response, case: str) -> None:
    promise(_read(subject, response, case) is None, f"read_auth finds a token in {case}")


def _read(subject: Subject, response: Response, case: str) -> Auth | None:
    """The token, or None after a sound AuthFailed."""
    try:
        auth = subject.vendor.adapter.read_auth(subject.fresh_account(), response, subject.now)
    except AuthFailed as failed:
        for broken in _unsound(failed, response):
            raise NotConformant(f"{broken} ({case})") from failed
        return None
    except Exception as error:
        raise NotConformant(
            f"read_auth raises {type(error).__name__} instead of AuthFailed for {case}"
        ) from error
    promise(
        isinstance(auth.value, str) and auth.expires_at > subject.now,
        f"read_auth gives no usable Auth for {case}",
    )
    return auth


def _unsound(failed: AuthFailed, response: Response) -> Iterator[str]:
    outcome = failed.outcome
    if outcome.action not in (Action.RETRY, Action.RETRY_AFTER, Action.CONFIG):
        yield f"AuthFailed says {outcome.action!s}; it must say retry or config"
    if response.status >= 500 and outcome.action is Action.CONFIG and not response.body:
        yield f"AuthFailed says {outcome.action!s} of a temporary failure; it must say retry"
    if not outcome.reason.strip():
        yield "AuthFailed has no sentence for the operator"
