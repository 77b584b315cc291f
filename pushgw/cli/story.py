"""The demo's story: who is there, what is sent, and what must become of it.

Every record says which receipts it must end in; the demo's exit code is whether they came.
"""

from __future__ import annotations

import itertools
from typing import Any

import msgspec

PUSHED, SUPPRESSED, FAILED = "pushed", "suppressed", "failed"
CONVERSATION_LIMIT = 8
"""The demo runs with policy.rate_limit.per_conversation at this many a minute."""
BROKEN_CREDENTIAL, WRONG_SECRET = 9007, 9008
"""Two credentials that the demo adds to the sandbox's: a file with faults, and OPPO's AppSecret as MasterSecret."""

Expected = tuple[str | None, str | None, str, str]
"""(receiver, device, verdict, reason code or vendor)."""


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """One record, and the receipts it must end in (none: a recall, or a dead letter with this code)."""

    title: str
    value: bytes
    expect: tuple[Expected, ...] = ()
    dead_letter: int | None = None


class Act(msgspec.Struct, frozen=True, kw_only=True):
    """Records that are published together; the next act begins when all their receipts are there."""

    scenes: tuple[Scene, ...]
    events: tuple[dict[str, Any], ...] = ()
    """User events that are applied before the act's records."""


DEVICES: dict[str, tuple[tuple[str, int, str, str], ...]] = {
    # user: (device, certificate id, platform, token)
    "bob": (("iphone", 9001, "ios", "a1" * 32),),
    "carol": (("pixel", 9002, "android", "carol-fcm:APA91bDemoToken"),),
    "dave": (("mate", 9003, "android", "IQAAAACy0DaveHmsToken01"),),
    "erin": (("mi", 9004, "android", "erinRegIdXiaomi01=="),),
    "frank": (("find", 9005, "android", "OPPO_CN_frank0123456789abcdef"),),
    "holly": (("mate-next", 9009, "harmony", "MAMzLgIkEUHolly0123456789"),),
    "hank": (("magic", 9010, "android", "hankHonorToken0123456789"),),
    "vera": (("x200", 9011, "android", "17040000000000000000001"),),
    "xena": (("x100", 9011, "android", "v2-CRzlXenaDemoRegIdOfTheNewerKind0123456789abcdef"),),
    "max": (("flyme", 9012, "android", "S5Q4b726e6b735c7e6f7d5c60415c5d4d5f5a75"),),
    "wendy": (("p60", 9006, "android", "IQAAAACy0WendyHmsToken02"),),
    "grace": (("iphone", 9001, "ios", "b2" * 32), ("mi", 9004, "android", "graceRegIdXiaomi02==")),
    "heidi": (("iphone", 9001, "ios", "c3" * 32),),
    "ivan": (("iphone", 9001, "ios", "d4" * 32),),
    "judy": (("pixel", 9002, "android", "judy-fcm:APA91bDemoToken"),),
    "ken": (("iphone", 9001, "ios", "e5" * 32),),
    "leo": (("mi", 9004, "android", "leoRegIdXiaomi03=="),),
    "mia": (("find", 9005, "android", "OPPO_CN_mia0123456789abcdef"),),
    "oscar": (("iphone", 9999, "ios", "f6" * 32),),
    "peggy": (("iphone", 9004, "ios", "peggyIsOnIos=="),),
    "quentin": (("mi", BROKEN_CREDENTIAL, "android", "quentinRegIdXiaomi04=="),),
    "rob": (("pixel", 9002, "android", "rob-fcm:dead-APA91bDemoToken"),),
    "sybil": (("iphone", 9001, "ios", "not a device token"),),
    "trent": (("find", WRONG_SECRET, "android", "OPPO_CN_trent0123456789abcdef"),),
    "victor": (("iphone", 9001, "ios", "a7" * 32),),
}


def acts(now: int) -> tuple[Act, ...]:
    """The whole story, for a clock that shows ``now`` (epoch s)."""
    return _Writer(now).acts()


