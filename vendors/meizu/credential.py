"""What an operator fills in for a Meizu app, in the words of Meizu's push console."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from pydantic import Field, SecretStr, field_validator

from pushgw.vendor.adapter import Credential
from pushgw.vendor.checks import Finding, Summary, number_for_secret, or_ok, same_text
from pushgw.vendor.reports import ReceiptKey

_APP_ID = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)


class MeizuCredential(Credential):
    """AppID and AppSecret. AppKey is for the phone's SDK and in no signature."""

    app_id: str = Field(description="AppID of the app, a number.")
    app_secret: SecretStr = Field(description="AppSecret of the app (not AppKey).")
    receipt_key: ReceiptKey = Field(
        SecretStr(""),
        description="Token of the receipts, as it is set in Meizu's console, where they are wanted.",
    )

    @field_validator("app_id", "app_secret", mode="before")
    @classmethod
    def _number_or_text(cls, value: object) -> object:
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value

    @field_validator("app_id")
    @classmethod
    def _is_id(cls, app_id: str) -> str:
        if not _APP_ID.fullmatch(app_id):
            raise ValueError("is no number, such as 110011; copy the AppID again from Meizu's push console")
        return app_id

    @field_validator("app_secret")
    @classmethod
    def _is_secret(cls, secret: SecretStr) -> SecretStr:
        value = secret.get_secret_value()
        if not value or not value.isascii() or any(c <= " " for c in value):
            raise ValueError(
                "is empty or holds blanks; copy the AppSecret (AppKey is another one) from Meizu's push console"
            )
        return secret

    def summary(self) -> Summary:
        """The app."""
        return Summary(app=self.app_id, details={"app_id": self.app_id})

    def checks(self, now: float, files: Mapping[str, str]) -> Sequence[Finding]:
        """Whether the id stands in the secret's place; AppKey and AppSecret look alike, so that only sending tells."""
        secret = self.app_secret.get_secret_value()
        doubts = [
            *same_text({"app_id": self.app_id, "app_secret": secret}),
            *number_for_secret(
                "app_secret", secret, "the AppSecret, not the AppID, from Meizu's push console"
            ),
        ]
        said = (
            "app_id and app_secret have Meizu's shape; AppKey has the secret's, which the online check tells"
        )
        return or_ok(doubts, "ids", said)
