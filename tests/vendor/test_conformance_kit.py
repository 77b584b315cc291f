"""The conformance kit passes a good vendor and catches each way of being a bad one."""

from __future__ import annotations

import inspect
import json
import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import msgspec
import pytest
from pydantic import SecretStr

from pushgw.vendor import (
    HALF_CHARACTER,
    Accepted,
    Account,
    Action,
    Adapter,
    Answer,
    Auth,
    AuthFailed,
    Call,
    Credential,
    Emulator,
    FollowUp,
    Notification,
    Outcome,
    Push,
    Refused,
    Request,
    Response,
    Vendor,
    cut_chars,
    fits_a_header,
    json_object,
    retry_after,
    vendor_words,
)
from pushgw.vendor import testing as kit
from pushgw.vendor.checks import Finding, Level, Recognized, Summary
from pushgw.vendor.probe import Probe, harmless_push
from pushgw.vendor.testing import AdapterConformance, NotConformant, Subject

RESULTS: dict[str, tuple[Action, str]] = {
    "0": (Action.ACCEPTED, "accepted"),
    "gone": (Action.INVALID_TOKEN, "the token is dead"),
    "slow": (Action.RETRY, "too fast"),
    "denied": (Action.AUTH, "the authorization was refused"),
    "HTTP 4xx": (Action.BAD_MESSAGE, "refused without a code"),
    "HTTP 5xx": (Action.RETRY, "cannot answer just now"),
}
LIMIT = 200


class TinyCredential(Credential):
    app: str
    secret: SecretStr


class TinyAdapter(Adapter):
    """A made-up vendor in its shortest form: bearer from a token server, up to three tokens in a JSON body."""

    vendor = "tiny"
    push_platform = 0
    platforms = frozenset({"android"})
    credential_model = TinyCredential
    batch_limit = 3

    def auth_request(self, account: Account, now: float) -> Request | None:
        form = {"app": account.credential.app, "secret": account.credential.secret.get_secret_value()}
        base = account.auth_endpoint or "https://auth.tiny.example"
        return Request(url=f"{base}/tiny/token", body=msgspec.json.encode(form))

    def read_auth(self, account: Account, response: Response, now: float) -> Auth:
        token = json_object(response.body).get("token")
        if response.status == 200 and fits_a_header(token):
            return Auth(value=token, made_at=now, expires_at=now + 3600)
        temporary = response.status in (200, 408, 429) or response.status >= 500
        action = Action.RETRY if temporary else Action.CONFIG
        raise AuthFailed(Outcome(action=action, code=f"HTTP {response.status}", reason="no token was given"))

    def render(self, push: Push, account: Account, auth: Auth | None) -> Request:
        return Request(
            url=f"{account.endpoint or 'https://tiny.example'}/tiny/push",
            shared=self.shared(account, auth),
            body=self.body(push),
        )

    def shared(self, account: Account, auth: Auth | None) -> tuple[tuple[str, str], ...]:
        value = auth.value if auth else ""
        held = account.cache.get("tiny")
        if held is None or held[0] != value:
            held = account.cache["tiny"] = (value, (("authorization", f"Bearer {value}"),))
        headers: tuple[tuple[str, str], ...] = held[1]
        return headers

    def body(self, push: Push) -> bytes:
        note = push.notification
        if not note.body.strip():
            raise Refused("Tiny takes no notification without text")
        if len(note.ext) > LIMIT:
            raise Refused(f"ext has {len(note.ext)} characters, Tiny allows {LIMIT}")
        try:
            return msgspec.json.encode(
                {
                    "to": [target.token for target in push.targets],
                    "id": note.collapse_id,
                    "title": self.cut(note.title),
                    "body": self.cut(note.body),
                    "ext": note.ext,
                }
            )
        except UnicodeEncodeError:
            raise Refused(HALF_CHARACTER) from None

    def cut(self, text: str) -> str:
        return cut_chars(text, LIMIT)

    def interpret(self, push: Push, account: Account, response: Response) -> list[Outcome]:
        answer = json_object(response.body)
        told = answer.get("codes")
        if isinstance(told, list) and len(told) == len(push.targets):
            codes = [code if isinstance(code, str) else "?" for code in told]
        else:
            code = answer.get("code")
            codes = [code if isinstance(code, str) else f"HTTP {response.status}"] * len(push.targets)
        wait = retry_after(response, push.now)
        said = vendor_words(push, answer.get("words"))
        return [self.outcome(code, said, wait) for code in codes]

    def outcome(self, code: str, said: str, wait: float | None) -> Outcome:
        family = f"{code[:6]}xx" if code.startswith("HTTP ") else code
        action, words = RESULTS.get(family, (Action.UNKNOWN, "not listed"))
        return Outcome(action=action, code=code, reason=said or words, hint=words, retry_after=wait)

    def secrets(self, account: Account, auth: Auth | None) -> tuple[str, ...]:
        return (account.credential.secret.get_secret_value(), *super().secrets(account, auth))


