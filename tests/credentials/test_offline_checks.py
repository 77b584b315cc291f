"""Offline checks: what can be known of a credential without asking its vendor."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from pushgw.credentials import load_directory
from pushgw.credentials.check import Check, Result, offline_checks, state_of
from pushgw.credentials.expiry import WARN_DAYS, days_left, expiry_sentence, warned_at
from pushgw.vendor.plugin import Vendor, installed_vendors

KEY = {"p12_file": None, "password": None, "key_id": "ABC123DEFG", "team_id": "DEF123GHIJ"}
DAY = 86_400.0


def checks_of(
    directory: Path, now: float, vendors: dict[str, Vendor] | None = None, business_id: int = 6666
) -> list[Check]:
    reading = load_directory(directory, vendors or installed_vendors(), {}).reading(business_id)
    assert reading is not None
    return offline_checks(reading, now)


def said(checks: Iterable[Check], result: Result) -> str:
    return " | ".join(check.sentence for check in checks if check.result is result)


def write(directory: Path, vendor: str, files: dict[str, bytes] | None = None, **fields: str) -> Path:
    directory.chmod(0o700)
    for name, content in (files or {}).items():
        (directory / name).write_bytes(content)
    lines = [f'{name} = "{value}"' for name, value in fields.items()]
    text = "\n".join([f'business_id = 6666\nvendor = "{vendor}"\n[credential]', *lines, ""])
    (directory / "6666.toml").write_text(text)
    return directory


def test_a_good_certificate_passes_with_its_facts(apns: Callable[..., Path], make: Any) -> None:
    """Pair, app, environment and date each have their own line."""
    checks = checks_of(apns(), make.now.timestamp())
    assert {check.result for check in checks} == {Result.PASS}
    assert [check.check for check in checks] == ["file", "certificate", "environment", "expiry"]
    assert "it and the key belong together; it is for com.example.chat" in said(checks, Result.PASS)
    assert "the certificate is for sandbox" in said(checks, Result.PASS)
    assert "expires in 399 days" in said(checks, Result.PASS)
    assert state_of(checks) == ("ok", "")


@pytest.mark.parametrize(
    ("certificate", "fields", "words"),
    [
        ({"days": -1}, {}, "the certificate expired on"),
        ({"since": 2}, {}, "only; check this machine's clock"),
        ({"bundle_id": "com.other"}, {}, "not for bundle_id com.example.chat but for com.other"),
        ({"environment": "production"}, {}, "is for production only, and environment is sandbox"),
        ({}, {"bundle_id": "com.example.chat.beta"}, "not for bundle_id com.example.chat.beta"),
        ({}, {"environment": "development"}, "neither production nor sandbox"),
    ],
)
def test_a_certificate_that_apple_would_refuse_is_refused_here(
    apns: Callable[..., Path], make: Any, certificate: dict[str, Any], fields: dict[str, str], words: str
) -> None:
    """Expired, not yet valid, another app's, another environment's."""
    directory = apns(make.p12(make.certificate(**certificate)), **fields)
    checks = checks_of(directory, make.now.timestamp())
    assert words in said(checks, Result.FAIL)
    assert state_of(checks)[0] == "unusable"


def test_another_certificates_key_is_refused(apns: Callable[..., Path], make: Any) -> None:
    """Certificate and key must belong together."""
    mixed = make.pem().partition(b"-----BEGIN PRIVATE KEY")[0] + make.key_pem()
    checks = checks_of(apns(mixed), make.now.timestamp())
    assert "the key and the certificate in it do not belong together" in said(checks, Result.FAIL)


def test_a_pem_with_certificate_and_key_serves_like_a_p12(apns: Callable[..., Path], make: Any) -> None:
    """As `openssl pkcs12 -nodes` writes it, or with its key locked."""
    for password in ("", make.password):
        directory = apns(make.pem(password=password), "push.pem", p12_file="push.pem", password=password)
        assert state_of(checks_of(directory, make.now.timestamp())) == ("ok", "")


@pytest.mark.parametrize(
    ("password", "words"), [("", "the password is missing"), ("hunter2", "the password is wrong")]
)
def test_a_locked_pem_wants_its_password(
    apns: Callable[..., Path], make: Any, password: str, words: str
) -> None:
    """Missing or wrong: said so."""
    directory = apns(make.pem(password=make.password), "push.pem", p12_file="push.pem", password=password)
    assert words in said(checks_of(directory, make.now.timestamp()), Result.FAIL)


def test_a_short_rsa_key_is_refused(apns: Callable[..., Path], make: Any) -> None:
    """1024 bits are too few, for Apple and for Google."""
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    pem = make.key_pem("short", 1024)
    short = load_pem_private_key(pem, None)
    directory = apns(make.certificate(key=short).public_bytes(_pem()) + pem, "push.pem", p12_file="push.pem")
    checks = checks_of(directory, make.now.timestamp())
    assert "its RSA key has 1024 bits, 2048 are due" in said(checks, Result.FAIL)
    google = make.google(private_key=pem.decode())
    write(directory, "fcm", {"google.json": google}, service_account_file="google.json")
    checks = checks_of(directory, make.now.timestamp())
    assert "its RSA key has 1024 bits, 2048 are due" in said(checks, Result.FAIL)


def _pem() -> Any:
    from cryptography.hazmat.primitives.serialization import Encoding

    return Encoding.PEM


@pytest.mark.parametrize(
    ("file", "fields", "result", "words"),
    [
        ("AuthKey_ABC123DEFG.p8", {}, Result.PASS, "a P-256 key"),
        (
            "AuthKey_DEF123GHIJ.p8",
            {},
            Result.FAIL,
            "key_id: is ABC123DEFG, but the key file is that of DEF123GHIJ; key_id and team_id stand in each other's place",
        ),
        ("AuthKey_XYZ123WVUT.p8", {}, Result.WARN, "correct key_id to XYZ123WVUT"),
        (
            "AuthKey_ABC123DEFG.p8",
            {"team_id": "ABC123DEFG"},
            Result.FAIL,
            "key_id and team_id hold the same text",
        ),
        ("AuthKey_ABC123DEFG.p8", {"key_id": "ABC123"}, Result.FAIL, "10 capital letters and digits"),
        ("AuthKey_ABC123DEFG.p8", {"team_id": "com.example"}, Result.FAIL, "10 capital letters and digits"),
        ("renamed.p8", {}, Result.PASS, "key_id and team_id have Apple's shape"),
    ],
)
def test_a_provider_keys_ids(
    apns: Callable[..., Path], make: Any, file: str, fields: dict[str, str], result: Result, words: str
) -> None:
    """Key id and team id have the same shape; Apple's name of the file tells them apart."""
    checks = checks_of(apns(make.p8(), file, **{**KEY, "key_file": file, **fields}), make.now.timestamp())
    assert words in said(checks, result)


