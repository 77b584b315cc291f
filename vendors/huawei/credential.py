"""What an operator fills in for a Huawei app, in the words of AppGallery Connect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

from pydantic import Field, PrivateAttr, SecretBytes, SecretStr, field_validator, model_validator

from pushgw.vendor.adapter import Credential
from pushgw.vendor.checks import (
    Finding,
    Level,
    Recognized,
    Summary,
    number_for_secret,
    or_ok,
    same_text,
    text_for_number,
)
from pushgw.vendor.service_account import ServiceAccount, recognized_service_account
from vendors.huawei.agconnect import recognized_agconnect

_CONSOLE = "it again from AppGallery Connect (Project settings)"


class HuaweiCredential(Credential):
    """``app_id``, ``app_secret`` and ``package`` speak v1 of the API; a ``project_id`` makes it v2.

    With a service account the gateway signs its own bearer; without one it asks Huawei's token server.
    """

    file_fields: ClassVar[dict[str, str]] = {"service_account_file": "service_account"}

    app_id: str = Field("", description="OAuth 2.0 client ID of the app (on older apps equal to the App ID).")
    app_secret: SecretStr = Field(SecretStr(""), description="OAuth 2.0 client secret of the app.")
    package: str = Field("", description="Package name of the app.")
    project_id: str = Field("", description="Project ID; chooses v2 of the API.")
    service_account: SecretBytes | None = Field(None, description="Key file of a service account.")
    receipt_user: str = Field("", description="User name of the receipt settings, where receipts are wanted.")
    receipt_secret: SecretStr = Field(
        SecretStr(""), description="Key of the receipt settings: what signs receipts."
    )
    _service: ServiceAccount | None = PrivateAttr(None)

    @field_validator("app_id", "project_id", mode="before")
    @classmethod
    def _number_or_text(cls, value: Any) -> Any:
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value

    @field_validator("app_id", "package", "project_id")
    @classmethod
    def _tidy(cls, value: str) -> str:
        if value != value.strip() or "/" in value:
            raise ValueError("has blanks around it or a slash in it; copy it again from AppGallery Connect")
        return value

    @field_validator("app_secret", "receipt_secret")
    @classmethod
    def _tidy_secret(cls, value: SecretStr) -> SecretStr:
        if value.get_secret_value() != value.get_secret_value().strip():
            raise ValueError("has blanks around it; copy the secret again from AppGallery Connect")
        return value

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.receipt_user and not self.receipt_secret.get_secret_value():
            raise ValueError("receipt_user is given but receipt_secret is missing; copy both, or neither")
        if self.service_account is not None:
            self._service = ServiceAccount(self.service_account.get_secret_value())
            self._check_project(self._service)
        elif missing := self._missing():
            raise ValueError(
                f"missing: {', '.join(missing)}; copy app_id and app_secret from AppGallery Connect "
                "(Project settings, OAuth 2.0 client ID), or give project_id and service_account_file"
            )
        return self

    def _check_project(self, service: ServiceAccount) -> None:
        if self.project_id and self.project_id != service.project_id:
            raise ValueError(
                f"project_id is {self.project_id} but the service-account file is of project {service.project_id}; "
                "use the key file of the same project"
            )

    def _missing(self) -> list[str]:
        given = {"app_id": self.app_id, "app_secret": self.app_secret.get_secret_value()}
        if not self.project_id:
            given["package"] = self.package
        return [name for name, value in given.items() if not value]

    def summary(self) -> Summary:
        """The package or the app; the ids, and the service account's."""
        details = {"app_id": self.app_id, "package": self.package, "project_id": self.project_id}
        if self._service:
            details |= {"project_id": self._service.project_id, "key_id": self._service.file.key_id}
        return Summary(
            app=self.package or self.app_id or details["project_id"],
            details={name: value for name, value in details.items() if value},
        )

    def checks(self, now: float, files: Mapping[str, str]) -> Sequence[Finding]:
        """Whether ids and secret stand in each other's place; the service account's key."""
        secret = self.app_secret.get_secret_value()
        ids = {"app_id": self.app_id, "project_id": self.project_id}
        doubts = [
            *same_text({**ids, "app_secret": secret}),
            *number_for_secret("app_secret", secret, f"the OAuth 2.0 client secret, not an id: {_CONSOLE}"),
            *(f for name, value in ids.items() for f in text_for_number(name, value, _CONSOLE)),
        ]
        found = or_ok(doubts, "ids", "ids and secret have Huawei's shape")
        if self._service:
            found.insert(0, Finding(Level.OK, "key", self._service.said, "service_account_file"))
        return found

    @classmethod
    def recognize(cls, name: str, content: bytes, password: str) -> Recognized | None:
        """agconnect-services.json, or the key file of a service account."""
        return recognized_agconnect(content) or recognized_service_account(content)

    @property
    def service(self) -> ServiceAccount | None:
        """The parsed service account, where one is given: then no token server is asked."""
        return self._service

    @property
    def path(self) -> str:
        """Where this app's messages go: v2 by project, v1 by client id."""
        project = self.project_id or (self._service.project_id if self._service else "")
        return f"/v2/{project}/messages:send" if project else f"/v1/{self.app_id}/messages:send"