class TinyEmulator(Emulator):
    vendor = "tiny"
    bearer = "a-bearer-of-tiny"

    def claims(self, method: str, path: str) -> bool:
        return path in ("/tiny/token", "/tiny/push")

    def handle(self, call: Call, now: float) -> Answer:
        told = json_object(call.body)
        if call.method != "POST":
            return self.answer({"code": "denied"}, 405)
        if call.path == "/tiny/token":
            known = {a.credential.secret.get_secret_value() for a in self.accounts}
            return (
                self.answer({"token": self.bearer}) if told.get("secret") in known else self.answer({}, 401)
            )
        if call.headers.get("authorization") != f"Bearer {self.bearer}":
            return self.answer({"code": "denied", "words": "who are you?"}, 401)
        tokens, texts = told.get("to"), (told.get("title"), told.get("body"))
        if not isinstance(tokens, list) or not all(isinstance(t, str) and len(t) <= LIMIT for t in texts):
            return self.answer({}, 400)
        return self.deliver(told, tokens)

    def deliver(self, told: dict[str, Any], tokens: list[str]) -> Answer:
        scripted = {token: queue.pop(0) for token in tokens if (queue := self.scripted.get(token))}
        codes = [scripted.get(token, "gone" if "dead" in token else "0") for token in tokens]
        accepted = [self.accepted(told, t) for t, code in zip(tokens, codes, strict=True) if code == "0"]
        return self.answer(
            {"codes": codes, "words": f"{len(accepted)} of {tokens[0]} and others"}, 200, *accepted
        )

    def accepted(self, told: dict[str, Any], token: str) -> Accepted:
        return Accepted(
            vendor="tiny", token=token, title=told["title"], body=told["body"], vendor_id=str(told.get("id"))
        )

    def answer(self, body: dict[str, Any], status: int = 200, *accepted: Accepted) -> Answer:
        return Answer(response=Response(status=status, body=msgspec.json.encode(body)), accepted=accepted)


def account(credential: Credential | None = None) -> Account:
    return Account(
        business_id=1,
        vendor="tiny",
        credential=credential or TinyCredential(app="tiny", secret=SecretStr("tiny-secret-value")),
        endpoint="https://127.0.0.1:8443",
        auth_endpoint="https://127.0.0.1:8443",
    )


def subject(
    adapter: Adapter | None = None,
    emulator: type[Emulator] = TinyEmulator,
    results: dict[str, tuple[Action, str]] = RESULTS,
    credential: Credential | None = None,
) -> Subject:
    made = Subject()
    made.vendor = Vendor(adapter=adapter or TinyAdapter(), emulator=emulator, results=dict(results))
    made.account = account(credential)
    made.token = "0a1b2c3d" * 4
    return made


class TestTiny(AdapterConformance):
    """The good one passes everything: what the kit asks for can be done."""

    vendor = subject().vendor
    account = subject().account
    token = subject().token


def test_the_class_has_every_check() -> None:
    """No check is exported and then forgotten by the class."""
    checks = {name for name in kit.__all__ if name.startswith("check_")}
    tests = {
        name
        for name, _ in inspect.getmembers(AdapterConformance, inspect.isfunction)
        if name.startswith("test_")
    }
    assert {name.replace("check_", "test_") for name in checks} == tests


# --- broken adapters -----------------------------------------------------------------------------------------


class DrawsLots(TinyAdapter):
    def body(self, push: Push) -> bytes:
        return super().body(push) + b" " * random.randrange(1_000_000)


class ReadsTheClock(TinyAdapter):
    def render(self, push: Push, account: Account, auth: Auth | None) -> Request:
        request = super().render(push, account, auth)
        return msgspec.structs.replace(request, headers=(("x-time", str(int(time.time() / 1000))),))


