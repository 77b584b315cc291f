"""Where a credential's requests go: regions, other endpoints, and a proxy of its own, as `pushgw send` and `certs` show it."""

from __future__ import annotations

import asyncio
import json
import select
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

import pytest
import tomlkit
from typer.testing import CliRunner, Result

from pushgw.cli import app
from pushgw.credentials import load_directory
from pushgw.credentials.material import Material, MaterialSource
from pushgw.credentials.named_files import named_files
from pushgw.credentials.reader import read_credential
from pushgw.sandbox import Sandbox, example_directory
from pushgw.vendor import installed_vendors

EXAMPLES = {
    "apns": 9001,
    "fcm": 9002,
    "huawei": 9003,
    "xiaomi": 9004,
    "oppo": 9005,
    "harmony": 9009,
    "honor": 9010,
    "vivo": 9011,
    "meizu": 9012,
}
TOKENS = {"apns": "ab" * 32}
PASSWORD = "planted-proxy-pass"

Run = Callable[..., Result]
Write = Callable[..., int]


@pytest.fixture
def certs(tmp_path: Path) -> Path:
    """A directory of the examples' files, without their TOMLs."""
    directory = tmp_path / "certs"
    directory.mkdir()
    for path in example_directory().iterdir():
        if path.suffix != ".toml":
            (directory / path.name).write_bytes(path.read_bytes())
    return directory


@pytest.fixture
def write(certs: Path) -> Write:
    """Writes a vendor's example as it would be without the sandbox, with these keys above and these in ``[credential]``."""

    def made(vendor: str, top: dict[str, Any] | None = None, **fields: Any) -> int:
        number = EXAMPLES[vendor]
        document = tomlkit.parse((example_directory() / f"{number}.toml").read_text())
        for key in ("endpoint", "auth_endpoint", "ca_file"):
            document.pop(key, None)
        for key, value in fields.items():
            document["credential"][key] = value  # type: ignore[index]  # a table
        text = "".join(f"{key} = {_inline(value)}\n" for key, value in (top or {}).items())
        (certs / f"{number}.toml").write_text(text + tomlkit.dumps(document))
        return number

    return made


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_inline(inner)}" for key, inner in value.items()) + " }"
    return tomlkit.item(value).as_string()


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, certs: Path) -> Run:
    """Runs pushgw on that directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PUSHGW_CREDENTIALS__DIRECTORY", str(certs))
    monkeypatch.setenv("PUSHGW_STATE__URL", f"sqlite:///{tmp_path / 'state.db'}")

    def call(*arguments: str) -> Result:
        result = CliRunner().invoke(app, arguments)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return call


def pushing(number: int, vendor: str) -> tuple[str, ...]:
    token = TOKENS.get(vendor, "CN_0123456789abcdef")
    return ("send", "--credential", str(number), "--token", token, "--title", "Alice", "--body", "See you")


# --- regions and endpoints --------------------------------------------------------------------------------

HUAWEI, OAUTH = "push-api.cloud.huawei.com", "oauth-login.cloud.huawei.com"
INTL = {"endpoint": "https://api-intl.push.oppomobile.com"}
INDIA = {"endpoint": "https://server-api-push.in.meizu.com"}
CENTRE = {"endpoint": "https://push.centre.example", "auth_endpoint": "https://oauth.centre.example:8443/"}


@pytest.mark.parametrize(
    ("vendor", "fields", "top", "push_host", "token_host"),
    [
        ("apns", {"environment": "production"}, {}, "api.push.apple.com", None),
        ("apns", {"environment": "sandbox"}, {}, "api.sandbox.push.apple.com", None),
        ("fcm", {}, {}, "fcm.googleapis.com", "oauth2.googleapis.com"),
        ("huawei", {}, {}, HUAWEI, OAUTH),
        ("huawei", {}, CENTRE, "push.centre.example", "oauth.centre.example:8443"),
        ("harmony", {}, {}, HUAWEI, None),
        ("harmony", {}, CENTRE, "push.centre.example", None),
        ("honor", {}, {}, "push-api.cloud.honor.com", "iam.developer.honor.com"),
        ("honor", {}, CENTRE, "push.centre.example", "oauth.centre.example:8443"),
        ("xiaomi", {}, {}, "api.xmpush.xiaomi.com", None),
        ("xiaomi", {"region": "cn"}, {}, "api.xmpush.xiaomi.com", None),
        ("xiaomi", {"region": "sgp"}, {}, "sgp-api.xmpush.global.xiaomi.com", None),
        ("xiaomi", {"region": "fra"}, {}, "fr-api.xmpush.global.xiaomi.com", None),
        ("xiaomi", {"region": "ind"}, {}, "idmb-api.xmpush.global.xiaomi.com", None),
        ("xiaomi", {"region": "rus"}, {}, "ru-api.xmpush.global.xiaomi.com", None),
        ("xiaomi", {"region": "rus"}, CENTRE, "push.centre.example", None),
        ("oppo", {}, {}, "api.push.oppomobile.com", "api.push.oppomobile.com"),
        ("oppo", {}, INTL, "api-intl.push.oppomobile.com", "api-intl.push.oppomobile.com"),
        ("oppo", {}, CENTRE, "push.centre.example", "oauth.centre.example:8443"),
        ("vivo", {}, {}, "api-push.vivo.com.cn", "api-push.vivo.com.cn"),
        ("vivo", {}, CENTRE, "push.centre.example", "oauth.centre.example:8443"),
        ("meizu", {}, {}, "server-api-push.meizu.com", None),
        ("meizu", {}, INDIA, "server-api-push.in.meizu.com", None),
    ],
)
def test_a_region_or_an_endpoint_is_where_both_requests_go(
    run: Run,
    write: Write,
    certs: Path,
    vendor: str,
    fields: dict[str, str],
    top: dict[str, str],
    push_host: str,
    token_host: str | None,
) -> None:
    """The push as a dry run shows it, and the request for a token; each by HTTPS to the vendor's own host, or to the one given."""
    number = write(vendor, top, **fields)
    shown = run(*pushing(number, vendor), "--dry-run", "--json")
    assert shown.exit_code == 0, shown.output
    answer = json.loads(shown.stdout)
    url = urlsplit(answer["Request"]["url"])
    assert (url.scheme, url.netloc) == ("https", push_host)
    assert "Proxy" not in answer
    entry = load_directory(certs, installed_vendors()).entries[number]
    assert entry.adapter is not None
    assert entry.account is not None
    asked = entry.adapter.auth_request(entry.account, 1_795_500_000.0)
    assert (urlsplit(asked.url).netloc if asked else None) == token_host


