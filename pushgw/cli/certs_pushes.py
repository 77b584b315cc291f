"""When each credential last had a push accepted, asked of the state store beside a running gateway."""

from __future__ import annotations

from datetime import UTC, datetime

from pushgw.cli.output import err
from pushgw.settings import Settings
from pushgw.state import open_store
from pushgw.state.protocol import StateMissing, StateUnavailable


async def good_pushes_of(settings: Settings) -> dict[int, float]:
    """Credential -> epoch s. A store that does not answer is said on stderr, and stops nothing."""
    try:
        state = await open_store(settings.state, read_only=True)
    except StateMissing:
        return {}
    except StateUnavailable as error:
        return _unknown(error)
    try:
        return await state.good_pushes()
    except StateUnavailable as error:
        return _unknown(error)
    finally:
        await state.close()


def moment_of(at: float | None) -> str | None:
    """ISO 8601 in whole seconds of UTC."""
    return None if at is None else datetime.fromtimestamp(int(at), UTC).isoformat()


def _unknown(error: StateUnavailable) -> dict[int, float]:
    err.print(f"pushgw: last good pushes are not known: {error}", markup=False, soft_wrap=True)
    return {}
