"""Events on the message topic that nobody is notified of: reason A3, or A4 where the send itself failed.

Looked at before anything else, and read with open arms: such a record is never a dead letter, whatever else is in it.
"""

from __future__ import annotations

from typing import Any

from pushgw.messages.model import NotAMessage
from pushgw.messages.reader import LARGEST_ID, LAST_SECOND, UINT32, as_integer
from pushgw.messages.wire import COMMANDS, USER_ID_LENGTH, Shape

SEND_EXCEPTION = "Group.CallbackSendMsgException"
LONGEST_COMMAND = 128
_CARRIES_MESSAGE = frozenset({Shape.C2C, Shape.GROUP})


def not_a_message(record: dict[str, Any], *, default_app: int, lenient: bool) -> NotAMessage | None:
    """The event that this record is, or None when it should be a message or a recall. Never raises."""
    command = record.get("CallbackCommand", "")
    if not isinstance(command, str):
        return None
    if command and command not in COMMANDS:
        failed = command == SEND_EXCEPTION
        command = command[:LONGEST_COMMAND]
        detail = "The group message was not delivered." if failed else f"{command} is no chat message."
        return _event(record, command, detail, failed=failed, default_app=default_app)
    result = as_integer(record.get("SendMsgResult"), lenient=lenient)
    if result and (not command or COMMANDS[command] in _CARRIES_MESSAGE):
        detail = f"SendMsgResult is {result}."
        return _event(record, command, detail, failed=True, default_app=default_app)
    return None


def _event(
    record: dict[str, Any], command: str, detail: str, *, failed: bool, default_app: int
) -> NotAMessage:
    gateway = record.get("PushGateway")
    gateway = gateway if isinstance(gateway, dict) else {}
    group = _known(record.get("GroupId"), str)
    return NotAMessage(
        app=_natural(gateway.get("SdkAppId"), LARGEST_ID, default_app),
        command=command,
        send_failed=failed,
        sender=_known(record.get("From_Account"), str) or "",
        receivers=tuple(_named(record, gateway)),
        group_id=group,
        event_id=_known(gateway.get("EventId"), str),
        detail=detail,
        seq=_natural(record.get("MsgSeq"), UINT32),
        random=_natural(record.get("Random" if group else "MsgRandom"), UINT32),
        time=_natural(record.get("MsgTime", record.get("MsgTimeStamp")), LAST_SECOND),
        msg_key=_known(record.get("MsgKey"), str),
    )


def _named(record: dict[str, Any], gateway: dict[str, Any]) -> dict[str, None]:
    """Every user that the event names as a receiver, once, in order."""
    to = record.get("To_Account")
    accounts = to if isinstance(to, list) else [to]
    listed = gateway.get("Receivers")
    entries = listed if isinstance(listed, list) else []
    accounts = accounts + [entry.get("To_Account") for entry in entries if isinstance(entry, dict)]
    return dict.fromkeys(a for a in accounts if isinstance(a, str) and 0 < len(a) <= USER_ID_LENGTH)


def _known(value: Any, kind: type[str]) -> str | None:
    return value if isinstance(value, kind) and value else None


def _natural(value: Any, most: int, default: Any = None) -> Any:
    number = as_integer(value)
    return number if number is not None and 0 <= number <= most else default