@pytest.mark.parametrize(
    ("vendor", "fields", "words"),
    [
        (
            "xiaomi",
            {"region": "usa"},
            "credential.region: is no region of Xiaomi's; write one of cn, sgp, fra, ind, rus",
        ),
        ("apns", {"environment": "prod"}, "credential.environment: is neither production nor sandbox"),
    ],
)
def test_an_unknown_region_is_refused_with_the_choices(
    run: Run, write: Write, vendor: str, fields: dict[str, str], words: str
) -> None:
    """When it is loaded: nothing goes to a host that was guessed."""
    result = run(*pushing(write(vendor, **fields), vendor), "--dry-run")
    assert result.exit_code == 3
    assert words in " ".join(result.stderr.split())


# --- a proxy of its own -----------------------------------------------------------------------------------


class Proxy(socketserver.ThreadingTCPServer):
    """An HTTP proxy that connects and passes on; it keeps the heads it got."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Passing)
        self.heads: list[bytes] = []

    @property
    def port(self) -> int:
        return int(self.server_address[1])


class _Passing(socketserver.BaseRequestHandler):
    server: Proxy

    def handle(self) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += self.request.recv(1024)
        self.server.heads.append(head)
        host, _, port = head.split()[1].decode().rpartition(":")
        with socket.create_connection((host, int(port)), timeout=5) as far:
            self.request.sendall(b"HTTP/1.1 200 connected\r\n\r\n")
            ways = {self.request: far, far: self.request}
            while True:
                for one in select.select(list(ways), [], [])[0]:
                    try:
                        data = one.recv(65_536)
                        if not data:
                            return
                        ways[one].sendall(data)
                    except OSError:
                        return


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """A running one."""
    with Proxy() as made:
        thread = threading.Thread(target=made.serve_forever, daemon=True)
        thread.start()
        yield made
        made.shutdown()
        thread.join(10)


@pytest.mark.parametrize("transport", ["pyreqwest", "httpx"])
def test_token_request_and_push_go_through_the_credentials_proxy(
    run: Run,
    write: Write,
    certs: Path,
    proxy: Proxy,
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    transport: str,
) -> None:
    """OPPO behind a proxy with a login, FCM without one: only OPPO's two requests pass through, and no answer shows the login."""
    monkeypatch.setenv("PUSHGW_DISPATCH__TRANSPORT", transport)
    monkeypatch.setenv("OUR_PROXY", f"http://me:{PASSWORD}@127.0.0.1:{proxy.port}")
    (certs / "sandbox-ca.pem").write_bytes(sandbox.ca_pem)
    aim = {"endpoint": sandbox.url, "auth_endpoint": sandbox.url, "ca_file": "sandbox-ca.pem"}
    behind = write("oppo", {**aim, "proxy": {"env": "OUR_PROXY"}})
    beside = write("fcm", aim)

    dry = run(*pushing(behind, "oppo"), "--dry-run", "--json")
    assert json.loads(dry.stdout)["Proxy"] == f"http://***@127.0.0.1:{proxy.port}"
    assert f"through the proxy http://***@127.0.0.1:{proxy.port}" in run(
        *pushing(behind, "oppo"), "--dry-run"
    ).stdout.replace("\n", "")
    assert proxy.heads == []

    for number, vendor in ((behind, "oppo"), (beside, "fcm")):
        sent = run(*pushing(number, vendor), "--json")
        assert (sent.exit_code, json.loads(sent.stdout)["Verdict"]) == (0, "pushed"), sent.output
    assert len(proxy.heads) == 2
    assert all(head.startswith(b"CONNECT 127.0.0.1:%d " % sandbox.port) for head in proxy.heads)
    assert all(b"proxy-authorization: basic" in head.lower() for head in proxy.heads)

    checked = run("certs", "check", str(behind), "--json")
    assert checked.exit_code == 0, checked.output
    assert len(proxy.heads) == 3
    shown = run("certs", "show", str(behind), "--json")
    assert json.loads(shown.stdout)["Proxy"] == "env OUR_PROXY"
    assert PASSWORD not in dry.output + sent.output + checked.output + shown.output


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """The emulators, in a thread."""
    accounts = load_directory(example_directory(), installed_vendors()).accounts
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    served = asyncio.run_coroutine_threadsafe(Sandbox.start(accounts), loop).result(30)
    yield served
    asyncio.run_coroutine_threadsafe(served.close(), loop).result(30)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(30)
    loop.close()


