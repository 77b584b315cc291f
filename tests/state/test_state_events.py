"""User events: what each does, that stale ones do nothing, that equal ones apply, that order does no harm."""

from __future__ import annotations

from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from pushgw.messages.model import (
    AlwaysWindow,
    BadgeSet,
    C2COption,
    DailyWindow,
    DeviceDelete,
    DeviceGround,
    DevicePut,
    GlobalOption,
    PushSwitch,
    UserDisconnect,
    UserEvent,
    UserLogin,
    UserLogout,
)
from pushgw.policy.facts import NOBODY, GlobalRule, Login, User
from pushgw.state.events import MAX_EARLY, MAX_GONE, apply_event, device_of

WINDOW = DailyWindow(hour=22, minute=0, second=0, duration=3600)


def put(
    time_ms: int,
    device: str = "d1",
    token: str = "t1",  # noqa: S107  a device's, no password
    platform: str | None = "ios",
) -> DevicePut:
    return DevicePut(
        app=0,
        user="bob",
        time_ms=time_ms,
        device_id=device,
        business_id=6666,
        token=token,
        platform=platform,
        lang="zh",
        time_zone="Asia/Shanghai",
        app_version="1.2",
    )


def delete(time_ms: int, device: str = "d1") -> DeviceDelete:
    return DeviceDelete(app=0, user="bob", time_ms=time_ms, device_id=device)


def ground(time_ms: int, background: bool, device: str = "d1", unread: int | None = None) -> DeviceGround:
    return DeviceGround(
        app=0, user="bob", time_ms=time_ms, device_id=device, background=background, unread=unread
    )


def login(time_ms: int) -> UserLogin:
    return UserLogin(app=0, user="bob", time_ms=time_ms)


def logout(time_ms: int, device: str | None = None, platforms: tuple[str, ...] = ()) -> UserLogout:
    return UserLogout(app=0, user="bob", time_ms=time_ms, device_id=device, platforms=frozenset(platforms))


def disconnect(time_ms: int) -> UserDisconnect:
    return UserDisconnect(app=0, user="bob", time_ms=time_ms)


def switch(time_ms: int, enabled: bool) -> PushSwitch:
    return PushSwitch(app=0, user="bob", time_ms=time_ms, enabled=enabled)


def rule(time_ms: int, on: bool) -> GlobalOption:
    return GlobalOption(
        app=0, user="bob", time_ms=time_ms, window=WINDOW if on else None, time_zone="Europe/Paris"
    )


def badge(time_ms: int, unread: int) -> BadgeSet:
    return BadgeSet(app=0, user="bob", time_ms=time_ms, unread=unread)


def after(*events: UserEvent) -> User:
    return reduce(apply_event, events, NOBODY)


def ids(user: User) -> list[str]:
    return [d.device_id for d in user.devices]


def test_put_stores_all_and_logs_in() -> None:
    """A Put brings every field, the login, and a device that is in the background."""
    user = after(put(100))
    device = user.devices[0]
    assert (user.login, user.login_ms, user.online_ms) == (Login.IN, 100, 100)
    assert (device.device_id, device.business_id, device.token, device.put_ms) == ("d1", 6666, "t1", 100)
    assert (device.platform, device.lang, device.time_zone, device.app_version) == (
        "ios",
        "zh",
        "Asia/Shanghai",
        "1.2",
    )
    assert device.background
    assert device.dead_ms is None
    assert not device.lost


@pytest.mark.parametrize(("time_ms", "token"), [(99, "t1"), (100, "t2"), (101, "t2")])
def test_put_stale_equal_newer(time_ms: int, token: str) -> None:
    """An older Put of the same device is ignored, an equal one and a newer one replace it."""
    user = after(put(100), put(time_ms, token="t2"))
    assert [d.token for d in user.devices] == [token]


@pytest.mark.parametrize(("time_ms", "dead"), [(99, 7), (100, 7), (101, None)])
def test_only_a_newer_put_revives_a_dead_token(time_ms: int, dead: int | None) -> None:
    """A replay of the Put that brought the token does not undo what the vendor said; a newer Put does."""
    user = after(put(100))
    user = replace(user, devices=(replace(user.devices[0], dead_ms=7),))
    assert apply_event(user, put(time_ms)).devices[0].dead_ms == dead


def test_put_clears_lost() -> None:
    """A Put claims its token back; whether it may have it is the token index's word."""
    user = after(put(100))
    user = replace(user, devices=(replace(user.devices[0], lost=True),))
    assert not apply_event(user, put(100)).devices[0].lost


def test_devices_stand_newest_first() -> None:
    """The order of devices is the order of their Puts, whatever the order of arrival."""
    assert ids(after(put(100, "a"), put(300, "c"), put(200, "b"))) == ["c", "b", "a"]


@pytest.mark.parametrize(("time_ms", "left"), [(99, ["d1"]), (100, []), (101, [])])
def test_delete_stale_equal_newer(time_ms: int, left: list[str]) -> None:
    """An older Delete is ignored; an equal or newer one forgets the device. The login stays either way."""
    user = after(put(100), delete(time_ms))
    assert ids(user) == left
    assert user.login is Login.IN


