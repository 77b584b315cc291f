"""The envelope of a sealed credential, and the keys that open it."""

from __future__ import annotations

import base64
import os
import pickle
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from pushgw.credentials.seal import Broken, SealError, WrongKey, check_key, rewrap, seal, unseal
from pushgw.credentials.seal_key import Keyring, SealKey, SealKeyError, new_key, read_keyring
from pushgw.credentials.sealed_shelf import load_sealed

CONTENT = b"master_secret = hush-hush-0123456789"
KEY = bytes(range(32))
OTHER = bytes(range(100, 132))
ONE, TWO = SealKey(KEY), SealKey(OTHER)


def test_what_was_sealed_is_opened_again() -> None:
    """Byte for byte, also when it is empty; the envelope shows nothing of it, and no two are alike."""
    for content in (CONTENT, b"", os.urandom(100_000)):
        blob = seal(6666, content, ONE)
        assert unseal(6666, blob, Keyring(ONE)) == content
        assert not content or content not in blob
        assert seal(6666, content, ONE) != blob


def test_every_flipped_bit_is_refused() -> None:
    """In the format, the key id, either nonce, the wrapped key, the content or its tag."""
    blob = seal(6666, CONTENT, ONE)
    opened = 0
    for at in range(len(blob)):
        for bit in range(8):
            altered = bytearray(blob)
            altered[at] ^= 1 << bit
            with pytest.raises(SealError):
                unseal(6666, bytes(altered), Keyring(ONE, [TWO]))
            opened += 1
    assert opened == len(blob) * 8


def test_every_cut_is_refused() -> None:
    """At any length, and when something is added."""
    blob = seal(6666, CONTENT, ONE)
    for length in range(len(blob)):
        with pytest.raises(SealError):
            unseal(6666, blob[:length], Keyring(ONE))
    with pytest.raises(Broken):
        unseal(6666, blob + b"\0", Keyring(ONE))


def test_an_envelope_belongs_to_its_id() -> None:
    """Put under another certificate id, it is refused: nobody can make one app push with another's secret."""
    blob = seal(6666, CONTENT, ONE)
    with pytest.raises(Broken, match="credential 6667 is not what was sealed under this id"):
        unseal(6667, blob, Keyring(ONE))


def test_parts_of_two_envelopes_make_none() -> None:
    """The wrapped key of one with the content of another, of the same id and key."""
    first, second = (seal(6666, content, ONE) for content in (b"a" * 30, b"b" * 30))
    for at in range(1, len(first)):
        mixed = first[:at] + second[at:]
        if mixed not in (first, second):
            with pytest.raises(Broken):
                unseal(6666, mixed, Keyring(ONE))


def test_a_wrong_key_is_named_with_the_right_one() -> None:
    """By their ids: which is wanted, which are given, and where to put the missing one."""
    blob = seal(6666, CONTENT, ONE)
    with pytest.raises(WrongKey) as caught:
        unseal(6666, blob, Keyring(TWO))
    assert f"sealed with the key {ONE.id}, which is not given" in str(caught.value)
    assert f"credentials.seal_key is {TWO.id}, credentials.seal_keys_old: none" in str(caught.value)
    with pytest.raises(WrongKey):
        check_key(6666, blob, Keyring(TWO))
    assert unseal(6666, blob, Keyring(TWO, [ONE])) == CONTENT


def test_a_later_format_is_no_damage() -> None:
    """It says that another version of pushgw is needed."""
    blob = seal(6666, CONTENT, ONE).replace(b"pushgw-seal-1\n", b"pushgw-seal-2\n")
    with pytest.raises(SealError, match="another version of pushgw"):
        unseal(6666, blob, Keyring(ONE))


def test_rewrapping_changes_the_wrapping_alone() -> None:
    """Afterwards the new key opens it and the old one does not; the content's cipher text is the same. A second time nothing changes."""
    blob = seal(6666, CONTENT, ONE)
    fresh = rewrap(6666, blob, Keyring(TWO, [ONE]))
    assert unseal(6666, fresh, Keyring(TWO)) == CONTENT
    with pytest.raises(WrongKey):
        unseal(6666, fresh, Keyring(ONE))
    assert fresh[-len(CONTENT) - 28 :] == blob[-len(CONTENT) - 28 :]
    assert rewrap(6666, fresh, Keyring(TWO, [ONE])) == fresh


def test_rewrapping_refuses_what_it_cannot_open() -> None:
    """An envelope whose content was altered is not given a new seal."""
    blob = seal(6666, CONTENT, ONE)
    with pytest.raises(Broken):
        rewrap(6666, blob[:-1] + bytes([blob[-1] ^ 1]), Keyring(TWO, [ONE]))


