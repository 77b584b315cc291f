"""Checks of ``render`` and ``token_fault``: the same bytes every time, a request that HTTP can carry, within the limits."""

from __future__ import annotations

import re
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

from pushgw.vendor.adapter import Account, Auth, Credential, Refused
from pushgw.vendor.http import Request
from pushgw.vendor.push import Action, Push
from pushgw.vendor.testing.promise import NotConformant, promise, shown
from pushgw.vendor.testing.samples import BAD_TOKENS, FILLERS, HUGE, LATE, OPTIONAL_FIELDS, TEXTS
from pushgw.vendor.testing.subject import Subject

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_METHOD = re.compile(r"[A-Z]+")
_HEADER = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+")
_OURS = frozenset({"connection", "content-length", "host", "transfer-encoding", "upgrade", "keep-alive"})
"""Headers that are the transport's business."""
_LONGEST_SENTENCE = 400


def check_facts(subject: Subject) -> None:
    """The vendor's name is one name everywhere, its table has words for every row, its limits make sense."""
    adapter, account = subject.vendor.adapter, subject.account
    promise(
        _NAME.fullmatch(adapter.vendor) is not None,
        f"the vendor's name {adapter.vendor!r} is no short lower-case word",
    )
    names = {adapter.vendor, account.vendor, subject.vendor.emulator.vendor}
    promise(len(names) == 1, f"adapter, account and emulator must have one name, not {sorted(names)}")
    promise(adapter.batch_limit >= 1, "batch_limit is the number of tokens in one request, at least 1")
    promise(adapter.push_platform >= 0, "push_platform is Tencent's number, 0 where it has none")
    promise(bool(adapter.platforms), "platforms is empty: no device could be reached (C3)")
    promise(issubclass(adapter.credential_model, Credential), "credential_model is no Credential")
    promise(
        isinstance(account.credential, adapter.credential_model),
        "the account's credential is of another model",
    )
    promise(adapter.tls(account).ca_pem == account.ca_pem, "tls() loses the account's ca_pem")
    results = subject.vendor.results
    for code, (action, words) in results.items():
        promise(action in list(Action), f"results[{code!r}]: {action!r} is no Action")
        promise(bool(words.strip()), f"results[{code!r}] has no words for the operator")
    promise(
        any(a == Action.ACCEPTED for a, _ in results.values()),
        "results says of no code that it means accepted",
    )
    for name, changes in OPTIONAL_FIELDS.items():
        notification = subject.push(**changes).notification
        for sentence in (
            *adapter.warnings(notification, account),
            adapter.channel_fault(notification, account),
        ):
            promise(
                sentence is None or bool(sentence.strip()), f"a warning or channel_fault is blank with {name}"
            )


def check_render_is_pure(subject: Subject) -> None:
    """The same push, account and authorization give the same request: again, later, under another clock, uncached."""
    adapter, auth = subject.vendor.adapter, _auth(subject)
    push, other = subject.push(), subject.push(body="something else")
    account = subject.fresh_account()
    first = adapter.render(push, account, auth)
    adapter.render(other, account, auth)
    promise(adapter.render(push, account, auth) == first, "render gives another request the second time")
    uncached = adapter.render(push, subject.fresh_account(), auth)
    promise(
        uncached == first, "render gives another request where nothing is cached: it draws lots or remembers"
    )
    with mock.patch("time.time", return_value=subject.now + 1e6):
        promise(adapter.render(push, account, auth) == first, "render reads the clock; the time is push.now")
    promise(subject.push() == push, "render changes the push")


def check_shared_headers(subject: Subject) -> None:
    """``shared`` is the same tuple object while the authorization lasts, and follows a new one."""
    adapter, account, auth = subject.vendor.adapter, subject.fresh_account(), _auth(subject)
    first = adapter.render(subject.push(), account, auth)
    second = adapter.render(subject.push(body="something else"), account, auth)
    promise(
        first.shared is second.shared,
        "shared must be the same tuple object for two pushes of one authorization",
    )
    if auth is None or adapter.auth_request(account, subject.now) is None:
        return  # made here: out of the credential, and not out of what is given
    if not any(auth.value in value for _, value in first.shared):
        return
    newer = Auth(value="a-newer-value", made_at=auth.made_at + 1, expires_at=auth.expires_at + 1)
    renewed = adapter.render(subject.push(), account, newer)
    promise(
        not any(auth.value in value for _, value in renewed.shared),
        "shared still has the old authorization after a new one was given",
    )


def check_request_is_well_formed(subject: Subject) -> None:
    """An absolute URL below the account's endpoint, lower-case headers, each once, and nothing that splits a request."""
    adapter, account = subject.vendor.adapter, subject.account
    request = adapter.render(subject.push(), subject.fresh_account(), _auth(subject))
    _well_formed(request, "the push")
    _below(request, account.endpoint, "endpoint")
    adapter.render(subject.push(), subject.fresh_account(), None)  # a dry run may have no authorization
    asked = adapter.auth_request(subject.fresh_account(), subject.now)
    if asked is not None:
        _well_formed(asked, "the request for a token")
        _below(asked, account.auth_endpoint or account.endpoint, "auth_endpoint")


def check_texts(subject: Subject) -> None:
    """Any Unicode in any text is rendered or Refused, never a crash, and never slips into a header or the URL."""
    for case, text in TEXTS.items():
        for field in ("title", "body", "ext", "conversation", "sound"):
            changes: dict[str, Any] = {field: text}
            rendered(subject, subject.push(**changes), f"{case} in {field}", quotes=text)


