"""Which files a credential's TOML names."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

from pushgw.credentials.content import Unreadable, utf8
from pushgw.vendor.plugin import Vendor


def named_files(toml: bytes, vendors: Mapping[str, Vendor]) -> list[str]:
    """The names, in the order of the fields; none where the TOML cannot be read."""
    try:
        data = tomllib.loads(utf8(toml))
    except (Unreadable, tomllib.TOMLDecodeError):
        return []
    return list(dict.fromkeys(_names(data, vendors)))


def _names(data: dict[str, Any], vendors: Mapping[str, Vendor]) -> Iterator[str]:
    if isinstance(name := data.get("ca_file"), str):
        yield name
    if isinstance(proxy := data.get("proxy"), dict) and isinstance(proxy.get("file"), str):
        yield proxy["file"]
    vendor, table = data.get("vendor"), data.get("credential")
    if not isinstance(table, dict):
        return
    known = vendors.get(vendor) if isinstance(vendor, str) else None
    file_fields = known.adapter.credential_model.file_fields if known else {}
    for field, value in table.items():
        if field in file_fields and isinstance(value, str):
            yield value
        elif isinstance(value, dict) and isinstance(value.get("file"), str):
            yield value["file"]
