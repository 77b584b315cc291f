"""Bad input: whatever lies in the directory, there is a sentence with the file, the cause and the mend, at once."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pushgw.credentials import CredentialDirectory, load_directory
from pushgw.vendor.plugin import installed_vendors

P8 = {
    "p12_file": None,
    "password": None,
    "key_file": "AuthKey_ABC123DEFG.p8",
    "key_id": "ABC123DEFG",
    "team_id": "DEF123GHIJ",
}


def load(directory: Path) -> CredentialDirectory:
    return load_directory(directory, installed_vendors(), {})


def only_fault(directory: Path) -> tuple[str, str]:
    """Field and whole sentence of the one fault; the credential is present and unusable."""
    book = load(directory)
    [fault] = book.faults
    assert book.entries[6666].problem == str(fault)
    assert fault.file == "6666.toml"
    return fault.field, str(fault)


HTML = b"\xef\xbb\xbf\r\n<!DOCTYPE html><html><body>Sign in</body></html>"


@pytest.mark.parametrize(
    ("content", "cause", "mend"),
    [
        (b"", "push.p12 is empty", "copy it again"),
        (b" \r\n", "push.p12 is empty", "copy it again"),
        (HTML, "push.p12 is an HTML page", "sign in to the console and download it again"),
        (b"\x00" * (5 << 20), "push.p12 is larger than 1048576 bytes (5242880)", "name the right file"),
        (b"rubbish", "push.p12: cannot be opened", "export certificate and key together"),
    ],
)
def test_a_file_that_is_no_certificate_says_what_it_is(
    apns: Callable[..., Path], content: bytes, cause: str, mend: str
) -> None:
    """Empty, a saved login page, 5 MB of something, noise: each by its name, its cause, and what to do."""
    field, sentence = only_fault(apns(content))
    assert field == "credential.p12_file"
    assert cause in sentence
    assert mend in sentence


def test_a_large_file_is_refused_before_it_is_read(
    apns: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its size alone refuses it: not one of its bytes is asked for, and no parser sees it."""
    directory = apns()
    with (directory / "push.p12").open("wb") as file:
        file.truncate(5 << 20)
    opened: list[str] = []
    really = os.open

    def watched(path: Any, *more: Any, **named: Any) -> int:
        opened.append(str(path))
        return really(path, *more, **named)

    monkeypatch.setattr(os, "open", watched)
    assert "larger than" in only_fault(directory)[1]
    assert any(path.endswith("6666.toml") for path in opened)
    assert not any(path.endswith("push.p12") for path in opened)


@pytest.mark.parametrize("password", ["hunter2", ""])
def test_a_wrong_password_is_called_one(apns: Callable[..., Path], password: str) -> None:
    """Wrong or missing: said so, with the mend, and the password itself is not repeated."""
    field, sentence = only_fault(apns(password=password))
    assert field == "credential.p12_file"
    assert ("password is wrong" if password else "password is missing or wrong") in sentence
    assert "export certificate and key together" in sentence
    assert not password or password not in sentence


@pytest.mark.parametrize("share", [0.3, 0.9, 0.999])
def test_half_a_p12_is_called_half(apns: Callable[..., Path], make: Any, share: float) -> None:
    """A download that broke off is not mistaken for a wrong password."""
    whole = make.p12()
    sentence = only_fault(apns(whole[: int(len(whole) * share)]))[1]
    assert f"push.p12 is cut off: it has {int(len(whole) * share)} of {len(whole)} bytes" in sentence
    assert "download it again" in sentence


def test_half_a_pem_is_called_half(apns: Callable[..., Path], make: Any) -> None:
    """A key without its last line."""
    whole = make.p8()
    sentence = only_fault(apns(whole[: len(whole) // 2], P8["key_file"], **P8))[1]
    assert "AuthKey_ABC123DEFG.p8 is cut off: the line -----END PRIVATE KEY----- is missing" in sentence


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda pem: pem.replace(b"\n", b"\r\n"), id="Windows line ends"),
        pytest.param(lambda pem: b"\xef\xbb\xbf" + pem, id="byte order mark"),
        pytest.param(lambda pem: b"\xef\xbb\xbf" + pem.replace(b"\n", b"\r\n"), id="both"),
        pytest.param(lambda pem: pem.replace(b"\n", b"\r"), id="old Mac line ends"),
        pytest.param(lambda pem: pem.decode().encode("utf-16"), id="UTF-16 of Windows' Notepad"),
        pytest.param(lambda pem: b"\n\n" + pem + b"\n\n", id="blank lines around"),
    ],
)
def test_a_key_that_an_editor_touched_is_read_all_the_same(
    apns: Callable[..., Path], make: Any, spoil: Callable[[bytes], bytes]
) -> None:
    """Line ends and marks change nothing of a key."""
    book = load(apns(spoil(make.p8()), P8["key_file"], **P8))
    assert book.faults == []
    assert book.entries[6666].problem is None


def test_a_symlink_loop_is_called_one(apns: Callable[..., Path]) -> None:
    """Also that of the TOML itself."""
    directory = apns()
    (directory / "push.p12").unlink()
    (directory / "push.p12").symlink_to("push.p12")
    sentence = only_fault(directory)[1]
    assert "push.p12 is a symlink that leads back to itself; link it to the file" in sentence
    (directory / "6666.toml").unlink()
    (directory / "6666.toml").symlink_to("6666.toml")
    assert "6666.toml: is a symlink that leads back to itself" in only_fault(directory)[1]


