"""Online checks against the sandbox: each mistake of the vendors' FAQs planted, each answered with its mend."""

from __future__ import annotations

import re
import shutil
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pydantic import SecretStr

from pushgw.credentials import load_directory
from pushgw.credentials.check import Check, Result
from pushgw.credentials.online import HARMLESS_PUSH, TOKEN_SERVER, online_checks
from pushgw.sandbox import Sandbox, example_directory, with_endpoint
from pushgw.vendor import MockTransport, Request, Response, TransportError, transport_named
from pushgw.vendor.adapter import Account, Adapter, Auth, Credential
from pushgw.vendor.plugin import installed_vendors
from pushgw.vendor.probe import Probe, harmless_push
from pushgw.vendor.push import Action, Outcome, Push
from vendors.apns.adapter import NO_DEVICE_TOKEN

CLOCK = 1_795_500_000.0
EXAMPLES = {
    "apns": 9001,
    "fcm": 9002,
    "huawei": 9003,
    "huawei v2": 9006,
    "xiaomi": 9004,
    "oppo": 9005,
    "harmony": 9009,
    "honor": 9010,
    "vivo": 9011,
    "meizu": 9012,
}
P12 = 6666


class Rig:
    """The sandbox with the good credentials, and a directory of credentials to be spoiled."""

    def __init__(self, sandbox: Sandbox, directory: Path) -> None:
        self.sandbox = sandbox
        self.directory = directory

    async def check(self, business_id: int) -> list[Check]:
        entry = load_directory(self.directory, installed_vendors(), {}).find(business_id)
        assert entry is not None
        assert entry.account is not None, entry.fault
        assert entry.adapter is not None
        return await online_checks(
            entry.adapter,
            entry.account,
            transport=transport_named("pyreqwest"),
            token_transport=transport_named("httpx"),
            timeout=10,
            clock=lambda: CLOCK,
        )

    def change(self, business_id: int, changes: Mapping[str, str]) -> None:
        """Other values for fields of the TOML; a value that holds a JSON key file's text is written beside it."""
        path = self.directory / f"{business_id}.toml"
        text = path.read_text()
        for field, value in changes.items():
            text, count = re.subn(rf"(?m)^{field} = .*$", f'{field} = "{value}"', text)
            assert count == 1, field
        path.write_text(text)

    def change_file(self, name: str, change: Callable[[dict[str, Any]], None]) -> None:
        content = msgspec.json.decode((self.directory / name).read_bytes())
        change(content)
        (self.directory / name).write_bytes(msgspec.json.encode(content))


@pytest.fixture
async def rig(tmp_path: Path, make: Any) -> AsyncIterator[Rig]:
    """All examples, and one more credential of APNs with a certificate."""
    source, aimed = tmp_path / "source", tmp_path / "certs"
    shutil.copytree(example_directory(), source)
    (source / "push.p12").write_bytes(make.p12())
    (source / f"{P12}.toml").write_text(
        f'business_id = {P12}\nvendor = "apns"\n[credential]\np12_file = "push.p12"\npassword = "{make.password}"\n'
        f'bundle_id = "{make.bundle_id}"\nenvironment = "sandbox"\n'
    )
    book = load_directory(source, installed_vendors(), {})
    assert book.faults == []
    async with await Sandbox.start(book.accounts, clock=lambda: CLOCK) as sandbox:
        with_endpoint(source, aimed, sandbox.url, sandbox.ca_pem)
        yield Rig(sandbox, aimed)


@pytest.mark.parametrize("business_id", [*EXAMPLES.values(), P12])
async def test_a_good_credential_passes(rig: Rig, business_id: int) -> None:
    """For every vendor and way of authorization: nothing but passes, at least one, and no device shows anything."""
    checks = await rig.check(business_id)
    assert checks
    assert {check.result for check in checks} == {Result.PASS}, checks
    assert list(rig.sandbox.journal.lines()) == []


async def test_apns_must_know_the_app_and_not_the_device(rig: Rig) -> None:
    """The push goes to the token of zeros, and BadDeviceToken is the answer that passes."""
    [check] = await rig.check(EXAMPLES["apns"])
    assert (check.check, check.result) == (HARMLESS_PUSH, Result.PASS)
    assert check.sentence == "a push to the all-zero token was answered as it must be (BadDeviceToken)"