@pytest.mark.parametrize(("time_ms", "there"), [(199, []), (200, ["d1"]), (201, ["d1"])])
def test_put_after_delete(time_ms: int, there: list[str]) -> None:
    """A Put older than the Delete of its device stays stale, also when the device was not known at the time."""
    assert ids(after(put(100), delete(200), put(time_ms))) == there
    assert ids(after(delete(200), put(time_ms))) == there


def test_tombstones_of_devices_are_bounded() -> None:
    """A client that draws a new device id each time does not fill the store."""
    user = after(
        *[delete(n, f"d{n}") for n in range(1, 200)], *[ground(n, False, f"d{n}") for n in range(1, 200)]
    )
    assert len(user.gone) == MAX_GONE
    assert len(user.early) == MAX_EARLY
    assert user.gone[0] == ("d199", 199)


@pytest.mark.parametrize(("time_ms", "background"), [(149, True), (150, False), (151, False)])
def test_ground_stale_equal_newer(time_ms: int, background: bool) -> None:
    """Of Background and Foreground the newer holds; of equal times the later arrival."""
    user = after(put(100), ground(150, True), ground(time_ms, False))
    assert user.devices[0].background is background


def test_foreground_older_than_the_put_is_stale() -> None:
    """After a Put the device is in the background until told otherwise by something newer."""
    assert after(put(100), ground(99, False)).devices[0].background
    assert after(put(100), ground(110, False), put(120)).devices[0].background
    assert not after(put(100), ground(110, False), put(105)).devices[0].background


def test_foreground_before_its_put_arrives() -> None:
    """A Foreground that overtakes the Put of its device holds when the Put comes."""
    assert not after(ground(110, False), put(100)).devices[0].background
    assert after(ground(110, False), put(120)).devices[0].background
    assert after(ground(110, False), ground(105, True), put(100)).devices[0].background is False


def test_background_sets_the_badge_base() -> None:
    """UnreadMsgNum of a Background becomes the base, also when the device is not known."""
    assert after(put(100), ground(150, True, unread=4)).badge == 4
    assert after(ground(150, True, unread=4)).badge == 4


@pytest.mark.parametrize(("time_ms", "number"), [(99, 5), (100, 9), (101, 9)])
def test_badge_stale_equal_newer(time_ms: int, number: int) -> None:
    """An older Badge.Set is ignored; an equal or newer one is the base."""
    assert after(badge(100, 5), badge(time_ms, 9)).badge == number


@pytest.mark.parametrize(("time_ms", "enabled"), [(99, False), (100, True), (101, True)])
def test_push_switch_stale_equal_newer(time_ms: int, enabled: bool) -> None:
    """The newest switch holds."""
    assert NOBODY.push_enabled
    assert after(switch(100, False), switch(time_ms, True)).push_enabled is enabled


@pytest.mark.parametrize(("time_ms", "kept"), [(99, True), (100, False), (101, False)])
def test_global_option_stale_equal_newer(time_ms: int, kept: bool) -> None:
    """One global rule, the newest; clearing is a rule too."""
    user = after(rule(100, True), rule(time_ms, False))
    assert (user.global_rule is not None) is kept


def test_global_rule_keeps_its_time_and_zone() -> None:
    """A daily window's first start is reckoned from EventTime, in the rule's own zone."""
    assert after(rule(100, True)).global_rule == GlobalRule(
        window=WINDOW, set_ms=100, time_zone="Europe/Paris"
    )
    always = GlobalOption(app=0, user="bob", time_ms=5, window=AlwaysWindow())
    assert after(always).global_rule == GlobalRule(window=AlwaysWindow(), set_ms=5)


@pytest.mark.parametrize(("time_ms", "state"), [(99, Login.OUT), (100, Login.IN), (101, Login.IN)])
def test_login_stale_equal_newer(time_ms: int, state: Login) -> None:
    """A login older than the logout does not bring the user back."""
    assert after(logout(100), login(time_ms)).login is state


@pytest.mark.parametrize(
    ("time_ms", "state", "left"), [(99, Login.IN, ["d1"]), (100, Login.OUT, []), (101, Login.OUT, [])]
)
def test_logout_stale_equal_newer(time_ms: int, state: Login, left: list[str]) -> None:
    """Logout unbinds the devices that are not newer, and logs out unless the login is newer."""
    user = after(put(100), logout(time_ms))
    assert (user.login, ids(user)) == (state, left)


def test_late_logout_unbinds_older_devices_only() -> None:
    """A Logout that arrives late leaves the device of a newer Put, and the user logged in."""
    user = after(put(100, "old"), put(300, "new"), logout(200))
    assert (user.login, ids(user)) == (Login.IN, ["new"])


@pytest.mark.parametrize(("time_ms", "there"), [(199, []), (200, ["d1"]), (201, ["d1"])])
def test_put_older_than_a_logout_is_stale(time_ms: int, there: list[str]) -> None:
    """A Put that is older than the account's Logout neither binds the device nor logs in."""
    user = after(logout(200), put(time_ms))
    assert ids(user) == there
    assert (user.login is Login.IN) is bool(there)


