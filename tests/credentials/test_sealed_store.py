"""The sealed store and its shelf, on SQLite and on Redis: what a directory of credentials promises, and that nobody reads it."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pushgw.credentials import CredentialWatch
from pushgw.credentials.directory_store import DirectoryStore
from pushgw.credentials.material import CredentialInUse, CredentialMissing, Material, StoreAway, StoreError
from pushgw.credentials.seal import unseal
from pushgw.credentials.seal_key import Keyring, SealKey, SealKeyError
from pushgw.credentials.sealed_shelf import SealedShelf, load_sealed
from pushgw.credentials.sealed_store import Kept, SealedBlobs, SealedStore, check_all
from pushgw.credentials.watch import Changes
from pushgw.sandbox import example_directory
from pushgw.settings import StateSettings
from pushgw.state import blobs_of, open_store
from pushgw.vendor.plugin import installed_vendors

OLD, NEW = SealKey(bytes(range(32))), SealKey(bytes(range(100, 132)))
EXAMPLES = DirectoryStore(example_directory(), installed_vendors())

PLACES: dict[str, Callable[[pytest.FixtureRequest], str]] = {
    "sqlite": lambda request: f"sqlite:///{request.getfixturevalue('tmp_path') / 'state.db'}",
    "redis": lambda request: str(request.getfixturevalue("redis_server").url),
    "redis_cluster": lambda request: str(request.getfixturevalue("redis_cluster").url),
}


@pytest.fixture(
    params=["sqlite", *(pytest.param(p, marks=pytest.mark.redis) for p in PLACES if p != "sqlite")]
)
def url(request: pytest.FixtureRequest) -> str:
    """``state.url`` of an empty store."""
    return PLACES[request.param](request)


@pytest.fixture
def blobs(url: str) -> SealedBlobs:
    return blobs_of(StateSettings(url=url))


@pytest.fixture
def store(blobs: SealedBlobs) -> SealedStore:
    return with_keys(blobs, Keyring(OLD))


def with_keys(blobs: SealedBlobs, keys: Keyring) -> SealedStore:
    return SealedStore(blobs, lambda: keys, "the sealed store")


def material(business_id: int = 6666, content: bytes = b"one") -> Material:
    toml = f'business_id = {business_id}\nvendor = "fcm"\n[credential]\nservice_account_file = "a.json"\n'
    return Material(business_id=business_id, toml=toml.encode(), files={"a.json": content})


def fill(store: SealedStore) -> list[int]:
    """With the examples."""
    for business_id in EXAMPLES.ids():
        store.write(EXAMPLES.read(business_id))
    return EXAMPLES.ids()


def secrets_of(directory: Path) -> list[bytes]:
    """Every secret of a credential directory as it would be seen: texts of secret fields, and lines of key files."""
    found: set[bytes] = set()
    for path in directory.iterdir():
        content = path.read_bytes()
        found.update(re.findall(rb'(?:secret|password)\s*=\s*"([^"]+)"', content))
        if path.name != "sandbox-ca.pem":
            found.update(re.findall(rb"[A-Za-z0-9+/]{40,}", content))
    assert len(found) > 20, "the examples have keys and secrets"
    return sorted(found)


# --- blobs ------------------------------------------------------------------------------------------------


def test_blobs_are_swapped(blobs: SealedBlobs) -> None:
    """Only what is expected gives way; the version rises with each change, and with nothing else. A repeat is no fault."""
    assert (blobs.all(), blobs.version()) == ({}, 0)
    a, b = b"a\0\xff", b"b"
    steps = [
        (1, None, a, True, {1: a}),
        (1, None, b, False, {1: a}),
        (1, b, b"c", False, {1: a}),
        (2, b, b"c", False, {1: a}),
        (2, None, b, True, {1: a, 2: b}),
        (1, a, b, True, {1: b, 2: b}),
        (1, a, b, True, {1: b, 2: b}),
        (2, b, None, True, {1: b}),
        (2, b, None, True, {1: b}),
    ]
    versions = [0]
    for business_id, old, new, answer, left in steps:
        assert blobs.swap(business_id, old, new) is answer
        assert blobs.all() == left
        versions.append(blobs.version())
    rises = [after > before for before, after in pairwise(versions)]
    assert rises == [True, False, False, False, True, True, False, True, False]


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_blobs_need_no_lock(url: str, blobs: SealedBlobs) -> None:
    """A command adds a credential first of all, or beside the gateway that has the lock of the file; neither is in the other's way."""
    assert blobs.swap(1, None, b"first of all")
    gateway = await open_store(StateSettings(url=url))
    script = (
        "import sys; from pushgw.settings import StateSettings; from pushgw.state import blobs_of\n"
        "assert blobs_of(StateSettings(url=sys.argv[1])).swap(2, None, b'beside')"
    )
    await asyncio.to_thread(subprocess.run, [sys.executable, "-c", script, url], check=True)
    await gateway.bury(["a tombstone"], 1_795_500_000.0)
    await gateway.close()
    assert blobs.all() == {1: b"first of all", 2: b"beside"}


