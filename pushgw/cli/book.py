"""The credentials for a command that needs them, or its end with the reason."""

from __future__ import annotations

import typer

from pushgw.assembly import credentials_of
from pushgw.cli.output import Exit, fail
from pushgw.credentials import CredentialDirectory
from pushgw.credentials.material import StoreAway, StoreError
from pushgw.settings import Settings
from pushgw.state.protocol import StateUnavailable


def book_or_exit(settings: Settings, *, whole: bool = True) -> CredentialDirectory:
    """The credentials, or exit 3, or 4 where a sealed store does not answer.

    ``whole``: also when a sealed one cannot be opened; else it is there with a fault.
    """
    try:
        return credentials_of(settings, whole=whole)
    except NotADirectoryError as error:
        raise fail(Exit.CONFIG, str(error)) from None
    except StoreError as error:
        raise store_failed(error) from None
    except StateUnavailable as error:
        raise fail(Exit.UNREACHABLE, str(error)) from None


def store_failed(error: StoreError) -> typer.Exit:
    """Say why a store of credentials did not do what was asked; raise what this returns."""
    return fail(Exit.UNREACHABLE if isinstance(error, StoreAway) else Exit.CONFIG, *str(error).split("\n"))