@pytest.mark.parametrize(
    "written",
    [
        "proxy.example:3128",
        "socks5://proxy.example:1080",
        "https://proxy.example:3128",
        "http://",
        "http://me:planted-proxy-pass@proxy.example:99999",
        "http://me:planted-proxy-pass@proxy.example:3128/path",
        "http://proxy example:3128",
        "",
        3128,
    ],
)
def test_what_is_no_proxy_is_refused_when_it_is_loaded(run: Run, write: Write, written: Any) -> None:
    """With what is expected, and without quoting what may hold a login."""
    result = run(*pushing(write("meizu", {"proxy": written}), "meizu"), "--dry-run")
    assert result.exit_code == 3
    said = " ".join(result.stderr.split())
    assert "proxy: expected an HTTP proxy's scheme, host and port, such as http://proxy.example:3128" in said
    assert PASSWORD not in said


def test_a_proxy_out_of_an_environment_that_has_none_is_said(run: Run, write: Write) -> None:
    """Not sent directly instead."""
    result = run(*pushing(write("meizu", {"proxy": {"env": "NOT_SET"}}), "meizu"), "--dry-run")
    assert result.exit_code == 3
    assert "the environment variable NOT_SET is not set" in " ".join(result.stderr.split())


def test_certs_rotate_gives_a_credential_its_proxy(
    run: Run, write: Write, certs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--proxy, as it is or by the name of an environment variable; above the tables, so that it is no field of a default."""
    number = write("meizu", {})
    assert (
        run("certs", "rotate", str(number), "--proxy", "http://proxy.example:3128", "--offline").exit_code
        == 0
    )
    assert tomlkit.parse((certs / f"{number}.toml").read_text())["proxy"] == "http://proxy.example:3128"
    monkeypatch.setenv("OUR_PROXY", f"http://me:{PASSWORD}@proxy.example:3128")
    assert run("certs", "rotate", str(number), "--proxy", "env:OUR_PROXY", "--offline").exit_code == 0
    text = (certs / f"{number}.toml").read_text()
    assert tomlkit.parse(text)["proxy"] == {"env": "OUR_PROXY"}
    assert PASSWORD not in text
    dry = run(*pushing(number, "meizu"), "--dry-run", "--json")
    assert json.loads(dry.stdout)["Proxy"] == "http://***@proxy.example:3128"


class Exposed(MaterialSource):
    """A credential whose file everyone can read."""

    def exposure(self, name: str) -> str | None:
        return "everyone on this machine can read it"


def test_a_login_that_everyone_can_read_is_warned_of(write: Write, certs: Path) -> None:
    """As other secrets in a TOML are; a proxy without a login is no secret."""
    warned = []
    for login in (f"me:{PASSWORD}@", ""):
        number = write("meizu", {"proxy": f"http://{login}proxy.example:3128"})
        material = Material(
            business_id=number, toml=(certs / f"{number}.toml").read_bytes(), files=MappingProxyType({})
        )
        reading = read_credential(Exposed(material), number, installed_vendors())
        assert reading.faults == ()
        warned.append([str(warning) for warning in reading.warnings if warning.field == "proxy"])
    assert warned == [["9012.toml: proxy: everyone on this machine can read it"], []]


def test_a_proxy_may_stand_in_a_file(run: Run, write: Write, certs: Path) -> None:
    """Beside the TOML, as a mounted secret does; it moves into a sealed store with the credential."""
    number = write("meizu", {"proxy": {"file": "proxy-url"}})
    (certs / "proxy-url").write_text(f"http://me:{PASSWORD}@proxy.example:3128\n")
    dry = run(*pushing(number, "meizu"), "--dry-run", "--json")
    assert json.loads(dry.stdout)["Proxy"] == "http://***@proxy.example:3128"
    assert named_files((certs / f"{number}.toml").read_bytes(), installed_vendors()) == ["proxy-url"]