def test_a_file_that_is_none_of_ours(tmp_path: Path) -> None:
    """It is said, and not written into."""
    (tmp_path / "x.db").write_text("no database at all" * 100)
    store = with_keys(blobs_of(StateSettings(url=f"sqlite:///{tmp_path / 'x.db'}")), Keyring(OLD))
    with pytest.raises(StoreAway, match="is no SQLite database"):
        store.ids()
    assert (tmp_path / "x.db").read_text() == "no database at all" * 100


@pytest.mark.redis
def test_a_redis_that_is_away(make_redis: Callable[..., Any]) -> None:
    """One sentence, for the store and for the watch."""
    server = make_redis("RedisServer")
    server.kill()
    blobs = blobs_of(StateSettings(url=server.url))
    with pytest.raises(StoreAway, match="cannot be reached"):
        with_keys(blobs, Keyring(OLD)).ids()
    with pytest.raises(OSError, match="cannot be reached"):
        SealedShelf(blobs, lambda: Keyring(OLD), installed_vendors()).signature()


@pytest.mark.redis
def test_a_node_of_a_cluster_is_no_server(redis_cluster: Any) -> None:
    """The sentence that says how to write its address, and no traceback: of the two of three that have not the hash."""
    refused = []
    for node in redis_cluster.masters:
        try:
            with_keys(blobs_of(StateSettings(url=node.url)), Keyring(OLD)).ids()
        except StoreAway as error:
            refused.append(str(error))
    assert len(refused) == 2
    assert all("write state.url as redis+cluster://" in sentence for sentence in refused)


@pytest.mark.redis
def test_the_rights_of_the_manual_are_enough(make_redis: Callable[..., Any]) -> None:
    """An ACL user with what docs/redis.md names reads and writes sealed credentials."""
    rights = "+@read +@write +@connection +@scripting +info"
    server = make_redis("RedisServer", f"user pushgw on >open-sesame ~pushgw:* {rights}")
    url = server.url.replace("redis://", "redis://pushgw:open-sesame@")
    store = with_keys(blobs_of(StateSettings(url=url)), Keyring(OLD))
    store.write(material())
    assert store.read(6666) == material()
    assert blobs_of(StateSettings(url=url)).version() == 1


@pytest.mark.redis
def test_behind_sentinels(make_redis: Callable[..., Any]) -> None:
    """The master that they name has the credentials."""
    store = with_keys(blobs_of(StateSettings(url=make_redis("RedisSentinel").url)), Keyring(OLD))
    store.write(material())
    assert store.read(6666) == material()


# --- the store --------------------------------------------------------------------------------------------


def test_what_is_written_is_read_again(store: SealedStore) -> None:
    """TOML and files, byte for byte, of every example; they are read as from the directory."""
    ids = fill(store)
    assert store.ids() == ids
    for business_id in ids:
        assert store.read(business_id) == EXAMPLES.read(business_id)


def test_an_id_in_use_is_never_overwritten(store: SealedStore) -> None:
    """Nor an id that is not there replaced, read or removed."""
    store.write(material())
    with pytest.raises(CredentialInUse, match="rotate 6666"):
        store.write(material(content=b"two"))
    assert store.read(6666) == material()
    for call in (
        lambda: store.write(material(7), replace=True),
        lambda: store.read(7),
        lambda: store.remove(7),
    ):
        with pytest.raises(CredentialMissing, match="no credential 7 in the sealed store; there are: 6666"):
            call()


def test_a_rotation_keeps_the_previous_one(blobs: SealedBlobs, store: SealedStore) -> None:
    """Sealed with the new one, until the next rotation, and only the last one."""
    for content in (b"one", b"two", b"three"):
        store.write(material(content=content), replace=bool(store.ids()))
    kept = msgspec.msgpack.decode(unseal(6666, blobs.all()[6666], Keyring(OLD)), type=Kept)
    assert kept.files == {"a.json": b"three"}
    assert kept.previous is not None
    assert (kept.previous.files, kept.previous.previous) == ({"a.json": b"two"}, None)
    assert "three" not in f"{kept!r}"


