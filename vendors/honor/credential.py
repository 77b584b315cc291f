"""What an operator fills in for an Honor app, in the words of Honor's developer console."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field, SecretStr, field_validator

from pushgw.vendor.adapter import Credential
from pushgw.vendor.checks import Finding, Summary, number_for_secret, or_ok, same_text, text_for_number
from pushgw.vendor.reports import ReceiptKey

_WHERE = "copy it again from Honor's developer console (Push service)"


class HonorCredential(Credential):
    """App ID for the path, Client ID and Client Secret for the token. App Secret is for the phone's SDK."""

    app_id: str = Field("", validate_default=True, description="App ID; required.")
    client_id: str = Field("", validate_default=True, description="Client ID (not the App ID); required.")
    client_secret: SecretStr = Field(
        SecretStr(""), validate_default=True, description="Client Secret (not the App Secret); required."
    )

    receipt_key: ReceiptKey = Field(
        SecretStr(""),
        description="A word of your own that ends the address for receipts, where they are wanted.",
    )

    @field_validator("app_id", "client_id", "client_secret", mode="before")
    @classmethod
    def _number_or_text(cls, value: Any) -> Any:
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value

    @field_validator("app_id", "client_id")
    @classmethod
    def _is_id(cls, value: str) -> str:
        if _is_untidy(value) or "/" in value:
            raise ValueError(f"is missing, or holds a blank or a slash; {_WHERE}")
        return value

    @field_validator("client_secret")
    @classmethod
    def _is_secret(cls, secret: SecretStr) -> SecretStr:
        if _is_untidy(secret.get_secret_value()):
            raise ValueError(f"is missing or holds a blank; {_WHERE}: Client Secret, not App Secret")
        return secret

    def summary(self) -> Summary:
        """The app and its client id."""
        return Summary(app=self.app_id, details={"app_id": self.app_id, "client_id": self.client_id})

    def checks(self, now: float, files: Mapping[str, str]) -> Sequence[Finding]:
        """Whether the three stand in each other's place."""
        secret = self.client_secret.get_secret_value()
        doubts = [
            *same_text({"app_id": self.app_id, "client_id": self.client_id, "client_secret": secret}),
            *text_for_number("app_id", self.app_id, "the App ID, not the Client ID, from Honor's console"),
            *number_for_secret("client_secret", secret, "the Client Secret, not an id, from Honor's console"),
        ]
        return or_ok(doubts, "ids", "app_id, client_id and client_secret have Honor's shape")

    @property
    def path(self) -> str:
        """Where this app's messages go."""
        return f"/api/v1/{self.app_id}/sendMessage"


def _is_untidy(value: str) -> bool:
    return not value or not value.isascii() or any(c <= " " for c in value)
