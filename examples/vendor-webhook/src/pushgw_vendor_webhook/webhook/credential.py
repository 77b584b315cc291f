"""What an operator fills in for a webhook."""

from __future__ import annotations

from urllib.parse import urlsplit

from pushgw.vendor import Credential
from pydantic import Field, SecretStr, field_validator

SHORTEST_SECRET = 16


class WebhookCredential(Credential):
    """Where notifications go, and the secret that both sides know."""

    url: str = Field(
        description="The receiver's address; https, no query of secrets: it is shown in dry runs."
    )
    secret: SecretStr = Field(description="Signs every request (HMAC-SHA256); 16 characters or more.")

    @field_validator("url")
    @classmethod
    def _https(cls, url: str) -> str:
        if not url.isascii() or not url.isprintable() or " " in url or "#" in url:
            raise ValueError("holds blanks, a # or characters beyond ASCII; percent-encode them")
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise ValueError("is no URL; it looks like https://im.example.com/push") from None
        if parts.scheme != "https" or not parts.hostname or port == 0:
            raise ValueError("is no https URL; it looks like https://im.example.com/push")
        if parts.username or parts.password:
            raise ValueError("holds a user name or password; the signature takes their place")
        return url

    @field_validator("secret")
    @classmethod
    def _long_enough(cls, secret: SecretStr) -> SecretStr:
        if len(secret.get_secret_value()) < SHORTEST_SECRET:
            raise ValueError(
                f"is shorter than {SHORTEST_SECRET} characters; make one with `openssl rand -hex 32`"
            )
        return secret

    @property
    def path(self) -> str:
        """Path and query of the address."""
        parts = urlsplit(self.url)
        return f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