def test_logout_of_one_device() -> None:
    """The named device goes; the user stays while another is bound, and is offline after the last."""
    user = after(put(100, "a"), put(110, "b"), logout(120, "a"))
    assert (user.login, ids(user)) == (Login.IN, ["b"])
    user = apply_event(user, logout(130, "b"))
    assert (user.login, ids(user)) == (Login.OUT, [])
    assert apply_event(user, put(125, "b")).login is Login.OUT
    assert ids(apply_event(user, put(131, "b"))) == ["b"]


def test_logout_of_a_device_older_than_its_put_is_stale() -> None:
    """A device that was put again after it logged out stays."""
    user = after(put(100), logout(99, "d1"))
    assert (user.login, ids(user)) == (Login.IN, ["d1"])


def test_kick_of_platforms() -> None:
    """Devices of the kicked platforms go, others stay; the kick of the last device logs out."""
    user = after(
        put(100, "phone", platform="ios"), put(110, "tab", platform="android"), logout(120, None, ("ios",))
    )
    assert (user.login, ids(user)) == (Login.IN, ["tab"])
    user = apply_event(user, logout(130, None, ("android", "web")))
    assert (user.login, ids(user)) == (Login.OUT, [])


def test_kick_spares_newer_and_other_devices() -> None:
    """A device put after the kick, and one without a platform, are not kicked; an older Put that comes late is."""
    user = after(put(200, "new"), put(100, "plain", platform=None), logout(150, None, ("ios",)))
    assert ids(user) == ["new", "plain"]
    assert ids(after(logout(150, None, ("ios",)), put(140))) == []
    assert ids(after(logout(150, None, ("ios",)), put(150))) == ["d1"]


def test_kick_without_devices_keeps_the_login() -> None:
    """A kick of platforms that the user has no device of does not log out."""
    assert after(login(100), logout(120, None, ("ios",))).login is Login.IN


def test_login_with_a_kick_replayed() -> None:
    """A login event that kicks the last device leaves the user offline, also when it comes twice."""
    events = [login(150), logout(150, None, ("ios",))]
    assert after(put(100), *events).login is Login.OUT
    assert after(put(100), *events, *events).login is Login.OUT


def test_disconnect_puts_all_in_the_background() -> None:
    """A lost link ends every foreground that is not newer; the user stays logged in and counts as alive then."""
    user = after(
        put(100, "a"), put(100, "b"), ground(150, False, "a"), ground(250, False, "b"), disconnect(200)
    )
    assert {d.device_id: d.background for d in user.devices} == {"a": True, "b": False}
    assert (user.login, user.online_ms) == (Login.IN, 250)
    assert after(disconnect(200)).login is Login.IN
    assert after(logout(100), disconnect(200)).login is Login.OUT


def test_a_ground_outlives_a_late_delete() -> None:
    """A delete or logout that comes late takes the device, not the newer news that its app is in the foreground."""
    news = [put(100), ground(130, False)]
    for leaving in (delete(110), logout(110, "d1"), logout(110, None, ("ios",)), logout(110)):
        [device] = after(*news, leaving, put(120)).devices
        assert (device.background, device.ground_ms) == (False, 130)
        [device] = after(*news, leaving, put(140)).devices
        assert (device.background, device.ground_ms) == (True, 0)


def test_options_are_not_the_users() -> None:
    """Options for peers and groups are kept elsewhere and change nothing here."""
    user = after(put(100))
    assert apply_event(user, C2COption(app=0, user="bob", time_ms=1, peer="alice", option=2)) is user


def test_an_unknown_device() -> None:
    """Asking for a device that is not there gives None."""
    assert device_of(after(put(100)), "d2") is None


EVENTS = st.one_of(
    st.builds(put, st.just(0), st.sampled_from("ab"), st.sampled_from(["t1", "t2"])),
    st.builds(delete, st.just(0), st.sampled_from("ab")),
    st.builds(ground, st.just(0), st.booleans(), st.sampled_from("ab"), st.none() | st.integers(0, 9)),
    st.builds(login, st.just(0)),
    st.builds(logout, st.just(0)),
    st.builds(switch, st.just(0), st.booleans()),
    st.builds(rule, st.just(0), st.booleans()),
    st.builds(badge, st.just(0), st.integers(0, 9)),
)


@given(st.lists(EVENTS, max_size=7), st.randoms(use_true_random=False))
def test_any_order_of_arrival_ends_alike(events: list[UserEvent], rng: object) -> None:
    """Events of different times lead to the same facts in whatever order, and however often, they arrive."""
    in_order = [replace(event, time_ms=100 + n) for n, event in enumerate(events)]
    shuffled = [*in_order, *in_order]
    rng.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis gives a random.Random
    expected, found = after(*in_order), after(*shuffled)
    facts = [
        f for f in User.__struct_fields__ if f not in {"gone", "kicked", "early", "login_ms", "logout_ms"}
    ]
    assert {f: getattr(found, f) for f in facts} == {f: getattr(expected, f) for f in facts}
