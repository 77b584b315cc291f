"""Rows A2...A12: what a message itself says against being pushed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushgw.messages.model import Kind, OfflineMessage
from pushgw.policy.case import Case
from pushgw.policy.content import has_body
from pushgw.policy.dedup import GROUP_WINDOW_S
from pushgw.policy.dnd import moment

if TYPE_CHECKING:

    class MessageCase(Case):
        """A case past A3 and A4, which stop whatever is no message."""

        message: OfflineMessage


DISCARD = 1
"""Receive option: the message is not even received. Set on a community it goes for all of its topics."""


def redelivered(case: Case) -> str | None:
    """A2."""
    if case.redelivered_of is None:
        return None
    return f"EventId {case.message.event_id} belongs to the record {case.redelivered_of}."


def not_a_message(case: Case) -> str | None:
    """A3."""
    message = case.message
    if isinstance(message, OfflineMessage) or message.send_failed:
        return None
    return message.detail or f"{message.command or 'The record'} is no chat message."


def send_failed(case: Case) -> str | None:
    """A4."""
    message = case.message
    if isinstance(message, OfflineMessage):
        return f"SendMsgResult is {message.send_result}." if message.send_result != 0 else None
    return (message.detail or "The message was not delivered.") if message.send_failed else None


def duplicate(case: MessageCase) -> str | None:
    """A5."""
    owner = case.facts.claimed_by
    if owner is None:
        return None
    message = case.message
    if message.group_id is not None:
        return f"The record {owner} took Random {message.random} in this group within {GROUP_WINDOW_S} s."
    return f"The record {owner} took MsgRandom {message.random} for this receiver in the same second."


def recalled(case: MessageCase) -> str | None:
    """A6."""
    if not case.facts.recalled:
        return None
    message = case.message
    if message.group_id is not None:
        return f"MsgSeq {message.seq} of the group {message.group_id} was recalled."
    return f"The message with MsgKey {message.msg_key} was recalled."


def online_only(case: MessageCase) -> str | None:
    """A7."""
    return "MsgLifeTime is 0." if case.message.lifetime == 0 else None


def online_only_flag(case: MessageCase) -> str | None:
    """A8. In a push task the flag means something else: no roaming, pushed all the same."""
    message = case.message
    if message.online_only_flag <= 0 or message.kind is Kind.TASK:
        return None
    return f"OnlineOnlyFlag is {message.online_only_flag}."


def push_flag(case: MessageCase) -> str | None:
    """A9."""
    info = case.message.push_info
    return "OfflinePushInfo.PushFlag is 1." if info is not None and info.push_flag == 1 else None


def group_type(case: MessageCase) -> str | None:
    """A10. A Meeting's member who set an option has chosen; an unknown type is pushed.

    Of a Meeting, which is a matter of each receiver, first comes what holds for all of them: A11 and A12.
    """
    kind = case.message.group_type
    if kind == "AVChatRoom":
        return "An AVChatRoom has no offline push."
    if kind != "Meeting" or case.receiver is None or group_option(case) is not None:
        return None
    if expired(case) or empty_content(case):
        return None
    return f"In a Meeting nobody is pushed without a receive option, and {case.receiver} has set none."


def expired(case: MessageCase) -> str | None:
    """A11."""
    message = case.message
    over = message.expires_at
    if case.now < over:
        return None
    return f"Its lifetime of {over - message.time} s was over at {moment(over)}."


def empty_content(case: MessageCase) -> str | None:
    """A12."""
    message = case.message
    if not has_body(message):
        return "OfflinePushInfo.Desc is empty, and no element of MsgBody gives a text."
    if case.options.require_offline_push_info:
        info = message.push_info
        if info is None or not (info.title or info.desc or info.languages):
            return "There is no OfflinePushInfo with Title or Desc (policy.require_offline_push_info)."
    return None


def group_option(case: MessageCase) -> int | None:
    """The receive option in force for the message's group: the publisher's, else the topic's, else the group's."""
    if case.hint is not None and case.hint.recv_opt is not None:
        return case.hint.recv_opt
    options = case.facts.options
    if options.topic is None or options.group == DISCARD:
        return options.group
    return options.topic
