"""``pushgw send``: one push past the policy, to see what the vendor says."""

from __future__ import annotations

import time
import uuid
from typing import Annotated, Any

import msgspec
import typer

from pushgw.assembly import credential_place_of
from pushgw.cli.book import book_or_exit
from pushgw.cli.dry_run import calls, show
from pushgw.cli.loop import run_async
from pushgw.cli.output import Config, Exit, Json, fail, out, print_json, settings_or_exit
from pushgw.credentials import CredentialEntry
from pushgw.messages.receipts import identify, mask_token
from pushgw.settings import Settings
from pushgw.state import open_store
from pushgw.state.protocol import StateMissing, StateUnavailable
from pushgw.vendor import transport_named
from pushgw.vendor.adapter import AuthFailed, Refused
from pushgw.vendor.http import TransportError
from pushgw.vendor.mask import without_login
from pushgw.vendor.push import Action, Notification, Outcome, Push, Target
from pushgw.vendor.send import AsyncSender, deliver
from pushgw.vendor.token_cache import NOT_REACHED, TokenCache


def send(
    credential: Annotated[
        int, typer.Option("--credential", help="Certificate id: the credential file's name.")
    ],
    token: Annotated[
        list[str] | None,
        typer.Option("--token", help="Device token; several travel in one request where they can."),
    ] = None,
    user: Annotated[
        str | None, typer.Option("--user", help="Or: this user's devices under the credential.")
    ] = None,
    title: Annotated[str, typer.Option("--title")] = "",
    body: Annotated[str, typer.Option("--body")] = "A test push of pushgw",
    ext: Annotated[str, typer.Option("--ext", help="Pass-through string, best JSON.")] = "",
    badge: Annotated[int | None, typer.Option("--badge", min=0)] = None,
    sound: Annotated[str | None, typer.Option("--sound")] = None,
    ttl: Annotated[int, typer.Option("--ttl", min=0, help="Seconds.")] = 86_400,
    extra: Annotated[
        str | None, typer.Option("--extra", help="JSON object merged into the vendor's own fields.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print the exact request.")] = False,
    config: Config = None,
    json: Json = False,
) -> None:
    """Send one push past the policy and show the vendor's answer.

    Example: pushgw send --credential 6666 --token 00fc13ad… --title Alice --body Hi --dry-run
    """
    settings = settings_or_exit(config)
    if bool(token) == (user is not None):
        raise fail(Exit.USAGE, "give either --token or --user")
    entry = _entry(settings, credential)
    now = float(int(time.time()))  # so that vendors are told exactly --ttl
    notification = _notification(title, body, ext, badge, sound, ttl, extra, now)
    tokens = token or run_async(_tokens_of(settings, user or "", credential))
    results = run_async(_send_all(settings, entry, notification, tokens, dry_run, now))
    for result in results:
        _print(result, json)
    raise typer.Exit(int(max(_exit_code(r) for r in results)))


def _entry(settings: Settings, credential: int) -> CredentialEntry:
    book = book_or_exit(settings)
    entry = book.find(credential)
    if entry is None:
        known = ", ".join(str(i) for i in sorted(book.entries)) or "none"
        place = credential_place_of(settings)
        raise fail(Exit.CONFIG, f"no credential {credential} in {place}; there are: {known}")
    if entry.problem:
        raise fail(Exit.CONFIG, f"credential {credential} cannot be used: {entry.problem}")
    return entry


def _notification(
    title: str,
    body: str,
    ext: str,
    badge: int | None,
    sound: str | None,
    ttl: int,
    extra: str | None,
    now: float,
) -> Notification:
    fields: dict[str, object] | None = None
    if extra is not None:
        try:
            fields = msgspec.json.decode(extra, type=dict[str, object])
        except msgspec.MsgspecError:
            raise fail(Exit.USAGE, '--extra: expected a JSON object, such as {"channel_id": "im"}') from None
    mark = uuid.uuid4()
    return Notification(
        title=title,
        body=body,
        ext=ext,
        badge=badge,
        sound=sound,
        expires_at=int(now) + ttl,
        collapse_id=mark.hex,
        notify_id=mark.int & 0x7FFFFFFF or 1,
        extra=fields,
    )


async def _tokens_of(settings: Settings, user: str, credential: int) -> list[str]:
    try:
        store = await open_store(settings.state, read_only=True)
    except StateMissing as error:
        raise fail(Exit.NO, f"user {user} has no device: {error}") from None
    except StateUnavailable as error:
        raise fail(Exit.UNREACHABLE, str(error)) from None
    try:
        stored = await store.user(settings.sdk_app_id, user)
    except StateUnavailable as error:
        raise fail(Exit.UNREACHABLE, str(error)) from None
    finally:
        await store.close()
    tokens = [d.token for d in stored.devices if d.business_id == credential and d.token] if stored else []
    if not tokens:
        raise fail(
            Exit.NO,
            f"user {user} has no device under credential {credential}; see `pushgw devices list {user}`",
        )
    return tokens