def test_a_change_meanwhile_is_not_lost(blobs: SealedBlobs, store: SealedStore) -> None:
    """Two rotate at once: the second is told, and the first one's stays."""
    store.write(material())
    read = blobs.all

    class Late:
        """Somebody rotates between reading and writing."""

        def all(self) -> dict[int, bytes]:
            seen = read()
            self.all = read  # type: ignore[method-assign]  # once
            store.write(material(content=b"theirs"), replace=True)
            return seen

        swap = staticmethod(blobs.swap)
        version = staticmethod(blobs.version)

    with pytest.raises(CredentialInUse, match="changed by somebody else"):
        with_keys(Late(), Keyring(OLD)).write(material(content=b"ours"), replace=True)
    assert store.read(6666).files == {"a.json": b"theirs"}


def test_other_keys_write_nothing(blobs: SealedBlobs, store: SealedStore) -> None:
    """Who has the wrong key cannot make a store of two keys by mistake; and can still remove what nobody opens any more."""
    store.write(material())
    stranger = with_keys(blobs, Keyring(NEW))
    with pytest.raises(StoreError, match=f"sealed with the key {OLD.id}"):
        stranger.write(material(7))
    with pytest.raises(StoreError, match=f"sealed with the key {OLD.id}"):
        stranger.write(material(), replace=True)
    assert stranger.ids() == [6666]
    stranger.remove(6666)
    stranger.write(material(7))
    assert stranger.ids() == [7]


def test_an_envelope_under_another_id_is_refused(blobs: SealedBlobs, store: SealedStore) -> None:
    """Whoever can write to the state cannot swap two apps' credentials."""
    store.write(material(1))
    assert blobs.swap(2, None, blobs.all()[1])
    with pytest.raises(StoreError, match="credential 2 is not what was sealed under this id"):
        store.read(2)
    with pytest.raises(StoreError, match="credential 2 is not") as caught:
        check_all(blobs.all(), Keyring(OLD))
    assert "credential 1" not in str(caught.value)


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_the_file_shows_no_secret(tmp_path: Path, store: SealedStore) -> None:
    """Every secret of the examples is looked for in the SQLite file and what lies beside it: 0 hits."""
    secrets = secrets_of(example_directory())
    fill(store)
    store.write(EXAMPLES.read(9005), replace=True)
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert sum(map(len, files.values())) > 20_000
    assert [(name, s) for name, content in files.items() for s in secrets if s in content] == []


@pytest.mark.redis
def test_redis_on_disk_shows_no_secret(redis_server: Any) -> None:
    """The same in its RDB and AOF, of which both hold the envelopes."""
    secrets = secrets_of(example_directory())
    store = with_keys(blobs_of(StateSettings(url=redis_server.url)), Keyring(OLD))
    fill(store)
    store.write(EXAMPLES.read(9005), replace=True)
    assert redis_server.ask("save") == "OK"
    redis_server.ask("config", "set", "appendfsync", "always")
    redis_server.ask("set", "pushgw:flush", "1")
    files = {str(path): path.read_bytes() for path in redis_server.home.rglob("*") if path.is_file()}
    holding = [name for name, content in files.items() if b"pushgw-seal-1" in content]
    assert any(name.endswith(".rdb") for name in holding)
    assert any("appendonly" in name for name in holding)
    assert [(name, s) for name, content in files.items() for s in secrets if s in content] == []


def test_nothing_shows_itself(store: SealedStore) -> None:
    """Neither in the repr of what was read, nor in that of the store, which has read its keys by then."""
    store.write(EXAMPLES.read(9005))
    shown = f"{store.read(9005)!r} {store!r} {vars(store)}"
    assert not [s for s in secrets_of(example_directory()) if s.decode() in shown]


# --- rotation of the key ----------------------------------------------------------------------------------


def test_a_key_is_rotated(blobs: SealedBlobs, store: SealedStore) -> None:
    """With both keys everything is resealed; then the new one is enough and the old one opens nothing. Again: nothing to do."""
    ids = fill(store)
    both = with_keys(blobs, Keyring(NEW, [OLD]))
    assert both.reseal().resealed == ids
    assert both.reseal().were_already == ids
    new = with_keys(blobs, Keyring(NEW))
    assert [new.read(i) for i in ids] == [EXAMPLES.read(i) for i in ids]
    for business_id in ids:
        with pytest.raises(StoreError, match=f"sealed with the key {NEW.id}"):
            store.read(business_id)


