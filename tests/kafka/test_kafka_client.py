"""What all Kafka clients are made from."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from pushgw.kafka.client import ClientOptionsError, kafka_client_options
from pushgw.kafka.topics import TopicsError, ensure_topics
from pushgw.settings import KafkaSettings


def test_servers_may_be_several() -> None:
    """A comma-separated list of servers, with or without spaces, names each of them."""
    options = kafka_client_options(KafkaSettings(bootstrap_servers="a:9092, b:9093,"))
    assert options["bootstrap_servers"] == ["a:9092", "b:9093"]
    assert "sasl_mechanism" not in options
    assert "ssl_context" not in options


def test_a_login_is_passed_on() -> None:
    """SASL over TLS has mechanism, user, password, and a context that checks the broker's certificate."""
    options = kafka_client_options(
        KafkaSettings(
            security_protocol="SASL_SSL",
            sasl_mechanism="SCRAM-SHA-512",
            sasl_username="gateway",
            sasl_password=SecretStr("hush"),
        )
    )
    assert options["sasl_mechanism"] == "SCRAM-SHA-512"
    assert options["sasl_plain_username"] == "gateway"
    assert options["sasl_plain_password"] == "hush"
    assert options["ssl_context"].check_hostname


def test_a_login_without_a_password_names_the_settings() -> None:
    """SASL without user or password is said before anything is tried."""
    with pytest.raises(ClientOptionsError, match=r"kafka\.sasl_username and kafka\.sasl_password"):
        kafka_client_options(KafkaSettings(security_protocol="SASL_PLAINTEXT", sasl_username="gateway"))


def test_a_certificate_that_cannot_be_read_names_the_setting(tmp_path: Path) -> None:
    """A TLS file that is missing or no certificate is said with the setting's name."""
    with pytest.raises(ClientOptionsError, match=r"kafka\.ssl_ca_file .*No such file"):
        kafka_client_options(KafkaSettings(security_protocol="SSL", ssl_ca_file=tmp_path / "ca.pem"))
    (tmp_path / "cert.pem").write_text("no certificate")
    with pytest.raises(ClientOptionsError, match=r"kafka\.ssl_cert_file"):
        kafka_client_options(KafkaSettings(security_protocol="SSL", ssl_cert_file=tmp_path / "cert.pem"))


async def test_unusable_options_stop_the_start_with_their_sentence() -> None:
    """The first thing a start does, looking at the topics, says what is wrong with the options."""
    with pytest.raises(TopicsError, match=r"kafka\.sasl_username"):
        await ensure_topics(KafkaSettings(security_protocol="SASL_SSL"), patience=0)