def check_optional_fields(subject: Subject) -> None:
    """A push renders with any optional field left out or at its edge, on every platform, and also when it is late."""
    for case, changes in OPTIONAL_FIELDS.items():
        promise(
            rendered(subject, subject.push(**changes), case) is not None, f"render refuses a push with {case}"
        )
    for platform in (None, *sorted(subject.vendor.adapter.platforms)):
        push = subject.push(platform=platform)
        promise(
            rendered(subject, push, f"platform {platform}") is not None,
            f"render refuses a push to {platform}",
        )
    for case, seconds in LATE.items():
        rendered(subject, subject.push(expires_at=int(subject.now) + seconds), f"a push {case}")
    rendered(subject, subject.push(body=""), "an empty text")
    rendered(subject, subject.push(extra={"x_conformance": {"a": [1]}}), "fields of --extra")


def check_sizes(subject: Subject) -> None:
    """What is too large is cut, or Refused with a short sentence that has a size in it and none of the text."""
    for case, filler in FILLERS.items():
        text = filler * (HUGE // len(filler))
        for fields in (("title",), ("body",), ("ext",), ("title", "body", "ext")):
            named = " and ".join(fields)
            changes: dict[str, Any] = dict.fromkeys(fields, text)
            push = subject.push(**changes)
            rendered(subject, push, f"{HUGE} characters ({case}) of {named}", quotes=text, sized=True)


def check_tokens(subject: Subject) -> None:
    """Good tokens pass; blank, overlong, split and non-ASCII ones get a sentence that does not quote them."""
    adapter, auth = subject.vendor.adapter, _auth(subject)
    for token in (*(t.token for t in subject.push(min(adapter.batch_limit, 3)).targets), subject.dead()):
        if token is not None:
            fault = adapter.token_fault(token)
            promise(fault is None, f"token_fault refuses the good token {shown(token)}: {fault}")
    for case, token in BAD_TOKENS.items():
        fault = adapter.token_fault(token)
        promise(bool(fault), f"token_fault lets {case} pass: {shown(token)}")
        promise(len(token) < 5 or token not in str(fault), f"token_fault quotes the token ({case})")
        try:
            request = adapter.render(subject.push(tokens=[token]), subject.fresh_account(), auth)
        except Exception:  # noqa: BLE001, S112  token_fault stands before it: any refusal will do, a request must be sound
            continue
        _check_not_split(request, f"a push to {case}")


def rendered(
    subject: Subject,
    push: Push,
    case: str,
    *,
    quotes: str = "",
    sized: bool = False,
    auth: Auth | None = None,
) -> Request | None:
    """The well-formed request, or None where the push was properly Refused. Raises NotConformant otherwise."""
    account: Account = subject.fresh_account()
    try:
        request = subject.vendor.adapter.render(push, account, auth or _auth(subject))
    except Refused as refused:
        _proper(str(refused), push, case, quotes, sized)
        return None
    except Exception as error:
        raise NotConformant(f"render raises {type(error).__name__} instead of Refused for {case}") from error
    _well_formed(request, case)
    return request


def _auth(subject: Subject) -> Auth | None:
    return subject.authorize(subject.emulator(), subject.fresh_account())


def _proper(sentence: str, push: Push, case: str, quotes: str, sized: bool) -> None:
    promise(0 < len(sentence.strip()) <= _LONGEST_SENTENCE, f"Refused says nothing, or too much, for {case}")
    promise(not quotes or quotes[:16] not in sentence, f"Refused quotes the text for {case}")
    for target in push.targets:
        promise(target.token not in sentence, f"Refused quotes the token for {case}")
    promise(
        not sized or any(c.isdigit() for c in sentence),
        f"Refused does not say how large it is for {case}: {sentence}",
    )


def _well_formed(request: Request, case: str) -> None:
    promise(_METHOD.fullmatch(request.method) is not None, f"no HTTP method: {request.method!r} ({case})")
    url = request.url
    absolute = url.startswith(("https://", "http://")) and bool(urlsplit(url).hostname)
    promise(absolute and _printable(url) and " " not in url, f"no absolute ASCII URL: {shown(url)} ({case})")
    promise("#" not in url, f"a fragment never reaches the vendor: {shown(url)} ({case})")
    names = [name for name, _ in (*request.shared, *request.headers)]
    for name, value in (*request.shared, *request.headers):
        promise(_HEADER.fullmatch(name) is not None, f"no lower-case header name: {shown(name)} ({case})")
        promise(name not in _OURS, f"the header {name} is the transport's business ({case})")
        fine = _printable(value) and value == value.strip()
        promise(fine, f"the header {name} has a value that HTTP cannot carry: {shown(value)} ({case})")
    promise(len(names) == len(set(names)), f"a header is given twice: {sorted(names)} ({case})")
    promise(isinstance(request.body, bytes), f"the body is {type(request.body).__name__}, not bytes ({case})")


def _check_not_split(request: Request, case: str) -> None:
    """Whatever else is wrong with it, nothing in URL or headers starts a header or a request of its own."""
    promise(
        not any(c <= " " or c == "\x7f" for c in request.url),
        f"blank or control character in the URL ({case})",
    )
    for name, value in (*request.shared, *request.headers):
        promise(
            not any(c < " " and c != "\t" for c in name + value),
            f"control character in the header {name} ({case})",
        )


def _below(request: Request, endpoint: str | None, field: str) -> None:
    if endpoint is not None:
        below = request.url.startswith((endpoint + "/", endpoint + "?")) or request.url == endpoint
        promise(below, f"the account's {field} is not honoured: {shown(request.url)}")


def _printable(text: str) -> bool:
    return text.isascii() and text.isprintable()