def test_a_provider_key_of_another_curve_is_refused(apns: Callable[..., Path], make: Any) -> None:
    """RSA, for one."""
    directory = apns(make.key_pem(), "AuthKey_ABC123DEFG.p8", **{**KEY, "key_file": "AuthKey_ABC123DEFG.p8"})
    assert "not of the curve P-256" in said(checks_of(directory, 0), Result.FAIL)


@pytest.mark.parametrize(
    ("vendor", "fields", "result", "words"),
    [
        ("oppo", {"app_key": "same", "master_secret": "same"}, Result.FAIL, "hold the same text"),
        ("oppo", {"app_key": "a1", "master_secret": "123456"}, Result.WARN, "copy the MasterSecret"),
        (
            "oppo",
            {"app_key": "a1", "master_secret": "b2"},
            Result.PASS,
            "so has AppSecret, which the online check tells",
        ),
        ("oppo", {"app_key": "a1"}, Result.FAIL, "the MasterSecret (AppSecret is another one)"),
        (
            "xiaomi",
            {"package": "com.example.chat", "app_secret": "2882303761517"},
            Result.WARN,
            "the AppSecret, not AppID",
        ),
        (
            "xiaomi",
            {"package": "2882303761517", "app_secret": "s="},
            Result.FAIL,
            "is no package name",
        ),
        (
            "vivo",
            {"app_id": "10004", "app_key": "10004", "app_secret": "s"},
            Result.FAIL,
            "app_id and app_key hold the same text",
        ),
        (
            "vivo",
            {"app_id": "10004", "app_key": "k", "app_secret": "77"},
            Result.WARN,
            "digits alone",
        ),
        ("vivo", {"app_id": "abc", "app_key": "k", "app_secret": "s"}, Result.FAIL, "is no number"),
        ("meizu", {"app_id": "110011", "app_secret": "110011"}, Result.FAIL, "hold the same text"),
        ("meizu", {"app_id": "abc", "app_secret": "s"}, Result.FAIL, "is no number"),
        (
            "honor",
            {"app_id": "c0ffee", "client_id": "104", "client_secret": "s"},
            Result.WARN,
            "the App ID, not the Client ID",
        ),
        (
            "honor",
            {"app_id": "104", "client_id": "104", "client_secret": "s"},
            Result.FAIL,
            "app_id and client_id hold the same text",
        ),
        (
            "huawei",
            {"app_id": "104", "app_secret": "388421841221234567", "package": "com.example.chat"},
            Result.WARN,
            "the OAuth 2.0 client secret, not an id",
        ),
        (
            "huawei",
            {"app_id": "104", "project_id": "104", "app_secret": "s", "package": "p"},
            Result.FAIL,
            "app_id and project_id hold the same text",
        ),
        (
            "huawei",
            {"app_id": "com.example", "app_secret": "s", "package": "p"},
            Result.WARN,
            "app_id: is no number",
        ),
    ],
)
def test_ids_and_secrets_in_each_others_place(
    tmp_path: Path, vendor: str, fields: dict[str, str], result: Result, words: str
) -> None:
    """Where shapes differ a mix-up is seen without the vendor; where they do not, the passed check says what it cannot see."""
    checks = checks_of(write(tmp_path, vendor, **fields), 0)
    assert words in said(checks, result)
    secrets = [value for name, value in fields.items() if "secret" in name and len(value) > 4]
    assert not any(secret in check.sentence for secret in secrets for check in checks)


