"""Settings: environment over file, every fault at once, with the nearest right name."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pushgw.settings import NATIVE_SEAM, SettingsError, load_settings, setting_paths

NAMED_BY_TESTS = [
    "policy.time_zone",
    "policy.language",
    "policy.android_title",
    "policy.mention_all_counts",
    "policy.rest_ignores_c2c_dnd",
    "policy.c2c_include_seq",
    "policy.group_include_content",
    "policy.lenient",
    "policy.require_offline_push_info",
    "policy.recall.overwrite",
    "policy.login_ttl_days",
    "policy.rate_limit.per_user",
    "policy.rate_limit.per_conversation",
    "sdk_app_id",
    "kafka.topics.messages",
    "kafka.topics.user_events",
    "kafka.topics.receipts",
    "kafka.topics.retries",
    "kafka.topics.dead_letters",
    "kafka.bootstrap_servers",
    "kafka.group_id",
    "kafka.security_protocol",
    "kafka.create_topics",
    "kafka.partitions",
    "state.url",
    "credentials.directory",
    "http.listen",
    "log.format",
]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def faults(**options: Any) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load_settings(**options)
    return caught.value.faults


def test_defaults_are_the_contracts() -> None:
    """Without any setting the documented defaults hold."""
    settings = load_settings()
    assert settings.policy.time_zone == "Asia/Shanghai"
    assert settings.policy.language == "zh"
    assert settings.policy.android_title == "a new message"
    assert settings.policy.mention_all_counts is True
    assert settings.policy.rest_ignores_c2c_dnd is False
    assert settings.policy.login_ttl_days == 7
    assert settings.sdk_app_id == 0
    assert settings.kafka.group_id == "pushgw"
    assert settings.kafka.topics.messages == "im.offline-messages"
    assert settings.kafka.partitions == 6


@pytest.mark.parametrize("name", NAMED_BY_TESTS)
def test_every_promised_setting_exists(name: str) -> None:
    """The names of settings that others rely on are there."""
    assert name in setting_paths()


def test_environment_beats_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """pushgw.toml of the working directory is read; a variable of the same setting wins, its neighbours stay."""
    (tmp_path / "pushgw.toml").write_text(
        '[kafka]\ngroup_id = "file"\npartitions = 3\n[kafka.topics]\nmessages = "m"\n'
    )
    monkeypatch.setenv("PUSHGW_KAFKA__GROUP_ID", "env")
    settings = load_settings()
    assert (settings.kafka.group_id, settings.kafka.partitions, settings.kafka.topics.messages) == (
        "env",
        3,
        "m",
    )


def test_every_fault_is_said_at_once_with_the_nearest_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unknown and wrong settings of file and environment are one list."""
    (tmp_path / "pushgw.toml").write_text(
        '[kafka]\nbootstrap_server = "x"\npartitions = 0\n[polcy]\nlanguage = "en"\n'
    )
    monkeypatch.setenv("PUSHGW_POLICY__TIMEZONE", "UTC")
    monkeypatch.setenv("PUSHGW_POLICY__LANGUAGE", "fr")
    said = "\n".join(faults())
    assert "kafka.bootstrap_server: no such setting; did you mean kafka.bootstrap_servers?" in said
    assert "kafka.partitions" in said
    assert "polcy" in said
    assert "PUSHGW_POLICY__TIMEZONE: no such setting; did you mean PUSHGW_POLICY__TIME_ZONE?" in said
    assert "policy.language" in said


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PUSHGW_POLICY__TIME_ZONE", "Mars/Olympus"),
        ("PUSHGW_POLICY__RATE_LIMIT__PER_USER", "many"),
        ("PUSHGW_STATE__URL", "mysql://x"),
        ("PUSHGW_HTTP__LISTEN", "9464x"),
        ("PUSHGW_HTTP__REPORTS_LISTEN", "9480"),
        ("PUSHGW_KAFKA__SECURITY_PROTOCOL", "TLS"),
        ("PUSHGW_DISPATCH__TIMEOUT", "-1"),
    ],
)
def test_a_wrong_value_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """The setting that is wrong is named in its dotted form."""
    monkeypatch.setenv(name, value)
    dotted = name.removeprefix("PUSHGW_").lower().replace("__", ".")
    assert any(fault.startswith(dotted) for fault in faults())


