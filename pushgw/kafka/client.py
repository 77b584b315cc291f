"""What consumer, producer and admin client have in common: where the broker is and how we log in."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import structlog
from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import (
    AuthenticationFailedError,
    AuthenticationMethodNotSupported,
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    IllegalSaslStateError,
    IncompatibleBrokerVersion,
    InvalidGroupIdError,
    InvalidSessionTimeoutError,
    InvalidTopicError,
    KafkaConnectionError,
    KafkaError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnrecognizedBrokerVersion,
    UnsupportedSaslMechanismError,
    UnsupportedVersionError,
)

from pushgw.settings import KafkaSettings

log = structlog.get_logger()
T = TypeVar("T")

START_PATIENCE_S = 15.0
"""How long a start waits for a broker that does not answer."""

UNMENDABLE = (
    AuthenticationFailedError,
    AuthenticationMethodNotSupported,
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    IllegalSaslStateError,
    IncompatibleBrokerVersion,
    InvalidGroupIdError,
    InvalidSessionTimeoutError,
    InvalidTopicError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnrecognizedBrokerVersion,
    UnsupportedSaslMechanismError,
    UnsupportedVersionError,
)
"""Answers of a broker that asking again does not change."""


class ClientOptionsError(ValueError):
    """Settings under `kafka` that no client can be made from; the sentence names the setting."""


def kafka_client_options(settings: KafkaSettings) -> dict[str, Any]:
    """Keyword arguments for any aiokafka client. Raises ClientOptionsError on unusable TLS files or a missing login."""
    options: dict[str, Any] = {
        "bootstrap_servers": [
            server.strip() for server in settings.bootstrap_servers.split(",") if server.strip()
        ],
        "client_id": settings.client_id,
        "security_protocol": settings.security_protocol,
    }
    if settings.security_protocol.startswith("SASL"):
        if settings.sasl_username is None or settings.sasl_password is None:
            raise ClientOptionsError(
                f"kafka.security_protocol {settings.security_protocol} needs kafka.sasl_username and kafka.sasl_password"
            )
        options["sasl_mechanism"] = settings.sasl_mechanism
        options["sasl_plain_username"] = settings.sasl_username
        options["sasl_plain_password"] = settings.sasl_password.get_secret_value()
    if settings.security_protocol.endswith("SSL"):
        options["ssl_context"] = _ssl_context(settings)
    return options


async def patiently(
    what: str, call: Callable[[], Awaitable[T]], settings: KafkaSettings, patience: float
) -> T:
    """``call()``, repeated for ``patience`` s while no broker answers.

    Raises a KafkaError: at once when asking again cannot mend it, else the last one.
    """
    deadline = time.monotonic() + patience
    wait = 0.2
    while True:
        try:
            return await call()
        except UNMENDABLE:
            raise
        except KafkaConnectionError as error:
            reason = await _why_unreachable(settings)
            if isinstance(reason, UNMENDABLE):
                raise reason from error
            if time.monotonic() + wait > deadline:
                raise KafkaConnectionError(f"{reason}, at {settings.bootstrap_servers}") from error
            log.warning("kafka_not_reached", what=what, servers=settings.bootstrap_servers, why=str(reason))
        except KafkaError as error:
            if time.monotonic() + wait > deadline:
                raise
            log.warning("kafka_not_ready", what=what, servers=settings.bootstrap_servers, why=sentence(error))
        await asyncio.sleep(wait)
        wait = min(wait * 2, 2.0)


def sentence(error: BaseException) -> str:
    """One line about an error of the Kafka client: its name and the broker's own words."""
    words = " ".join(str(part) for part in error.args if isinstance(part, str)).splitlines()
    name = type(error).__name__
    return f"{name}: {words[0]}" if words else name


async def _why_unreachable(settings: KafkaSettings) -> BaseException:
    """What the first broker says when we connect; aiokafka only logs it."""
    options = kafka_client_options(settings)
    reason: BaseException = KafkaConnectionError("no broker answers")
    for host, port, _ in collect_hosts(options.pop("bootstrap_servers")):
        try:
            connection = await create_conn(host, port, request_timeout_ms=5000, **options)
            connection.close()
        except OSError as error:
            reason = error
        except KafkaError as error:
            reason = error
    return reason


def _ssl_context(settings: KafkaSettings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.ssl_ca_file)
    except OSError as error:
        raise ClientOptionsError(
            f"kafka.ssl_ca_file {settings.ssl_ca_file}: {error.strerror or error}"
        ) from error
    if settings.ssl_cert_file is not None:
        try:
            context.load_cert_chain(settings.ssl_cert_file, settings.ssl_key_file)
        except OSError as error:
            raise ClientOptionsError(
                f"kafka.ssl_cert_file {settings.ssl_cert_file} (kafka.ssl_key_file {settings.ssl_key_file}): "
                f"{error.strerror or error}"
            ) from error
    return context
