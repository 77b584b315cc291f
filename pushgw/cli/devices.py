"""``pushgw devices``: what is stored about a user's devices."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from pushgw.cli.loop import run_async
from pushgw.cli.output import Config, Exit, Json, err, fail, out, print_json, settings_or_exit
from pushgw.messages.receipts import mask_token
from pushgw.policy.facts import User
from pushgw.settings import Settings
from pushgw.state import open_store
from pushgw.state.protocol import StateMissing, StateUnavailable

app = typer.Typer(help="What is stored about a user's devices.", no_args_is_help=True)


@app.command("list")
def list_devices(
    user: Annotated[str, typer.Argument(help="User id (To_Account).")],
    app_id: Annotated[
        int | None, typer.Option("--app", help="SdkAppId; default: the setting sdk_app_id.")
    ] = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """The devices of one user, tokens masked.

    Example: pushgw devices list bob
    """
    settings = settings_or_exit(config)
    stored = run_async(_user(settings, settings.sdk_app_id if app_id is None else app_id, user))
    if json:
        print_json(_answer(user, stored))
    elif stored is None:
        out.print(f"Nothing is known of {user}: no login and no Device.Put has arrived.", markup=False)
    else:
        out.print(_table(user, stored))
    raise typer.Exit(int(Exit.DONE if stored else Exit.NO))


async def _user(settings: Settings, app_id: int, user: str) -> User | None:
    try:
        store = await open_store(settings.state, read_only=True)
    except StateMissing as error:
        err.print(f"pushgw: {error}", markup=False, soft_wrap=True)
        return None
    except StateUnavailable as error:
        raise fail(Exit.UNREACHABLE, str(error)) from None
    try:
        return await store.user(app_id, user)
    except StateUnavailable as error:
        raise fail(Exit.UNREACHABLE, str(error)) from None
    finally:
        await store.close()


def _answer(user: str, stored: User | None) -> dict[str, Any]:
    if stored is None:
        return {"To_Account": user, "Known": False, "Devices": []}
    return {
        "To_Account": user,
        "Known": True,
        "Login": stored.login.name,
        "PushEnabled": stored.push_enabled,
        "Badge": stored.badge,
        "Devices": [
            {
                "DeviceID": d.device_id,
                "BusinessID": d.business_id,
                "Token": mask_token(d.token),
                "Platform": d.platform,
                "Background": d.background,
                "Lang": d.lang,
                "TimeZone": d.time_zone,
                "Dead": d.dead_ms is not None,
                "OwnedElsewhere": d.lost,
                "PutMs": d.put_ms,
            }
            for d in stored.devices
        ],
    }


def _table(user: str, stored: User) -> Table:
    table = Table(
        title=f"{escape(user)}: login {stored.login.name}, badge {stored.badge}", title_justify="left"
    )
    for column in ("device", "certificate id", "platform", "token", "ground", "state", "reported"):
        table.add_column(column)
    for d in stored.devices:
        state = "dead" if d.dead_ms is not None else "token owned elsewhere" if d.lost else "ok"
        reported = datetime.fromtimestamp(d.put_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
        ground = "background" if d.background else "foreground"
        table.add_row(
            escape(d.device_id),
            str(d.business_id),
            d.platform or "",
            escape(mask_token(d.token)),
            ground,
            state,
            reported,
        )
    return table