MISTAKES: list[tuple[str, dict[str, str], str, str]] = [
    # vendor, fields that are wrong, the check that sees it, words of its sentence
    # OPPO
    (
        "oppo",
        {"master_secret": "throwawayappsecret00000000009005"},
        TOKEN_SERVER,
        "MasterSecret, not AppSecret, is configured",
    ),
    ("oppo", {"app_key": "someoneelsesappkey00000000000000"}, TOKEN_SERVER, "AppKey"),
    # vivo
    ("vivo", {"app_id": "109999"}, TOKEN_SERVER, "app_id"),
    ("vivo", {"app_key": "throwawayappkey00000000000000000"}, TOKEN_SERVER, "app_key"),
    ("vivo", {"app_secret": "throwawayappsecret00000000000000"}, TOKEN_SERVER, "app_secret"),
    (
        "vivo",
        {
            "app_key": "throwawayappsecret00000000009011",
            "app_secret": "throwawayappkey00000000000009011",
        },
        TOKEN_SERVER,
        "app_key",
    ),
    # Meizu
    ("meizu", {"app_id": "109999"}, HARMLESS_PUSH, "app_id is the AppID"),
    (
        "meizu",
        {"app_secret": "throwawayappkey00000000000009012"},
        HARMLESS_PUSH,
        "app_secret is the AppSecret, not AppKey",
    ),
    # Xiaomi
    ("xiaomi", {"app_secret": "throw-away-app-key"}, HARMLESS_PUSH, "AppSecret"),
    ("xiaomi", {"package": "com.example.other"}, HARMLESS_PUSH, "package"),
    # Honor
    ("honor", {"app_id": "100009999"}, HARMLESS_PUSH, "app_id is the App ID, not the Client ID"),
    ("honor", {"client_id": "someoneelse"}, TOKEN_SERVER, "client_id"),
    ("honor", {"client_secret": "the-app-secret"}, TOKEN_SERVER, "client_secret"),
    # Huawei
    ("huawei", {"app_id": "100009999"}, TOKEN_SERVER, "the OAuth 2.0 client ID, not the project ID"),
    (
        "huawei",
        {"app_secret": "the-api-key"},
        TOKEN_SERVER,
        "the OAuth 2.0 client secret, not the API key",
    ),
    # Apple
    ("apns", {"key_id": "EXAMPLETM1", "team_id": "EXAMPLEKY1"}, HARMLESS_PUSH, "look at key_id and team_id"),
    ("apns", {"team_id": "OTHERTEAM1"}, HARMLESS_PUSH, "look at key_id and team_id"),
    ("apns", {"bundle_id": "com.example.other"}, HARMLESS_PUSH, "look at bundle_id"),
]


@pytest.mark.parametrize(("vendor", "changes", "failing", "words"), MISTAKES)
async def test_each_mistake_of_an_operator_is_said(
    rig: Rig, vendor: str, changes: dict[str, str], failing: str, words: str
) -> None:
    """The vendor refuses, the check that sees it fails, and its sentence names the field; no secret is in it."""
    rig.change(EXAMPLES[vendor], changes)
    checks = await rig.check(EXAMPLES[vendor])
    [bad] = [check for check in checks if check.result is not Result.PASS]
    assert (bad.check, bad.result) == (failing, Result.FAIL)
    assert words in bad.sentence
    secrets = [value for name, value in changes.items() if "secret" in name]
    assert not any(secret in check.sentence for secret in secrets for check in checks)