@pytest.mark.parametrize(
    ("vendor", "changes", "result", "words"),
    [
        ("fcm", {}, Result.PASS, "an RSA key of 2048 bits"),
        ("fcm", {"private_key": "gone"}, Result.FAIL, "its private_key is no PEM key"),
        ("fcm", {"type": "authorized_user"}, Result.FAIL, "its type is not service_account"),
        ("fcm", {"client_email": ""}, Result.FAIL, "client_email must not be empty"),
        ("fcm", {"client_email": "bob@example.com"}, Result.WARN, "is no service account's"),
        ("fcm", {"token_uri": "https://evil.example/"}, Result.WARN, "token_uri is not Google's"),
        ("huawei", {}, Result.PASS, "an RSA key of 2048 bits, of project 900600000000000000"),
        ("huawei", {"sub_account": 7}, Result.FAIL, "is not complete"),
        ("huawei", {"private_key": "gone"}, Result.FAIL, "is no PEM key"),
        ("huawei", {"project_id": "1"}, Result.FAIL, "use the key file of the same project"),
        ("harmony", {}, Result.PASS, "project_id has Huawei's shape"),
        ("harmony", {"key_id": 7}, Result.FAIL, "is not complete"),
        ("harmony", {"project_id": "abc"}, Result.FAIL, "use the key file of the same project"),
    ],
)
def test_service_accounts_are_complete_or_said_not_to_be(
    tmp_path: Path, make: Any, vendor: str, changes: dict[str, Any], result: Result, words: str
) -> None:
    """Each field that counts, of Google's and of Huawei's."""
    content = make.google(**changes) if vendor == "fcm" else make.huawei(**changes)
    project = {} if vendor == "fcm" else {"project_id": "900600000000000000"}
    write(tmp_path, vendor, {"account.json": content}, service_account_file="account.json", **project)
    assert words in said(checks_of(tmp_path, 0), result)


# --- dates ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("left", "reached"),
    [
        (31.0, None),
        (30.1, None),
        (30.0, 30),
        (14.1, 30),
        (14.0, 14),
        (7.0, 7),
        (3.5, 7),
        (3.0, 3),
        (1.0, 1),
        (0.01, 1),
        (0.0, None),
        (-5.0, None),
    ],
)
def test_warnings_come_at_30_14_7_3_and_1_days(left: float, reached: int | None) -> None:
    """From each threshold on until the next; what is over is no warning any more."""
    assert warned_at(1_000 * DAY + left * DAY, 1_000 * DAY) == reached
    assert WARN_DAYS == (30, 14, 7, 3, 1)


@pytest.mark.parametrize(
    ("left", "state", "words"),
    [
        (45.5, "ok", ""),
        (29.5, "warning", r"expires in 29 days, on \d{4}-\d\d-\d\d; get a new one in the vendor's console"),
        (1.5, "warning", "expires in 1 day, on"),
        (0.5, "warning", "expires in less than a day, on"),
    ],
)
def test_what_is_about_to_expire_is_a_warning(
    apns: Callable[..., Path], make: Any, left: float, state: str, words: str
) -> None:
    """With the days that are left, and what to do."""
    checks = checks_of(apns(make.p12(make.certificate(days=left))), make.now.timestamp())
    found, sentence = state_of(checks)
    assert found == state
    assert re.search(words, sentence)


def test_one_warning_does_not_hide_another(apns: Callable[..., Path], make: Any) -> None:
    """`certs list` tells of a near end also where something else is doubtful; what makes it unusable comes alone."""
    directory = apns(make.p12(make.certificate(days=20.5)), unheard_of="x")
    found, sentence = state_of(checks_of(directory, make.now.timestamp()))
    assert found == "warning"
    assert "no such field" in sentence
    assert "expires in 20 days" in sentence
    _, over = state_of(checks_of(directory, make.now.timestamp() + 21 * DAY))
    assert "expired on" in over
    assert "no such field" not in over


def test_what_expires_while_loaded_is_unusable(apns: Callable[..., Path], make: Any) -> None:
    """A certificate that was good when it was read is judged by the clock of now."""
    checks = checks_of(apns(), make.now.timestamp() + 401 * DAY)
    assert state_of(checks)[0] == "unusable"
    assert "expired on" in said(checks, Result.FAIL)


def test_days_count_down_to_the_last() -> None:
    """Whole days; below one none; below zero it is over."""
    assert [days_left(10 * DAY, now * DAY) for now in (0, 9.0, 9.5, 10.5)] == [10, 1, 0, -1]
    assert expiry_sentence(0, 1).startswith("expired on 1970-01-01; get a new one")
