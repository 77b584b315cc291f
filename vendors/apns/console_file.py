"""Files of Apple's developer portal and of Keychain Access, told apart by what is in them."""

from __future__ import annotations

import re

from pushgw.vendor.checks import Recognized
from vendors.apns.client_certificate import ClientCertificate
from vendors.apns.provider_token import load_key

KEY_FILE = re.compile(r"AuthKey_([A-Z0-9]{10})(?: ?\(\d+\))?\.p8")
"""As the portal names a key, and as a browser names it the second time."""

_PKCS12 = re.compile(rb"\x30[\x80-\xff].{0,4}?\x02\x01\x03", re.DOTALL)
"""A sequence that begins with version 3."""


def recognized(name: str, content: bytes, password: str) -> Recognized | None:
    """What the file is, or None. Raises ValueError with a sentence where it is Apple's and cannot be opened."""
    if name.lower().endswith(".p8"):
        load_key(content)
        named = KEY_FILE.fullmatch(name)
        return Recognized(
            kind="a provider key of Apple's",
            own={"key_id": named[1]} if named else {},
            file_field="key_file",
        )
    if _PKCS12.match(content) or b"-----BEGIN CERTIFICATE-----" in content:
        return _certificate(content, password)
    if name.lower().endswith((".cer", ".crt")):
        raise ValueError(
            "is a certificate without its key; export both together as .p12 from Keychain Access, with a password"
        )
    return None


def _certificate(content: bytes, password: str) -> Recognized:
    opened = ClientCertificate(content, password)
    fields = {"bundle_id": opened.user_id.removesuffix(".voip")} if opened.user_id else {}
    if len(opened.environments) == 1:
        fields["environment"] = next(iter(opened.environments))
    return Recognized(kind="a push certificate of Apple's", fields=fields, file_field="p12_file")
