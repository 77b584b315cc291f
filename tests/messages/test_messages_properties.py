from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pushgw.messages.codec import MessageCodec
from pushgw.messages.errors import DecodeError
from pushgw.messages.events import decode_user_event

EXAMPLES = [
    json.loads(path.read_text("utf-8")) for path in (Path(__file__).parent / "examples").glob("*.json")
]
EVENTS: list[dict[str, Any]] = [
    {
        "Event": "Device.Put",
        "To_Account": "piet",
        "DeviceID": "d",
        "BusinessID": 1,
        "Token": "t",
        "TimeZone": "UTC",
    },
    {"Event": "Device.Background", "To_Account": "piet", "DeviceID": "d", "UnreadMsgNum": 2},
    {"Event": "Option.Global", "To_Account": "piet", "Option": 2, "Daily": {"StartHour": 22, "Duration": 60}},
    {"Event": "Option.Group", "To_Account": "piet", "GroupId": "g", "Option": 3},
    {
        "CallbackCommand": "State.StateChange",
        "Info": {"To_Account": "piet", "Action": "Login"},
        "KickedDevice": [{"Platform": "iOS"}],
    },
    {"CallbackCommand": "C2C.CallbackAfterMsgReport", "Report_Account": "piet", "UnreadMsgNum": 1},
    {"To_Account": ["piet"], "StartTime": 1, "EndTime": 2, "Level": 1},
]
KEYS = st.sampled_from(
    [*sorted({key for record in EXAMPLES + EVENTS for key in record}), "Event", "Info", "Once", "Repeat"]
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12)
    | st.sampled_from(
        ["piet", "1", "Login", "Asia/Shanghai", "C2C.CallbackAfterSendMsg", "Device.Put", "TIMTextElem"]
    )
)
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.text(max_size=5), inner, max_size=5)
    ),
)


@st.composite
def mutated(draw: st.DrawFn, records: list[dict[str, Any]]) -> bytes:
    """A sound record with a few values replaced, deleted or added at any depth, and perhaps a byte broken."""
    record = json.loads(json.dumps(draw(st.sampled_from(records))))
    for _ in range(draw(st.integers(0, 3))):
        place: Any = record
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            child = place[key]
            if isinstance(child, dict | list) and child and draw(st.booleans()):
                place = child
                continue
            if draw(st.booleans()):
                place[key] = draw(JSON)
            else:
                del place[key]
            break
        if isinstance(place, dict) and draw(st.booleans()):
            place[draw(KEYS)] = draw(JSON)
    value = bytearray(json.dumps(record, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass"))
    if draw(st.integers(0, 9)) == 0:
        value[draw(st.integers(0, len(value) - 1))] = draw(st.integers(0, 255))
    return bytes(value)


def outcome(decode: Any, value: bytes | None) -> Any:
    """What it means, or (code, path); any other exception is the test's failure."""
    try:
        return decode(value, 1_796_000_000_000)
    except DecodeError as error:
        return error.code, error.path


@given(st.binary(max_size=200) | JSON.map(lambda v: json.dumps(v).encode("utf-8", "surrogatepass")))
@settings(max_examples=150, deadline=None)
def test_any_bytes_decode_or_are_refused(value: bytes) -> None:
    """Whatever stands in a record, decoding gives a value or a DecodeError, on both topics."""
    outcome(MessageCodec().decode, value)
    outcome(MessageCodec(lenient=True, with_body_digest=True).decode, value)
    outcome(decode_user_event, value)


@given(mutated(EXAMPLES), st.booleans())
@settings(max_examples=300, deadline=None)
def test_the_two_roads_never_differ(value: bytes, lenient: bool) -> None:
    """Short road and exact road have the same answer for any nearly sound message: value, or code and path."""
    codec = MessageCodec(lenient=lenient)
    assert outcome(codec.decode, value) == outcome(codec.decode_exactly, value)


@given(mutated(EVENTS), st.booleans())
@settings(max_examples=200, deadline=None)
def test_nearly_sound_user_events(value: bytes, lenient: bool) -> None:
    """A damaged user event is understood or refused with a code of the contract, never anything else."""
    found = outcome(lambda v, t: decode_user_event(v, t, lenient=lenient), value)
    if found and isinstance(found[0], int):
        assert found[0] in (20001, 90001)