class Remembers(TinyAdapter):
    def render(self, push: Push, account: Account, auth: Auth | None) -> Request:
        seen = account.cache["seen"] = account.cache.get("seen", 0) + 1
        request = super().render(push, account, auth)
        return msgspec.structs.replace(request, headers=(("x-number", str(seen)),))


class NewSharedEachTime(TinyAdapter):
    def shared(self, account: Account, auth: Auth | None) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {auth.value if auth else ''}".strip()),)


class KeepsTheOldToken(TinyAdapter):
    def shared(self, account: Account, auth: Auth | None) -> tuple[tuple[str, str], ...]:
        held: tuple[tuple[str, str], ...] = account.cache.setdefault("h", super().shared(account, auth))
        return held


class ForgetsTheEndpoint(TinyAdapter):
    def render(self, push: Push, account: Account, auth: Auth | None) -> Request:
        return super().render(push, msgspec.structs.replace(account, endpoint=None), auth)


class CapitalHeaders(TinyAdapter):
    def shared(self, account: Account, auth: Auth | None) -> tuple[tuple[str, str], ...]:
        return (("Authorization", "Bearer x"),)


class TitleInAHeader(TinyAdapter):
    def render(self, push: Push, account: Account, auth: Auth | None) -> Request:
        request = super().render(push, account, auth)
        return msgspec.structs.replace(request, headers=(("x-title", push.notification.title or "none"),))


class TokenInTheUrl(TinyAdapter):
    def render(self, push: Push, account: Account, auth: Auth | None) -> Request:
        request = super().render(push, account, auth)
        return msgspec.structs.replace(request, url=f"{request.url}/{push.targets[0].token}")


class CrashesOnHalves(TinyAdapter):
    def body(self, push: Push) -> bytes:
        return push.notification.title.encode() + super().body(push)


class NeedsATitle(TinyAdapter):
    def body(self, push: Push) -> bytes:
        if not push.notification.title:
            raise Refused("a title is missing")
        return super().body(push)


class CountsBadly(TinyAdapter):
    def body(self, push: Push) -> bytes:
        if push.notification.badge is None:
            raise ValueError("no badge")
        return super().body(push)


class QuotesTheText(TinyAdapter):
    def body(self, push: Push) -> bytes:
        if len(push.notification.ext) > LIMIT:
            raise Refused(f"ext is {len(push.notification.ext)} long: {push.notification.ext[:50]}")
        return super().body(push)


class HidesTheSize(TinyAdapter):
    def body(self, push: Push) -> bytes:
        if len(push.notification.ext) > LIMIT:
            raise Refused("ext is too long")
        return super().body(push)


class LetsAnyTokenPass(TinyAdapter):
    def token_fault(self, token: str) -> str | None:
        return None


class RefusesGoodTokens(TinyAdapter):
    def token_fault(self, token: str) -> str | None:
        return "the token is not mine"


class QuotesTheToken(TinyAdapter):
    def token_fault(self, token: str) -> str | None:
        fault = super().token_fault(token)
        return fault and f"{fault}: {token}"


class NeverCuts(TinyAdapter):
    def cut(self, text: str) -> str:
        return text


class CutsInTheMiddle(TinyAdapter):
    def cut(self, text: str) -> str:
        return text[:LIMIT]


class TakesAnythingForSuccess(TinyAdapter):
    def interpret(self, push: Push, account: Account, response: Response) -> list[Outcome]:
        if response.status == 200:
            return [Outcome(action=Action.ACCEPTED, code="0")] * len(push.targets)
        return super().interpret(push, account, response)


class UnknownIsDead(TinyAdapter):
    def outcome(self, code: str, said: str, wait: float | None) -> Outcome:
        outcome = super().outcome(code, said, wait)
        dead = outcome.action is Action.UNKNOWN
        return msgspec.structs.replace(outcome, action=Action.INVALID_TOKEN) if dead else outcome


class NotFoundIsDead(TinyAdapter):
    def interpret(self, push: Push, account: Account, response: Response) -> list[Outcome]:
        outcomes = super().interpret(push, account, response)
        dead = Outcome(action=Action.INVALID_TOKEN, code="HTTP 404")
        return [dead] * len(outcomes) if response.status == 404 else outcomes


class GivesUpOn503(TinyAdapter):
    def interpret(self, push: Push, account: Account, response: Response) -> list[Outcome]:
        outcomes = super().interpret(push, account, response)
        lost = Outcome(action=Action.BAD_MESSAGE, code="HTTP 503")
        return [lost] * len(outcomes) if response.status == 503 else outcomes


