"""What the outside is told of one (message, receiver, device): one event in the shape of Tencent's Push.OfflinePush.

The keys are Tencent's; what it has no word for stands under ``PushGateway``.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256

import msgspec
from msgspec import UNSET, UnsetType

from pushgw.messages.errors import DecodeError
from pushgw.messages.identity import Identity, identify, notify_number, push_id, push_ids, vendor_uuid
from pushgw.messages.model import Kind, NotAMessage, OfflineMessage, Source

__all__ = [
    "Identity",
    "Receipt",
    "ReceiptGateway",
    "dead_letter_headers",
    "decode_receipt",
    "failed",
    "identify",
    "mask_token",
    "notify_number",
    "push_id",
    "push_ids",
    "pushed",
    "reported",
    "suppressed",
    "vendor_uuid",
]

PUSHED = "Push.OfflinePush"
SUPPRESSED = "Push.Suppressed"
REPORTED = "reported"
"""Action of a failure that a vendor told later: nothing was done about it."""

Subject = OfflineMessage | NotAMessage


class ReceiptGateway(msgspec.Struct, kw_only=True, gc=False):
    """``PushGateway`` of a receipt: our own facts. UNSET is left out."""

    Verdict: str
    """``pushed``, ``suppressed`` or ``failed``."""
    Code: str | UnsetType = UNSET
    Reason: str | UnsetType = UNSET
    Detail: str | UnsetType = UNSET
    Action: str | UnsetType = UNSET
    """What was done after a failure: token_removed, token_kept_newer, credential_unusable, given_up, expired ..."""
    DeviceID: str | UnsetType = UNSET
    BusinessID: int | UnsetType = UNSET
    Vendor: str | UnsetType = UNSET
    VendorID: str | UnsetType = UNSET
    VendorCode: str | UnsetType = UNSET
    Token: str | UnsetType = UNSET
    """Masked."""
    Attempt: int | UnsetType = UNSET
    LatencyMs: int | UnsetType = UNSET
    Recall: bool | UnsetType = UNSET
    """The push overwrote a notification whose message was withdrawn."""
    EventId: str | UnsetType = UNSET
    DataId: str | UnsetType = UNSET
    TraceId: str | UnsetType = UNSET
    Source: str | UnsetType = UNSET


class Receipt(msgspec.Struct, kw_only=True, gc=False):
    """One receipt. Times are epoch s."""

    CallbackCommand: str
    EventType: int
    """1: C2C, batch, task; 2: group."""
    EventTime: int
    From_Account: str
    To_Account: str | None
    GroupID: str | UnsetType = UNSET
    PushPlatform: int | UnsetType = UNSET
    PushStage: int | UnsetType = UNSET
    MsgKey: str | UnsetType = UNSET
    MsgSeq: int | UnsetType = UNSET
    MsgRandom: int | UnsetType = UNSET
    MsgTime: int | UnsetType = UNSET
    PushID: str
    ErrCode: int = 0
    ErrInfo: str = ""
    PushGateway: ReceiptGateway


_encode = msgspec.json.Encoder().encode
_decoder = msgspec.json.Decoder(Receipt)


def suppressed(
    subject: Subject,
    *,
    source: str,
    receiver: str | None,
    now_ms: int,
    code: str,
    reason: str,
    detail: str = "",
    push_id: str | None = None,
    device_id: str | None = None,
    business_id: int | None = None,
    vendor: str | None = None,
    token: str | None = None,
) -> bytes:
    """The message was not shown, for this reason. ``receiver`` is None where the record names none."""
    gateway = ReceiptGateway(Verdict="suppressed", Code=code, Reason=reason, Detail=detail)
    _name_device(gateway, device_id, business_id, vendor, token)
    receipt = _receipt(subject, gateway, source, receiver, now_ms, push_id)
    receipt.CallbackCommand = SUPPRESSED
    return _encode(receipt)


def pushed(
    subject: Subject,
    *,
    source: str,
    receiver: str,
    now_ms: int,
    device_id: str,
    business_id: int,
    vendor: str,
    push_platform: int,
    token: str,
    push_id: str | None = None,
    vendor_id: str = "",
    vendor_code: str = "",
    attempt: int = 1,
    latency_ms: int = 0,
    recall: bool = False,
) -> bytes:
    """The vendor has taken it. ``push_platform`` is Tencent's number; ``token`` is masked here."""
    gateway = ReceiptGateway(  # in the order of the fields, as msgspec looks for them
        Verdict="pushed",
        DeviceID=device_id,
        BusinessID=business_id,
        Vendor=vendor,
        VendorID=vendor_id,
        VendorCode=vendor_code,
        Token=mask_token(token) if token else UNSET,
        Attempt=attempt,
        LatencyMs=latency_ms,
        Recall=True if recall else UNSET,
    )
    receipt = _receipt(subject, gateway, source, receiver, now_ms, push_id)
    receipt.PushPlatform = push_platform
    receipt.PushStage = 1
    return _encode(receipt)


