"""Files of vendors' consoles are told apart by what is in them."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from pushgw.credentials.content import Unreadable
from pushgw.credentials.recognize import recognize
from pushgw.vendor.checks import Recognized
from pushgw.vendor.plugin import installed_vendors

LEGACY = json.loads((Path(__file__).parents[1] / "vendors" / "apns" / "vectors.json").read_text())


def known(name: str, content: bytes, password: str = "") -> dict[str, Recognized]:
    return recognize(name, content, installed_vendors(), password)


def test_a_provider_key_brings_its_id(make: Any) -> None:
    """Out of Apple's name of the file, also of a second download; a name that was changed brings none."""
    for name in ("AuthKey_ABC123DEFG.p8", "AuthKey_ABC123DEFG (1).p8"):
        [(vendor, found)] = known(name, make.p8()).items()
        assert (vendor, found.file_field, dict(found.own)) == (
            "apns",
            "key_file",
            {"key_id": "ABC123DEFG"},
        )
    assert known("mine.p8", make.p8())["apns"].own == {}


@pytest.mark.parametrize("form", ["p12", "p12 without a password", "pem", "locked pem"])
def test_a_certificate_brings_app_and_environment(make: Any, form: str) -> None:
    """PKCS#12 or PEM, locked or not."""
    content, password = {
        "p12": (make.p12(), make.password),
        "p12 without a password": (make.p12(password=""), ""),
        "pem": (make.pem(), ""),
        "locked pem": (make.pem(password=make.password), make.password),
    }[form]
    [(vendor, found)] = known("push.bin", content, password).items()
    assert (vendor, found.file_field) == ("apns", "p12_file")
    assert found.fields == {"bundle_id": "com.example.chat", "environment": "sandbox"}


def test_a_certificate_of_old_ciphers_says_how_to_convert_it() -> None:
    """RC2 and 3DES, as Keychain Access writes them: where they do not open, the commands stand in the sentence."""
    for text in LEGACY["legacy_p12"]["files"].values():
        with pytest.raises(Unreadable, match=r"openssl pkcs12 -legacy -in old\.p12 .* then delete push\.pem"):
            known("push.p12", base64.b64decode(text), "wrong")


def test_a_certificate_without_its_key_is_told_apart(make: Any) -> None:
    """What the portal gives out (.cer) is only half of it."""
    from cryptography.hazmat.primitives.serialization import Encoding

    for name, form in (("aps.cer", Encoding.DER), ("aps.pem", Encoding.PEM)):
        with pytest.raises(Unreadable, match=r"\(apns\) .* Keychain Access"):
            known(name, make.certificate().public_bytes(form))


def test_a_wrong_password_is_said_by_name(make: Any) -> None:
    """Not that the file is unknown."""
    with pytest.raises(Unreadable, match="password is wrong"):
        known("push.p12", make.p12(), "hunter2")


def test_googles_service_account(make: Any) -> None:
    """It is the whole credential."""
    assert known("a.json", make.google()) == {
        "fcm": Recognized(kind="a service account of Google's", file_field="service_account_file")
    }


@pytest.mark.parametrize(
    "content",
    [
        b'{"project_info": {"project_number": "1"}, "client": []}',
        b'<?xml version="1.0"?><plist><dict><key>GOOGLE_APP_ID</key></dict></plist>',
    ],
)
def test_googles_file_for_the_app_is_not_the_servers(content: bytes) -> None:
    """google-services.json and its plist are often taken for it: the mend names the right page."""
    with pytest.raises(Unreadable, match=r"the app's own configuration.*Generate new private key"):
        known("google-services.json", content)


def test_huaweis_service_account_serves_two_vendors(make: Any) -> None:
    """Huawei on Android and HarmonyOS: the operator must say which."""
    found = known("b.json", make.huawei())
    assert set(found) == {"huawei", "harmony"}
    assert {one.file_field for one in found.values()} == {"service_account_file"}
    assert found["huawei"].fields == {"project_id": "900600000000000000"}


def test_agconnect_brings_the_ids_and_no_secret(make: Any) -> None:
    """The OAuth 2.0 client's id, package and project; the client_secret in it is another one and is left alone."""
    [(vendor, found)] = known("agconnect-services.json", make.agconnect()).items()
    assert vendor == "huawei"
    assert found.file_field == ""
    assert found.fields == {
        "app_id": "104123456",
        "package": "com.example.chat",
        "project_id": "388421841221234567",
    }


def test_agconnect_without_an_app_says_so() -> None:
    """A project without an app has such a file, too."""
    with pytest.raises(Unreadable, match=r"without the app's ids"):
        known("agconnect-services.json", b'{"agcgw": {}, "client": {"project_id": "1"}}')


@pytest.mark.parametrize("content", [b"hello", b"{}", b"[1]", b"\x30\x82\x00\x01\x00", b'{"a": 1}'])
def test_what_nobody_gives_out_says_what_is_expected(content: bytes) -> None:
    """The kinds of files are listed."""
    with pytest.raises(Unreadable, match=r"nothing that a vendor gives out: expected a key \(\.p8\)"):
        known("x.bin", content)