class TrustsJson(TinyAdapter):
    def interpret(self, push: Push, account: Account, response: Response) -> list[Outcome]:
        msgspec.json.decode(response.body)
        return super().interpret(push, account, response)


class TrustsTypes(TinyAdapter):
    def interpret(self, push: Push, account: Account, response: Response) -> list[Outcome]:
        str(json_object(response.body).get("words", "")).strip() and json_object(response.body)[
            "words"
        ].strip()
        return super().interpret(push, account, response)


class OneForAll(TinyAdapter):
    def interpret(self, push: Push, account: Account, response: Response) -> list[Outcome]:
        return super().interpret(push, account, response)[:1]


class Backwards(TinyAdapter):
    def interpret(self, push: Push, account: Account, response: Response) -> list[Outcome]:
        outcomes = super().interpret(push, account, response)
        return [*outcomes[1:], *outcomes[:1]]


class NeverDecides(TinyAdapter):
    def interpret(self, push: Push, account: Account, response: Response) -> list[Outcome] | FollowUp:  # type: ignore[override]  # broken on purpose
        return FollowUp(stage="again")


class FollowsUpOnSuccess(TinyAdapter):
    """Takes what is shown already for a first step."""

    def interpret(self, push: Push, account: Account, response: Response) -> list[Outcome] | FollowUp:  # type: ignore[override]  # broken on purpose
        outcomes = super().interpret(push, account, response)
        shown = outcomes[0].action is Action.ACCEPTED and push.stage is None
        return FollowUp(stage="shown") if shown else outcomes


class NewIdForBatches(TinyAdapter):
    def body(self, push: Push) -> bytes:
        if len(push.targets) == 1:
            return super().body(push)
        note = msgspec.structs.replace(push.notification, collapse_id=str(push.now))
        return super().body(msgspec.structs.replace(push, notification=note))


class IgnoresRetryAfter(TinyAdapter):
    def outcome(self, code: str, said: str, wait: float | None) -> Outcome:
        return super().outcome(code, said, None)


class BelievesRetryAfter(TinyAdapter):
    def interpret(self, push: Push, account: Account, response: Response) -> list[Outcome]:
        wait = response.headers.get("retry-after")
        outcomes = super().interpret(push, account, response)
        return [msgspec.structs.replace(o, retry_after=float(wait) if wait else None) for o in outcomes]


class QuotesTheVendor(TinyAdapter):
    def interpret(self, push: Push, account: Account, response: Response) -> list[Outcome]:
        said = str(json_object(response.body).get("words"))
        return [msgspec.structs.replace(o, reason=said) for o in super().interpret(push, account, response)]


class LocalAndServed(TinyAdapter):
    def local_auth(self, account: Account, now: float) -> Auth | None:
        return Auth(value="local", made_at=now, expires_at=now + 60)


class EndedAtOnce(TinyAdapter):
    def read_auth(self, account: Account, response: Response, now: float) -> Auth:
        return msgspec.structs.replace(super().read_auth(account, response, now), expires_at=now)


class RaisesKeyError(TinyAdapter):
    def read_auth(self, account: Account, response: Response, now: float) -> Auth:
        return Auth(value=json_object(response.body)["token"], made_at=now, expires_at=now + 3600)


class TakesAnyToken(TinyAdapter):
    def read_auth(self, account: Account, response: Response, now: float) -> Auth:
        token = json_object(response.body).get("token")
        if response.status == 200 and isinstance(token, str) and token:
            return Auth(value=token, made_at=now, expires_at=now + 3600)
        return super().read_auth(account, response, now)


class AlwaysConfig(TinyAdapter):
    def read_auth(self, account: Account, response: Response, now: float) -> Auth:
        try:
            return super().read_auth(account, response, now)
        except AuthFailed as failed:
            raise AuthFailed(msgspec.structs.replace(failed.outcome, action=Action.CONFIG)) from None


class EchoesTheServer(TinyAdapter):
    def read_auth(self, account: Account, response: Response, now: float) -> Auth:
        said = json_object(response.body).get("message")
        if isinstance(said, str):
            raise AuthFailed(Outcome(action=Action.CONFIG, code="said", reason=said))
        return super().read_auth(account, response, now)


class ForgetsASecret(TinyAdapter):
    def secrets(self, account: Account, auth: Auth | None) -> tuple[str, ...]:
        return ()