class _Writer:
    def __init__(self, now: int) -> None:
        self.now = now
        self.numbers = itertools.count(1001)

    def acts(self) -> tuple[Act, ...]:
        pushes = (*self._one_each(), *self._shapes(), *self._badge_and_text())
        reasons = (*self._message_reasons(), *self._receiver_reasons(), *self._device_reasons())
        return (
            Act(events=tuple(self._users()), scenes=pushes),
            Act(scenes=(*reasons, *self._dead_letters())),
            Act(
                events=(self._event("Device.Background", "heidi", DeviceID="iphone"),),
                scenes=self._afterwards(),
            ),
        )

    # --- who is there ------------------------------------------------------------------------------------

    def _event(self, name: str, user: str, **more: Any) -> dict[str, Any]:
        return {"Event": name, "To_Account": user, "EventTime": self.now * 1000, **more}

    def _users(self) -> list[dict[str, Any]]:
        events = [
            self._event(
                "Device.Put", user, DeviceID=device, BusinessID=credential, Platform=platform, Token=token
            )
            for user, devices in DEVICES.items()
            for device, credential, platform, token in devices
        ]
        midnight_to_midnight = {"StartHour": 0, "StartMinute": 0, "StartSecond": 0, "Duration": 86_400}
        return [
            *events,
            self._event("User.Login", "nina"),
            self._event("Device.Foreground", "heidi", DeviceID="iphone"),
            self._event("User.Logout", "ivan"),
            self._event("User.PushSwitch", "judy", Enabled=False),
            self._event(
                "Option.Global", "ken", Option=2, Daily=midnight_to_midnight, TimeZone="Europe/Berlin"
            ),
            self._event("Option.C2C", "leo", Peer="alice", Option=2),
            self._event("Option.Group", "mia", GroupId="@TGS#dev", Option=3),
        ]

    # --- records -----------------------------------------------------------------------------------------

    def _c2c(self, to: str | list[str], text: str = "Lunch at noon?", **more: Any) -> dict[str, Any]:
        number = next(self.numbers)
        return {
            "From_Account": "alice",
            "To_Account": to,
            "MsgSeq": number,
            "MsgRandom": 700_000 + number,
            "MsgTimeStamp": self.now,
            "MsgBody": [{"MsgType": "TIMTextElem", "MsgContent": {"Text": text}}],
            **more,
        }

    def _group(
        self, receivers: list[str] | None, text: str = "Build is green", **more: Any
    ) -> dict[str, Any]:
        number = next(self.numbers)
        gateway: dict[str, Any] = {"SchemaVersion": 1, "EventId": f"demo-{number}"}
        gateway["Sender"] = {"Nick": "Alice", "NameCard": "A."}
        gateway["Group"] = {"Name": "Dev", "Type": more.pop("group_type", "Public")}
        if receivers is not None:
            gateway["Receivers"] = [{"To_Account": r} for r in receivers]
        return {
            "GroupId": "@TGS#dev",
            "From_Account": "alice",
            "Random": 800_000 + number,
            "MsgSeq": number,
            "MsgTime": self.now,
            "MsgBody": [{"MsgType": "TIMTextElem", "MsgContent": {"Text": text}}],
            "PushGateway": gateway,
            **more,
        }

    def _scene(self, title: str, body: dict[str, Any], *expect: Expected) -> Scene:
        return Scene(title=title, value=msgspec.json.encode(body), expect=expect)

    def _not(
        self, title: str, code: str, body: dict[str, Any], user: str | None = "bob", device: str | None = None
    ) -> Scene:
        return self._scene(title, body, (user, device, SUPPRESSED, code))

    # --- what is pushed ----------------------------------------------------------------------------------

    def _one_each(self) -> list[Scene]:
        vendors = {
            "bob": ("iphone", "apns"),
            "carol": ("pixel", "fcm"),
            "dave": ("mate", "huawei"),
            "wendy": ("p60", "huawei"),
            "erin": ("mi", "xiaomi"),
            "frank": ("find", "oppo"),
            "holly": ("mate-next", "harmony"),
            "hank": ("magic", "honor"),
            "vera": ("x200", "vivo"),
            "max": ("flyme", "meizu"),
        }
        scenes = []
        for kind, text in (
            ("text", "Lunch at noon?"),
            ("emoji", "👩‍👩‍👧 see you 🎉"),
            ("Chinese", "中午一起吃饭吗?"),
        ):
            for user, (device, vendor) in vendors.items():
                scenes.append(
                    self._scene(f"one-to-one, {kind}", self._c2c(user, text), (user, device, PUSHED, vendor))
                )
        return scenes

    def _shapes(self) -> list[Scene]:
        both = (("carol", "pixel", PUSHED, "fcm"), ("erin", "mi", PUSHED, "xiaomi"))
        webhook = self._c2c(
            "bob", "as a webhook", CallbackCommand="C2C.CallbackAfterSendMsg", SendMsgResult=0
        )
        webhook["MsgTime"] = webhook.pop("MsgTimeStamp")
        group_webhook = self._group(
            ["bob", "carol"], CallbackCommand="Group.CallbackAfterSendMsg", Type="Public"
        )
        task = {
            "From_Account": "administrator",
            "To_Account": ["carol", "erin"],
            "MsgRandom": 3_674_128,
            "OfflinePushInfo": {"PushFlag": 0, "Title": "Update", "Desc": "A new version is here"},
            "DataId": "campaign-9",
        }
        mention = self._group(
            ["mia"], "red @mia packet", GroupAtInfo=[{"GroupAtAllFlag": 0, "GroupAt_Account": "mia"}]
        )
        return [
            self._scene("webhook republished", webhook, ("bob", "iphone", PUSHED, "apns")),
            self._scene("batchsendmsg to two", self._c2c(["carol", "erin"]), *both),
            self._scene("push task", task, *both),
            self._scene(
                "group message",
                self._group(["bob", "dave", "frank"]),
                ("bob", "iphone", PUSHED, "apns"),
                ("dave", "mate", PUSHED, "huawei"),
                ("frank", "find", PUSHED, "oppo"),
            ),
            self._scene(
                "group message, a list at vivo",
                self._group(["vera", "xena"]),
                ("vera", "x200", PUSHED, "vivo"),
                ("xena", "x100", PUSHED, "vivo"),
            ),
            self._scene(
                "group webhook",
                group_webhook,
                ("bob", "iphone", PUSHED, "apns"),
                ("carol", "pixel", PUSHED, "fcm"),
            ),
            self._scene("mention lifts the mute", mention, ("mia", "find", PUSHED, "oppo")),
            self._scene(
                "two devices",
                self._c2c("grace"),
                ("grace", "iphone", PUSHED, "apns"),
                ("grace", "mi", PUSHED, "xiaomi"),
            ),
        ]

    def _badge_and_text(self) -> list[Scene]:
        info = {
            "Title": "Alice",
            "Desc": "sent you a red packet",
            "ApnsInfo": {"Sound": "ding.caf", "BadgeMode": 1},
        }
        custom = {
            "MsgType": "TIMCustomElem",
            "MsgContent": {"Data": "{}", "Desc": "shared a song", "Ext": "", "Sound": ""},
        }
        return [
            self._scene(
                "own title and text",
                self._c2c("bob", OfflinePushInfo=info),
                ("bob", "iphone", PUSHED, "apns"),
            ),
            self._scene(
                "unread number 7", self._c2c("bob", UnreadMsgNum=7), ("bob", "iphone", PUSHED, "apns")
            ),
            self._scene(
                "custom element", self._c2c("erin", MsgBody=[custom]), ("erin", "mi", PUSHED, "xiaomi")
            ),
        ]

    # --- what is not, and why ----------------------------------------------------------------------------

    def _message_reasons(self) -> list[Scene]:
        with_id = self._c2c("carol", PushGateway={"SchemaVersion": 1, "EventId": "same-event"})
        again = self._c2c("carol", PushGateway={"SchemaVersion": 1, "EventId": "same-event"})
        first = self._c2c("dave")
        twin = {**self._c2c("dave"), "MsgRandom": first["MsgRandom"]}
        withdrawn = self._c2c("bob", "never mind")
        recall = {
            "From_Account": "alice",
            "To_Account": "bob",
            "MsgKey": f"{withdrawn['MsgSeq']}_{withdrawn['MsgRandom']}_{self.now}",
        }
        empty = {"MsgType": "TIMCustomElem", "MsgContent": {"Data": "{}", "Desc": "", "Ext": "", "Sound": ""}}
        report = {
            "CallbackCommand": "C2C.CallbackAfterMsgReport",
            "Report_Account": "bob",
            "Peer_Account": "alice",
        }
        failed = self._c2c("bob", CallbackCommand="C2C.CallbackAfterSendMsg", SendMsgResult=20_006)
        old = self._c2c("bob", MsgTimeStamp=self.now - 120, MsgLifeTime=60)
        return [
            self._scene("an event id", with_id, ("carol", "pixel", PUSHED, "fcm")),
            self._not("the same event id again", "A2", again, "carol"),
            self._not("a read report", "A3", report, None),
            self._not("a send that failed", "A4", failed),
            self._scene("a random mark", first, ("dave", "mate", PUSHED, "huawei")),
            self._not("the same MsgRandom again", "A5", twin, "dave"),
            self._scene("a recall that comes first", recall),
            self._not("the withdrawn message", "A6", withdrawn),
            self._not("MsgLifeTime 0", "A7", self._c2c("bob", MsgLifeTime=0)),
            self._not("OnlineOnlyFlag", "A8", self._c2c("bob", OnlineOnlyFlag=1)),
            self._not("PushFlag 1", "A9", self._c2c("bob", OfflinePushInfo={"PushFlag": 1})),
            self._not("an AVChatRoom", "A10", self._group(["bob"], group_type="AVChatRoom")),
            self._not("lifetime over", "A11", old),
            self._not("nothing to show", "A12", self._c2c("bob", MsgBody=[empty])),
        ]

    def _receiver_reasons(self) -> list[Scene]:
        flood = [
            self._scene(
                "a chatty friend",
                self._c2c("victor", From_Account="zoe"),
                ("victor", "iphone", PUSHED, "apns"),
            )
            for _ in range(CONVERSATION_LIMIT)
        ]
        return [
            self._not("a group without receivers", "B1", self._group(None), None),
            self._not("a note to self", "B2", self._c2c("alice"), "alice"),
            self._not("an unknown user", "B3", self._c2c("zelda"), "zelda"),
            self._not("logged out", "B3", self._c2c("ivan"), "ivan"),
            self._not("app in the foreground", "B4", self._c2c("heidi"), "heidi"),
            self._not("pushes switched off", "B5", self._c2c("judy"), "judy"),
            self._not("global do-not-disturb", "B6", self._c2c("ken"), "ken"),
            self._not("sender muted", "B7", self._c2c("leo"), "leo"),
            self._not("group muted", "B8", self._group(["mia"]), "mia"),
            *flood,
            self._not("one too many", "B9", self._c2c("victor", From_Account="zoe"), "victor"),
        ]

    def _device_reasons(self) -> list[Scene]:
        return [
            self._not("no device token", "C1", self._c2c("nina"), "nina"),
            self._not("unknown certificate id", "C2", self._c2c("oscar"), "oscar", "iphone"),
            self._not("an iPhone on a Xiaomi certificate", "C3", self._c2c("peggy"), "peggy", "iphone"),
            self._not("a broken credential file", "C4", self._c2c("quentin"), "quentin", "mi"),
            self._not("no token of that vendor", "C6", self._c2c("sybil"), "sybil", "iphone"),
            self._scene("a dead token", self._c2c("rob"), ("rob", "pixel", FAILED, "fcm")),
            self._scene("AppSecret for MasterSecret", self._c2c("trent"), ("trent", "find", FAILED, "oppo")),
        ]

    def _dead_letters(self) -> list[Scene]:
        no_random = self._c2c("bob")
        del no_random["MsgRandom"]
        wrong_flag = self._c2c("bob", OfflinePushInfo={"PushFlag": 2})
        return [
            Scene(title="no JSON (A1)", value=b"{'From_Account': ", dead_letter=90001),
            Scene(title="no MsgRandom (A1)", value=msgspec.json.encode(no_random), dead_letter=90005),
            Scene(title="PushFlag 2 (A1)", value=msgspec.json.encode(wrong_flag), dead_letter=20001),
        ]

    def _afterwards(self) -> tuple[Scene, ...]:
        return (
            self._not("after the dead token", "C5", self._c2c("rob"), "rob", "pixel"),
            self._not("after the refused secret", "C4", self._c2c("trent"), "trent", "find"),
            self._scene("back in the background", self._c2c("heidi"), ("heidi", "iphone", PUSHED, "apns")),
        )
