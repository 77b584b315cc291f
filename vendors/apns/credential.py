"""What an operator fills in for an Apple app, in the words of Apple's developer portal."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, ClassVar, Self

from pydantic import Field, SecretBytes, SecretStr, ValidationInfo, field_validator, model_validator

from pushgw.vendor.adapter import Credential
from pushgw.vendor.checks import Finding, Level, Recognized, Summary, or_ok, same_text
from vendors.apns.client_certificate import ClientCertificate
from vendors.apns.console_file import KEY_FILE, recognized
from vendors.apns.provider_token import ProviderToken, load_key
from vendors.apns.push_type import COMPLICATION, VOIP, PushType

HOSTS = {"production": "https://api.push.apple.com", "sandbox": "https://api.sandbox.push.apple.com"}
"""A device token belongs to one of the two. Source: Apple's page on sending notification requests."""

LISTED_SUFFIXES = ("", VOIP.suffix, COMPLICATION.suffix)
"""Topics that Apple lists in a certificate; of the others a certificate says nothing."""

_NEEDS_CERTIFICATE = (
    "a provider key cannot send {}: it takes the certificate (p12_file) whose UID is the topic"
)
_NEEDS_KEY = "a certificate cannot send {}: Apple takes it with a provider key only (key_file)"
_IDS = "key_id and team_id have Apple's shape; whether they are this key's is said by the online check"
_TEN = re.compile(r"[A-Z0-9]{10}")
_BUNDLE_ID = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")