def test_a_key_is_not_rotated_over_what_nobody_opens(blobs: SealedBlobs, store: SealedStore) -> None:
    """One that cannot be opened is named, and nothing is changed."""
    fill(store)
    before = blobs.all()
    broken = before[9003][:-1] + bytes([before[9003][-1] ^ 1])
    assert blobs.swap(9003, before[9003], broken)
    with pytest.raises(StoreError, match=r"\Acredential 9003 is not what was sealed under this id[^\n]*\Z"):
        with_keys(blobs, Keyring(NEW, [OLD])).reseal()
    assert blobs.all() == before | {9003: broken}


def test_a_reseal_loses_no_rotation(blobs: SealedBlobs, store: SealedStore) -> None:
    """Somebody rotates a credential, and somebody removes one, while it is resealed: the new secret stays, the removed one away."""
    store.write(material(1))
    store.write(material(2))
    swap = blobs.swap
    meanwhile: list[Callable[[], None]] = [
        lambda: store.write(material(1, b"new secret"), replace=True),
        lambda: store.remove(2),
    ]

    class Busy:
        all = staticmethod(blobs.all)
        version = staticmethod(blobs.version)

        def swap(self, business_id: int, old: bytes | None, new: bytes | None) -> bool:
            if meanwhile:
                meanwhile.pop(0)()
                if business_id == 1 and len(meanwhile) == 1:
                    meanwhile.pop(0)()
            return swap(business_id, old, new)

    done = with_keys(Busy(), Keyring(NEW, [OLD])).reseal()
    assert done.resealed == [1]
    new = with_keys(blobs, Keyring(NEW))
    assert new.ids() == [1]
    assert new.read(1).files == {"a.json": b"new secret"}


KILLED = """
import os, signal, sys
from pushgw.credentials.seal import unseal
from pushgw.credentials.seal_key import Keyring, SealKey
from pushgw.credentials.sealed_store import SealedStore
from pushgw.settings import StateSettings
from pushgw.state import blobs_of

blobs, left = blobs_of(StateSettings(url=sys.argv[1])), [int(sys.argv[2])]

class Dying:
    all, version = blobs.all, blobs.version

    def swap(self, *words):
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        left[0] -= 1
        return blobs.swap(*words)

keys = Keyring(SealKey(bytes(range(100, 132))), [SealKey(bytes(range(32)))])
SealedStore(Dying(), lambda: keys, "").reseal()
"""


def test_a_reseal_that_is_killed_goes_on(url: str, blobs: SealedBlobs, store: SealedStore) -> None:
    """Killed after four of ten: with both keys all can be read, and the next reseal does the other six."""
    ids = fill(store)
    ended = subprocess.run([sys.executable, "-c", KILLED, url, "4"], check=False)
    assert ended.returncode == -signal.SIGKILL
    both = with_keys(blobs, Keyring(NEW, [OLD]))
    assert [both.read(i) for i in ids] == [EXAMPLES.read(i) for i in ids]
    done = both.reseal()
    assert (done.were_already, done.resealed) == (ids[:4], ids[4:])
    check_all(blobs.all(), Keyring(NEW))


# --- the shelf --------------------------------------------------------------------------------------------


def loaded(blobs: SealedBlobs, keys: Keyring, environ: Mapping[str, str] = os.environ) -> Any:
    return load_sealed(blobs.all(), keys, installed_vendors(), environ)


def look(watch: CredentialWatch) -> Changes:
    """As the gateway does, whose loop makes the calls in a thread."""
    return asyncio.run(watch.look())


def test_sealed_credentials_are_read_as_those_of_a_directory(blobs: SealedBlobs, store: SealedStore) -> None:
    """Every example is usable, with the fingerprint of the directory's."""
    ids = fill(store)
    book = loaded(blobs, Keyring(OLD))
    assert [account.business_id for account in book.accounts] == ids
    assert book.faults == []
    assert not [s for s in secrets_of(example_directory()) if s.decode() in f"{book.readings!r}"]


