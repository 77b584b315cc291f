"""TLS options checked and turned into what a transport takes. Faults are sentences for the operator."""

from __future__ import annotations

import os
import ssl
import tempfile

from pushgw.vendor.http import TlsOptions, TransportError


def check(tls: TlsOptions) -> None:
    """Raises TransportError (not retriable) where the roots or the client certificate cannot be used."""
    _apply(tls, ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))


def ssl_context(tls: TlsOptions) -> ssl.SSLContext:
    """A client's context: the system's roots and ours, and our certificate where one is given.

    Raises TransportError (not retriable), which never quotes the PEM.
    """
    context = ssl.create_default_context()
    _apply(tls, context)
    return context


def _apply(tls: TlsOptions, context: ssl.SSLContext) -> None:
    if tls.ca_pem is not None:
        try:
            context.load_verify_locations(cadata=tls.ca_pem.decode("ascii"))
        except (ssl.SSLError, ValueError) as error:
            raise _fault("the roots to trust are no PEM certificates", error) from None
    if tls.identity_pem is not None:
        _load_identity(context, tls.identity_pem)


def _load_identity(context: ssl.SSLContext, pem: bytes) -> None:
    # The ssl module takes a key from a file only; this one is readable by us alone and gone at once.
    handle, path = tempfile.mkstemp(prefix="pushgw-", suffix=".pem")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(pem)
        context.load_cert_chain(path, password=_no_password)
    except (ssl.SSLError, ValueError) as error:
        raise _fault("the client certificate and its key are not usable together", error) from None
    finally:
        os.unlink(path)


def _no_password() -> str:
    raise ValueError("the key is encrypted")


def _fault(sentence: str, error: Exception) -> TransportError:
    cause = error.reason if isinstance(error, ssl.SSLError) else None
    return TransportError(f"TLS: {sentence} ({cause or type(error).__name__})", sent=False, retriable=False)
