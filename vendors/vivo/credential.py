"""What an operator fills in for a vivo app, in the words of vivo's push console."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from pydantic import Field, SecretStr, field_validator

from pushgw.vendor.adapter import Credential
from pushgw.vendor.checks import Finding, Summary, number_for_secret, or_ok, same_text
from pushgw.vendor.reports import ReceiptKey

_APP_ID = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)


class VivoCredential(Credential):
    """One app: AppID, AppKey and AppSecret."""

    app_id: str = Field(description="AppID of the app, a number.")
    app_key: str = Field(description="AppKey of the app.")
    app_secret: SecretStr = Field(description="AppSecret (not AppKey).")
    receipt_key: ReceiptKey = Field(
        SecretStr(""), description="A word of your own that ends the address in callback of [defaults]."
    )

    @field_validator("app_id", "app_key", "app_secret", mode="before")
    @classmethod
    def _number_or_text(cls, value: object) -> object:
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value

    @field_validator("app_id")
    @classmethod
    def _is_id(cls, app_id: str) -> str:
        if not _APP_ID.fullmatch(app_id):
            raise ValueError("is no number, such as 10004; copy the AppID again from vivo's push console")
        return app_id

    @field_validator("app_key")
    @classmethod
    def _is_key(cls, key: str) -> str:
        if _is_untidy(key):
            raise ValueError("is empty or holds blanks; copy the AppKey again from vivo's push console")
        return key

    @field_validator("app_secret")
    @classmethod
    def _is_secret(cls, secret: SecretStr) -> SecretStr:
        if _is_untidy(secret.get_secret_value()):
            raise ValueError("is empty or holds blanks; copy the AppSecret again from vivo's push console")
        return secret

    def summary(self) -> Summary:
        """The app."""
        return Summary(app=self.app_id, details={"app_id": self.app_id, "app_key": self.app_key})

    def checks(self, now: float, files: Mapping[str, str]) -> Sequence[Finding]:
        """Whether an id stands in a secret's place; AppKey and AppSecret look alike, so that only vivo tells them apart."""
        secret = self.app_secret.get_secret_value()
        where = "it again from vivo's push console, not the AppID"
        doubts = [
            *same_text({"app_id": self.app_id, "app_key": self.app_key, "app_secret": secret}),
            *number_for_secret("app_key", self.app_key, where),
            *number_for_secret("app_secret", secret, where),
        ]
        said = "the three have vivo's shape; whether app_key and app_secret are swapped is said by the online check"
        return or_ok(doubts, "ids", said)


def _is_untidy(value: str) -> bool:
    return not value or not value.isascii() or any(c <= " " for c in value)