def test_changes_take_effect(blobs: SealedBlobs, store: SealedStore) -> None:
    """What a command adds, rotates or removes is seen by the next look, and nothing is read where nothing changed."""
    store.write(EXAMPLES.read(9001))
    shelf = SealedShelf(blobs, lambda: Keyring(OLD), installed_vendors())
    book = shelf.load()
    watch = CredentialWatch(book, shelf)
    assert not look(watch)
    entry = book.entries[9001]
    store.write(EXAMPLES.read(9005))
    assert (look(watch)).added == [9005]
    changed = EXAMPLES.read(9005)
    toml = changed.toml.replace(b"throwawaymastersecret00000009005", b"throwawaymastersecret00000009999")
    store.write(Material(business_id=9005, toml=toml, files=changed.files), replace=True)
    assert (look(watch)).replaced == [9005]
    store.remove(9005)
    assert (look(watch)).removed == [9005]
    assert book.entries == {9001: entry}
    shelf.load = lambda: pytest.fail("nothing has changed")  # type: ignore[method-assign]
    assert not look(watch)


def test_a_reseal_changes_nothing_for_a_gateway_that_has_both_keys(
    blobs: SealedBlobs, store: SealedStore
) -> None:
    """The same entries go on, with what their vendors said of them."""
    fill(store)
    both = Keyring(NEW, [OLD])
    shelf = SealedShelf(blobs, lambda: both, installed_vendors())
    book = shelf.load()
    watch = CredentialWatch(book, shelf)
    look(watch)
    before = dict(book.entries)
    with_keys(blobs, both).reseal()
    assert not look(watch)
    assert all(book.entries[i] is entry for i, entry in before.items())


def test_what_cannot_be_opened_keeps_the_old_one_serving(blobs: SealedBlobs, store: SealedStore) -> None:
    """Damage in the store, or a key that the gateway has not got: it says so, and pushes go on; a mended one takes over."""
    store.write(material(1))
    fill(store)
    shelf = SealedShelf(blobs, lambda: Keyring(OLD), installed_vendors())
    book = shelf.load()
    watch = CredentialWatch(book, shelf)
    look(watch)
    before = dict(book.entries)
    with_keys(blobs, Keyring(NEW, [OLD])).reseal()
    changes = look(watch)
    assert sorted(changes.kept) == sorted(EXAMPLES.ids())
    assert f"sealed with the key {NEW.id}" in changes.kept[9001]
    assert changes.superseded == [1]  # it was unusable before
    assert book.entries[9001] is before[9001]
    assert book.entries[9001].stale
    with_keys(blobs, Keyring(OLD, [NEW])).reseal()
    look(watch)
    assert book.entries[9001] is before[9001]
    assert book.entries[9001].stale is None


def test_a_key_in_the_old_ones_place_is_found(blobs: SealedBlobs, store: SealedStore) -> None:
    """The keys are read again when something is sealed with another; not otherwise, and not for ever when that fails."""
    fill(store)
    given: list[Keyring | None] = [Keyring(OLD)]
    reads = 0

    def read_keys() -> Keyring:
        nonlocal reads
        reads += 1
        if given[0] is None:
            raise SealKeyError("credentials.seal_key: the file does not exist")
        return given[0]

    shelf = SealedShelf(blobs, read_keys, installed_vendors())
    book = shelf.load()
    watch = CredentialWatch(book, shelf)
    look(watch)
    store.remove(9002)
    look(watch)
    assert reads == 1
    given[0] = None
    both = with_keys(blobs, Keyring(NEW, [OLD]))
    both.reseal()
    assert (look(watch)).kept
    assert not look(watch)
    assert reads == 2
    given[0] = Keyring(NEW)
    both.remove(9003)
    changes = look(watch)
    assert (changes.removed, changes.kept) == ([9003], {})
    assert not any(entry.stale for entry in book.entries.values())


def test_a_shelf_without_any_key_waits(blobs: SealedBlobs) -> None:
    """As for a place that does not answer: an OSError, which the watch says and tries again."""

    def read_keys() -> Keyring:
        raise SealKeyError("credentials.seal_key: the file does not exist")

    with pytest.raises(OSError, match="the file does not exist"):
        SealedShelf(blobs, read_keys, installed_vendors()).load()


def test_a_secret_in_the_environment_stays_there(blobs: SealedBlobs, store: SealedStore) -> None:
    """{ env = "NAME" } is sealed as it is written, and looked up by who reads it."""
    toml = b'vendor = "oppo"\n[credential]\napp_key = "a1b2"\nmaster_secret = { env = "OPPO" }\n'
    store.write(Material(business_id=7, toml=toml))
    assert loaded(blobs, Keyring(OLD), {"OPPO": "hush-hush-0123456789"}).faults == []
    (fault,) = loaded(blobs, Keyring(OLD), {}).faults
    assert "the environment variable OPPO is not set" in str(fault)
