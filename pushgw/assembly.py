"""Puts a gateway together from settings: the one place that knows which parts stand behind which setting."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from pushgw.credentials import CredentialDirectory, CredentialWatch, DirectoryShelf, load_directory
from pushgw.credentials.directory_store import DirectoryStore
from pushgw.credentials.material import CredentialStore
from pushgw.credentials.watch import Shelf
from pushgw.delivery.decide import Decider
from pushgw.delivery.dispatcher import Dispatcher
from pushgw.delivery.lane import OnEndings
from pushgw.gateway import Gateway
from pushgw.kafka.intake import Intake
from pushgw.kafka.outlet import Outlet
from pushgw.kafka.retry_intake import RetryIntake
from pushgw.policy.limits import RateLimiter
from pushgw.settings import PolicySettings, Settings
from pushgw.state.protocol import StateStore
from pushgw.vendor import transport_named
from pushgw.vendor.plugin import installed_vendors


def credentials_of(settings: Settings) -> CredentialDirectory:
    """The credential directory. Raises NotADirectoryError when it is missing."""
    return load_directory(settings.credentials.directory, installed_vendors())


def credential_store_of(settings: Settings) -> CredentialStore:
    """Where credentials are kept, to be changed."""
    return DirectoryStore(settings.credentials.directory, installed_vendors())


def credential_shelf_of(settings: Settings) -> Shelf:
    """Where a running gateway sees credentials change."""
    return DirectoryShelf(settings.credentials.directory, installed_vendors())


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


def _retries(settings: Settings, clock: Callable[[], float]) -> RetryIntake | None:
    tiers = settings.dispatch.retry_tiers
    if not tiers:
        return None
    return RetryIntake(settings.kafka, tiers, clock=clock, revoke_grace=settings.shutdown.grace)


def _limiter(policy: PolicySettings) -> RateLimiter | None:
    limits = policy.rate_limit
    return RateLimiter(limits) if limits.per_user or limits.per_conversation else None
