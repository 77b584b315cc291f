"""A credential in the making: new, or a kept one with changes. What an operator wrote beside the fields stays."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from pushgw.credentials.content import Unreadable, utf8
from pushgw.credentials.form import is_secret
from pushgw.credentials.material import CredentialStore, Material, StoreError, basename
from pushgw.credentials.named_files import named_files
from pushgw.vendor.adapter import Credential
from pushgw.vendor.plugin import Vendor

ENV = "env:"
"""How a secret out of the environment is written on the command line."""


class Draft:
    """Fields are set one by one; `material` is what a store would write."""

    def __init__(
        self, business_id: int, vendor_name: str, vendors: Mapping[str, Vendor], store: CredentialStore
    ) -> None:
        """An empty one."""
        self.business_id = business_id
        self.vendor_name = vendor_name
        self._vendors = vendors
        self._store = store
        self._document = tomlkit.document()
        self._document["business_id"] = business_id
        self._document["vendor"] = vendor_name
        self._files: dict[str, bytes] = {}

    @classmethod
    def of(cls, material: Material, vendors: Mapping[str, Vendor], store: CredentialStore) -> Draft:
        """A kept credential. Raises StoreError where its TOML cannot be read, or its vendor is not installed."""
        try:
            document = tomlkit.parse(utf8(material.toml))
        except (Unreadable, TOMLKitError) as error:
            cause = error if isinstance(error, Unreadable) else "is no TOML"
            raise StoreError(
                f"{material.business_id}.toml {cause}; remove the credential and add it anew"
            ) from None
        vendor_name = str(document.get("vendor", ""))
        if vendor_name not in vendors:
            raise StoreError(
                f"{material.business_id}.toml: no vendor is called {vendor_name!r}; install its package"
            )
        draft = cls(material.business_id, vendor_name, vendors, store)
        draft._document = document
        draft._files = dict(material.files)
        return draft

    @property
    def model(self) -> type[Credential]:
        """The vendor's model."""
        return self._vendors[self.vendor_name].adapter.credential_model

    @property
    def given(self) -> set[str]:
        """Fields of ``[credential]`` that have a value."""
        return set(self._table("credential"))

    def text(self, field: str) -> str:
        """What a field holds, where it is a text that stands in the TOML; else empty."""
        value = self._table("credential").get(field)
        return str(value) if isinstance(value, str) else ""

    def set(self, field: str, value: str) -> None:
        """A field that takes a text. A secret may be ``env:NAME``: then the environment has it."""
        if value.startswith(ENV) and is_secret(field, self.model):
            self._table("credential")[field] = _in_environment(value)
        else:
            self._table("credential")[field] = value

    def set_file(self, field: str, name: str, content: bytes) -> None:
        """A field that names a file: the content, under ``name`` or one like it that is free."""
        kept = self._free(basename(name), content)
        self._files[kept] = content
        self._table("credential")[field] = kept

    def set_default(self, key: str, value: str) -> None:
        """A value of ``[defaults]``."""
        self._table("defaults")[key] = value

    def set_top(self, key: str, value: str) -> None:
        """A key above the tables: ``name``, ``endpoint``, ``auth_endpoint``, ``proxy``, which may be
        ``env:NAME``, as it may hold a login."""
        if key == "proxy" and value.startswith(ENV):
            self._document[key] = _in_environment(value)
        else:
            self._document[key] = value

    def set_ca_file(self, name: str, content: bytes) -> None:
        """Whom to trust, PEM."""
        kept = self._free(basename(name), content)
        self._files[kept] = content
        self._document["ca_file"] = kept

    def unset(self, field: str) -> None:
        """Take a field of ``[credential]`` away, where it has a value."""
        self._table("credential").pop(field, None)

    def material(self) -> Material:
        """As a store would write it: only with the files that are still named."""
        toml = tomlkit.dumps(self._document).encode()
        names = named_files(toml, self._vendors)
        files = {name: self._files[name] for name in names if name in self._files}
        return Material(business_id=self.business_id, toml=toml, files=files)

    def _table(self, name: str) -> Any:
        if name not in self._document:
            self._document[name] = tomlkit.table()
        return self._document[name]

    def _free(self, name: str, content: bytes) -> str:
        """The name, or one with a mark of the content where another file has it."""
        others = {**self._files, name: self._files.get(name, self._store.held(name))}
        if others[name] in (None, content):
            return name
        return f"{hashlib.sha256(content).hexdigest()[:8]}-{name}"


def _in_environment(value: str) -> Any:
    indirect = tomlkit.inline_table()
    indirect["env"] = value.removeprefix(ENV)
    return indirect
