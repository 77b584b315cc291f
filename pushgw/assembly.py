"""Puts a gateway together from settings: the one place that knows which parts stand behind which setting."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from functools import partial

from pushgw.credentials import CredentialDirectory, CredentialWatch, DirectoryShelf, load_directory
from pushgw.credentials.directory_store import DirectoryStore
from pushgw.credentials.material import CredentialStore, StoreError
from pushgw.credentials.seal_key import Keyring, read_keyring
from pushgw.credentials.sealed_shelf import SealedShelf, load_sealed
from pushgw.credentials.sealed_store import SealedStore, check_all
from pushgw.credentials.watch import Shelf
from pushgw.delivery.decide import Decider
from pushgw.delivery.dispatcher import Dispatcher
from pushgw.delivery.ending import OnEndings
from pushgw.gateway import Gateway
from pushgw.kafka.intake import Intake
from pushgw.kafka.outlet import Outlet
from pushgw.kafka.retry_intake import RetryIntake
from pushgw.policy.limits import RateLimiter
from pushgw.reports import ReportDesk
from pushgw.settings import PolicySettings, Settings
from pushgw.state import blobs_of
from pushgw.state.protocol import StateStore
from pushgw.vendor import transport_named
from pushgw.vendor.plugin import installed_vendors


def credentials_of(settings: Settings, *, whole: bool = True) -> CredentialDirectory:
    """The credentials. Raises NotADirectoryError when their directory is missing; of a sealed store StateUnavailable when it
    does not answer, StoreError when a key cannot be had, and, where they shall be ``whole``, when one cannot be opened.
    """
    if settings.credentials.store == "directory":
        return load_directory(settings.credentials.directory, installed_vendors())
    blobs, keys = blobs_of(settings.state).all(), _seal_keys(settings)
    if whole:
        check_all(blobs, keys)
    return load_sealed(blobs, keys, installed_vendors())


def credential_store_of(settings: Settings) -> CredentialStore:
    """Where credentials are kept, to be changed."""
    if settings.credentials.store == "directory":
        return DirectoryStore(settings.credentials.directory, installed_vendors())
    return sealed_store_of(settings)


def sealed_store_of(settings: Settings) -> SealedStore:
    """The sealed store. ``credentials.store`` names it."""
    return SealedStore(blobs_of(settings.state), partial(_seal_keys, settings), credential_place_of(settings))


def credential_shelf_of(settings: Settings) -> Shelf:
    """Where a running gateway sees credentials change."""
    if settings.credentials.store == "directory":
        return DirectoryShelf(settings.credentials.directory, installed_vendors())
    return SealedShelf(blobs_of(settings.state), partial(_seal_keys, settings), installed_vendors())


def credential_place_of(settings: Settings) -> str:
    """For sentences: where credentials are kept."""
    if settings.credentials.store == "directory":
        return str(settings.credentials.directory)
    return f"the sealed store in {settings.state.shown}"


def _seal_keys(settings: Settings) -> Keyring:
    chosen = settings.credentials
    if chosen.seal_key is None:  # settings say so before; here for who built them by hand
        raise StoreError("credentials.seal_key is missing; make a key with `pushgw certs keygen`")
    return read_keyring(chosen.seal_key, chosen.seal_keys_old)


def assemble(
    settings: Settings,
    book: CredentialDirectory,
    state: StateStore,
    *,
    clock: Callable[[], float] = time.time,
    rng: random.Random | None = None,
) -> Gateway:
    """A gateway that is ready to `run`."""
    draw = rng or random.Random()  # noqa: S311  jitter, no secret

    def make_dispatcher(on_endings: OnEndings) -> Dispatcher:
        return Dispatcher(
            settings.dispatch,
            transport_named(settings.dispatch.transport),
            transport_named("httpx"),
            on_endings=on_endings,
            clock=clock,
            rng=draw,
        )

    return Gateway(
        settings,
        intake=Intake(settings.kafka, revoke_grace=settings.shutdown.grace),
        retries=_retries(settings, clock),
        outlet=Outlet(settings.kafka),
        state=state,
        decider=Decider(settings.policy, book, limiter=_limiter(settings.policy)),
        make_dispatcher=make_dispatcher,
        watch=CredentialWatch(book, credential_shelf_of(settings), clock=clock),
        clock=clock,
    )


def report_desk_of(
    settings: Settings, book: CredentialDirectory, state: StateStore, gateway: Gateway
) -> ReportDesk:
    """What takes vendors' later reports beside a running gateway."""
    return ReportDesk(
        book,
        owners=state.owners,
        publish=gateway.publish,
        tally=gateway.tally,
        app=settings.sdk_app_id,
    )


def _retries(settings: Settings, clock: Callable[[], float]) -> RetryIntake | None:
    tiers = settings.dispatch.retry_tiers
    if not tiers:
        return None
    return RetryIntake(settings.kafka, tiers, clock=clock, revoke_grace=settings.shutdown.grace)


def _limiter(policy: PolicySettings) -> RateLimiter | None:
    limits = policy.rate_limit
    return RateLimiter(limits) if limits.per_user or limits.per_conversation else None
