"""What an operator fills in for a Firebase project: the key file of a service account."""

from __future__ import annotations

from functools import cached_property
from typing import ClassVar

from pydantic import Field, SecretBytes, field_validator

from pushgw.vendor.adapter import Credential
from vendors.fcm.service_account import ServiceAccount


class FcmCredential(Credential):
    """The file knows everything: project, account and key."""

    file_fields: ClassVar[dict[str, str]] = {"service_account_file": "service_account"}

    service_account: SecretBytes = Field(
        description="JSON key file of a service account with cloudmessaging.messages.create."
    )

    @field_validator("service_account")
    @classmethod
    def _readable(cls, value: SecretBytes) -> SecretBytes:
        ServiceAccount(value.get_secret_value())
        return value

    @cached_property
    def service(self) -> ServiceAccount:
        """The opened file."""
        return ServiceAccount(self.service_account.get_secret_value())