@pytest.mark.parametrize(
    ("vendor", "file", "changes", "failing", "words"),
    [
        (
            "fcm",
            "fcm-service-account.json",
            {"client_email": "gone@example-im.iam.gserviceaccount.com"},
            TOKEN_SERVER,
            "whether the account or its key was deleted",
        ),
        (
            "fcm",
            "fcm-service-account.json",
            {"private_key_id": "another", "private_key": "OTHER"},
            TOKEN_SERVER,
            "whether the account or its key was deleted",
        ),
        (
            "fcm",
            "fcm-service-account.json",
            {"project_id": "someone-elses"},
            HARMLESS_PUSH,
            "look at project_id in the service-account file",
        ),
        (
            "huawei v2",
            "huawei-service-account.json",
            {"key_id": "another", "private_key": "OTHER"},
            HARMLESS_PUSH,
            "app_id, app_secret, project_id and service account are of one project",
        ),
        (
            "harmony",
            "harmony-service-account.json",
            {"key_id": "another", "private_key": "OTHER"},
            HARMLESS_PUSH,
            "service account",
        ),
        (
            "harmony",
            "harmony-service-account.json",
            {"sub_account": "999"},
            HARMLESS_PUSH,
            "service account",
        ),
    ],
)
async def test_each_mistake_with_a_service_account_is_said(
    rig: Rig, make: Any, vendor: str, file: str, changes: dict[str, str], failing: str, words: str
) -> None:
    """A deleted account, a revoked key, another project's."""
    other = make.key_pem().decode()

    def spoil(content: dict[str, Any]) -> None:
        content.update({k: other if v == "OTHER" else v for k, v in changes.items()})

    rig.change_file(file, spoil)
    checks = await rig.check(EXAMPLES[vendor])
    [bad] = [check for check in checks if check.result is not Result.PASS]
    assert (bad.check, bad.result) == (failing, Result.FAIL)
    assert words in bad.sentence


@pytest.mark.parametrize(
    ("vendor", "code", "words"),
    [
        ("apns", "BadEnvironmentKeyIdInToken", "look at environment, or make a key for both"),
        ("apns", "BadEnvironmentKeyInToken", "this credential is configured for sandbox"),
        ("apns", "BadTopic", "look at bundle_id"),
        ("fcm", "SENDER_ID_MISMATCH", "whether the app and this service account are of one project"),
        ("fcm", "PERMISSION_DENIED", "enable the FCM API in the project"),
        ("fcm", "THIRD_PARTY_AUTH_ERROR", "upload the APNs key"),
        ("huawei", "80300002", "Push Kit is not enabled"),
        ("meizu", "110031", "package name"),
        ("honor", "10207", "clock"),
    ],
)
async def test_what_only_the_vendor_can_know_is_said(rig: Rig, vendor: str, code: str, words: str) -> None:
    """The vendor's own refusals of a set-up, as its table has them: another environment's key, a service that is not enabled."""
    emulator = rig.sandbox.emulators[vendor]
    token = NO_DEVICE_TOKEN if vendor == "apns" else "pushgw-check-no-device-dead"
    emulator.fail(token, code, code)
    checks = await rig.check(EXAMPLES[vendor])
    bad = checks[-1]
    assert (bad.check, bad.result) == (HARMLESS_PUSH, Result.FAIL)
    assert words in bad.sentence


@pytest.mark.parametrize("code", ["BadCertificateEnvironment", "BadCertificate"])
async def test_a_certificate_that_apple_refuses(rig: Rig, code: str) -> None:
    """Of the other environment, or revoked."""
    rig.sandbox.emulators["apns"].fail(NO_DEVICE_TOKEN, code)
    [bad] = await rig.check(P12)
    assert bad.result is Result.FAIL
    assert "the certificate is" in bad.sentence


async def test_a_certificate_that_is_not_known_ends_the_connection(rig: Rig, make: Any) -> None:
    """Of the right app by its name, and not of Apple: TLS itself fails, and the sentence says what that may mean."""
    (rig.directory / "push.p12").write_bytes(make.p12(make.certificate(days=300)))
    [bad] = await rig.check(P12)
    assert bad.result is Result.UNREACHABLE
    assert "a vendor that does not know the client certificate ends the connection like that" in bad.sentence


async def test_a_busy_vendor_is_not_taken_for_a_wrong_secret(rig: Rig) -> None:
    """A vendor that is busy or throttles says nothing of the credential: exit 4, not 1."""
    rig.sandbox.emulators["apns"].fail(NO_DEVICE_TOKEN, "ServiceUnavailable")
    [check] = await rig.check(EXAMPLES["apns"])
    assert check.result is Result.UNREACHABLE
    assert "cannot answer just now" in check.sentence


