from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from pushgw.messages.codec import MessageCodec
from pushgw.messages.errors import DecodeError
from pushgw.messages.hints import ANDROID, APNS
from pushgw.messages.model import NotAMessage
from pushgw.messages.schema import message_schema

EXAMPLES = {
    path.stem: json.loads(path.read_text("utf-8"))
    for path in (Path(__file__).parent / "examples").glob("*.json")
}
JUNK: list[Any] = [None, "", "x", "x" * 70, 0, 1, -1, 2**32, 10**30, True, 1.0, 1.5, [], {}, ["x"], [1]]
VALIDATOR = jsonschema.Draft202012Validator(message_schema())


def accepts(record: dict[str, Any]) -> bool | None:
    """Whether the codec accepts; None for an event that the schema does not describe."""
    try:
        decoded = MessageCodec().decode(json.dumps(record).encode(), 0)
    except DecodeError:
        return False
    return None if isinstance(decoded, NotAMessage) else True


def places(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in children:
        yield (*path, key)
        yield from places(child, (*path, key))


def test_the_schema_is_one() -> None:
    """The schema itself is valid, and carries our own name."""
    jsonschema.Draft202012Validator.check_schema(message_schema())
    assert message_schema()["$id"] == "urn:pushgw:im-message:1"


def test_there_are_examples_of_every_shape() -> None:
    """Twelve records, one for each way in which a message, task or recall can come."""
    assert len(EXAMPLES) == 12


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_schema_and_codec_accept_the_example(name: str) -> None:
    """Whoever follows the examples is understood, and the schema says so too."""
    VALIDATOR.validate(EXAMPLES[name])
    assert accepts(EXAMPLES[name])


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_schema_and_codec_agree_on_broken_records(name: str) -> None:
    """Each value of the example replaced by each kind of junk, or deleted: both accept it, or both refuse."""
    for path in places(EXAMPLES[name]):
        for junk in [*JUNK, "DELETE"]:
            record = copy.deepcopy(EXAMPLES[name])
            place = record
            for key in path[:-1]:
                place = place[key]
            if junk == "DELETE":
                del place[path[-1]]
            else:
                place[path[-1]] = junk
            said = accepts(record)
            if said is not None:
                assert said == VALIDATOR.is_valid(record), (path, junk)


def test_the_schema_lists_every_hint() -> None:
    """A key that the codec reads from AndroidInfo or ApnsInfo is documented, and no other."""
    info = message_schema()["$defs"]["OfflinePushInfo"]["properties"]
    assert set(info["AndroidInfo"]["properties"]) == set(ANDROID)
    assert set(info["ApnsInfo"]["properties"]) == set(APNS)
