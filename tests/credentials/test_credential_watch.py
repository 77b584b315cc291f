"""Credentials change under a running gateway: what is good takes over, what is broken does not."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from pushgw.credentials import CredentialDirectory, CredentialWatch, DirectoryShelf
from pushgw.credentials.watch import LOOK_EVERY_S
from pushgw.sandbox import example_directory
from pushgw.vendor.plugin import installed_vendors

NOW = 1_795_500_000.0
DAY = 86_400.0


class Scene:
    """A directory with two credentials, the book that was read from it, and its watch."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        for name in ("9001.toml", "AuthKey_EXAMPLEKY1.p8", "9004.toml", "sandbox-ca.pem"):
            shutil.copy(example_directory() / name, directory / name)
        self.shelf = DirectoryShelf(directory, installed_vendors())
        self.book: CredentialDirectory = self.shelf.load()
        self.now = NOW
        self.watch = CredentialWatch(self.book, self.shelf, clock=lambda: self.now)

    def edit(self, name: str, old: str, new: str) -> None:
        path = self.directory / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))


@pytest.fixture
async def scene(tmp_path: Path) -> Scene:
    directory = tmp_path / "certs"
    directory.mkdir()
    scene = Scene(directory)
    assert not await scene.watch.look()
    return scene


async def test_what_has_not_changed_stays_the_same_object(scene: Scene) -> None:
    """A new file beside it, or a touched date, replaces no entry: what its vendor said of it is still known."""
    before = dict(scene.book.entries)
    before[9001].refused = "APNs refused the credential"
    os.utime(scene.directory / "9001.toml", (NOW, NOW))
    shutil.copy(example_directory() / "9006.toml", scene.directory)
    changes = await scene.watch.look()
    assert (changes.added, changes.replaced, changes.removed) == ([9006], [], [])
    assert scene.book.entries[9001] is before[9001]
    assert scene.book.entries[9004] is before[9004]
    assert scene.book.find(9001).refused


@pytest.mark.parametrize("what", ["toml", "named file"])
async def test_a_changed_file_takes_over(scene: Scene, what: str, tmp_path: Path) -> None:
    """Another value in the TOML, or other content of a file that it names: the book has the new one, under the same id."""
    old = scene.book.entries[9001]
    if what == "toml":
        scene.edit("9001.toml", "com.example", "com.example.other")
    else:
        key = scene.directory / "AuthKey_EXAMPLEKY1.p8"
        key.write_text(key.read_text() + "\n")
    changes = await scene.watch.look()
    assert changes.superseded == [9001]
    assert scene.book.entries[9001] is not old
    assert scene.book.entries[9001].problem is None


