"""What an operator fills in for a Firebase project: the key file of a service account."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import ClassVar

from pydantic import Field, SecretBytes, field_validator

from pushgw.vendor.adapter import Credential
from pushgw.vendor.checks import Finding, Level, Recognized, Summary
from vendors.fcm.service_account import AUDIENCE, ServiceAccount, is_app_file, is_service_account


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

    def summary(self) -> Summary:
        """The project, and the account that speaks for it."""
        service = self.service
        return Summary(
            app=service.project_id,
            details={
                "project_id": service.project_id,
                "client_email": service.client_email,
                "private_key_id": service.key_id,
            },
        )

    def checks(self, now: float, files: Mapping[str, str]) -> Sequence[Finding]:
        """The key's size, and whether the file looks as Google writes it."""
        service, field = self.service, "service_account_file"
        bits = service.public_key.key_size
        found = [Finding(Level.OK, "key", f"an RSA key of {bits} bits", field)]
        if bits < 2048:
            mend = "generate a new private key in the Firebase console"
            found = [Finding(Level.ERROR, "key", f"its RSA key has {bits} bits, 2048 are due; {mend}", field)]
        if not service.client_email.endswith(".gserviceaccount.com"):
            said = f"client_email {service.client_email} is no service account's; download the file again"
            found.append(Finding(Level.WARNING, "ids", said, field))
        if service.token_uri != AUDIENCE:
            said = f"token_uri is not Google's but {service.token_uri}; download the file again"
            found.append(Finding(Level.WARNING, "ids", said, field))
        return found

    @classmethod
    def recognize(cls, name: str, content: bytes, password: str) -> Recognized | None:
        """A service account's key file. Says so of the app's own configuration, which is often taken for it."""
        if is_app_file(content):
            raise ValueError(
                "is the app's own configuration and holds no key; the server needs a service account's: Firebase console, "
                "Project settings, Service accounts, Generate new private key"
            )
        if not is_service_account(content):
            return None
        ServiceAccount(content)
        return Recognized(kind="a service account of Google's", file_field="service_account_file")

    @cached_property
    def service(self) -> ServiceAccount:
        """The opened file."""
        return ServiceAccount(self.service_account.get_secret_value())
