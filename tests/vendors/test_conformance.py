"""The conformance kit over every installed vendor, with every credential of certs.example.

What a vendor's class says here is what the kit cannot know by itself: answers that the emulator does not give on request.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec

from pushgw.credentials import load_directory
from pushgw.sandbox import example_directory
from pushgw.vendor import Account, Push, Response, installed_vendors
from pushgw.vendor.testing import AdapterConformance
from vendors.vivo.list_push import Task

VENDORS = installed_vendors()
ACCOUNTS = load_directory(example_directory(), VENDORS).accounts
TOKEN = "0a1b2c3d" * 8
"""Hexadecimal, and none of the emulators' magic words: a token of any vendor's."""


def answer(body: object, status: int = 200) -> Response:
    return Response(status=status, body=msgspec.json.encode(body))


class Apns(AdapterConformance):
    status_decides = True  # a 200 of Apple's has no body

    def response_for(self, code: str) -> Response:
        if code.startswith("HTTP "):
            return answer({"reason": "SomethingNew"}, 500 if code == "HTTP 5xx" else 400)
        return super().response_for(code)

    spellings: ClassVar = {"HTTP 4xx": "SomethingNew", "HTTP 5xx": "SomethingNew", "no reason": "HTTP 502"}


class Fcm(AdapterConformance):
    token_server_codes = frozenset(
        {"invalid_grant", "invalid_client", "unauthorized_client", "invalid_scope"}
    )
    spellings: ClassVar = {
        "INVALID_ARGUMENT on message.token": "INVALID_ARGUMENT",
        "no answer of FCM": "HTTP 200",
    }

    def auth_response_for(self, code: str) -> Response:
        return answer({"error": code}, 400)


class Huawei(AdapterConformance):
    token_server_codes = frozenset({"12304", "20002", "20003", "20171"})

    def auth_response_for(self, code: str) -> Response:
        return answer({"error": 1101, "sub_error": int(code)}, 400)

    def targets_for(self, code: str) -> int:
        return 2 if code in SOME_OF_A_BATCH else 1

    def response_for(self, code: str) -> Response:
        if code in SOME_OF_A_BATCH:
            return answer({"code": "80100000", "msg": self.listed(code)})
        return super().response_for(code)

    def listed(self, code: str) -> str:
        """Huawei's words for a batch in part refused: the second token, or the first by this reason."""
        bad = [self.numbered(1)] if code == "80100000" else {code: [self.numbered(0)]}
        return msgspec.json.encode({"success": 1, "failure": 1, "illegal_tokens": bad}).decode()


SOME_OF_A_BATCH = frozenset({"80100000", "tokenFormatError", "tokenPlatformNotSupport", "noRight"})


class Harmony(AdapterConformance):
    def targets_for(self, code: str) -> int:
        return 2 if code == "80100000" else 1

    def response_for(self, code: str) -> Response:
        if code == "80100000":
            listed = {"illegalTokens": {"tokenFormatError": [self.numbered(1)]}}
            return answer({"code": code, "msg": msgspec.json.encode(listed).decode()})
        if code == "80300007":
            return answer({"code": code, "msg": "All the tokens are invalid"})
        return super().response_for(code)


class Honor(AdapterConformance):
    def targets_for(self, code: str) -> int:
        return 2 if code == "80100000" else 1

    def response_for(self, code: str) -> Response:
        if code == "80000000":
            return answer({"code": int(code), "message": "success", "data": {"sendResult": True}})
        if code == "80100000":
            return answer({"code": int(code), "data": {"expireTokens": [self.numbered(1)]}})
        if code == "80300007":
            return answer({"code": int(code), "message": "All the tokens are invalid"})
        return super().response_for(code)


class Xiaomi(AdapterConformance):
    def targets_for(self, code: str) -> int:
        return 2 if code == "20301" else 1  # of a single regId it is not worth a repeat

    def response_for(self, code: str) -> Response:
        if code == "66007":
            return answer({"result": "error", "code": int(code), "reason": "no such regid"})
        return super().response_for(code)


class Vivo(AdapterConformance):
    spellings: ClassVar = {"HTTP other": "HTTP 403"}

    def push_for(self, code: str) -> Push:
        """Codes of lists are said of the second call; one more task has been tried where it was about the task."""
        if "10150" <= code <= "10155":
            return msgspec.structs.replace(self.push(2), stage=Task(id="1", anew=True))
        return super().push_for(code)


class Meizu(AdapterConformance):
    spellings: ClassVar = {
        code: code.removeprefix("value ") for code in VENDORS["meizu"].results if code.startswith("value ")
    }


WAYS: dict[str, type[AdapterConformance]] = {
    "apns": Apns,
    "fcm": Fcm,
    "harmony": Harmony,
    "honor": Honor,
    "huawei": Huawei,
    "meizu": Meizu,
    "vivo": Vivo,
    "xiaomi": Xiaomi,
}


def conformance_of(account: Account) -> type[AdapterConformance]:
    name = f"Test_{account.vendor}_{account.business_id}"
    given = {"vendor": VENDORS[account.vendor], "account": account, "token": TOKEN, "__module__": __name__}
    return type(name, (WAYS.get(account.vendor, AdapterConformance),), given)


globals().update({made.__name__: made for made in map(conformance_of, ACCOUNTS)})


def test_every_installed_vendor_is_tried() -> None:
    """No vendor escapes: each has a credential in certs.example, and so a test class here."""
    assert {account.vendor for account in ACCOUNTS} == set(VENDORS)