class TellsInRefused(TinyAdapter):
    def render(self, push: Push, account: Account, auth: Auth | None) -> Request:
        if not push.notification.body:
            raise Refused(f"no text under {auth and auth.value}")
        return super().render(push, account, auth)


class DeadIsRetried(TinyAdapter):
    def outcome(self, code: str, said: str, wait: float | None) -> Outcome:
        return super().outcome("slow" if code == "gone" else code, said, wait)


class DeniedIsDead(TinyAdapter):
    def outcome(self, code: str, said: str, wait: float | None) -> Outcome:
        return super().outcome("gone" if code == "denied" else code, said, wait)


class NewIdEachTime(TinyAdapter):
    def body(self, push: Push) -> bytes:
        note = msgspec.structs.replace(push.notification, collapse_id=str(push.now))
        return super().body(msgspec.structs.replace(push, notification=note))


class BlankWarning(TinyAdapter):
    def warnings(self, notification: Notification, account: Account) -> tuple[str, ...]:
        return ("",)


class NoPlatforms(TinyAdapter):
    platforms: ClassVar[frozenset[str]] = frozenset()


class LosesTheRoots(TinyAdapter):
    def shared(self, account: Account, auth: Auth | None) -> tuple[tuple[str, str], ...]:
        return (*super().shared(account, auth), ("host", "tiny.example"))


ADAPTERS: Sequence[tuple[type[Adapter], Callable[[Subject], None], str]] = (
    (BlankWarning, kit.check_facts, "blank"),
    (NoPlatforms, kit.check_facts, "platforms is empty"),
    (DrawsLots, kit.check_render_is_pure, "another request"),
    (Remembers, kit.check_render_is_pure, "second time"),
    (ReadsTheClock, kit.check_render_is_pure, "reads the clock"),
    (NewSharedEachTime, kit.check_shared_headers, "same tuple object"),
    (KeepsTheOldToken, kit.check_shared_headers, "old authorization"),
    (ForgetsTheEndpoint, kit.check_request_is_well_formed, "endpoint is not honoured"),
    (CapitalHeaders, kit.check_request_is_well_formed, "lower-case header"),
    (LosesTheRoots, kit.check_request_is_well_formed, "transport's business"),
    (TitleInAHeader, kit.check_texts, "HTTP cannot carry"),
    (CrashesOnHalves, kit.check_texts, "UnicodeEncodeError instead of Refused"),
    (NeedsATitle, kit.check_optional_fields, "refuses a push with no title"),
    (CountsBadly, kit.check_optional_fields, "ValueError instead of Refused"),
    (QuotesTheText, kit.check_sizes, "quotes the text"),
    (HidesTheSize, kit.check_sizes, "how large"),
    (LetsAnyTokenPass, kit.check_tokens, "lets an empty token pass"),
    (RefusesGoodTokens, kit.check_tokens, "refuses the good token"),
    (QuotesTheToken, kit.check_tokens, "quotes the token"),
    (TokenInTheUrl, kit.check_tokens, "in the URL"),
    (DeadIsRetried, kit.check_every_code, "gone: the table says invalid_token, interpret retry"),
    (UnknownIsDead, kit.check_unknown_code, "taken for invalid_token"),
    (TakesAnythingForSuccess, kit.check_unreadable_answers, "counts as accepted"),
    (NotFoundIsDead, kit.check_unreadable_answers, "costs the device its token"),
    (GivesUpOn503, kit.check_unreadable_answers, "it is temporary"),
    (TrustsJson, kit.check_unreadable_answers, "interpret raises DecodeError"),
    (TrustsTypes, kit.check_broken_answers, "interpret raises AttributeError"),
    (TakesAnythingForSuccess, kit.check_broken_answers, "counts as accepted"),
    (IgnoresRetryAfter, kit.check_retry_after, "gives retry_after=None"),
    (BelievesRetryAfter, kit.check_retry_after, "-5"),
    (QuotesTheVendor, kit.check_words, "quotes the token"),
    (LocalAndServed, kit.check_authorization, "asked as well"),
    (EndedAtOnce, kit.check_authorization, "has ended"),
    (RaisesKeyError, kit.check_token_server, "KeyError instead of AuthFailed"),
    (TakesAnyToken, kit.check_token_server, "HTTP cannot carry"),
    (AlwaysConfig, kit.check_token_server, "must say retry"),
    (EchoesTheServer, kit.check_secrets, "quotes the request"),
    (ForgetsASecret, kit.check_secrets, "as a dry run shows it"),
    (TellsInRefused, kit.check_secrets, "the text of Refused"),
    (NewIdEachTime, kit.check_round_trip, "shown twice"),
    (OneForAll, kit.check_batches, "list of 2 Outcomes"),
    (Backwards, kit.check_batches, "a batch with a dead token"),
    (NewIdForBatches, kit.check_batches, "has other ids"),
    (NeverDecides, kit.check_every_code, "wants a follow-up, where it must decide"),
    (FollowsUpOnSuccess, kit.check_batches, "before the last call"),
    (DeadIsRetried, kit.check_dead_token, "retry, not invalid_token"),
    (DeniedIsDead, kit.check_refused_authorization, "neither auth nor config"),
    (NeverCuts, kit.check_accepted_content, "the emulator refuses"),
    (CutsInTheMiddle, kit.check_accepted_content, "grapheme is cut in two"),
)