def test_a_missing_or_broken_file_is_said(tmp_path: Path) -> None:
    """A file that --config names must exist and be TOML."""
    assert "cannot be read" in faults(config=tmp_path / "none.toml")[0]
    (tmp_path / "bad.toml").write_text("= 7")
    assert "is no TOML" in faults(config=tmp_path / "bad.toml")[0]


def test_no_password_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a fault nor a repr shows a secret setting."""
    monkeypatch.setenv("PUSHGW_KAFKA__SASL_PASSWORD", "hush-hush")
    monkeypatch.setenv("PUSHGW_KAFKA__SASL_MECHANISM", "NONE")
    assert "hush-hush" not in "\n".join(faults())
    monkeypatch.delenv("PUSHGW_KAFKA__SASL_MECHANISM")
    assert "hush-hush" not in repr(load_settings())


@pytest.mark.parametrize("spelling", ["5,60", "[5, 60]"])
def test_a_list_in_the_environment(monkeypatch: pytest.MonkeyPatch, spelling: str) -> None:
    """Retry tiers are written with commas, in brackets or not; what does not ascend stops the start."""
    monkeypatch.setenv("PUSHGW_DISPATCH__RETRY_TIERS", spelling)
    assert load_settings().dispatch.retry_tiers == (5, 60)
    monkeypatch.setenv("PUSHGW_DISPATCH__RETRY_TIERS", "60,5")
    with pytest.raises(SettingsError, match=r"dispatch\.retry_tiers: .*ascending"):
        load_settings()


@pytest.mark.parametrize(
    ("wheel", "why"),
    [
        (None, "is not installed"),
        (SimpleNamespace(SEAM=0), "is of another version than this gateway"),
    ],
    ids=["missing", "old"],
)
def test_the_native_transport_needs_its_wheel(
    monkeypatch: pytest.MonkeyPatch, wheel: object, why: str
) -> None:
    """Without a wheel that fits, dispatch.transport = "native" stops the start with the command that mends it."""
    monkeypatch.setitem(sys.modules, "pushgw_native", wheel)
    monkeypatch.setenv("PUSHGW_DISPATCH__TRANSPORT", "native")
    (fault,) = faults()
    assert "dispatch.transport" in fault
    assert why in fault
    assert "make native" in fault


def test_the_native_transport_with_its_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a wheel of this version it is taken."""
    monkeypatch.setitem(sys.modules, "pushgw_native", SimpleNamespace(SEAM=NATIVE_SEAM))
    monkeypatch.setenv("PUSHGW_DISPATCH__TRANSPORT", "native")
    assert load_settings().dispatch.transport == "native"


@pytest.mark.parametrize(
    ("given", "sources"),
    [
        ("", ()),
        ("file:/a", ("file:/a",)),
        ("file:/a, env:B,command:c --with d,e", ("file:/a", "env:B", "command:c --with d,e")),
    ],
)
def test_old_keys_are_a_list(monkeypatch: pytest.MonkeyPatch, given: str, sources: tuple[str, ...]) -> None:
    """With commas in the environment; a command keeps those of its own."""
    monkeypatch.setenv("PUSHGW_CREDENTIALS__SEAL_KEYS_OLD", given)
    assert load_settings().credentials.seal_keys_old == sources


def test_sources_of_keys_are_not_in_a_repr(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command may have a secret among its arguments."""
    monkeypatch.setenv("PUSHGW_CREDENTIALS__SEAL_KEY", "command:vault --token hush")
    monkeypatch.setenv("PUSHGW_CREDENTIALS__SEAL_KEYS_OLD", "command:vault --token hush")
    assert "hush" not in f"{load_settings()!r}"


def test_vendors_reports_are_not_listened_for_unless_asked() -> None:
    """An address that is reachable from the internet is the operator's choice."""
    assert load_settings().http.reports_listen is None
