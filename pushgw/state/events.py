"""What a user event does to what is known of its user. Pure, and the same for every store.

An event that is older than what is stored for the same thing (a device, the login, the switch, the global option,
the badge) changes nothing; one of equal time applies. So replays and reorderings end in the same state. Options for
single peers and groups, and who owns a token, are kept outside of `User`: by the stores and `pushgw.state.tokens`.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from pushgw.messages.model import (
    BadgeSet,
    C2COption,
    DeviceDelete,
    DeviceGround,
    DevicePut,
    GlobalOption,
    GroupOption,
    PushSwitch,
    UserDisconnect,
    UserEvent,
    UserLogin,
    UserLogout,
)
from pushgw.policy.facts import Device, GlobalRule, Login, User

MAX_GONE = 32
MAX_EARLY = 8
ACCOUNT = ""
"""The name under which `User.kicked` has a logout of the whole account."""


def apply_event(user: User, event: UserEvent) -> User:
    """The user after the event; unchanged when the event is stale or is none of `User`'s."""
    match event:
        case DevicePut():
            return _put(user, event)
        case DeviceDelete():
            return _delete(user, event)
        case DeviceGround():
            return _ground(user, event)
        case UserLogin():
            return _login(user, event.time_ms)
        case UserLogout():
            return _logout(user, event)
        case UserDisconnect():
            return _disconnect(user, event.time_ms)
        case PushSwitch():
            if event.time_ms < user.switch_ms:
                return user
            return replace(user, push_enabled=event.enabled, switch_ms=event.time_ms)
        case GlobalOption():
            return _global_option(user, event)
        case BadgeSet():
            return _badge(user, event.unread, event.time_ms)
        case C2COption() | GroupOption():
            return user


def device_of(user: User, device_id: str) -> Device | None:
    """The user's device of that id."""
    for device in user.devices:
        if device.device_id == device_id:
            return device
    return None


def put_applies(user: User, event: DevicePut) -> bool:
    """Whether the Put is at least as new as all that is known of its device."""
    known = device_of(user, event.device_id)
    if known is not None and event.time_ms < known.put_ms:
        return False
    if event.time_ms < dict(user.gone).get(event.device_id, 0):
        return False
    kicked = dict(user.kicked)
    return event.time_ms >= max(kicked.get(ACCOUNT, 0), kicked.get(event.platform or ACCOUNT, 0))


def replace_device(user: User, device: Device) -> User:
    """The user with this device in the place of the one of the same id."""
    return replace(
        user, devices=tuple([device if d.device_id == device.device_id else d for d in user.devices])
    )


def _put(user: User, event: DevicePut) -> User:
    if not put_applies(user, event):
        return _login(user, event.time_ms)
    time_ms = event.time_ms
    device = Device(
        device_id=event.device_id,
        business_id=event.business_id,
        token=event.token,
        put_ms=time_ms,
        platform=event.platform,
        lang=event.lang,
        time_zone=event.time_zone,
        app_version=event.app_version,
    )
    known = device_of(user, event.device_id)
    if known is not None:
        if known.ground_ms > time_ms:
            device = replace(device, background=known.background, ground_ms=known.ground_ms)
        if known.put_ms == time_ms and known.token == event.token:
            device = replace(device, dead_ms=known.dead_ms)
    for device_id, ground_ms, background in user.early:
        if device_id == event.device_id and ground_ms > time_ms:
            device = replace(device, background=background, ground_ms=ground_ms)
    others = [d for d in user.devices if d.device_id != event.device_id]
    return replace(
        user,
        devices=tuple(sorted([device, *others], key=lambda d: -d.put_ms)),
        login=Login.IN,
        login_ms=max(user.login_ms, time_ms),
        online_ms=max(user.online_ms, time_ms),
        gone=tuple([g for g in user.gone if g[0] != event.device_id]),
        early=tuple([e for e in user.early if e[0] != event.device_id]),
    )


def _delete(user: User, event: DeviceDelete) -> User:
    known = device_of(user, event.device_id)
    if known is not None and event.time_ms < known.put_ms:
        return user
    return _without(user, event.time_ms, lambda d: d.device_id != event.device_id, gone=event.device_id)


