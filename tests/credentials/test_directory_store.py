"""The directory store: a change is whole or not at all, keeps what it replaces, and leaves no secret behind."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from pushgw.credentials.directory_store import DirectoryStore
from pushgw.credentials.material import CredentialInUse, CredentialMissing, Material, StoreError
from pushgw.vendor.plugin import installed_vendors


def material(business_id: int = 6666, file: str = "a.json", content: bytes = b"one", **more: Any) -> Material:
    toml = f'business_id = {business_id}\nvendor = "fcm"\n[credential]\nservice_account_file = "{file}"\n'
    return Material(business_id=business_id, toml=toml.encode(), files={file: content}, **more)


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path / "certs", installed_vendors())


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "certs"


def test_what_is_written_is_read_again(store: DirectoryStore, directory: Path) -> None:
    """TOML and files, byte for byte; the directory is made, all of it for its owner only."""
    umask = os.umask(0)
    try:
        store.write(material())
    finally:
        os.umask(umask)
    assert store.ids() == [6666]
    assert store.read(6666) == material()
    assert names(directory) == ["6666.toml", "a.json"]
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (directory, *directory.iterdir())]
    assert modes == [0o700, 0o600, 0o600]


def test_an_id_in_use_is_never_overwritten(store: DirectoryStore, directory: Path) -> None:
    """Also under another spelling of the number; what is there stays as it was."""
    store.write(material())
    with pytest.raises(CredentialInUse, match="pushgw certs rotate 6666"):
        store.write(material(file="b.json", content=b"two"))
    assert names(directory) == ["6666.toml", "a.json"]
    (directory / "6666.toml").rename(directory / "06666.toml")
    with pytest.raises(CredentialInUse):
        store.write(material())


def test_who_comes_second_between_look_and_rename_loses(
    store: DirectoryStore, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two commands at once: the name is taken by the rename, not by the look before it."""
    store.write(material())
    monkeypatch.setattr(DirectoryStore, "ids", lambda self: [])
    with pytest.raises(CredentialInUse, match=r"6666\.toml exists already"):
        store.write(material(file="b.json", content=b"two"))
    assert names(directory) == ["6666.toml", "a.json"]
    assert store.read(6666).files == {"a.json": b"one"}


def test_a_rotation_keeps_the_previous_one(store: DirectoryStore, directory: Path) -> None:
    """TOML and file of the last are kept, those of the one before it go."""
    store.write(material())
    for number in ("2", "3"):
        store.write(material(file=f"{number}.json", content=number.encode()), replace=True)
    assert names(directory) == ["2.json", "3.json", "6666.toml", "6666.toml.previous"]
    assert b'"2.json"' in (directory / "6666.toml.previous").read_bytes()
    assert store.ids() == [6666]


def test_a_rotation_needs_something_to_replace(store: DirectoryStore) -> None:
    """Its sentence lists what there is."""
    store.write(material(1))
    with pytest.raises(CredentialMissing, match=r"no credential 6666.*there are: 1"):
        store.write(material(), replace=True)
    with pytest.raises(CredentialMissing):
        store.read(6666)
    with pytest.raises(CredentialMissing):
        store.remove(6666)


def test_a_failed_write_leaves_nothing_behind(
    store: DirectoryStore, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full at the last step: the old credential serves on, no half of the new one lies about."""
    store.write(material())
    before = {path.name: path.read_bytes() for path in directory.iterdir()}

    def full(source: Any, target: Any) -> None:
        if str(target).endswith("6666.toml"):
            raise OSError(28, "No space left on device")
        Path(source).rename(target)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(StoreError, match=r"No space left on device.*make room"):
        store.write(material(file="b.json", content=b"two"), replace=True)
    after = {path.name: path.read_bytes() for path in directory.iterdir()}
    after.pop("6666.toml.previous")
    assert after == before


def test_a_watcher_never_sees_a_name_without_its_file(
    store: DirectoryStore, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the moment at which the TOML takes its name, the file that it names is there, whole."""
    store.write(material())
    seen: list[bytes] = []
    really = os.replace

    def watched(source: Any, target: Any) -> None:
        really(source, target)
        if str(target).endswith("6666.toml"):
            seen.append((directory / "b.json").read_bytes())

    monkeypatch.setattr(os, "replace", watched)
    store.write(material(file="b.json", content=b"two"), replace=True)
    assert seen == [b"two"]


def test_remove_takes_what_only_it_had(store: DirectoryStore, directory: Path) -> None:
    """A file that another credential names stays, and so does one elsewhere on the disk."""
    elsewhere = directory.parent / "elsewhere.json"
    elsewhere.write_bytes(b"mine")
    store.write(material(1, "shared.json", b"both"))
    store.write(material(2, "shared.json", b"both"))
    store.write(material(3, "own.json", b"own"))
    store.write(material(3, "own2.json", b"own2"), replace=True)
    for business_id, name in ((4, "../elsewhere.json"), (5, str(elsewhere))):
        store.write(
            Material(business_id=business_id, toml=material(business_id, name).toml, files={name: b"mine"})
        )
    for business_id in (1, 3, 4, 5):
        store.remove(business_id)
    assert names(directory) == ["2.toml", "shared.json"]
    assert elsewhere.read_bytes() == b"mine"


def test_a_directory_that_may_not_be_written_to_says_so(
    store: DirectoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mounted secret of Kubernetes is read-only: change it at its source."""

    def read_only(*_: Any, **__: Any) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("tempfile.mkstemp", read_only)
    with pytest.raises(StoreError, match=r"Read-only file system.*change it at its source"):
        store.write(material())


def test_material_does_not_show_itself() -> None:
    """Neither TOML nor files are in its repr."""
    shown = repr(Material(business_id=1, toml=b"app_secret", files={"a": b"key material"}))
    assert shown == "Material(business_id=1, files=['a'])"