async def _send_all(
    settings: Settings,
    entry: CredentialEntry,
    notification: Notification,
    tokens: list[str],
    dry_run: bool,
    now: float,
) -> list[dict[str, Any]]:
    targets = []
    for token in dict.fromkeys(tokens):  # twice in one request it would be shown twice
        ids = identify(f"send/{notification.collapse_id}", token, "")
        targets.append(
            Target(token=token, user="", device_id="", push_id=ids.push_id, vendor_id=ids.vendor_id)
        )
    limit = entry.adapter.batch_limit if entry.adapter else 1
    batches = [targets[start : start + limit] for start in range(0, len(targets), limit)]
    try:
        dry = [_shown(entry, calls(entry, notification, batch, now)) for batch in batches]
        if dry_run:
            return dry
        return await _send_live(settings, entry, notification, batches, now)
    except Refused as refused:
        return [{"Verdict": "suppressed", "Code": "C6", "Reason": "CHANNEL_REJECT", "Detail": str(refused)}]


def _shown(entry: CredentialEntry, requests: list[dict[str, Any]]) -> dict[str, Any]:
    """The request, what follows it where the vendor wants several calls, and the credential's own proxy."""
    first, *then = requests
    shown: dict[str, Any] = {"Request": first, "Then": then} if then else {"Request": first}
    if entry.account is not None and entry.account.proxy is not None:
        shown["Proxy"] = without_login(entry.account.proxy)
    return shown


async def _send_live(
    settings: Settings,
    entry: CredentialEntry,
    notification: Notification,
    batches: list[list[Target]],
    now: float,
) -> list[dict[str, Any]]:
    adapter, account = entry.adapter, entry.account
    assert adapter is not None  # noqa: S101  checked by _entry
    assert account is not None  # noqa: S101  checked by _entry
    options: dict[str, Any] = {
        "timeout": settings.dispatch.timeout,
        "http2": adapter.http2,
        "tls": adapter.tls(account),
        "proxy": account.proxy,
    }
    asker = AsyncSender(transport_named("httpx"), **options)
    sender = AsyncSender(transport_named(settings.dispatch.transport), **options)
    tokens = TokenCache(adapter, account, asker.send, time.time)
    try:
        results = []
        for batch in batches:
            push = Push(notification=notification, targets=tuple(batch), now=now)
            results += await _send_batch(entry, push, tokens, sender)
        return results
    finally:
        await sender.close()
        await asker.close()


async def _send_batch(
    entry: CredentialEntry,
    push: Push,
    tokens: TokenCache,
    sender: AsyncSender,
) -> list[dict[str, Any]]:
    """What became of each token of the push."""
    adapter, account = entry.adapter, entry.account
    assert adapter is not None  # noqa: S101  checked by _entry
    assert account is not None  # noqa: S101  checked by _entry
    started = time.monotonic()
    outcomes: list[Outcome] = []
    unreachable = False
    for _attempt in range(2):
        try:
            auth = (await tokens.get()) if tokens.needs_auth else None
            outcomes, push = await deliver(sender, adapter, push, account, auth)
        except AuthFailed as failed:
            outcomes = [failed.outcome] * len(push.targets)
            unreachable = failed.outcome.code == NOT_REACHED
            break
        except TransportError as error:
            return [{"Verdict": "failed", "Unreachable": True, "Vendor": entry.vendor, "ErrInfo": str(error)}]
        if outcomes[0].action is not Action.AUTH or auth is None:
            break
        tokens.refuse(auth)
    latency = round((time.monotonic() - started) * 1000)
    answers = [_answer(entry, *pair, latency) for pair in zip(push.targets, outcomes, strict=True)]
    return [{**answer, "Unreachable": True} for answer in answers] if unreachable else answers


def _answer(entry: CredentialEntry, target: Target, outcome: Outcome, latency_ms: int) -> dict[str, Any]:
    return {
        "Verdict": "pushed" if outcome.action is Action.ACCEPTED else "failed",
        "Vendor": entry.vendor,
        "BusinessID": entry.business_id,
        "Token": mask_token(target.token),
        "Action": outcome.action.value,
        "VendorCode": outcome.code,
        "ErrInfo": outcome.reason,
        "Hint": outcome.hint,
        "VendorID": outcome.vendor_id or target.vendor_id,
        "LatencyMs": latency_ms,
    }


def _exit_code(result: dict[str, Any]) -> Exit:
    if result.get("Unreachable"):
        return Exit.UNREACHABLE
    return Exit.DONE if "Request" in result or result["Verdict"] == "pushed" else Exit.NO


def _print(result: dict[str, Any], json: bool) -> None:
    if json:
        print_json(result)
    elif "Request" in result:
        show(result["Request"])
        for request in result.get("Then", ()):
            out.print("")
            show(request)
        if "Proxy" in result:
            out.print(f"\nthrough the proxy {result['Proxy']}", markup=False)
    else:
        words = [f"{key}: {value}" for key, value in result.items() if value not in ("", None)]
        out.print("\n".join(words), markup=False)
