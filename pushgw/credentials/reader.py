"""Reads one credential: its TOML, the files that it names, the vendor's model. All faults are gathered and said at once."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

import msgspec
from pydantic import ValidationError

from pushgw.credentials.content import Unreadable, tidied, utf8
from pushgw.credentials.entry import CredentialEntry
from pushgw.credentials.fault import Fault, nearest
from pushgw.credentials.form import is_secret, toml_fields, toml_name
from pushgw.credentials.material import Source
from pushgw.vendor.adapter import Account, Credential
from pushgw.vendor.plugin import Vendor

TOP_LEVEL = (
    "business_id",
    "vendor",
    "name",
    "endpoint",
    "auth_endpoint",
    "proxy",
    "ca_file",
    "credential",
    "defaults",
)


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one credential's file."""

    file: str
    business_id: int | None
    """As the file's name has it; None where that is no id."""
    entry: CredentialEntry | None
    faults: tuple[Fault, ...] = ()
    """What makes it unusable."""
    warnings: tuple[Fault, ...] = ()
    """What was ignored, or is unwise."""
    data: dict[str, Any] = {}
    """The TOML as it was written; may hold secrets."""
    files: Mapping[str, str] = {}
    """File field of ``[credential]`` -> the name that was written."""

    def __repr__(self) -> str:
        return f"Reading({self.file!r}, {self.entry!r})"


def read_credential(
    source: Source,
    business_id: int | None,
    vendors: Mapping[str, Vendor],
    environ: Mapping[str, str] = os.environ,
) -> Reading:
    """Read one credential. ``business_id``: the id that its place says it has, None where the name is no id."""
    return _Reader(source, business_id, vendors, environ).read()


class _Hashed:
    """A source that remembers a digest of all that was read from it."""

    def __init__(self, source: Source) -> None:
        self.name = source.name
        self._source = source
        self._digest = sha256()

    @property
    def fingerprint(self) -> bytes:
        return self._digest.digest()

    def toml(self) -> bytes:
        return self._noted("", self._source.toml())

    def file(self, name: str) -> bytes:
        return self._noted(name, self._source.file(name))

    def exposure(self, name: str) -> str | None:
        return self._source.exposure(name)

    def _noted(self, name: str, content: bytes) -> bytes:
        self._digest.update(f"{name}\0{len(content)}\0".encode("utf-8", "surrogatepass") + content)
        return content


