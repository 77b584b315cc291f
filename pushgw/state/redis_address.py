"""Where the Redis is: a single server, a server that sentinels name, or a cluster."""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import unquote

import msgspec

from pushgw.settings import StateSettings
from pushgw.state.protocol import StateUnavailable

FORMS = (
    "redis://[USER:PASSWORD@]HOST[:PORT][/DB], redis+cluster://HOST:PORT,HOST:PORT or "
    "redis+sentinel://HOST:PORT,HOST:PORT/SERVICE[/DB]; rediss… for TLS"
)
_URL = re.compile(
    r"redis(?P<tls>s?)(\+(?P<kind>cluster|sentinel))?://"
    r"((?P<user>[^:@/]*)(:(?P<password>[^@/]*))?@)?(?P<hosts>[^/@]+)(/(?P<path>.*))?"
)
_HOST = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^:\[\]\s]+)(:(?P<port>\d{1,5}))?")
_PORTS = {"single": 6379, "cluster": 6379, "sentinel": 26379}


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """A parsed ``state.url`` of a Redis. The password is in no text that `where` makes."""

    kind: Literal["single", "cluster", "sentinel"]
    hosts: tuple[tuple[str, int], ...]
    tls: bool
    user: str | None = None
    password: str | None = None
    service: str = ""
    db: int = 0

    def __repr__(self) -> str:
        return f"Address({self.where})"

    @property
    def where(self) -> str:
        """For people: which Redis, without user and password."""
        hosts = ",".join([f"{host}:{port}" for host, port in self.hosts])
        if self.kind == "sentinel":
            return f"Redis {self.service!r} of the sentinels {hosts}"
        return f"Redis Cluster {hosts}" if self.kind == "cluster" else f"Redis {hosts}"


def address_of(settings: StateSettings) -> Address:
    """The address in ``state.url``. Raises StateUnavailable where it is none; what was given is not repeated."""
    found = _URL.fullmatch(settings.url)
    hosts = [_HOST.fullmatch(host) for host in found["hosts"].split(",")] if found else []
    if found is None or not all(hosts):
        raise StateUnavailable(f"state.url is no address of a Redis: expected {FORMS}")
    kind = found["kind"] or "single"
    parts = [unquote(part) for part in (found["path"] or "").split("/") if part]
    service = parts.pop(0) if kind == "sentinel" and parts else ""
    db = parts[0] if parts else "0"
    if (kind == "single" and len(hosts) > 1) or (kind == "sentinel" and not service):
        raise StateUnavailable(f"state.url is no address of a Redis: expected {FORMS}")
    if len(parts) > 1 or not db.isdigit() or (kind == "cluster" and db != "0"):
        raise StateUnavailable(
            "state.url ends in no number of a database: a cluster has none but 0, a server 0 to 15"
        )
    return Address(
        kind=kind,  # type: ignore[arg-type]  # the pattern knows these two
        hosts=tuple(
            [(host["host"].strip("[]"), int(host["port"] or _PORTS[kind])) for host in hosts if host]
        ),
        tls=bool(found["tls"]),
        user=unquote(found["user"]) if found["user"] else None,
        password=unquote(found["password"]) if found["password"] else None,
        service=service,
        db=int(db),
    )
