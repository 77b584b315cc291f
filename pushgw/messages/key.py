"""The Kafka key of a record: its conversation, so that a recall follows its message in the same partition."""

from __future__ import annotations

from typing import Any

import msgspec


def record_key(value: bytes) -> bytes | None:
    """``GROUP_<id>``, ``BATCH_<from>_<random>``, ``C2C_<from>_<to>``, or the user of a user event; None for anything else.

    Tencent's webhooks and admin calls on the user-events topic count as user events; one for several users has the first's.
    """
    try:
        body = msgspec.json.decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    key = _key(body) if isinstance(body, dict) else None
    return key.encode("utf-8", "surrogatepass") if key is not None else None


def _key(body: dict[str, Any]) -> str | None:
    if "Event" in body:
        user = body.get("To_Account")
        return user if isinstance(user, str) else None
    info = body.get("Info")
    if isinstance(info, dict) and isinstance(info.get("To_Account"), str):
        return str(info["To_Account"])
    if isinstance(body.get("Report_Account"), str):
        return str(body["Report_Account"])
    if "Level" in body and "StartTime" in body:
        users = body.get("To_Account")
        first = users[0] if isinstance(users, list) and users else users
        return first if isinstance(first, str) else None
    if "GroupId" in body:
        return f"GROUP_{body['GroupId']}"
    sender, receiver = body.get("From_Account", ""), body.get("To_Account")
    if isinstance(receiver, list) or (
        receiver is not None and "MsgBody" not in body and "MsgKey" not in body
    ):
        return f"BATCH_{sender}_{body.get('MsgRandom')}"
    return f"C2C_{sender}_{receiver}" if isinstance(receiver, str) else None