# --- keys -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "write",
    [
        lambda key: base64.b64encode(key),
        lambda key: base64.b64encode(key) + b"\r\n",
        lambda key: base64.urlsafe_b64encode(key).rstrip(b"="),
        lambda key: key.hex().encode(),
        lambda key: key.hex().upper().encode() + b"\n",
    ],
)
def test_a_key_is_base64_or_hex(tmp_path: Path, write: Callable[[bytes], bytes]) -> None:
    """Either alphabet of base64, with or without padding and line end, or hex."""
    key = bytes([251, 255, 190, *range(29)])
    (tmp_path / "key").write_bytes(write(key))
    (tmp_path / "key").chmod(0o600)
    assert read_keyring(f"file:{tmp_path / 'key'}").newest.id == SealKey(key).id


def test_a_key_comes_from_a_file_the_environment_or_a_command(tmp_path: Path) -> None:
    """Older keys likewise, in their order."""
    text = KEY.hex()
    (tmp_path / "key").write_text(text)
    program = tmp_path / "give"
    program.write_text(f'#!/bin/sh\n[ "$1" = "a b" ] && echo {OTHER.hex()}\n')
    program.chmod(0o700)
    keys = read_keyring("env:SEAL", [f"file:{tmp_path / 'key'}", f"command:{program} 'a b'"], {"SEAL": text})
    assert (keys.newest.id, keys.find(TWO.id) is not None) == (ONE.id, True)
    assert keys.given == f"credentials.seal_key is {ONE.id}, credentials.seal_keys_old: {ONE.id}, {TWO.id}"


NOT_A_KEY = base64.b64encode(KEY[:31]).decode()


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("file:{home}/none", "does not exist"),
        ("file:{home}", "is a directory"),
        ("file:{home}/empty", "is empty"),
        ("file:{home}/short", "holds 31 bytes; a key has 32"),
        ("file:{home}/words", "holds 21 characters that are neither base64 nor hex"),
        ("file:{home}/zeros", "holds no random key"),
        ("env:NONE", "the environment variable NONE is not set"),
        ("env:SHORT", "the environment variable SHORT holds 31 bytes"),
        ("command:", "name a program that prints the key"),
        ("command:'", "a quote is missing"),
        ("command:{home}/nothing --token hush", "cannot be run (No such file or directory)"),
        ("command:sh -c 'exit 7'", "the command sh ended with exit code 7"),
        ("command:echo " + NOT_A_KEY, "the command echo holds 31 bytes"),
    ],
)
def test_what_is_no_key_is_said_without_showing_it(tmp_path: Path, source: str, sentence: str) -> None:
    """Setting, place and cause; neither what was read, nor the arguments of a command, nor a traceback that has them."""
    files = {"empty": "\n", "short": NOT_A_KEY, "words": "correct horse battery", "zeros": "00" * 32}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(SealKeyError) as caught:
        read_keyring(source.format(home=tmp_path), environ={**os.environ, "SHORT": NOT_A_KEY})
    assert str(caught.value).startswith("credentials.seal_key: ")
    assert sentence in str(caught.value)
    told = "".join(traceback.format_exception(caught.value))
    assert not any(secret in told for secret in (NOT_A_KEY, "hush", "horse", "00" * 32))
    with pytest.raises(SealKeyError, match=r"credentials\.seal_keys_old: "):
        read_keyring(
            "env:GOOD", [source.format(home=tmp_path)], {**os.environ, "GOOD": KEY.hex(), "SHORT": "a"}
        )


@pytest.mark.parametrize("kind", ["file", "env", "command"])
@pytest.mark.parametrize("key", [KEY.hex(), base64.b64encode(KEY).decode()])
def test_a_key_in_place_of_its_place_is_not_repeated(kind: str, key: str) -> None:
    """Who writes file: before the key itself does not find it in a log."""
    with pytest.raises(SealKeyError, match="looks like a key itself") as caught:
        read_keyring(f"{kind}:{key}", environ={})
    assert key not in str(caught.value)


@pytest.mark.skipif(os.name != "posix", reason="modes of files are POSIX")
def test_a_key_that_everyone_can_read_is_warned_of() -> None:
    """With its setting, its file and the command that mends it."""
    with tempfile.TemporaryDirectory(dir="/tmp") as home:
        Path(home).chmod(0o755)
        file = Path(home) / "key"
        file.write_text(KEY.hex())
        file.chmod(0o644)
        keys = read_keyring("env:NEW", [f"file:{file}"], {"NEW": OTHER.hex()})
        sentence = f"{file}: everyone on this machine can read it (mode 0644); chmod 600 key"
        assert keys.warnings == (("credentials.seal_keys_old", sentence),)
        assert str(load_sealed({}, keys, {}).warnings[0]) == f"credentials.seal_keys_old: {sentence}"
        file.chmod(0o600)
        assert read_keyring(f"file:{file}").warnings == ()


def test_a_key_shows_itself_nowhere() -> None:
    """Its repr is its id, also within others, and it cannot be pickled."""
    key, text = new_key()
    raw = base64.b64decode(text)
    shown = f"{key!r} {Keyring(key)!r} {[key]} {key}"
    assert key.id in shown
    assert not any(form in shown for form in (text, raw.hex(), repr(raw)))
    with pytest.raises(TypeError):
        pickle.dumps(key)
