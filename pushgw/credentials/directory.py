"""The directory store: ``<BusinessID>.toml`` files with the secret files that they name beside them.

Every fault of every file is gathered and said at once: file, field, what is wrong, how to mend. A bad file never
stops the gateway: its own devices get C4, the others are pushed (decision 34 of the contract).
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from pydantic import ValidationError

from pushgw.credentials.entry import CredentialEntry
from pushgw.vendor.adapter import Account, Credential
from pushgw.vendor.plugin import Vendor

MAX_SECRET_FILE = 1 << 20
_TOP_LEVEL = (
    "business_id",
    "vendor",
    "name",
    "endpoint",
    "auth_endpoint",
    "ca_file",
    "credential",
    "defaults",
)


class Fault(msgspec.Struct, frozen=True):
    """One thing that is wrong with a credential file. Never holds a secret."""

    file: str
    field: str
    sentence: str

    def __str__(self) -> str:
        return (
            f"{self.file}: {self.field}: {self.sentence}" if self.field else f"{self.file}: {self.sentence}"
        )


class CredentialDirectory:
    """The loaded credentials of a directory (a `CredentialBook` of the policy)."""

    def __init__(
        self, entries: Mapping[int, CredentialEntry], faults: list[Fault], warnings: list[Fault]
    ) -> None:
        self.entries = dict(entries)
        self.faults = faults
        """What makes a credential unusable."""
        self.warnings = warnings
        """What was ignored, such as an unknown field."""

    def find(self, business_id: int) -> CredentialEntry | None:
        """The credential with this certificate id, usable or not."""
        return self.entries.get(business_id)

    @property
    def accounts(self) -> list[Account]:
        """All that can be used, by id."""
        return [e.account for _, e in sorted(self.entries.items()) if e.account is not None]


def load_directory(
    directory: Path, vendors: Mapping[str, Vendor], environ: Mapping[str, str] = os.environ
) -> CredentialDirectory:
    """Read every ``*.toml`` of the directory. Raises NotADirectoryError when there is no such directory."""
    if not directory.is_dir():
        raise NotADirectoryError(
            f"credentials.directory: {directory} is no directory; create it or name another"
        )
    entries: dict[int, CredentialEntry] = {}
    faults: list[Fault] = []
    warnings: list[Fault] = []
    for path in sorted(directory.glob("*.toml")):
        reader = _FileReader(path, vendors, environ)
        entry = reader.read()
        faults += reader.faults
        warnings += reader.warnings
        if entry is not None:
            entries[entry.business_id] = entry
    return CredentialDirectory(entries, faults, warnings)


class _FileReader:
    """Reads one file; gathers its faults instead of stopping at the first."""

    def __init__(self, path: Path, vendors: Mapping[str, Vendor], environ: Mapping[str, str]) -> None:
        self.path = path
        self.vendors = vendors
        self.environ = environ
        self.faults: list[Fault] = []
        self.warnings: list[Fault] = []

    def read(self) -> CredentialEntry | None:
        business_id = self._id_of_name()
        data = self._parse()
        self._check_id(data, business_id)
        self._warn_unknown(data, _TOP_LEVEL, "")
        vendor_name, vendor = self._vendor(data)
        account = self._account(data, business_id, vendor_name, vendor) if vendor else None
        if business_id is None:
            return None
        if self.faults or account is None or vendor is None:
            platforms = vendor.adapter.platforms if vendor else frozenset()
            fault = "; ".join(str(f) for f in self.faults)
            return CredentialEntry(business_id, vendor_name, fault=fault, platforms=platforms)
        return CredentialEntry(business_id, vendor_name, adapter=vendor.adapter, account=account)

    def _fault(self, field: str, sentence: str) -> None:
        self.faults.append(Fault(self.path.name, field, sentence))

    def _id_of_name(self) -> int | None:
        if self.path.stem.isdecimal():
            return int(self.path.stem)
        self._fault("", "the file's name is no certificate id; name it <business_id>.toml, such as 6666.toml")
        return None

    def _parse(self) -> dict[str, Any]:
        try:
            return tomllib.loads(self.path.read_bytes().decode("utf-8-sig"))
        except OSError as error:
            self._fault("", f"cannot be read ({error.strerror}); check its permissions")
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            self._fault("", f"is no TOML ({_without_values(error)}); see the example in the README")
        return {}

    def _check_id(self, data: dict[str, Any], business_id: int | None) -> None:
        written = data.get("business_id", business_id)
        if data and str(written) != str(business_id):
            self._fault(
                "business_id", f"{written!r} is not the file's name; write {business_id} or rename the file"
            )

    def _vendor(self, data: dict[str, Any]) -> tuple[str, Vendor | None]:
        name = data.get("vendor")
        known = ", ".join(sorted(self.vendors))
        if not isinstance(name, str):
            if data:
                self._fault("vendor", f"is missing; write one of {known}")
            return "", None
        if name not in self.vendors:
            self._fault(
                "vendor", f"no vendor is called {name!r}{_nearest(name, self.vendors)}; known are {known}"
            )
            return name, None
        return name, self.vendors[name]

    def _account(
        self, data: dict[str, Any], business_id: int | None, vendor_name: str, vendor: Vendor
    ) -> Account | None:
        model = vendor.adapter.credential_model
        credential = self._credential(data.get("credential"), model)
        ca_pem = self._file("ca_file", data["ca_file"]) if "ca_file" in data else None
        endpoint = self._base_url(data, "endpoint")
        auth_endpoint = self._base_url(data, "auth_endpoint")
        defaults = self._defaults(data.get("defaults", {}))
        if credential is None or business_id is None or self.faults:
            return None
        return Account(
            business_id=business_id,
            vendor=vendor_name,
            name=str(data.get("name", "")),
            credential=credential,
            endpoint=endpoint,
            auth_endpoint=auth_endpoint,
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
        known = _toml_fields(model)
        self._warn_unknown(table, known, "credential.")
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
            return model.file_fields[field], self._file(f"credential.{field}", given)
        if isinstance(given, dict):
            return field, self._indirect(f"credential.{field}", given)
        return field, given

    def _indirect(self, field: str, given: dict[str, Any]) -> str | None:
        if set(given) == {"env"}:
            value = self.environ.get(str(given["env"]))
            if value is None:
                self._fault(field, f"the environment variable {given['env']} is not set")
            return value
        if set(given) == {"file"}:
            raw = self._file(field, given["file"])
            return raw.decode("utf-8", "replace").strip() if raw is not None else None
        self._fault(field, 'write a text, { env = "NAME" } or { file = "path" }')
        return None

    def _file(self, field: str, name: Any) -> bytes | None:
        if not isinstance(name, str) or not name:
            self._fault(field, "expected the name of a file beside this one")
            return None
        path = self.path.parent / name
        try:
            if path.stat().st_size > MAX_SECRET_FILE:
                self._fault(
                    field, f"{name} is larger than {MAX_SECRET_FILE} bytes: that is no key or certificate"
                )
                return None
            return path.read_bytes()
        except OSError as error:
            self._fault(field, f"{name} cannot be read ({error.strerror}); put it beside {self.path.name}")
            return None

    def _base_url(self, data: dict[str, Any], field: str) -> str | None:
        url = data.get(field)
        if url is None:
            return None
        if not isinstance(url, str) or not url.startswith(("https://", "http://")):
            self._fault(field, "expected a base URL, such as https://proxy.example:8443")
            return None
        return url.rstrip("/")

    def _defaults(self, table: Any) -> dict[str, str]:
        if not isinstance(table, dict):
            self._fault("defaults", "expected a table [defaults]")
            return {}
        return {str(key): str(value) for key, value in table.items()}

    def _model_fault(self, problem: Any, model: type[Credential], table: dict[str, Any]) -> None:
        field = _toml_name(str(problem["loc"][0]), model) if problem["loc"] else ""
        sentence = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "missing":
            unknown = [key for key in table if key not in _toml_fields(model)]
            sentence = "is missing" + (_nearest(field, unknown, "; is it the field {}?") if unknown else "")
        self._fault(f"credential.{field}" if field else "credential", sentence)

    def _warn_unknown(self, table: dict[str, Any], known: tuple[str, ...], prefix: str) -> None:
        for key in table:
            if key not in known:
                self.warnings.append(
                    Fault(self.path.name, prefix + key, f"is ignored: no such field{_nearest(key, known)}")
                )


def _toml_fields(model: type[Credential]) -> tuple[str, ...]:
    """Names that the TOML may use: the model's, with file fields in place of what they fill."""
    filled = set(model.file_fields.values())
    return tuple(name for name in model.model_fields if name not in filled) + tuple(model.file_fields)


def _toml_name(field: str, model: type[Credential]) -> str:
    return next((toml for toml, target in model.file_fields.items() if target == field), field)


def _nearest(name: str, known: Any, phrase: str = "; did you mean {}?") -> str:
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return phrase.format(near[0]) if near else ""


def _without_values(error: Exception) -> str:
    """A TOML error's place without the text around it, which may be a secret."""
    return str(error).split(":")[0] if isinstance(error, UnicodeDecodeError) else str(error)
