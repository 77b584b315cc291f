"""HarmonyInfo of Tencent's OfflinePushInfo, which arrives as it was written.

Source: Tencent IM's REST documentation of OfflinePushInfo; each key names a field of v3's ``payload.notification``.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

MAX_SOUND_S = 60


class HarmonyInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The hints that can be used; an absent or ignored one is empty."""

    title: str = ""
    category: str = ""
    image: str = ""
    sound: str = ""
    sound_duration: int | None = None
    """Seconds, 1...60."""
    ignored: tuple[str, ...] = ()
    """A sentence for each hint that was left out: a wrong hint never kills a message."""


_NOTHING = HarmonyInfo()


def read_info(raw: Mapping[str, object] | None) -> HarmonyInfo:
    """The hints of a HarmonyInfo. Raises nothing, whatever it holds; unknown keys are passed over."""
    if not raw:
        return _NOTHING
    ignored: list[str] = []
    return HarmonyInfo(
        title=_text(raw, "Title", ignored),
        category=_text(raw, "Category", ignored),
        image=_image(raw, ignored),
        sound=_text(raw, "Sound", ignored),
        sound_duration=_seconds(raw, ignored),
        ignored=tuple(ignored),
    )


def _text(raw: Mapping[str, object], key: str, ignored: list[str]) -> str:
    value = raw.get(key)
    if isinstance(value, str):
        return value if value.strip() else ""
    if value is not None:
        ignored.append(_sentence(key, "it is no string"))
    return ""


def _image(raw: Mapping[str, object], ignored: list[str]) -> str:
    url = _text(raw, "Image", ignored)
    if url and not url.startswith("https://"):
        ignored.append(_sentence("Image", "it is no https URL"))
        return ""
    return url


def _seconds(raw: Mapping[str, object], ignored: list[str]) -> int | None:
    value = raw.get("SoundDuration")
    if value is None or value == "":
        return None
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MAX_SOUND_S:
        return value
    ignored.append(_sentence("SoundDuration", f"it is no number of seconds of 1...{MAX_SOUND_S}"))
    return None


def _sentence(key: str, why: str) -> str:
    return f"OfflinePushInfo.HarmonyInfo.{key} was ignored: {why}."
