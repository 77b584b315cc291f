"""How users and their receive options are written down, whatever the store."""

from __future__ import annotations

from typing import Any

import msgspec

from pushgw.policy.facts import Device, User


def user_key(app: int, user: str) -> str:
    """The name of a user in every store."""
    return f"{app} {user}"


def c2c_mark(peer: str) -> str:
    """The option for a peer, among one user's options."""
    return f"c{peer}"


def group_mark(group_id: str, topic_id: str | None) -> str:
    """The option for a group, or for a topic of it, among one user's options."""
    if topic_id is None:
        return f"g{group_id}"
    return f"t{len(group_id)} {group_id}{topic_id}"


def option_of_mark(mark: str) -> str:
    """What `StateStore.options` calls the option: ``c2c:<peer>`` or ``group:<id>[:<topic>]``."""
    kind, rest = mark[0], mark[1:]
    if kind == "c":
        return f"c2c:{rest}"
    if kind == "g":
        return f"group:{rest}"
    length, _, both = rest.partition(" ")
    return f"group:{both[: int(length)]}:{both[int(length) :]}"


def document(user: User) -> dict[str, Any]:
    """The user without what has its default. The badge is kept apart: it changes with every push."""
    written = _sparse(user, _USER_DEFAULTS)
    if user.devices:
        written["devices"] = [_sparse(device, _DEVICE_DEFAULTS) for device in user.devices]
    return written


def _defaults(struct: type[msgspec.Struct], apart: frozenset[str] = frozenset()) -> dict[str, Any]:
    return {f.name: f.default for f in msgspec.structs.fields(struct) if f.name not in apart}


_USER_DEFAULTS = _defaults(User, apart=frozenset({"devices", "badge"}))
_DEVICE_DEFAULTS = _defaults(Device)


def _sparse(struct: msgspec.Struct, defaults: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, default in defaults.items() if (value := getattr(struct, name)) != default}
