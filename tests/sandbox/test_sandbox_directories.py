"""The throw-away authority, the example directory, and copies of credential directories."""

from __future__ import annotations

import ipaddress
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from pushgw.sandbox import example_directory, load_authority, make_authority, with_endpoint

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def test_a_new_authority_vouches_for_localhost_only(tmp_path: Path) -> None:
    """Its certificate names the three local names, lasts twenty years, and its issuer's key is nowhere."""
    authority = make_authority(tmp_path / "new", now=NOW)
    ca = x509.load_pem_x509_certificate(authority.ca_pem)
    pem = authority.server_file.read_bytes()
    server = x509.load_pem_x509_certificate(pem)
    server.verify_directly_issued_by(ca)
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert names.get_values_for_type(x509.IPAddress) == [
        ipaddress.ip_address("127.0.0.1"),
        ipaddress.ip_address("::1"),
    ]
    assert ca.extensions.get_extension_for_class(x509.NameConstraints).critical
    assert server.not_valid_after_utc.year == 2046
    key = load_pem_private_key(pem, None)
    assert key.public_key() == server.public_key() != ca.public_key()
    assert b"PRIVATE" not in authority.ca_pem
    assert authority.server_file.stat().st_mode & 0o077 == 0


def test_an_authority_is_made_once(tmp_path: Path) -> None:
    """Where one lies already it is loaded; where none lies, loading says which file is missing."""
    with pytest.raises(FileNotFoundError, match=r"sandbox-server\.pem"):
        load_authority(tmp_path)
    made = make_authority(tmp_path, now=NOW)
    again = make_authority(tmp_path, now=NOW)
    assert made == again == load_authority(tmp_path)


def test_the_examples_come_with_an_authority_that_still_holds() -> None:
    """``pushgw sandbox`` and the example credentials work out of the box."""
    authority = load_authority(example_directory())
    server = x509.load_pem_x509_certificate(authority.server_file.read_bytes())
    server.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.ca_pem))
    assert server.not_valid_after_utc > datetime(2040, 1, 1, tzinfo=UTC)


def test_a_copy_is_aimed_at_the_sandbox(tmp_path: Path) -> None:
    """endpoint, auth_endpoint and ca_file are replaced or added; all else, files and comments too, stays."""
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "keys").mkdir(parents=True)
    (source / "keys" / "a.p8").write_text("key")
    (source / "1.toml").write_text(
        '# a comment\nbusiness_id = 1\nendpoint = "https://127.0.0.1:8443"\nvendor = "apns"\n\n'
        '[credential]\nendpoint_name = "stays"\nkey_file = "keys/a.p8"\n'
    )
    (source / "2.toml").write_text('auth_endpoint="https://a.example"\nca_file = "own.pem"\nvendor = "fcm"')
    with_endpoint(source, target, "https://127.0.0.1:5000", b"CA")
    aim = {
        "endpoint": "https://127.0.0.1:5000",
        "auth_endpoint": "https://127.0.0.1:5000",
        "ca_file": "sandbox-ca.pem",
    }
    assert tomllib.loads((target / "1.toml").read_text()) == {
        "business_id": 1,
        "vendor": "apns",
        "credential": {"endpoint_name": "stays", "key_file": "keys/a.p8"},
        **aim,
    }
    assert (target / "1.toml").read_text().startswith("# a comment\n")
    assert tomllib.loads((target / "2.toml").read_text()) == {"vendor": "fcm", **aim}
    assert (target / "keys" / "a.p8").read_text() == "key"
    assert (target / "sandbox-ca.pem").read_bytes() == b"CA"
    assert "8443" in (source / "1.toml").read_text()


def test_a_file_that_cannot_be_rewritten_is_said(tmp_path: Path) -> None:
    """Better a sentence than a credential that is aimed at a vendor by mistake."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "1.toml").write_text('name = """\n[x]\n"""\nendpoint = "https://vendor.example"\n')
    with pytest.raises(ValueError, match=r"1\.toml"):
        with_endpoint(source, tmp_path / "target", "https://127.0.0.1:1", b"CA")
