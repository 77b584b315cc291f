"""Keys that seal credentials: where one is read from, and what is said of it. A key itself is never shown."""

from __future__ import annotations

import base64
import binascii
import os
import re
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path, PurePath

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from pushgw.credentials.content import Unreadable
from pushgw.credentials.material import StoreError
from pushgw.credentials.secret_file import exposure, read_file

KEY_BYTES = 32
ID_BYTES = 8
COMMAND_TIMEOUT_S = 30
NEWEST, OLDER = "credentials.seal_key", "credentials.seal_keys_old"
_HEX = re.compile(r"[0-9A-Fa-f]{64}")
_FEWEST_DIFFERENT = 8
"""So many different bytes has every random key of 32; one that somebody typed may have fewer."""


class SealKeyError(StoreError):
    """A key cannot be had: which setting, what is wrong, how to mend. Never what was read."""


class SealKey:
    """One key-encryption key. Its id, the begin of its SHA-256, may be shown to anybody."""

    __slots__ = ("_key", "id")

    def __init__(self, key: bytes) -> None:
        self._key = key
        self.id = sha256(key).digest()[:ID_BYTES].hex()

    @property
    def cipher(self) -> AESGCM:
        """What wraps and unwraps with it."""
        return AESGCM(self._key)

    def __repr__(self) -> str:
        return f"SealKey({self.id})"

    def __reduce__(self) -> str:
        raise TypeError("a key is not copied out of the process")


class Keyring:
    """The key that new seals are made with, and the older ones that may still be needed."""

    def __init__(
        self, newest: SealKey, older: Sequence[SealKey] = (), warnings: Sequence[tuple[str, str]] = ()
    ) -> None:
        self.newest = newest
        self.warnings = tuple(warnings)
        """What is unwise about where they lie: setting and sentence."""
        self._older = tuple(older)
        self._by_id = {key.id: key for key in (newest, *older)}

    def find(self, key_id: str) -> SealKey | None:
        """The key with this id, where it is given."""
        return self._by_id.get(key_id)

    @property
    def given(self) -> str:
        """For sentences: which keys there are, and where they were named."""
        older = ", ".join(key.id for key in self._older) or "none"
        return f"{NEWEST} is {self.newest.id}, {OLDER}: {older}"

    def __repr__(self) -> str:
        return f"Keyring({self.given})"


def new_key() -> tuple[SealKey, str]:
    """A random key, and the text of it that a file or a variable holds."""
    key = os.urandom(KEY_BYTES)
    return SealKey(key), base64.b64encode(key).decode()


def read_keyring(newest: str, older: Sequence[str] = (), environ: Mapping[str, str] = os.environ) -> Keyring:
    """The keys that these sources hold: ``file:PATH``, ``env:NAME`` or ``command:PROGRAM ARGUMENTS``.

    Raises SealKeyError. Blocks as long as a command takes, 30 s at most.
    """
    named = [(NEWEST, newest), *((OLDER, source) for source in older)]
    keys = [_read(setting, source, environ) for setting, source in named]
    exposed = [_exposed(setting, source) for setting, source in named]
    return Keyring(keys[0], keys[1:], [warning for warning in exposed if warning])


def _read(setting: str, source: str, environ: Mapping[str, str]) -> SealKey:
    kind, _, place = source.partition(":")
    try:
        text = {"file": _of_file, "env": _of_environment, "command": _of_command}[kind](place, environ)
        return SealKey(_decoded(text))
    except Unreadable as error:
        raise SealKeyError(f"{setting}: {_shown(kind, place)} {error}") from None


def _shown(kind: str, place: str) -> str:
    """The source, of a command only the program: its arguments may be secret. Nor a key that stands where its place belongs."""
    if _is_key(PurePath(place).name):
        return "the source looks like a key itself, not like the place of one; what it names"
    if kind == "command":
        program = place.split(maxsplit=1)
        return f"the command {PurePath(program[0]).name}" if program else "the command"
    return f"the environment variable {place}" if kind == "env" else place


def _of_file(place: str, environ: Mapping[str, str]) -> bytes:
    return read_file(Path(place))


def _of_environment(place: str, environ: Mapping[str, str]) -> bytes:
    if place not in environ:
        raise Unreadable("is not set; set it to a key (`pushgw certs keygen` makes one)")
    return environ[place].encode("utf-8", "surrogateescape")


def _of_command(place: str, environ: Mapping[str, str]) -> bytes:
    try:
        words = shlex.split(place)
    except ValueError:
        raise Unreadable("cannot be taken apart: a quote is missing; correct it") from None
    if not words:
        raise Unreadable("is missing; name a program that prints the key")
    try:
        done = subprocess.run(  # noqa: S603  the operator's own command, without a shell
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=COMMAND_TIMEOUT_S,
            check=False,
            env=dict(environ),
        )
    except OSError as error:
        raise Unreadable(f"cannot be run ({error.strerror}); correct its path") from None
    except subprocess.TimeoutExpired:
        raise Unreadable(
            f"did not end within {COMMAND_TIMEOUT_S} s; run it by hand to see what it waits for"
        ) from None
    if done.returncode:
        raise Unreadable(f"ended with exit code {done.returncode}; run it by hand to see why")
    return done.stdout


def _decoded(content: bytes) -> bytes:
    """The key's bytes. Raises Unreadable, which says how the content looks and not what it is."""
    text = content.decode("ascii", "replace").strip()
    if not text:
        raise Unreadable("is empty; it must hold a key (`pushgw certs keygen` makes one)")
    if _HEX.fullmatch(text):
        key = bytes.fromhex(text)
    else:
        try:
            plain = text.replace("-", "+").replace("_", "/").rstrip("=")
            key = base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
        except (binascii.Error, ValueError):
            raise Unreadable(
                f"holds {len(text)} characters that are neither base64 nor hex; a key is {KEY_BYTES} bytes in one of these"
            ) from None
    if len(key) != KEY_BYTES:
        raise Unreadable(f"holds {len(key)} bytes; a key has {KEY_BYTES} (`pushgw certs keygen` makes one)")
    if len(set(key)) < _FEWEST_DIFFERENT:
        raise Unreadable("holds no random key, it repeats itself; make one with `pushgw certs keygen`")
    return key


def _is_key(text: str) -> bool:
    try:
        _decoded(text.encode())
    except Unreadable:
        return False
    return True


def _exposed(setting: str, source: str) -> tuple[str, str] | None:
    kind, _, place = source.partition(":")
    found = exposure(Path(place)) if kind == "file" else None
    return (setting, f"{place}: {found}") if found else None
