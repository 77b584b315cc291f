"""Every reason why a message is not pushed: code, name, stage, and what an operator should do. docs/reasons.md is made of this."""

from __future__ import annotations

from enum import Enum


class Stage(Enum):
    """Where in the evaluation order a reason stands."""

    MESSAGE = "A"
    RECEIVER = "B"
    DEVICE = "C"


class Reason(Enum):
    """A row of the decision table, in evaluation order: (code, sentence, mend)."""

    MALFORMED = (
        "A1",
        "The record is no message that can be read.",
        "See the dead-letter topic: code, sentence and JSON path.",
    )
    REDELIVERED = (
        "A2",
        "Another record with the same EventId is done or in flight.",
        "Give each message its own EventId.",
    )
    NOT_A_MESSAGE = (
        "A3",
        "The record is an event, not an ordinary chat message.",
        "Nothing: only chat messages are pushed.",
    )
    SEND_FAILED = (
        "A4",
        "The message itself was not sent.",
        "Look at SendMsgResult and ErrorInfo of the webhook.",
    )
    DUPLICATE = (
        "A5",
        "Another record with the same MsgRandom mark was accepted first.",
        "Draw a new MsgRandom for each message.",
    )
    RECALLED = ("A6", "The message was withdrawn.", "Nothing: its sender took it back.")
    ONLINE_ONLY = (
        "A7",
        "MsgLifeTime is 0: for online receivers only.",
        "Leave MsgLifeTime out, or set it above 0.",
    )
    ONLINE_ONLY_FLAG = (
        "A8",
        "OnlineOnlyFlag is set: for online receivers only.",
        "Leave OnlineOnlyFlag out.",
    )
    PUSH_FLAG = (
        "A9",
        "The sender asked for no offline push (PushFlag 1).",
        "Set OfflinePushInfo.PushFlag to 0: 1 means *no* push.",
    )
    GROUP_TYPE = (
        "A10",
        "Groups of this type are not pushed offline.",
        "Use a Work, Public or Community group, or set the member's receive option.",
    )
    EXPIRED = (
        "A11",
        "The message's lifetime is over.",
        "Look at the lag of the consumer group, or raise MsgLifeTime.",
    )
    EMPTY_CONTENT = (
        "A12",
        "There is no text to show.",
        "Fill OfflinePushInfo.Desc, or Desc of the custom element.",
    )
    NO_RECEIVER = ("B1", "The record names no receiver.", "Name the members in PushGateway.Receivers.")
    SELF = ("B2", "The receiver is the sender.", "Nothing: one's own devices are synchronised, not notified.")
    NOT_LOGGED_IN = (
        "B3",
        "The receiver is not logged in.",
        "Check the UserID, and that the login was reported.",
    )
    FOREGROUND = (
        "B4",
        "The app is in the foreground.",
        "Report doBackground when the app leaves the foreground.",
    )
    USER_PUSH_OFF = (
        "B5",
        "The receiver switched offline pushes off.",
        "Nothing: the user's own setting (User.PushSwitch).",
    )
    GLOBAL_DND = (
        "B6",
        "The receiver's global do-not-disturb is in force.",
        "Nothing: the user's own setting (Option.Global).",
    )
    C2C_DND = ("B7", "The receiver muted this sender.", "Nothing: the user's own setting (Option.C2C).")
    GROUP_DND = ("B8", "The receiver muted this group.", "Nothing: the user's own setting (Option.Group).")
    RATE_LIMIT = (
        "B9",
        "The limit of pushes in this time is reached.",
        "Raise policy.rate_limit.per_user or .per_conversation.",
    )
    NO_TOKEN = (
        "C1",
        "The receiver has no device token.",
        "Check that the client reports its token after login (Device.Put).",
    )
    CERT_UNKNOWN = (
        "C2",
        "No credential has the certificate id that the device reported.",
        "Upload the credential, or correct BusinessID in the client.",
    )
    CERT_MISMATCH = (
        "C3",
        "The device's platform cannot be reached by that certificate's vendor.",
        "Report the certificate id that belongs to this platform.",
    )
    CERT_UNUSABLE = (
        "C4",
        "The credential cannot be used.",
        "Mend the file that `pushgw run` named at its start, or the secret that the vendor refused.",
    )
    TOKEN_DEAD = (
        "C5",
        "The vendor said that the token is dead.",
        "The app was removed or has a newer token: it must report it.",
    )
    CHANNEL_REJECT = (
        "C6",
        "The vendor cannot take this push.",
        "See the detail: the token's shape, the size, or a vendor's rule.",
    )

    def __init__(self, code: str, sentence: str, mend: str) -> None:
        self.code = code
        self.sentence = sentence
        self.mend = mend

    @property
    def stage(self) -> Stage:
        """A, B or C."""
        return Stage(self.code[0])
