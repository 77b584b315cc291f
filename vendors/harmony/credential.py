"""What an operator fills in for a HarmonyOS app, in the words of Huawei's API Console."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

from pydantic import Field, PrivateAttr, SecretBytes, SecretStr, field_validator, model_validator

from pushgw.vendor.adapter import Credential
from pushgw.vendor.checks import Finding, Level, Recognized, Summary, or_ok, text_for_number
from pushgw.vendor.service_account import ServiceAccount, recognized_service_account

_NO_FILE = "service_account_file is missing: v3 takes nothing but a service account; make one in Huawei's API Console (Credentials)"


class HarmonyCredential(Credential):
    """A service account of the app's project. v3 of the API takes no app secret and no access token."""

    file_fields: ClassVar[dict[str, str]] = {"service_account_file": "service_account"}

    project_id: str = Field("", description="Project ID; when left out, that of the key file.")
    service_account: SecretBytes = Field(
        SecretBytes(b""), description="Key file of a service account; required."
    )
    receipt_user: str = Field("", description="User name of the receipt settings, where receipts are wanted.")
    receipt_secret: SecretStr = Field(
        SecretStr(""), description="Key of the receipt settings: what signs receipts."
    )
    _service: ServiceAccount | None = PrivateAttr(None)

    @field_validator("project_id", mode="before")
    @classmethod
    def _number_or_text(cls, value: Any) -> Any:
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value

    @field_validator("project_id")
    @classmethod
    def _tidy(cls, value: str) -> str:
        if value != value.strip() or "/" in value:
            raise ValueError("has blanks around it or a slash in it; copy it again from AppGallery Connect")
        return value

    @field_validator("receipt_secret")
    @classmethod
    def _tidy_secret(cls, value: SecretStr) -> SecretStr:
        if value.get_secret_value() != value.get_secret_value().strip():
            raise ValueError("has blanks around it; copy the secret again from AppGallery Connect")
        return value

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.receipt_user and not self.receipt_secret.get_secret_value():
            raise ValueError("receipt_user is given but receipt_secret is missing; copy both, or neither")
        content = self.service_account.get_secret_value()
        if not content:
            raise ValueError(_NO_FILE)
        self._service = ServiceAccount(content)
        if self.project_id and self.project_id != self._service.project_id:
            raise ValueError(
                f"project_id is {self.project_id} but the service-account file is of project "
                f"{self._service.project_id}; use the key file of the same project"
            )
        return self

    def summary(self) -> Summary:
        """The project, and the service account's key."""
        file = self.service.file
        return Summary(
            app=file.project_id,
            details={
                "project_id": file.project_id,
                "key_id": file.key_id,
                "sub_account": file.sub_account,
            },
        )

    def checks(self, now: float, files: Mapping[str, str]) -> Sequence[Finding]:
        """The service account's key and project."""
        where = "the Project ID again from AppGallery Connect (Project settings)"
        doubts = text_for_number("project_id", self.service.project_id, where)
        return [
            Finding(Level.OK, "key", self.service.said, "service_account_file"),
            *or_ok(doubts, "ids", "project_id has Huawei's shape"),
        ]

    @classmethod
    def recognize(cls, name: str, content: bytes, password: str) -> Recognized | None:
        """The key file of a service account."""
        return recognized_service_account(content)

    @property
    def service(self) -> ServiceAccount:
        """The parsed key file: it signs every bearer."""
        assert self._service is not None  # noqa: S101  the validator sets it
        return self._service

    @property
    def path(self) -> str:
        """Where this project's messages go."""
        return f"/v3/{self.service.project_id}/messages:send"
