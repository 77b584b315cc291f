"""The credential directory: what can be used is used, every fault is said at once, no secret is repeated."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest
from pydantic import SecretBytes, SecretStr, field_validator

from pushgw.credentials import CredentialDirectory, load_directory
from pushgw.vendor.adapter import Account, Adapter, Auth, Credential
from pushgw.vendor.emulator import Emulator
from pushgw.vendor.http import Request, Response
from pushgw.vendor.plugin import Vendor
from pushgw.vendor.push import Action, Outcome, Push


class PigeonCredential(Credential):
    file_fields: ClassVar[dict[str, str]] = {"key_file": "key"}
    loft: str
    secret: SecretStr
    key: SecretBytes

    @field_validator("loft")
    @classmethod
    def _loft(cls, value: str) -> str:
        if not value.startswith("L"):
            raise ValueError("a loft begins with L; copy it from the console")
        return value


class PigeonAdapter(Adapter):
    vendor = "pigeon"
    push_platform = 0
    platforms = frozenset({"android"})
    credential_model = PigeonCredential

    def render(self, push: Push, account: Account, auth: Auth | None) -> Request:
        return Request(url="https://pigeon.example/")

    def interpret(self, push: Push, account: Account, response: Response) -> list[Outcome]:
        return [Outcome(action=Action.ACCEPTED)]


VENDORS = {"pigeon": Vendor(adapter=PigeonAdapter(), emulator=Emulator, results={})}
GOOD = """business_id = {id}
vendor = "pigeon"
endpoint = "https://127.0.0.1:8443/"
[credential]
loft = "L1"
secret = "hush-hush"
key_file = "key.bin"
[defaults]
channel_id = "im"
"""


@pytest.fixture
def certs(tmp_path: Path) -> Path:
    (tmp_path / "key.bin").write_bytes(b"key material")
    (tmp_path / "1.toml").write_text(GOOD.format(id=1))
    return tmp_path


def load(directory: Path, **environ: str) -> CredentialDirectory:
    return load_directory(directory, VENDORS, environ)


def test_a_good_file_becomes_an_account(certs: Path) -> None:
    """A complete file is loaded with the bytes of the files that it names."""
    book = load(certs)
    entry = book.find(1)
    assert not book.faults
    assert entry is not None
    assert entry.problem is None
    assert entry.account is not None
    assert entry.account.credential.key.get_secret_value() == b"key material"
    assert entry.account.endpoint == "https://127.0.0.1:8443"
    assert entry.account.defaults == {"channel_id": "im"}
    assert entry.platforms == {"android"}


def test_a_bad_file_costs_only_its_own_devices(certs: Path) -> None:
    """Beside a broken file the good one is still usable; the broken one is present with its fault."""
    (certs / "2.toml").write_text("this is no TOML")
    book = load(certs)
    assert book.entries[1].problem is None
    assert "2.toml" in (book.entries[2].problem or "")
    assert [a.business_id for a in book.accounts] == [1]


@pytest.mark.parametrize(
    ("old", "new", "field", "words"),
    [
        ('loft = "L1"', 'loft = "X1"', "credential.loft", "begins with L"),
        ('loft = "L1"\n', "", "credential.loft", "is missing"),
        ('loft = "L1"', 'lofty = "L1"', "credential.loft", "lofty"),
        (
            'key_file = "key.bin"',
            'key_file = "no.bin"',
            "credential.key_file",
            "no.bin does not exist; put it there",
        ),
        ('key_file = "key.bin"', "key_file = 7", "credential.key_file", "name of a file"),
        ('secret = "hush-hush"', 'secret = { env = "NOPE" }', "credential.secret", "NOPE is not set"),
        ('secret = "hush-hush"', 'secret = { what = "NOPE" }', "credential.secret", "{ env"),
        ("business_id = 1", "business_id = 3", "business_id", "not the file's name"),
        ('vendor = "pigeon"', 'vendor = "pidgeon"', "vendor", "did you mean pigeon"),
        ('vendor = "pigeon"\n', "", "vendor", "is missing"),
        ("https://127", "ftp://127", "endpoint", "base URL"),
    ],
)
def test_a_fault_names_file_field_and_mend(certs: Path, old: str, new: str, field: str, words: str) -> None:
    """Each thing that can be wrong is said with the file, the field and what to do."""
    (certs / "1.toml").write_text(GOOD.format(id=1).replace(old, new))
    book = load(certs)
    faults = [f for f in book.faults if f.field == field]
    assert faults, book.faults
    assert faults[0].file == "1.toml"
    assert words in faults[0].sentence
    assert book.entries[1].problem


def test_every_fault_is_said_at_once(certs: Path) -> None:
    """Two mistakes in one file and one in another are three faults of one load."""
    (certs / "1.toml").write_text(
        GOOD.format(id=1).replace('loft = "L1"', 'loft = "X"').replace("business_id = 1", "business_id = 9")
    )
    (certs / "notanumber.toml").write_text(GOOD.format(id=5))
    faults = {(f.file, f.field) for f in load(certs).faults}
    assert {("1.toml", "business_id"), ("1.toml", "credential.loft"), ("notanumber.toml", "")} <= faults


def test_secrets_may_come_from_environment_and_files(certs: Path) -> None:
    """{ env } and { file } stand for the secret itself; a trailing line end of a file is not part of it."""
    (certs / "secret.txt").write_text("from-file\n")
    for written, expected in (('{ env = "PIGEON" }', "from-env"), ('{ file = "secret.txt" }', "from-file")):
        (certs / "1.toml").write_text(GOOD.format(id=1).replace('"hush-hush"', written))
        entry = load(certs, PIGEON="from-env").entries[1]
        assert entry.account is not None
        assert entry.account.credential.secret.get_secret_value() == expected


def test_unknown_fields_are_warned_of_and_ignored(certs: Path) -> None:
    """A field that nobody knows does not make the credential unusable."""
    (certs / "1.toml").write_text(GOOD.format(id=1).replace("[credential]", "[credential]\napp_id = 7"))
    book = load(certs)
    assert book.entries[1].problem is None
    assert [w.field for w in book.warnings] == ["credential.app_id"]


def test_no_secret_is_in_faults_or_reprs(certs: Path) -> None:
    """Neither a fault nor the repr of what was loaded holds the secret."""
    (certs / "2.toml").write_text(GOOD.format(id=2).replace('loft = "L1"', 'loft = "X"'))
    book = load(certs)
    said = " ".join(map(str, book.faults)) + repr(book.entries) + repr(book.accounts)
    assert "hush-hush" not in said
    assert "key material" not in said


def test_a_missing_directory_stops_the_start(tmp_path: Path) -> None:
    """There is no silent gateway without credentials: the directory must exist."""
    with pytest.raises(NotADirectoryError, match=r"credentials\.directory"):
        load(tmp_path / "none")


def test_a_broken_file_still_says_whom_it_reaches(certs: Path) -> None:
    """With a fault in it, but a known vendor, the platforms are the vendor's: a device of another one is C3, not C4."""
    (certs / "2.toml").write_text('business_id = 2\nvendor = "pigeon"\n')
    (certs / "3.toml").write_text('business_id = 3\nvendor = "raven"\n')
    book = load(certs)
    for business_id, platforms in ((2, {"android"}), (3, set())):
        entry = book.find(business_id)
        assert entry is not None
        assert entry.problem is not None
        assert entry.platforms == platforms
