"""Nothing that a line is given by mistake gets out of it in the clear."""

from __future__ import annotations

from typing import Any

import pytest

from pushgw.cli.log_masks import mask_secrets, without_words

APNS = "a1b2c3d4" * 8
FCM = "dGhpcyBpcw:APA91b" + "Xy9_-" * 26
HUAWEI = "0864" * 12 + "IQAAAACy0kYwAAB" * 4
XIAOMI = "d//igwEhgBGCI2TG6lWqlAGzHNAiNAKsKkOm8vLzQvWk/9V5P2mQ4pQ+Zx0Ld2aR"


def masked(**fields: Any) -> dict[str, Any]:
    return dict(mask_secrets(None, "info", {"event": "x", **fields}))


@pytest.mark.parametrize("name", ["token", "device_token", "tokens", "push_token", "regid"])
@pytest.mark.parametrize("token", ["short", "12345678901234567890123", APNS, FCM, HUAWEI, XIAOMI])
def test_token_fields_are_shortened_whatever_they_hold(name: str, token: str) -> None:
    """First six characters and a hash: enough to recognise, too little to push to."""
    shown = masked(**{name: token})[name]
    assert token not in shown
    assert "…#" in shown
    assert shown.startswith(token[:6] if len(token) > 6 else "…")
    assert masked(**{name: shown})[name] == shown


@pytest.mark.parametrize(
    "name",
    ["app_secret", "master_secret", "client_secret", "password", "Authorization", "private_key", "app_key"],
)
@pytest.mark.parametrize("value", ["hunter2", 12345678, ["a", "b"], {"inner": "x"}])
def test_secret_fields_are_stars(name: str, value: Any) -> None:
    """Of a secret nothing is shown, whatever its type."""
    assert "hunter2" not in str(masked(**{name: value}))
    assert "12345678" not in str(masked(**{name: value}))


@pytest.mark.parametrize("token", [APNS, FCM, HUAWEI])
def test_a_token_inside_words_is_shortened(token: str) -> None:
    """A vendor that quotes the token in its answer does not bring it into the log."""
    shown = masked(reason=f"the device {token} is not registered")["reason"]
    assert max(len(piece) for piece in shown.split()) < 40
    assert shown.startswith("the device ")
    assert shown.endswith(" is not registered")


def test_authorizations_and_logins_inside_words_are_stars() -> None:
    """Headers quoted in an error, and a state store's URL with its password."""
    shown = masked(
        why="refused: Authorization: Bearer abc.def-ghi; then", state="redis://gw:hunter2@redis:6379/0"
    )
    assert "abc.def" not in shown["why"]
    assert shown["why"].endswith(" then")
    assert shown["state"] == "redis://***@redis:6379/0"


def test_nested_values_are_looked_into() -> None:
    """Lists and tables, by the names inside."""
    shown = masked(request={"headers": [{"authorization": "key"}], "body": {"token": "abcdefgh"}})
    assert "abcdefgh" not in str(shown)
    assert shown["request"]["headers"] == [{"authorization": "***"}]


def test_what_an_operator_needs_stays_readable() -> None:
    """Ids, coordinates, files, paths, sentences and numbers are as they were."""
    fields = {
        "event": "credential_fault",
        "credential": 9001,
        "source": "im.offline-messages/3/104212345678",
        "key": "5_55_1795500001",
        "push_id": "0f8fad5b-d9cb-469f-a165-70867728950e",
        "file": "a-very-long-name-of-a-file-that-an-operator-chose-himself.toml",
        "fault": "key_file: AuthKey_ABC123DEFG.p8 cannot be read (No such file); put it beside 9001.toml",
        "state": "sqlite:////var/lib/pushgw/pushgw.db",
        "usable": {9001: "apns"},
        "tokens_removed": 3,
        "tail": None,
    }
    assert masked(**fields) == fields


def raised(words: str) -> Exception:
    try:
        raise ValueError(words)
    except ValueError as error:
        return error


@pytest.mark.parametrize("event", ["adapter_defect", "poison_record"])
def test_a_defect_is_told_without_its_words(event: str) -> None:
    """An exception on the way of a message may quote its text: the log has class and place, and the words at debug only."""
    line = {"event": event, "exc_info": raised("see you at eight")}
    shown = without_words(None, "error", dict(line))
    assert "see you" not in str(shown)
    assert "in raised" in shown["exception"]
    assert shown["exception"].endswith("ValueError")
    assert without_words(None, "debug", dict(line)) == line
    assert without_words(None, "error", {**line, "event": "crashed"})["exc_info"] is line["exc_info"]