@pytest.mark.parametrize(("broken", "check", "words"), ADAPTERS, ids=lambda v: getattr(v, "__name__", ""))
def test_a_broken_adapter_is_caught(
    broken: type[Adapter], check: Callable[[Subject], None], words: str
) -> None:
    """Each check passes the good adapter and fails the one that breaks its promise, with a sentence that says how."""
    check(subject())
    with pytest.raises(NotConformant, match=words):
        check(subject(broken()))


# --- broken emulators, tables and credentials ----------------------------------------------------------------


class Strict(TinyEmulator):
    """Refuses what the adapter sends."""

    def deliver(self, told: dict[str, Any], tokens: list[str]) -> Answer:
        return self.answer({"code": "slow"})


class Lenient(TinyEmulator):
    """Asks nobody for an authorization."""

    def handle(self, call: Call, now: float) -> Answer:
        return super().handle(
            msgspec.structs.replace(call, headers={"authorization": f"Bearer {self.bearer}"}), now
        )


class Fragile(TinyEmulator):
    """Trusts what it is sent."""

    def handle(self, call: Call, now: float) -> Answer:
        msgspec.json.decode(call.body)
        return super().handle(call, now)


class Numeric(TinyEmulator):
    """Can be told to fail with numbers only."""

    def deliver(self, told: dict[str, Any], tokens: list[str]) -> Answer:
        int(next(iter(self.scripted.values()), ["0"])[0])
        return super().deliver(told, tokens)


class Greedy(TinyEmulator):
    """Claims every path."""

    def claims(self, method: str, path: str) -> bool:
        return True


class Absent(TinyEmulator):
    """Claims none."""

    def claims(self, method: str, path: str) -> bool:
        return False


class Anonymous(TinyEmulator):
    """Does not say which notification a repeat would replace."""

    def accepted(self, told: dict[str, Any], token: str) -> Accepted:
        return msgspec.structs.replace(super().accepted(told, token), vendor_id="")


class Immortal(TinyEmulator):
    """Knows no dead token."""

    def deliver(self, told: dict[str, Any], tokens: list[str]) -> Answer:
        return self.answer({"codes": ["0"] * len(tokens)}, 200, *(self.accepted(told, t) for t in tokens))


EMULATORS: Sequence[tuple[type[Emulator], Callable[[Subject], None], str]] = (
    (Strict, kit.check_round_trip, "the emulator refuses"),
    (Anonymous, kit.check_round_trip, "vendor_id is empty"),
    (Absent, kit.check_round_trip, "does not claim"),
    (Lenient, kit.check_refused_authorization, "accepts a push under a wrong"),
    (Fragile, kit.check_emulator_stands, "the emulator raises DecodeError"),
    (Numeric, kit.check_emulator_stands, "ValueError for the fault gone"),
    (Greedy, kit.check_emulator_stands, "page of the sandbox's own"),
    (Immortal, kit.check_dead_token, "accepted, not invalid_token"),
)


@pytest.mark.parametrize(("broken", "check", "words"), EMULATORS, ids=lambda v: getattr(v, "__name__", ""))
def test_a_broken_emulator_is_caught(
    broken: type[Emulator], check: Callable[[Subject], None], words: str
) -> None:
    """An emulator that is too strict, too lenient, fragile or greedy fails the check that says so."""
    check(subject())
    with pytest.raises(NotConformant, match=words):
        check(subject(emulator=broken))


