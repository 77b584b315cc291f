"""Exact reading of JSON objects: every fault is a DecodeError with its code and the path of its key.

This is the slow, exact road. The hot path (`pushgw.messages.wire`) never comes here for a well-formed record.
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterator
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from pushgw.messages.errors import DecodeError

MAX_RECORD_BYTES = 65_536
LAST_SECOND = 253_402_300_799
"""31 December 9999, epoch s. A larger number is no epoch second; most often it is milliseconds."""
LARGEST_ID = 2**63 - 1
UINT32 = 4_294_967_295

NOT_JSON = 90001
OTHER_FAULT = 20001
TOO_LARGE = 93000


def record_bytes(value: bytes | None) -> bytes:
    """The value, when there is one of at most 64 KiB. Raises DecodeError 90001 or 93000."""
    if not value:
        raise DecodeError(NOT_JSON, "the record has no value")
    if len(value) > MAX_RECORD_BYTES:
        raise DecodeError(TOO_LARGE, f"the record has {len(value)} bytes, more than {MAX_RECORD_BYTES}")
    return value


def parse_object(value: bytes) -> dict[str, Any]:
    """The JSON object that the bytes hold. Raises DecodeError 90001 for anything else."""
    try:
        parsed = _parse(value)
    except RecursionError:
        raise DecodeError(NOT_JSON, "the record is nested too deeply") from None
    except UnicodeError:
        raise DecodeError(NOT_JSON, "the record is not valid UTF-8") from None
    except ValueError:  # msgspec.DecodeError is one
        raise DecodeError(NOT_JSON, "the record is not JSON") from None
    if not isinstance(parsed, dict):
        raise DecodeError(NOT_JSON, "the record is JSON, but not an object")
    return parsed


def _parse(value: bytes) -> Any:
    value.decode("utf-8")
    try:
        return msgspec.json.decode(value)
    except msgspec.ValidationError:  # JSON, but one of its numbers fits no machine word
        parsed = json.loads(value, parse_int=_integer_or_infinity, parse_constant=_refuse_constant)
        msgspec.json.encode(parsed)  # refuses the lone surrogates that json lets through
        return parsed


def _integer_or_infinity(digits: str) -> int | float:
    return int(digits) if len(digits) < 100 else float("inf")


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def as_integer(value: object, *, lenient: bool = False) -> int | None:
    """The value as an integer, or None. ``1.0`` is one, as in JSON Schema; ``true`` is none; ``"1"`` is one if lenient."""
    if type(value) is int:
        return value
    if type(value) is float and value.is_integer():
        return int(value)
    if lenient and type(value) is str and len(value) < 40:
        digits = value.removeprefix("-")
        if digits.isascii() and digits.isdigit():
            return int(value)
    return None


class ObjectReader:
    """One JSON object and its path. Absent optional keys read as UNSET; ``null`` is a wrong type like others."""

    __slots__ = ("_code", "_data", "_lenient", "_path")

    def __init__(
        self, data: dict[str, Any], path: str = "", *, lenient: bool, code: int = OTHER_FAULT
    ) -> None:
        self._data = data
        self._path = path
        self._lenient = lenient
        self._code = code

    def __contains__(self, key: str) -> bool:
        return key in self._data

    def path(self, key: str) -> str:
        """Where the key is (or would be)."""
        return f"{self._path}.{key}" if self._path else key

    def fault(self, key: str, sentence: str, code: int | None = None) -> DecodeError:
        """The error to raise for this key."""
        path = self.path(key)
        return DecodeError(self._code if code is None else code, f"{path} {sentence}", path)

    def raw(self, key: str) -> Any:
        """The value as it is."""
        return self._data.get(key, UNSET)

    def require(self, key: str, code: int | None = None) -> Any:
        """The value as it is; a missing key is a fault."""
        if key not in self._data:
            raise self.fault(key, "is missing", code)
        return self._data[key]

    def text(
        self, key: str, *, code: int | None = None, shortest: int = 0, longest: int | None = None
    ) -> str | UnsetType:
        """A string of so many characters."""
        if key not in self._data:
            return UNSET
        value = self._data[key]
        if not isinstance(value, str):
            raise self.fault(key, "must be a string", code)
        if len(value) < shortest:
            raise self.fault(key, "must not be empty", code)
        if longest is not None and len(value) > longest:
            raise self.fault(key, f"must not be longer than {longest} characters", code)
        return value

    def required_text(
        self, key: str, *, code: int | None = None, shortest: int = 1, longest: int | None = None
    ) -> str:
        """Likewise, and a missing key is a fault."""
        self.require(key, code)
        value = self.text(key, code=code, shortest=shortest, longest=longest)
        assert isinstance(value, str)  # noqa: S101  for the type checker: the key is there
        return value

    def integer(
        self, key: str, *, code: int | None = None, least: int | None = None, most: int | None = None
    ) -> int | UnsetType:
        """An integer within bounds."""
        if key not in self._data:
            return UNSET
        value = as_integer(self._data[key], lenient=self._lenient)
        if value is None:
            raise self.fault(key, "must be an integer", code)
        if (least is not None and value < least) or (most is not None and value > most):
            raise self.fault(key, f"must be {_bounds(least, most)}", code)
        return value

    def required_integer(
        self, key: str, *, code: int | None = None, least: int | None = None, most: int | None = None
    ) -> int:
        """Likewise, and a missing key is a fault."""
        self.require(key, code)
        value = self.integer(key, code=code, least=least, most=most)
        assert isinstance(value, int)  # noqa: S101  for the type checker: the key is there
        return value

    def boolean(self, key: str) -> bool | UnsetType:
        """true or false."""
        value = self._data.get(key, UNSET)
        if value is not UNSET and not isinstance(value, bool):
            raise self.fault(key, "must be true or false")
        return value

    def choice(self, key: str, allowed: Container[str], words: str) -> str | UnsetType:
        """One of some strings."""
        value = self._data.get(key, UNSET)
        if value is not UNSET and (not isinstance(value, str) or value not in allowed):
            raise self.fault(key, f"must be {words}")
        return value

    def inner(self, key: str, code: int | None = None) -> ObjectReader | None:
        """The object under the key, or None where the key is absent."""
        if key not in self._data:
            return None
        value = self._data[key]
        if not isinstance(value, dict):
            raise self.fault(key, "must be an object", code)
        return ObjectReader(
            value, self.path(key), lenient=self._lenient, code=self._code if code is None else code
        )

    def array(self, key: str, code: int | None = None) -> list[Any] | UnsetType:
        """The array under the key."""
        value = self._data.get(key, UNSET)
        if value is not UNSET and not isinstance(value, list):
            raise self.fault(key, "must be an array", code)
        return value

    def objects(self, key: str, code: int | None = None) -> Iterator[ObjectReader]:
        """The objects in the array under the key, each with its own path."""
        items = self.array(key, code)
        for index, item in enumerate(() if items is UNSET else items):
            place = f"{key}[{index}]"
            if not isinstance(item, dict):
                raise self.fault(place, "must be an object", code)
            yield ObjectReader(
                item, self.path(place), lenient=self._lenient, code=self._code if code is None else code
            )

    def texts(
        self, key: str, *, code: int | None = None, shortest: int = 0, longest: int | None = None
    ) -> list[str] | UnsetType:
        """The array of strings under the key."""
        items = self.array(key, code)
        if items is UNSET:
            return UNSET
        indexed = {f"{key}[{index}]": item for index, item in enumerate(items)}
        entries = ObjectReader(indexed, self._path, lenient=False, code=self._code)
        return [entries.required_text(i, code=code, shortest=shortest, longest=longest) for i in indexed]


def _bounds(least: int | None, most: int | None) -> str:
    if most is None:
        return f"{least} or more"
    return f"between {least} and {most}"
