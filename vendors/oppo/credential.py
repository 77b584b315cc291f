"""What an operator fills in for an OPPO app, in the words of OPPO's push console."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import Field, SecretStr, field_validator

from pushgw.vendor.adapter import Credential
from pushgw.vendor.checks import Finding, Summary, number_for_secret, or_ok, same_text
from pushgw.vendor.reports import ReceiptKey


class OppoCredential(Credential):
    """AppKey and MasterSecret. AppSecret is for the phone's SDK: a signature made with it is refused."""

    app_key: str = Field(description="AppKey of the app.")
    master_secret: SecretStr = Field(
        SecretStr(""), validate_default=True, description="MasterSecret (not AppSecret); required."
    )
    receipt_key: ReceiptKey = Field(
        SecretStr(""), description="A word of your own that ends the address in callback of [defaults]."
    )

    @field_validator("app_key", "master_secret", mode="before")
    @classmethod
    def _number_or_text(cls, value: object) -> object:
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value

    @field_validator("app_key")
    @classmethod
    def _is_key(cls, key: str) -> str:
        if _is_untidy(key):
            raise ValueError("is empty or holds blanks; copy the AppKey again from OPPO's push console")
        return key

    @field_validator("master_secret")
    @classmethod
    def _is_secret(cls, secret: SecretStr) -> SecretStr:
        if _is_untidy(secret.get_secret_value()):
            raise ValueError(
                "is missing or holds blanks; copy the MasterSecret (AppSecret is another one) from OPPO's push console"
            )
        return secret

    def summary(self) -> Summary:
        """The app, by its AppKey, which is no secret."""
        return Summary(app=self.app_key, details={"app_key": self.app_key})

    def checks(self, now: float, files: Mapping[str, str]) -> Sequence[Finding]:
        """AppKey, AppSecret and MasterSecret look alike: of a mix-up only equal texts can be seen here."""
        secret = self.master_secret.get_secret_value()
        doubts = [
            *same_text({"app_key": self.app_key, "master_secret": secret}),
            *number_for_secret("master_secret", secret, "the MasterSecret from OPPO's push console"),
        ]
        said = "app_key and master_secret have OPPO's shape; so has AppSecret, which the online check tells"
        return or_ok(doubts, "ids", said)


def _is_untidy(value: str) -> bool:
    return not value or not value.isascii() or any(c <= " " for c in value)