def failed(
    subject: Subject,
    *,
    source: str,
    receiver: str,
    now_ms: int,
    device_id: str,
    business_id: int,
    vendor: str,
    push_platform: int,
    token: str,
    action: str,
    error: str,
    detail: str = "",
    push_id: str | None = None,
    vendor_id: str = "",
    vendor_code: str = "",
    attempt: int = 1,
    latency_ms: int = 0,
    recall: bool = False,
) -> bytes:
    """The vendor, or the way to it, refused. ``error`` is the vendor's words; ``action`` what was done about it, ``detail`` why."""
    gateway = ReceiptGateway(
        Verdict="failed",
        Detail=detail or UNSET,
        Action=action,
        DeviceID=device_id,
        BusinessID=business_id,
        Vendor=vendor,
        VendorID=vendor_id,
        VendorCode=vendor_code,
        Token=mask_token(token) if token else UNSET,
        Attempt=attempt,
        LatencyMs=latency_ms,
        Recall=True if recall else UNSET,
    )
    receipt = _receipt(subject, gateway, source, receiver, now_ms, push_id)
    receipt.PushPlatform = push_platform
    receipt.PushStage = 1
    receipt.ErrCode = _error_number(vendor_code)
    receipt.ErrInfo = error
    return _encode(receipt)


def reported(
    *,
    push_id: str,
    stage: int,
    group: bool,
    receiver: str | None,
    now_ms: int,
    device_id: str | None,
    business_id: int,
    vendor: str,
    push_platform: int,
    token: str,
    error: str | None = None,
    vendor_id: str = "",
    vendor_code: str = "",
    source: str = "",
) -> bytes:
    """What the vendor told later of a push that it had taken. ``stage``: 2 arrived, 3 clicked; ``error``: its words where the
    push did not arrive. What only the message says (From_Account, MsgKey, GroupID ...) stands in the receipt with the same PushID.
    """
    gateway = ReceiptGateway(
        Verdict="pushed" if error is None else "failed",
        Action=UNSET if error is None else REPORTED,
        VendorID=vendor_id or UNSET,
        VendorCode=vendor_code,
        Source=source or UNSET,
    )
    _name_device(gateway, device_id, business_id, vendor, token)
    receipt = Receipt(
        CallbackCommand=PUSHED,
        EventType=2 if group else 1,
        EventTime=now_ms // 1000,
        From_Account="",
        To_Account=receiver,
        PushPlatform=push_platform,
        PushStage=stage,
        PushID=push_id,
        PushGateway=gateway,
    )
    if error is not None:
        receipt.ErrCode = _error_number(vendor_code)
        receipt.ErrInfo = error
    return _encode(receipt)


def decode_receipt(value: bytes | None) -> Receipt:
    """A receipt read back. Raises DecodeError 90001 for anything else on the topic."""
    try:
        return _decoder.decode(value or b"")
    except (ValueError, RecursionError):  # msgspec.DecodeError and UnicodeDecodeError are ValueErrors
        raise DecodeError(90001, "the record is no receipt") from None


@lru_cache(maxsize=16_384)
def mask_token(token: str) -> str:
    """First six characters and eight hex digits of the SHA-256: enough to recognise, too little to push to.

    Of a token of six characters or fewer only the digest is shown. Cached: a busy device's receipts come again and again.
    """
    digest = sha256(token.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{token[:6]}…#{digest}" if len(token) > 6 else f"…#{digest}"


def dead_letter_headers(
    source: Source | str, error: DecodeError, first_seen_ms: int, attempt: int = 1
) -> list[tuple[str, bytes]]:
    """Kafka headers of a record that could not be decoded. ``first_seen_ms``: epoch ms; ``attempt``: which it was."""
    return [
        ("pushgw-source", str(source).encode()),
        ("pushgw-error-code", str(error.code).encode()),
        ("pushgw-error", error.sentence.encode()),
        ("pushgw-json-path", error.path.encode()),
        ("pushgw-first-seen", str(first_seen_ms).encode()),
        ("pushgw-attempt", str(attempt).encode()),
    ]


def _receipt(
    subject: Subject,
    gateway: ReceiptGateway,
    source: str,
    receiver: str | None,
    now_ms: int,
    push_id: str | None,
) -> Receipt:
    """The part that depends on message and receiver; the verdict's own keys follow."""
    if not push_id:
        device = "" if gateway.DeviceID is UNSET else gateway.DeviceID
        push_id = identify(source, receiver or "", device).push_id
    receipt = Receipt(
        CallbackCommand=PUSHED,
        EventType=1,
        EventTime=now_ms // 1000,
        From_Account=subject.sender,
        To_Account=receiver,
        PushID=push_id,
        PushGateway=gateway,
    )
    if subject.group_id is not None:
        receipt.EventType = 2
        receipt.GroupID = subject.group_id
    if subject.msg_key is not None:
        receipt.MsgKey = subject.msg_key
    if subject.seq is not None:
        receipt.MsgSeq = subject.seq
    if subject.random is not None:
        receipt.MsgRandom = subject.random
    if subject.time is not None:
        receipt.MsgTime = subject.time
    if subject.event_id is not None:
        gateway.EventId = subject.event_id
    if isinstance(subject, OfflineMessage):
        if subject.data_id is not None and subject.kind is Kind.TASK:
            gateway.DataId = subject.data_id
        if subject.trace_id is not None:
            gateway.TraceId = subject.trace_id
    gateway.Source = source
    return receipt


def _name_device(
    gateway: ReceiptGateway,
    device_id: str | None,
    business_id: int | None,
    vendor: str | None,
    token: str | None,
) -> None:
    if device_id is not None:
        gateway.DeviceID = device_id
    if business_id is not None:
        gateway.BusinessID = business_id
    if vendor is not None:
        gateway.Vendor = vendor
    if token:
        gateway.Token = mask_token(token)


def _error_number(vendor_code: str) -> int:
    """The vendor's code where it is a number of its own; 0 would read as success, and words are no number: -1."""
    if vendor_code.isascii() and vendor_code.removeprefix("-").isdigit() and len(vendor_code) < 19:
        return int(vendor_code) or -1
    return -1