@pytest.mark.parametrize("vendor", ["fcm", "huawei", "huawei v2"])
async def test_who_can_validate_only_is_told_to(rig: Rig, vendor: str) -> None:
    """Should the token be someone's after all, nothing would be shown: the emulator accepts it and shows nothing."""
    entry = load_directory(rig.directory, installed_vendors(), {}).find(EXAMPLES[vendor])
    assert entry is not None
    assert entry.adapter is not None
    assert entry.account is not None
    push = harmless_push(1, CLOCK, "a-real-token")
    request = entry.adapter.render_probe(Probe(push=push, what=""), entry.account, None)
    assert msgspec.json.decode(request.body)["validate_only"] is True

    class Real(type(entry.adapter)):  # type: ignore[misc]  # one class for each vendor
        def probe(self, account: Account, now: float) -> Probe | None:
            return Probe(push=push, what="a push to a real device", passes=frozenset({Action.ACCEPTED}))

    checks = await online_checks(
        Real(),
        entry.account,
        transport=transport_named("pyreqwest"),
        token_transport=transport_named("httpx"),
        timeout=10,
        clock=lambda: CLOCK,
    )
    assert checks[-1].result is Result.PASS
    assert list(rig.sandbox.journal.lines()) == []


# --- without a sandbox: any vendor ------------------------------------------------------------------------


class PigeonCredential(Credential):
    """A third party's."""

    secret: SecretStr


class PigeonAdapter(Adapter):
    """Says nothing of checks or probes."""

    vendor = "pigeon"
    push_platform = 0
    platforms = frozenset({"android"})
    credential_model = PigeonCredential

    def render(self, push: Push, account: Account, auth: Auth | None) -> Request:
        return Request(url="https://pigeon.example/")

    def interpret(self, push: Push, account: Account, response: Response) -> list[Outcome]:
        return [Outcome(action=Action.ACCEPTED)]


class ServedPigeon(PigeonAdapter):
    """With a token server."""

    def auth_request(self, account: Account, now: float) -> Request | None:
        return Request(url="https://pigeon.example/token")

    def read_auth(self, account: Account, response: Response, now: float) -> Auth:
        return Auth(value=response.body.decode(), made_at=now, expires_at=now + 60)


def pigeon() -> Account:
    credential = PigeonCredential(secret=SecretStr("coo-coo"))
    return Account(business_id=1, vendor="pigeon", credential=credential, cache={})


async def ask(adapter: Adapter, answer: Callable[[Request], Response]) -> tuple[list[Check], MockTransport]:
    mock = MockTransport(answer)
    checks = await online_checks(
        adapter, pigeon(), transport=mock, token_transport=mock, timeout=1, clock=lambda: CLOCK
    )
    return checks, mock


async def test_a_third_partys_vendor_is_asked_for_a_token() -> None:
    """Whoever has a token server gets the online check without a line of its own; no push is sent."""
    checks, mock = await ask(ServedPigeon(), lambda request: Response(status=200, body=b"t"))
    assert [(c.check, c.result) for c in checks] == [(TOKEN_SERVER, Result.PASS)]
    assert [request.url for request in mock.requests] == ["https://pigeon.example/token"]


async def test_a_vendor_without_a_harmless_call_is_not_sent_to() -> None:
    """Nobody guesses that a push is harmless: said, with what to do instead."""
    checks, mock = await ask(PigeonAdapter(), lambda request: Response(status=200))
    [check] = checks
    assert (check.check, check.result) == (HARMLESS_PUSH, Result.SKIPPED)
    assert "try `pushgw send`" in check.sentence
    assert mock.requests == []


async def test_nobody_there_is_not_a_refusal() -> None:
    """A connection that fails is `unreachable` with the mend, for the token server and for the push."""

    def refuse(request: Request) -> Response:
        raise TransportError("pigeon.example: connection refused", sent=False)

    [check], _ = await ask(ServedPigeon(), refuse)
    assert (check.check, check.result) == (TOKEN_SERVER, Result.UNREACHABLE)
    assert "connection refused" in check.sentence
    assert "look at network, proxy" in check.sentence
