"""What an operator fills in for a vivo app, in the words of vivo's push console."""

from __future__ import annotations

import re

from pydantic import Field, SecretStr, field_validator

from pushgw.vendor.adapter import Credential

_APP_ID = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)


class VivoCredential(Credential):
    """One app: AppID, AppKey and AppSecret."""

    app_id: str = Field(description="AppID of the app, a number.")
    app_key: str = Field(description="AppKey of the app.")
    app_secret: SecretStr = Field(description="AppSecret (not AppKey).")

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


def _is_untidy(value: str) -> bool:
    return not value or not value.isascii() or any(c <= " " for c in value)
