"""What ``pushgw send --dry-run`` shows for each credential of certs.example, kept as files to read and to compare: for one token,
and for two where they travel together.

``python tests/vendors/test_golden.py`` writes them anew; read the difference before it is committed.
"""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from pushgw.cli.dry_run import calls
from pushgw.credentials import CredentialEntry, load_directory
from pushgw.messages.model import AndroidInfo, ApnsInfo
from pushgw.sandbox import example_directory
from pushgw.vendor import Notification, Target, installed_vendors

GOLDEN = Path(__file__).with_name("golden")
ENTRIES = load_directory(example_directory(), installed_vendors()).entries
NOW = 1_767_225_600.0

NOTIFICATION = Notification(
    title="Alice & 爱丽丝",
    body='Lunch at noon? "Yes" 👨‍👩‍👧',
    ext='{"entity":{"sender":"alice","chatType":1}}',
    sound="knock",
    badge=3,
    expires_at=int(NOW) + 86_400,
    collapse_id="0123456789abcdef0123456789abcdef",
    notify_id=1_234_567,
    conversation="C2C_alice",
    android=AndroidInfo(
        sound="chime",
        push_style=1,
        huawei_channel_id="im-huawei",
        huawei_category="IM",
        huawei_importance="NORMAL",
        huawei_image="https://a.example/huawei.png",
        honor_importance="NORMAL",
        honor_image="https://a.example/honor.png",
        xiaomi_channel_id="im-xiaomi",
        oppo_channel_id="im-oppo",
        oppo_category="IM",
        oppo_notify_level=16,
        oppo_template_id="T1",
        google_channel_id="im-google",
        google_image="https://a.example/google.png",
        google_priority="high",
        vivo_classification=1,
        vivo_category="IM",
        vivo_notify_type=4,
        meizu_notice_type=1,
    ),
    apns=ApnsInfo(subtitle="at work", image="https://a.example/apns.png", interruption_level="active"),
    harmony={"Category": "IM", "Image": "https://a.example/harmony.png", "Sound": "chime.mp3"},
)
TARGET = Target(
    token="0a1b2c3d" * 8,
    user="bob",
    device_id="phone",
    push_id="01JGMAZ2G0000000000000PUSH",
    vendor_id="11111111-2222-4333-8444-555555555555",
)


OTHER = msgspec.structs.replace(
    TARGET,
    token="9f8e7d6c" * 8,
    user="carol",
    push_id="01JGMAZ2G0000000000001PUSH",
    vendor_id="66666666-7777-4888-8999-000000000000",
)


def tokens_of(entry: CredentialEntry) -> tuple[int, ...]:
    """To how many tokens its files are: to one, and to two where its vendor takes them in one push."""
    return (1, 2) if entry.adapter and entry.adapter.batch_limit > 1 else (1,)


CASES = [
    pytest.param(entry, count, id=f"{entry.business_id}-{entry.vendor}{'-list' * (count - 1)}")
    for entry in ENTRIES.values()
    for count in tokens_of(entry)
]


def path_of(entry: CredentialEntry, count: int) -> Path:
    return GOLDEN / f"{entry.business_id}-{entry.vendor}{'-list' * (count - 1)}.json"


def shown(entry: CredentialEntry, count: int) -> str:
    """The dry run, indented, with the body as a list: of its lines, or of a form's fields."""
    requests = calls(entry, NOTIFICATION, (TARGET, OTHER)[:count], NOW)
    for request in requests:
        request["body"] = request["body"].split("\n" if request["body"].startswith("{") else "&")
    first, *then = requests
    return (
        json.dumps({"Request": first, **({"Then": then} if then else {})}, ensure_ascii=False, indent=2)
        + "\n"
    )


@pytest.mark.parametrize(("entry", "count"), CASES)
def test_a_dry_run_shows_what_its_file_shows(entry: CredentialEntry, count: int) -> None:
    """The same push gives the same request, to the byte: any change of it is somebody's decision."""
    assert shown(entry, count) == path_of(entry, count).read_text("utf-8")


def test_there_is_a_file_for_each_credential_and_no_other() -> None:
    """Nothing is left behind of a credential that went, and a new one has its file."""
    files = {path_of(entry, count).name for entry in ENTRIES.values() for count in tokens_of(entry)}
    assert {path.name for path in GOLDEN.iterdir()} == files


@pytest.mark.parametrize(("entry", "count"), CASES)
def test_no_file_holds_a_secret(entry: CredentialEntry, count: int) -> None:
    """Whatever the adapter calls secret is masked in the file too."""
    assert entry.adapter is not None
    assert entry.account is not None
    auth = entry.adapter.local_auth(entry.account, NOW)
    text = path_of(entry, count).read_text("utf-8")
    for secret in entry.adapter.secrets(entry.account, auth):
        assert secret not in text


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for credential in ENTRIES.values():
        for number in tokens_of(credential):
            path_of(credential, number).write_text(shown(credential, number), "utf-8")
