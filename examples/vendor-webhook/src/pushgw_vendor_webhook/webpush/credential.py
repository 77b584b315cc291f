"""What an operator fills in for Web Push."""

from __future__ import annotations

import re
from typing import ClassVar, Self

from pushgw.vendor import Credential
from pydantic import Field, PrivateAttr, SecretBytes, field_validator, model_validator

from pushgw_vendor_webhook.webpush.vapid import VapidKey

PUSH_SERVICES = ("fcm.googleapis.com", "push.services.mozilla.com", "notify.windows.com", "push.apple.com")
"""Chrome and its kin, Firefox, Edge, Safari."""

_HOST = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+")


class WebpushCredential(Credential):
    """The VAPID key that browsers subscribed under, and whom the gateway may be sent to."""

    file_fields: ClassVar[dict[str, str]] = {"private_key_file": "private_key"}

    private_key: SecretBytes | None = Field(
        None, description="File of a P-256 key: PEM, or its number as base64url."
    )
    subject: str = Field(description="Whom a push service may complain to: mailto: or https:.")
    hosts: tuple[str, ...] = Field(
        PUSH_SERVICES,
        description="Push services that may be sent to, with all below them; default: the browsers'.",
    )
    _key: VapidKey = PrivateAttr()

    @field_validator("subject")
    @classmethod
    def _contact(cls, value: str) -> str:
        if not value.startswith(("mailto:", "https://")) or not value.isascii() or " " in value:
            raise ValueError("is no contact; it looks like mailto:push@example.com")
        return value

    @field_validator("hosts")
    @classmethod
    def _names(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or not all(_HOST.fullmatch(host) for host in value):
            raise ValueError("is no list of host names in lower case, such as push.example.net")
        return value

    @model_validator(mode="after")
    def _readable(self) -> Self:
        if self.private_key is None:
            raise ValueError("private_key_file is missing; name the PEM file of the VAPID key")
        self._key = VapidKey(self.private_key.get_secret_value())
        return self

    @property
    def key(self) -> VapidKey:
        """The parsed key. ``key.public_text`` is the web page's ``applicationServerKey``."""
        return self._key

    def allows(self, host: str) -> bool:
        """Whether ``host`` is one of ``hosts`` or below one of them."""
        return any(host == name or host.endswith(f".{name}") for name in self.hosts)