class _Reader:
    """Reads one file; gathers its faults instead of stopping at the first."""

    def __init__(
        self,
        source: Source,
        business_id: int | None,
        vendors: Mapping[str, Vendor],
        environ: Mapping[str, str],
    ) -> None:
        self.source = _Hashed(source)
        self.business_id = business_id
        self.vendors = vendors
        self.environ = environ
        self.faults: list[Fault] = []
        self.warnings: list[Fault] = []
        self.files: dict[str, str] = {}

    def read(self) -> Reading:
        if self.business_id is None:
            self._fault("", "the name is no certificate id; name it <business_id>.toml, such as 6666.toml")
        data = self._parse()
        self._check_id(data)
        self._warn_unknown(data, TOP_LEVEL, "")
        vendor_name, vendor = self._vendor(data)
        account = self._account(data, vendor_name, vendor) if vendor else None
        return Reading(
            file=self.source.name,
            business_id=self.business_id,
            entry=self._entry(vendor_name, vendor, account),
            faults=tuple(self.faults),
            warnings=tuple(self.warnings),
            data=data,
            files=self.files,
        )

    def _entry(
        self, vendor_name: str, vendor: Vendor | None, account: Account | None
    ) -> CredentialEntry | None:
        if self.business_id is None:
            return None
        if self.faults or account is None or vendor is None:
            platforms = vendor.adapter.platforms if vendor else frozenset()
            fault = "; ".join(str(f) for f in self.faults)
            return CredentialEntry(
                self.business_id,
                vendor_name,
                fault=fault,
                platforms=platforms,
                fingerprint=self.source.fingerprint,
            )
        return CredentialEntry(
            self.business_id,
            vendor_name,
            adapter=vendor.adapter,
            account=account,
            fingerprint=self.source.fingerprint,
        )

    def _fault(self, field: str, sentence: str) -> None:
        self.faults.append(Fault(self.source.name, field, sentence))

    def _warn(self, field: str, sentence: str) -> None:
        self.warnings.append(Fault(self.source.name, field, sentence))

    def _parse(self) -> dict[str, Any]:
        try:
            text = utf8(self.source.toml())
            if not text.strip():
                raise Unreadable("is empty; fill it in, see the example in the README")
            return tomllib.loads(text)
        except Unreadable as error:
            self._fault("", str(error))
        except tomllib.TOMLDecodeError as error:
            self._fault("", f"is no TOML ({error}); see the example in the README")
        return {}

    def _check_id(self, data: dict[str, Any]) -> None:
        written = data.get("business_id", self.business_id)
        if data and str(written) != str(self.business_id):
            mend = (
                "correct it"
                if self.business_id is None
                else f"write {self.business_id} or rename the file; no two credentials may have one id"
            )
            self._fault("business_id", f"{written!r} is not the file's name; {mend}")

    def _vendor(self, data: dict[str, Any]) -> tuple[str, Vendor | None]:
        name = data.get("vendor")
        known = ", ".join(sorted(self.vendors))
        if not isinstance(name, str):
            if data:
                self._fault("vendor", f"is missing; write one of {known}")
            return "", None
        if name not in self.vendors:
            self._fault(
                "vendor", f"no vendor is called {name!r}{nearest(name, self.vendors)}; known are {known}"
            )
            return name, None
        return name, self.vendors[name]

    def _account(self, data: dict[str, Any], vendor_name: str, vendor: Vendor) -> Account | None:
        model = vendor.adapter.credential_model
        credential = self._credential(data.get("credential"), model)
        ca_pem = self._file("ca_file", data["ca_file"], secret=False) if "ca_file" in data else None
        endpoint = self._base_url(data, "endpoint")
        auth_endpoint = self._base_url(data, "auth_endpoint")
        proxy = self._proxy(data.get("proxy"))
        defaults = self._defaults(data.get("defaults", {}))
        if credential is None or self.business_id is None or self.faults:
            return None
        return Account(
            business_id=self.business_id,
            vendor=vendor_name,
            name=str(data.get("name", "")),
            credential=credential,
            endpoint=endpoint,
            auth_endpoint=auth_endpoint,
            proxy=proxy,
            ca_pem=ca_pem,
            defaults=defaults,
            cache={},
        )

    def _credential(self, table: Any, model: type[Credential]) -> Credential | None:
        if not isinstance(table, dict):
            self._fault(
                "credential", "the [credential] table is missing; it holds the fields of the vendor's console"
            )
            return None
        known = toml_fields(model)
        self._warn_unknown(table, known, "credential.")
        self._warn_exposed(table, model)
        values: dict[str, Any] = {}
        for field, given in table.items():
            if field in known:
                target, value = self._value(field, given, model)
                values[target] = value
        if any(f.field.startswith("credential.") for f in self.faults):
            return None
        try:
            return model.model_validate(values)
        except ValidationError as error:
            for problem in error.errors(include_input=False, include_url=False):
                self._model_fault(problem, model, table)
            return None

    def _value(self, field: str, given: Any, model: type[Credential]) -> tuple[str, Any]:
        """(model field, value): a named file becomes its bytes, {env} and {file} become what they point to."""
        if field in model.file_fields:
            if isinstance(given, str):
                self.files[field] = given
            return model.file_fields[field], self._file(f"credential.{field}", given)
        if isinstance(given, dict):
            return field, self._indirect(f"credential.{field}", given)
        return field, given

    def _indirect(self, field: str, given: dict[str, Any]) -> str | None:
        if set(given) == {"env"}:
            value = self.environ.get(str(given["env"]))
            if value is None:
                self._fault(
                    field, f"the environment variable {given['env']} is not set; set it for `pushgw run`"
                )
            return value
        if set(given) == {"file"}:
            raw = self._file(field, given["file"])
            return raw.decode("utf-8", "replace").strip() if raw is not None else None
        self._fault(field, 'write a text, { env = "NAME" } or { file = "path" }')
        return None

    def _file(self, field: str, name: Any, *, secret: bool = True) -> bytes | None:
        if not isinstance(name, str) or not name:
            self._fault(field, "expected the name of a file beside this one")
            return None
        shown = name if len(name) <= _LONGEST_NAME and name.isprintable() else "the file"
        try:
            content = tidied(self.source.file(name))
        except (Unreadable, ValueError) as error:  # ValueError: a NUL in the name
            cause = str(error) if isinstance(error, Unreadable) else "is no name of a file; name the file"
            self._fault(field, f"{shown} {cause}")
            return None
        if secret and (exposed := self.source.exposure(name)):
            self._warn(field, f"{shown}: {exposed}")
        return content

    def _base_url(self, data: dict[str, Any], field: str) -> str | None:
        url = data.get(field)
        if url is None:
            return None
        if not isinstance(url, str) or not url.startswith(("https://", "http://")):
            self._fault(field, "expected a base URL, such as https://proxy.example:8443")
            return None
        return url.rstrip("/")

    def _proxy(self, given: Any) -> str | None:
        """It may hold a login, so that no fault quotes it."""
        if given is None:
            return None
        url = self._indirect("proxy", given) if isinstance(given, dict) else given
        if url is None:
            return None  # its fault is said
        if not isinstance(url, str) or not _is_proxy(url):
            self._fault(
                "proxy", "expected an HTTP proxy's scheme, host and port, such as http://proxy.example:3128"
            )
            return None
        if url is given and "@" in url and (exposed := self.source.exposure("")):
            self._warn("proxy", exposed)
        return url.rstrip("/")

    def _defaults(self, table: Any) -> dict[str, str]:
        if not isinstance(table, dict):
            self._fault("defaults", "expected a table [defaults]")
            return {}
        return {str(key): str(value) for key, value in table.items()}

    def _model_fault(self, problem: Any, model: type[Credential], table: dict[str, Any]) -> None:
        field = toml_name(str(problem["loc"][0]), model) if problem["loc"] else ""
        sentence = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "missing":
            unknown = [key for key in table if key not in toml_fields(model)]
            sentence = "is missing" + (nearest(field, unknown, "; is it the field {}?") if unknown else "")
        elif field in self.files:
            sentence = f"{self.files[field]}: {sentence}"
        self._fault(f"credential.{field}" if field else "credential", sentence)

    def _warn_unknown(self, table: dict[str, Any], known: tuple[str, ...], prefix: str) -> None:
        for key in table:
            if key not in known:
                self._warn(prefix + key, f"is ignored: no such field{nearest(key, known)}")

    def _warn_exposed(self, table: dict[str, Any], model: type[Credential]) -> None:
        """Of the TOML itself, where a secret stands in it."""
        written = [field for field, given in table.items() if isinstance(given, str | int)]
        if any(is_secret(field, model) for field in written) and (exposed := self.source.exposure("")):
            self._warn("", exposed)


def _is_proxy(url: str) -> bool:
    """Whether all transports can use it: HTTP, nothing after host and port."""
    try:
        parts = urlsplit(url)
        fine = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    blank = any(c <= " " for c in url) or not url.isascii()
    return (
        fine and not blank and parts.scheme == "http" and (parts.path, parts.query) in (("", ""), ("/", ""))
    )


_LONGEST_NAME = 120
"""Who pasted a key where its file's name belongs should not find it in a log."""
