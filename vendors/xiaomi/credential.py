"""What an operator fills in for a Xiaomi app, in the words of Xiaomi's developer console."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from pydantic import Field, SecretStr, field_validator

from pushgw.vendor.adapter import Credential
from pushgw.vendor.checks import Finding, Summary, number_for_secret, or_ok
from pushgw.vendor.reports import ReceiptKey

HOSTS = {
    "cn": "https://api.xmpush.xiaomi.com",
    "sgp": "https://sgp-api.xmpush.global.xiaomi.com",
    "fra": "https://fr-api.xmpush.global.xiaomi.com",
    "ind": "https://idmb-api.xmpush.global.xiaomi.com",
    "rus": "https://ru-api.xmpush.global.xiaomi.com",
}
"""Region -> API host. A regId of one region is unknown in another. Source: Xiaomi's page on international push."""

_PACKAGE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", re.ASCII)


class XiaomiCredential(Credential):
    """One app: package and AppSecret, and the region its devices are in."""

    package: str = Field(description="Package name of the app, as registered with Xiaomi.")
    app_secret: SecretStr = Field(description="AppSecret (not AppKey, not AppID).")
    region: str = Field("cn", description="Where the app's devices register: cn, sgp, fra, ind or rus.")
    receipt_key: ReceiptKey = Field(
        SecretStr(""), description="A word of your own that ends the address in callback of [defaults]."
    )

    @field_validator("package")
    @classmethod
    def _is_package(cls, package: str) -> str:
        if not _PACKAGE.fullmatch(package):
            raise ValueError("is no package name, such as com.example.chat; copy it from Xiaomi's console")
        return package

    @field_validator("region")
    @classmethod
    def _is_region(cls, region: str) -> str:
        if region not in HOSTS:
            known = ", ".join(HOSTS)
            raise ValueError(
                f"is no region of Xiaomi's; write one of {known}: where the app's devices register"
            )
        return region

    @field_validator("app_secret", mode="before")
    @classmethod
    def _number_or_text(cls, value: object) -> object:
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value

    @field_validator("app_secret")
    @classmethod
    def _is_secret(cls, secret: SecretStr) -> SecretStr:
        value = secret.get_secret_value()
        if not value or not value.isascii() or any(c <= " " for c in value):
            raise ValueError("is empty or holds blanks; copy the AppSecret again from Xiaomi's console")
        return secret

    def summary(self) -> Summary:
        """The package; the region as the environment."""
        return Summary(app=self.package, environment=self.region, details={"package": self.package})

    def checks(self, now: float, files: Mapping[str, str]) -> Sequence[Finding]:
        """Whether AppID or AppKey, which are numbers, stand in the secret's place."""
        where = "the AppSecret, not AppID or AppKey, from Xiaomi's console"
        doubts = number_for_secret("app_secret", self.app_secret.get_secret_value(), where)
        return or_ok(doubts, "ids", "package and app_secret have Xiaomi's shape")

    @property
    def host(self) -> str:
        """Base URL of the region's API."""
        return HOSTS[self.region]