async def test_a_broken_file_keeps_the_old_one_serving(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    """An error page instead of a key: the credential goes on as it was, says so once, and takes the mended file."""
    old = scene.book.entries[9001]
    key = scene.directory / "AuthKey_EXAMPLEKY1.p8"
    good = key.read_text()
    key.write_text("<html>404</html>")
    changes = await scene.watch.look()
    assert not changes.superseded
    assert "AuthKey_EXAMPLEKY1.p8" in changes.kept[9001] or "key_file" in changes.kept[9001]
    assert scene.book.entries[9001] is old
    assert old.problem is None
    assert old.stale
    assert "the old one serves" in capsys.readouterr().out
    key.write_text("<html>500</html>")
    await scene.watch.look()
    key.write_text(good + "\n")
    changes = await scene.watch.look()
    assert changes.replaced == [9001]
    assert scene.book.entries[9001].stale is None


async def test_a_removed_credential_is_gone(scene: Scene) -> None:
    """Its devices get C2 from now on, and its lane is told to make way."""
    (scene.directory / "9004.toml").unlink()
    changes = await scene.watch.look()
    assert changes.superseded == [9004]
    assert scene.book.find(9004) is None


async def test_a_directory_that_cannot_be_read_changes_nothing(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    """While a mount is away all that is loaded serves, the log says it once, and a later look goes on."""
    scene.directory.rename(scene.directory.with_name("away"))
    for _ in range(3):
        assert not await scene.watch.look()
    assert sorted(scene.book.entries) == [9001, 9004]
    assert capsys.readouterr().out.count("credentials_not_read") == 1
    scene.directory.with_name("away").rename(scene.directory)
    (scene.directory / "9004.toml").unlink()
    assert (await scene.watch.look()).removed == [9004]


async def test_the_symlink_swap_of_a_mounted_secret_is_seen(tmp_path: Path) -> None:
    """Kubernetes points ``..data`` to a new folder: the files' names and links stay, their content has changed."""
    for version in ("v1", "v2"):
        (tmp_path / version).mkdir()
    mount = tmp_path / "mount"
    mount.mkdir()
    first = Scene(tmp_path / "v1")
    shutil.copytree(tmp_path / "v1", tmp_path / "v2", dirs_exist_ok=True)
    (mount / "..data").symlink_to(tmp_path / "v1")
    for path in (tmp_path / "v1").iterdir():
        (mount / path.name).symlink_to(Path("..data") / path.name)
    shelf = DirectoryShelf(mount, installed_vendors())
    book = shelf.load()
    assert sorted(book.entries) == sorted(first.book.entries)
    watch = CredentialWatch(book, shelf)
    await watch.look()
    toml = tmp_path / "v2" / "9001.toml"
    toml.write_text(toml.read_text().replace("com.example", "com.example.other"))
    (mount / "..new").symlink_to(tmp_path / "v2")
    (mount / "..new").rename(mount / "..data")
    assert (await watch.look()).replaced == [9001]


async def test_a_file_that_lies_elsewhere_is_watched_too(scene: Scene, tmp_path: Path) -> None:
    """A key named by a path outside of the directory."""
    key = tmp_path / "elsewhere.p8"
    shutil.move(scene.directory / "AuthKey_EXAMPLEKY1.p8", key)
    scene.edit("9001.toml", "AuthKey_EXAMPLEKY1.p8", str(key))
    assert (await scene.watch.look()).replaced == [9001]
    key.write_text(key.read_text() + "\n")
    assert (await scene.watch.look()).replaced == [9001]


async def test_an_expired_credential_is_unusable_before_anything_is_sent(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    """C4 from the moment that its certificate ends; an operator was told at 30, 14, 7, 3 and 1 days, once each."""
    entry = scene.book.entries[9001]
    entry.expires_at = NOW + 31 * DAY
    told = []
    for day in (0, 2, 3, 17, 18, 24, 28, 30, 30.5):
        scene.now = NOW + day * DAY
        scene.watch.mind_the_dates(scene.now)
        told.append(capsys.readouterr().out.count("credential_expires"))
    assert told == [0, 1, 0, 1, 0, 1, 1, 1, 0]
    assert entry.problem is None
    scene.watch.mind_the_dates(NOW + 31 * DAY)
    assert "expired on" in (entry.problem or "")


async def test_who_supersedes_is_told_after_the_book_has_changed(scene: Scene) -> None:
    """The lanes are asked to make way when the next push finds the new credential already."""
    told: list[tuple[list[int], Any]] = []

    def done(ids: Iterable[int]) -> None:
        told.append((list(ids), scene.book.find(9004)))

    (scene.directory / "9004.toml").unlink()
    watch = CredentialWatch(scene.book, scene.shelf, interval=0.001)
    task = asyncio.create_task(watch.run(done))
    async with asyncio.timeout(5):
        while not told:
            await asyncio.sleep(0.001)
    task.cancel()
    assert told == [([9004], None)]


async def test_the_watch_wakes_at_the_moment_a_certificate_ends(scene: Scene) -> None:
    """Every two seconds otherwise; what has ended, and what never ends, wakes nobody."""
    assert scene.watch.pause(NOW) == LOOK_EVERY_S
    entry = scene.book.find(9001)
    entry.expires_at = NOW + 1.25
    assert scene.watch.pause(NOW - 10) == LOOK_EVERY_S
    assert scene.watch.pause(NOW) == 1.25
    assert 0 < scene.watch.pause(NOW + 1.25) < 0.01
    scene.watch.mind_the_dates(NOW + 1.25)
    assert scene.watch.pause(NOW + 1.25) == LOOK_EVERY_S


async def test_a_running_watch_needs_no_look_to_end_a_certificate(tmp_path: Path) -> None:
    """Its time is up long before the next look at the files: it is unusable then."""
    scene = Scene(tmp_path)
    watch = CredentialWatch(scene.book, scene.shelf, interval=3600)
    entry = scene.book.find(9001)
    entry.expires_at = time.time() + 0.3
    task = asyncio.create_task(watch.run(lambda _ids: None))
    async with asyncio.timeout(20):
        while entry.problem is None:
            await asyncio.sleep(0.01)
    assert entry.problem.startswith("expired on")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