@pytest.mark.parametrize(
    ("row", "check", "words"),
    [
        ({"new": (Action.QUOTA, "used up")}, kit.check_every_code, "new: the table says quota"),
        ({"slow": (Action.RETRY, " ")}, kit.check_facts, "no words"),
        ({"slow": ("later", "too fast")}, kit.check_facts, "no Action"),
        ({"0": (Action.RETRY, "accepted")}, kit.check_facts, "of no code"),
    ],
)
def test_a_table_that_lies_is_caught(
    row: dict[str, Any], check: Callable[[Subject], None], words: str
) -> None:
    """A row without words or action, and one that interpret does not keep, are found."""
    with pytest.raises(NotConformant, match=words):
        check(subject(results=RESULTS | row))


class OpenCredential(TinyCredential):
    def __repr__(self) -> str:
        return f"OpenCredential({self.secret.get_secret_value()})"


def test_a_talkative_credential_is_caught() -> None:
    """A credential whose repr shows its secret is found."""
    open_ = OpenCredential(app="tiny", secret=SecretStr("tiny-secret-value"))
    with pytest.raises(NotConformant, match="repr of OpenCredential"):
        kit.check_secrets(subject(credential=open_))


class TellsInSummary(TinyCredential):
    def summary(self) -> Summary:
        return Summary(app=self.secret.get_secret_value())


class TellsInFindings(TinyCredential):
    def checks(self, now: float, files: Mapping[str, str]) -> list[Finding]:
        return [Finding(Level.OK, "secret", f"it is {self.secret.get_secret_value()}")]


class NeverContent(TinyCredential):
    def checks(self, now: float, files: Mapping[str, str]) -> list[Finding]:
        return [Finding(Level.ERROR, "app", "is not to my taste")]


class StumblesOverFiles(TinyCredential):
    @classmethod
    def recognize(cls, name: str, content: bytes, password: str) -> Recognized | None:
        return Recognized(kind=json.loads(content)["kind"])


@pytest.mark.parametrize(
    ("broken", "error", "words"),
    [
        (TellsInSummary, NotConformant, "a secret stands in the summary"),
        (TellsInFindings, NotConformant, "a secret stands in a finding"),
        (NeverContent, NotConformant, "the good credential has an error"),
        (StumblesOverFiles, (KeyError, TypeError), None),
    ],
)
def test_a_credential_that_says_too_much_is_caught(
    broken: type[TinyCredential], error: Any, words: str | None
) -> None:
    """A secret in what is shown, an error of a good credential, a file that makes it fail."""
    credential = broken(app="tiny", secret=SecretStr("tiny-secret-value"))
    with pytest.raises(error, match=words):
        kit.check_credential_words(subject(credential=credential))


class ProbesADevice(TinyAdapter):
    """Its harmless push goes to a device."""

    def probe(self, account: Account, now: float) -> Probe | None:
        return Probe(push=harmless_push(1, now, "0a1b2c3d" * 4), what="a push")


class ProbesInVain(TinyAdapter):
    """No answer is good enough."""

    def probe(self, account: Account, now: float) -> Probe | None:
        return Probe(push=harmless_push(1, now, "dead" * 8), what="a push", codes=frozenset({"never"}))


@pytest.mark.parametrize(
    ("broken", "words"), [(ProbesADevice, "shows a notification"), (ProbesInVain, "fails its probe")]
)
def test_a_probe_that_does_harm_or_nothing_is_caught(broken: type[TinyAdapter], words: str) -> None:
    """One that a device shows, one that never passes."""
    with pytest.raises(NotConformant, match=words):
        kit.check_probe(subject(broken()))


def test_names_must_agree() -> None:
    """An account of another vendor's name is found: its lane would never open."""
    wrong = subject()
    wrong.account = msgspec.structs.replace(wrong.account, vendor="tinny")
    with pytest.raises(NotConformant, match="must have one name"):
        kit.check_facts(wrong)


def test_an_answer_that_cannot_be_made_says_whose_job_it_is() -> None:
    """A response_for that fails is the author's to mend, and the error says so."""

    class Lost(Subject):
        def response_for(self, code: str) -> Response:
            raise LookupError(code)

    lost = Lost()
    lost.vendor, lost.account, lost.token = subject().vendor, subject().account, subject().token
    with pytest.raises(LookupError) as error:
        kit.check_every_code(lost)
    assert "response_for" in error.value.__notes__[0]
