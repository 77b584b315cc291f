"""``pushgw certs remove``: not while devices refer to it."""

from __future__ import annotations

from typing import Annotated

import typer

from pushgw.assembly import credential_store_of
from pushgw.cli.book import store_failed
from pushgw.cli.loop import run_async
from pushgw.cli.output import Config, Exit, Json, fail, out, print_json, settings_or_exit
from pushgw.credentials.material import CredentialStore, StoreError
from pushgw.settings import Settings
from pushgw.state import open_store
from pushgw.state.protocol import StateMissing, StateUnavailable


def remove(
    business_id: Annotated[int, typer.Argument(metavar="ID", help="Certificate id.")],
    force: Annotated[
        bool, typer.Option("--force", help="Also while devices refer to it: their pushes end as C2.")
    ] = False,
    config: Config = None,
    json: Json = False,
) -> None:
    """Remove a credential with the files that only it names; refused while devices refer to it.

    Example: pushgw certs remove 6666
    """
    settings = settings_or_exit(config)
    store = credential_store_of(settings)
    if business_id not in ids_of(store):
        known = ", ".join(map(str, ids_of(store))) or "none"
        raise fail(Exit.NO, f"there is no credential {business_id}; there are: {known}")
    devices = None if force else run_async(_devices_of(settings, business_id))
    if devices:
        raise fail(
            Exit.NO,
            f"{devices} device{'' if devices == 1 else 's'} refer to {business_id}, and would not be pushed any more (C2); "
            "wait until their apps report another certificate id, or say --force",
        )
    try:
        store.remove(business_id)
    except StoreError as error:
        raise store_failed(error) from None
    if json:
        print_json({"BusinessID": business_id, "Done": "removed"})
    else:
        out.print(f"{business_id} removed", markup=False)


def ids_of(store: CredentialStore) -> list[int]:
    """What the store holds, or exit 3."""
    try:
        return store.ids()
    except StoreError as error:
        raise store_failed(error) from None


async def _devices_of(settings: Settings, business_id: int) -> int:
    """How many devices have this certificate id. Exits 4 where the store does not say."""
    try:
        state = await open_store(settings.state, read_only=True)
    except StateMissing:
        return 0
    except StateUnavailable as error:
        mend = "until it answers nobody knows whether devices refer to the credential; --force removes it all the same"
        raise fail(Exit.UNREACHABLE, str(error), mend) from None
    try:
        return await state.devices_of(business_id)
    except StateUnavailable as error:
        raise fail(Exit.UNREACHABLE, str(error)) from None
    finally:
        await state.close()