class ApnsCredential(Credential):
    """Either a provider key (``key_file``, ``key_id``, ``team_id``) or a certificate (``p12_file``, ``password``).

    The key is the better choice: it does not expire, serves all apps of the team, and is the only way to Live Activities.
    """

    file_fields: ClassVar[dict[str, str]] = {"key_file": "key", "p12_file": "p12"}

    bundle_id: str = Field(
        description="The app's bundle id; becomes apns-topic. With an MDM certificate: its UID."
    )
    environment: str = Field(
        "production", description="production, or sandbox for builds signed for development."
    )
    key_id: str = Field("", description="Key ID, 10 characters; it stands in the key file's name.")
    team_id: str = Field("", description="Team ID, 10 characters; see Membership in the portal.")
    key: SecretBytes | None = Field(None, description="The .p8 file.")
    password: SecretStr = Field(SecretStr(""), description="Password of the .p12 or .pem file.")
    p12: SecretBytes | None = Field(
        None, description="The .p12 file, or a .pem: certificate and key of a push certificate."
    )

    @field_validator("key_id", "team_id", mode="before")
    @classmethod
    def _number_or_text(cls, value: Any) -> Any:
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value

    @field_validator("key_id", "team_id")
    @classmethod
    def _ten_characters(cls, value: str) -> str:
        if value and not _TEN.fullmatch(value):
            raise ValueError(
                "Apple's ids have 10 capital letters and digits; copy it from the developer portal"
            )
        return value

    @field_validator("bundle_id")
    @classmethod
    def _plain(cls, value: str) -> str:
        if not _BUNDLE_ID.fullmatch(value):
            raise ValueError(
                "is no bundle id; it looks like com.example.im: letters, digits, hyphens and dots"
            )
        return value

    @field_validator("environment")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in HOSTS:
            raise ValueError(
                "is neither production nor sandbox; write sandbox for builds signed for development"
            )
        return value

    @field_validator("key")
    @classmethod
    def _readable_key(cls, value: SecretBytes | None) -> SecretBytes | None:
        if value is not None:
            load_key(value.get_secret_value())
        return value

    @field_validator("p12")
    @classmethod
    def _valid_certificate(cls, value: SecretBytes | None, info: ValidationInfo) -> SecretBytes | None:
        if value is not None and "password" in info.data:
            password = info.data["password"].get_secret_value()
            certificate = ClientCertificate(
                value.get_secret_value(),
                password,
                bundle_id=info.data.get("bundle_id", ""),
                environment=info.data.get("environment", ""),
            )
            certificate.check(datetime.now(UTC).timestamp())  # the files of today are checked against today
        return value

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        if self.key is not None and self.p12 is not None:
            raise ValueError("key_file and p12_file are both given; keep one, better the key")
        if self.key is None and self.p12 is None:
            raise ValueError(
                "neither key_file nor p12_file is given; name the .p8 key or the .p12 certificate"
            )
        if self.key is not None and (missing := [n for n in ("key_id", "team_id") if not getattr(self, n)]):
            raise ValueError(
                f"{' and '.join(missing)} must stand beside key_file; copy from the developer portal"
            )
        return self

    def summary(self) -> Summary:
        """Bundle id and environment; of a certificate its dates, subject and fingerprint, of a key its ids."""
        certificate = self.certificate
        return Summary(
            app=self.bundle_id,
            environment=self.environment,
            expires_at=certificate.expires_at if certificate else None,
            details=certificate.details
            if certificate
            else {"key_id": self.key_id, "team_id": self.team_id, "topic": self.bundle_id},
        )

    def checks(self, now: float, files: Mapping[str, str]) -> Sequence[Finding]:
        """Whether the key's ids stand in each other's place; what the certificate is good for."""
        certificate = self.certificate
        if certificate is None:
            doubts = [
                *same_text({"key_id": self.key_id, "team_id": self.team_id}),
                *self._other_key_id(files),
            ]
            return [Finding(Level.OK, "key", "a P-256 key", "key_file"), *or_ok(doubts, "ids", _IDS)]
        return [
            Finding(Level.OK, "certificate", f"it and the key belong together; it is for {self.bundle_id}"),
            *self._small_key(certificate.key_bits),
            *self._no_environment(certificate),
        ]

    def _other_key_id(self, files: Mapping[str, str]) -> Iterable[Finding]:
        """Apple names the file after the key; a name that was changed says nothing."""
        named = KEY_FILE.fullmatch(files.get("key_file", "").rpartition("/")[2])
        if named is None or named[1] == self.key_id:
            return
        swapped = named[1] == self.team_id
        mend = (
            "key_id and team_id stand in each other's place" if swapped else f"correct key_id to {named[1]}"
        )
        yield Finding(
            Level.ERROR if swapped else Level.WARNING,
            "ids",
            f"is {self.key_id}, but the key file is that of {named[1]}; {mend}",
            "key_id",
        )

    def _small_key(self, bits: int) -> Iterable[Finding]:
        if 256 < bits < 2048:  # between the two an RSA key that is too short
            mend = "make a new request in Keychain Access"
            yield Finding(Level.ERROR, "certificate", f"its RSA key has {bits} bits, 2048 are due; {mend}")

    def _no_environment(self, certificate: ClientCertificate) -> Iterable[Finding]:
        if named := certificate.environments:
            yield Finding(Level.OK, "environment", f"the certificate is for {' and '.join(sorted(named))}")
        else:
            yield Finding(
                Level.WARNING,
                "environment",
                "the certificate names none, so that a wrong one is seen by its devices' refusal only; "
                "see in Apple's developer portal of which kind it is",
                "environment",
            )

    @classmethod
    def recognize(cls, name: str, content: bytes, password: str) -> Recognized | None:
        """A provider key (.p8), or a push certificate with its key (.p12, .pem)."""
        return recognized(name, content, password)

    @property
    def host(self) -> str:
        """Base URL of the environment."""
        return HOSTS[self.environment]

    @cached_property
    def provider_token(self) -> ProviderToken | None:
        """Signs the authorization, where a key was given."""
        return (
            None
            if self.key is None
            else ProviderToken(self.key.get_secret_value(), self.key_id, self.team_id)
        )

    @cached_property
    def certificate(self) -> ClientCertificate | None:
        """Authorizes the connection, where a certificate was given."""
        if self.p12 is None:
            return None
        return ClientCertificate(
            self.p12.get_secret_value(),
            self.password.get_secret_value(),
            bundle_id=self.bundle_id,
            environment=self.environment,
        )

    def topic(self, push_type: PushType) -> str:
        """``apns-topic`` for a push of this type."""
        return self.bundle_id + push_type.suffix

    def push_type_fault(self, push_type: PushType) -> str | None:
        """Why Apple takes no push of this type under this credential, in one sentence, or None."""
        certificate = self.certificate
        if certificate is None:
            return None if push_type.by_key else _NEEDS_CERTIFICATE.format(push_type.name)
        if not push_type.by_certificate:
            return _NEEDS_KEY.format(push_type.name)
        topic = self.topic(push_type)
        if push_type.suffix in LISTED_SUFFIXES and not certificate.covers(topic):
            return f"the certificate does not cover the topic {topic}; a provider key (key_file) covers all of the team's"
        return None