def _ground(user: User, event: DeviceGround) -> User:
    if event.unread is not None:
        user = _badge(user, event.unread, event.time_ms)
    known = device_of(user, event.device_id)
    if known is None:
        return _early(user, event)
    if event.time_ms < max(known.ground_ms, known.put_ms):
        return user
    user = replace_device(user, replace(known, background=event.background, ground_ms=event.time_ms))
    return replace(user, online_ms=max(user.online_ms, event.time_ms))


def _early(user: User, event: DeviceGround) -> User:
    for device_id, ground_ms, _ in user.early:
        if device_id == event.device_id and event.time_ms < ground_ms:
            return user
    early = _with_early(user, event.device_id, event.time_ms, event.background)
    return replace(early, online_ms=max(user.online_ms, event.time_ms))


def _with_early(user: User, device_id: str, time_ms: int, background: bool) -> User:
    others = [e for e in user.early if e[0] != device_id]
    newest = sorted([(device_id, time_ms, background), *others], key=lambda e: -e[1])
    return replace(user, early=tuple(newest[:MAX_EARLY]))


def _login(user: User, time_ms: int) -> User:
    """A login counts unless a logout after it left the user offline."""
    return replace(
        user,
        login=Login.IN if time_ms >= user.logout_ms else user.login,
        login_ms=max(user.login_ms, time_ms),
        online_ms=max(user.online_ms, time_ms),
    )


def _logout(user: User, event: UserLogout) -> User:
    time_ms = event.time_ms
    if event.device_id is not None:
        known = device_of(user, event.device_id)
        if known is not None and time_ms < known.put_ms:
            return user
        left = _without(user, time_ms, lambda d: d.device_id != event.device_id, gone=event.device_id)
        return left if left.devices else _offline(left, time_ms)
    if event.platforms:
        left = _without(user, time_ms, lambda d: d.put_ms > time_ms or d.platform not in event.platforms)
        for platform in event.platforms:
            left = _kick(left, platform, time_ms)
        replayed = time_ms == user.logout_ms
        return _offline(left, time_ms) if not left.devices and (user.devices or replayed) else left
    left = _kick(_without(user, time_ms, lambda d: d.put_ms > time_ms), ACCOUNT, time_ms)
    return _offline(left, time_ms)


def _offline(user: User, time_ms: int) -> User:
    """Logged out, unless a login since then is known."""
    if time_ms < max(user.login_ms, user.logout_ms):
        return user
    return replace(user, login=Login.OUT, logout_ms=time_ms)


def _without(user: User, time_ms: int, keep: Callable[[Device], bool], gone: str | None = None) -> User:
    """Without the devices that are not kept. A ground newer than their going waits for a Put that may come late."""
    for device in user.devices:
        if not keep(device) and device.ground_ms > time_ms:
            user = _with_early(user, device.device_id, device.ground_ms, device.background)
    devices = tuple([d for d in user.devices if keep(d)])
    if gone is None:
        return replace(user, devices=devices)
    newest = max(time_ms, dict(user.gone).get(gone, 0))
    others = [g for g in user.gone if g[0] != gone]
    marks = sorted([(gone, newest), *others], key=lambda g: -g[1])
    return replace(user, devices=devices, gone=tuple(marks[:MAX_GONE]))


def _kick(user: User, platform: str, time_ms: int) -> User:
    marks = dict(user.kicked)
    marks[platform] = max(time_ms, marks.get(platform, 0))
    return replace(user, kicked=tuple(sorted(marks.items())))


def _disconnect(user: User, time_ms: int) -> User:
    """The link is lost: still logged in, and no app is in the foreground any more."""
    devices = [
        replace(d, background=True, ground_ms=time_ms) if time_ms >= max(d.ground_ms, d.put_ms) else d
        for d in user.devices
    ]
    early = [(i, time_ms, True) if time_ms >= ms else (i, ms, back) for i, ms, back in user.early]
    return replace(
        user,
        login=Login.IN if user.login is Login.UNKNOWN else user.login,
        online_ms=max(user.online_ms, time_ms),
        devices=tuple(devices),
        early=tuple(early),
    )


def _global_option(user: User, event: GlobalOption) -> User:
    if event.time_ms < user.global_ms:
        return user
    rule = None
    if event.window is not None:
        rule = GlobalRule(window=event.window, set_ms=event.time_ms, time_zone=event.time_zone)
    return replace(user, global_rule=rule, global_ms=event.time_ms)


def _badge(user: User, unread: int, time_ms: int) -> User:
    if time_ms < user.badge_ms:
        return user
    return replace(user, badge=unread, badge_ms=time_ms)