def test_a_directory_in_a_files_place_is_called_one(apns: Callable[..., Path]) -> None:
    """Of a named file, and of the TOML."""
    directory = apns()
    (directory / "push.p12").unlink()
    (directory / "push.p12").mkdir()
    assert "push.p12 is a directory; name the file in it" in only_fault(directory)[1]
    (directory / "6666.toml").unlink()
    (directory / "6666.toml").mkdir()
    assert "6666.toml: is a directory" in only_fault(directory)[1]


@pytest.mark.parametrize("name", ["push.p12", "6666.toml"])
def test_a_pipe_does_not_hang_the_start(apns: Callable[..., Path], name: str) -> None:
    """Nobody will ever write to it, and nobody waits for that. (It would wait for ever: the suite's own end is the proof.)"""
    directory = apns()
    (directory / name).unlink()
    os.mkfifo(directory / name)
    assert "is a pipe, socket or device and no file; copy its content into a file" in only_fault(directory)[1]


def test_a_socket_is_no_file(apns: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is a device."""
    directory = apns()
    (directory / "push.p12").unlink()
    monkeypatch.chdir(directory)  # a socket's path must be short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("push.p12")
        assert "is a pipe, socket or device" in only_fault(directory)[1]
    (directory / "6666.toml").write_text(
        (directory / "6666.toml").read_text().replace('"push.p12"', '"/dev/zero"')
    )
    assert "/dev/zero is a pipe, socket or device" in only_fault(directory)[1]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty; fill it in"),
        (b'business_id = 6666\nname = "caf\xe9"\n', "is not UTF-8 (line 2); save it again as UTF-8"),
        (b"\xff\xfe\x00", "is not UTF-8 (line 1)"),
        (b"business_id = \n", "is no TOML"),
        (b"#" * (5 << 20), "is larger than 1048576 bytes"),
    ],
)
def test_a_toml_that_is_none_says_why(apns: Callable[..., Path], content: bytes, words: str) -> None:
    """Empty, another encoding, broken, too large."""
    directory = apns()
    (directory / "6666.toml").write_bytes(content)
    assert words in only_fault(directory)[1]


def test_a_toml_of_windows_is_read(apns: Callable[..., Path]) -> None:
    """Notepad's marks and line ends do no harm."""
    directory = apns()
    text = (directory / "6666.toml").read_text().replace("\n", "\r\n")
    for encoding in ("utf-8-sig", "utf-16"):
        (directory / "6666.toml").write_bytes(text.encode(encoding))
        assert load(directory).faults == [], encoding


def test_two_files_with_one_id_are_both_named(apns: Callable[..., Path]) -> None:
    """The plainly named file serves, the other is a fault that says which one counts."""
    directory = apns()
    (directory / "06666.toml").write_bytes((directory / "6666.toml").read_bytes())
    (directory / "7777.toml").write_bytes((directory / "6666.toml").read_bytes())
    book = load(directory)
    assert book.entries[6666].problem is None
    said = {f.file: f.sentence for f in book.faults}
    assert "second file for the id 6666 and is left alone, 6666.toml counts; remove one" in said["06666.toml"]
    assert "no two credentials may have one id" in said["7777.toml"]
    assert book.entries[7777].problem


def test_an_unknown_field_is_warned_of_with_the_nearest(apns: Callable[..., Path]) -> None:
    """The credential is used; the field's name and the one that was probably meant are said."""
    book = load(apns(bundel_id="x"))
    [warning] = book.warnings
    assert (
        str(warning) == "6666.toml: credential.bundel_id: is ignored: no such field; did you mean bundle_id?"
    )


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory that every user of the machine can enter, unlike pytest's own."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_a_key_that_everyone_can_read_is_warned_of(
    apns: Callable[..., Path], open_directory: Path, make: Any
) -> None:
    """The key file, and the TOML with the password in it; with the mend. It is used all the same."""
    for file in apns().iterdir():
        (open_directory / file.name).write_bytes(file.read_bytes())
        (open_directory / file.name).chmod(0o644)
    book = load(open_directory)
    assert book.entries[6666].problem is None
    said = sorted(str(warning) for warning in book.warnings)
    assert said == [
        "6666.toml: credential.p12_file: push.p12: everyone on this machine can read it (mode 0644); chmod 600 push.p12",
        "6666.toml: everyone on this machine can read it (mode 0644); chmod 600 6666.toml",
    ]


def test_who_cannot_enter_the_directory_cannot_read_the_key(
    apns: Callable[..., Path], open_directory: Path
) -> None:
    """No warning below a closed directory, nor of mode 0640; nor of a TOML that holds no secret."""
    directory = apns(password="{env}")
    (directory / "6666.toml").write_text(
        (directory / "6666.toml").read_text().replace('"{env}"', '{ env = "P12" }')
    )
    for file in directory.iterdir():
        file.chmod(0o644)
        (open_directory / file.name).write_bytes(file.read_bytes())
        (open_directory / file.name).chmod(0o640 if file.suffix == ".p12" else 0o644)
    directory.chmod(0o700)
    assert load(directory).warnings == []
    assert load(open_directory).warnings == []


def test_a_key_pasted_into_the_files_place_is_not_repeated(apns: Callable[..., Path]) -> None:
    """Who pastes the key itself where its file's name belongs does not find it in a log."""
    pasted = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg" * 8
    sentence = only_fault(apns(p12_file=pasted))[1]
    assert pasted not in sentence
    assert "the file has too long a name; the field takes the name of a file" in sentence
