"""Settings: environment ``PUSHGW_*`` (``__`` between levels), ``pushgw.toml`` in the working directory, or ``--config``.

An unknown or wrong setting stops the start with its name and the nearest right one (`load_settings`).
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

Rate = Annotated[str, Field(pattern=r"^[1-9]\d*/[1-9]\d*$", examples=["20/60"])]


class _Section(BaseModel, extra="forbid", frozen=True):
    pass


class Topics(_Section):
    """Names of the topics."""

    messages: str = "im.offline-messages"
    user_events: str = "im.user-events"
    receipts: str = "im.push-receipts"
    retries: str = Field(
        "im.push-retries", description="Prefix; the tier's seconds follow: `.5`, `.30`, `.300`, `.1800`."
    )
    dead_letters: str = "im.push-dead-letters"

    def retry(self, tier: int) -> str:
        """The retry topic of a tier, s."""
        return f"{self.retries}.{tier}"


class KafkaSettings(_Section):
    """The broker and our place in its group."""

    bootstrap_servers: str = Field("127.0.0.1:9092", description="host:port, comma-separated.")
    group_id: str = "pushgw"
    client_id: str = Field("pushgw", description="Our name in the broker's log; workers add `-N`.")
    group_instance_id: str | None = Field(
        None,
        description="Static membership: a name of its own for each gateway, the same at each start (such as the host's); workers add `-N`.",
    )
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    sasl_username: str | None = None
    sasl_password: SecretStr | None = None
    ssl_ca_file: Path | None = None
    ssl_cert_file: Path | None = None
    ssl_key_file: Path | None = None
    topics: Topics = Topics()
    create_topics: bool = Field(True, description="Create missing topics at the start.")
    partitions: int = Field(6, ge=1, description="Partitions of a topic that we create.")
    max_poll_records: int = Field(500, ge=1, description="Records in one batch.")
    session_timeout: float = Field(
        10.0,
        gt=0,
        description="The group waits so long for a silent member, s; with `group_instance_id`: longer than a restart takes.",
    )


STORES = (
    "sqlite:///",
    *(f"redis{tls}{kind}://" for tls in ("", "s") for kind in ("", "+sentinel", "+cluster")),
)


def masked_url(url: str) -> str:
    """The URL without its user and password."""
    scheme, colon, rest = url.partition("://")
    _, at, place = rest.rpartition("@")
    return f"{scheme}{colon}***@{place}" if at else url


class StateSettings(_Section):
    """What the gateway remembers."""

    url: str = Field(
        "sqlite:///pushgw.db",
        repr=False,
        description="`sqlite:///PATH`; `redis://[USER:PASSWORD@]HOST:PORT/DB`, "
        "`redis+sentinel://HOST:PORT,HOST:PORT/SERVICE`, `redis+cluster://HOST:PORT,HOST:PORT` (Redis 7 or newer, "
        "Valkey); `rediss…` for TLS.",
    )
    shards: int = Field(
        16,
        ge=1,
        le=1024,
        description="Redis Cluster: how many shards the keys are spread over; fixed once there is data.",
    )
    timeout: float = Field(5.0, gt=0, description="Redis: bound of one call, s.")
    ca_file: Path | None = Field(None, description="Redis with TLS: whom to trust, beside nobody else.")
    cert_file: Path | None = Field(None, description="Redis with TLS: our certificate, where it wants one.")
    key_file: Path | None = Field(None, description="Redis with TLS: the key of our certificate.")
    sentinel_password: SecretStr | None = Field(
        None, description="Redis: password of the sentinels, where they want one."
    )
    claim_ttl: int = Field(86_400, ge=600, description="How long a dedup claim and an EventId are kept, s.")
    done_ttl: int = Field(86_400, ge=600, description="How long a done mark is kept, s.")

    @field_validator("url")
    @classmethod
    def _known_store(cls, url: str) -> str:
        if not url.startswith(STORES):
            raise ValueError("expected sqlite:///PATH, redis://…, redis+sentinel://… or redis+cluster://…")
        return url

    @property
    def remote(self) -> bool:
        """Whether the state is in another process, which can be away."""
        return self.url.startswith("redis")

    @property
    def shown(self) -> str:
        """``url`` for logs and errors: without user and password."""
        return masked_url(self.url)


KEY_SOURCES = ("file:", "env:", "command:")


class CredentialSettings(_Section):
    """Where the credentials are."""

    store: Literal["directory", "sealed"] = Field(
        "directory", description="`sealed`: in the state store, encrypted (docs/certificates.md)."
    )
    directory: Path = Path("certs")
    seal_key: str | None = Field(
        None,
        repr=False,
        validate_default=True,
        description="Sealed: where the key is, `file:PATH`, `env:NAME` or `command:PROGRAM ARGUMENTS`; 32 bytes in base64 or hex (`pushgw certs keygen`).",
    )
    seal_keys_old: tuple[str, ...] = Field(
        (), repr=False, description="Sealed: the keys before it, until `pushgw certs reseal` is done."
    )

    @field_validator("seal_key")
    @classmethod
    def _needed_when_sealed(cls, source: str | None, info: ValidationInfo) -> str | None:
        if source:
            return _key_source(source)
        if info.data.get("store") == "sealed":
            raise ValueError(
                "credentials.store is sealed and there is no key; make one with `pushgw certs keygen --out FILE`, "
                "and write file:FILE here"
            )
        return None

    @field_validator("seal_keys_old", mode="before")
    @classmethod
    def _listed(cls, sources: Any) -> Any:
        """``file:a,file:b`` in the environment. A comma may be part of a command."""
        if not isinstance(sources, str):
            return sources
        parts = [part for part in _KEY_LIST.split(sources) if part.strip()]
        return [
            one
            for part in parts
            for one in ([part] if part.strip().startswith("command:") else part.split(","))
        ]

    @field_validator("seal_keys_old")
    @classmethod
    def _sources(cls, sources: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_key_source(source.strip()) for source in sources)


_KEY_LIST = re.compile(r",(?=\s*(?:file|env|command):)")


def _key_source(source: str) -> str:
    """What is given may be a key that somebody took for the place of one: it is not repeated."""
    if not source.startswith(KEY_SOURCES):
        raise ValueError(
            "expected file:PATH, env:NAME or command:PROGRAM ARGUMENTS; the key itself is never a setting"
        )
    if source.startswith("env:PUSHGW_"):
        raise ValueError(
            "a variable whose name begins with PUSHGW_ is taken for a setting; give it another name"
        )
    return source


class RateLimits(_Section):
    """Own limits (B9); off by default. `N/seconds`, a sliding window."""

    per_user: Rate | None = None
    per_conversation: Rate | None = None


class RecallSettings(_Section):
    """What a recall does to a notification already shown."""

    overwrite: bool = Field(False, description="Overwrite a shown notification where the channel can.")


class PolicySettings(_Section):
    """Every reading that the contract leaves to the operator."""

    time_zone: str = Field(
        "Asia/Shanghai", description="Zone of do-not-disturb rules that have none of their own."
    )
    language: Literal["zh", "en"] = Field("zh", description="Language of texts where the device names none.")
    android_title: str = Field(
        "a new message", description="Title on Android when none is given; `{name}`: nick or group name."
    )
    mention_all_counts: bool = Field(True, description="@all lifts receive options 3 and 4.")
    rest_ignores_c2c_dnd: bool = Field(
        False, description="As Tencent: REST messages without WithMuteNotifications skip B7."
    )
    c2c_include_seq: bool = Field(False, description="MsgSeq is part of the one-to-one dedup key.")
    group_include_content: bool = Field(
        False, description="A hash of MsgBody is part of the group dedup key."
    )
    lenient: bool = Field(False, description="Accept digit strings where integers are due.")
    require_offline_push_info: bool = Field(
        False, description="Refuse (A12) what has no OfflinePushInfo with Title or Desc."
    )
    login_ttl_days: float = Field(
        7, gt=0, description="PushOnline ends this long after the last sign of life."
    )
    recall: RecallSettings = RecallSettings()
    rate_limit: RateLimits = RateLimits()

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(f"{name!r} is no IANA time zone, such as Asia/Shanghai") from error
        return name


class DispatchSettings(_Section):
    """How pushes leave."""

    transport: Literal["pyreqwest", "native", "httpx"] = Field(
        "pyreqwest", description="`native` is the fastest and a wheel of its own (`make native`)."
    )
    in_flight: int = Field(256, ge=1, description="Most requests at once in one lane; adapts below it.")
    slow: float = Field(5.0, gt=0, description="An answer that takes longer halves what may be in flight, s.")
    backlog: int = Field(
        4000,
        ge=1,
        description="Pushes in one lane; what is beyond is deferred. Half of it while the vendor does not answer.",
    )
    timeout: float = Field(10.0, gt=0, description="Bound of one request, s.")
    retries: int = Field(3, ge=0, description="Repeats in place after a temporary failure.")
    backoff: float = Field(0.5, gt=0, description="First wait before a repeat, s; doubles, with jitter.")
    backoff_max: float = Field(10.0, gt=0, description="Longest wait before a repeat, s.")
    retry_tiers: tuple[int, ...] = Field(
        (5, 30, 300, 1800),
        description="Waits of the retry topics, s: where a push goes after its repeats in place. Empty: none.",
    )
    retry_for: int = Field(86_400, ge=0, description="A push is given up so long after its record came, s.")
    breaker_failures: int = Field(
        5,
        ge=1,
        description="Failures without a success between, over `breaker_after`, that open the breaker.",
    )
    breaker_after: float = Field(5.0, ge=0, description="s")
    breaker_pause: float = Field(5.0, gt=0, description="First pause of an open breaker, s; doubles.")
    breaker_pause_max: float = Field(60.0, gt=0, description="Longest pause of an open breaker, s.")

    @field_validator("retry_tiers", mode="before")
    @classmethod
    def _listed(cls, tiers: Any) -> Any:
        """``5,30`` in the environment."""
        return [t for t in tiers.strip("[] ").split(",") if t.strip()] if isinstance(tiers, str) else tiers

    @field_validator("retry_tiers")
    @classmethod
    def _ascending(cls, tiers: tuple[int, ...]) -> tuple[int, ...]:
        if any(tier < 1 for tier in tiers) or list(tiers) != sorted(set(tiers)):
            raise ValueError("expected ascending seconds, such as [5, 30, 300, 1800]")
        return tiers

    @field_validator("transport")
    @classmethod
    def _installed(cls, name: str) -> str:
        if name == "native" and (fault := _native_fault()):
            raise ValueError(f"{fault}; build and install it with `make native`, or leave this at pyreqwest")
        return name


class TokenSettings(_Section):
    """When so many tokens die at once that the credential is to blame, and not the devices."""

    wipe_share: float = Field(
        0.10,
        gt=0,
        le=1,
        description="Of a credential's answered pushes: if more of them call the token dead, tokens are kept (`token_kept_guard`) until `pushgw tokens review`. 1: never.",
    )
    wipe_minimum: int = Field(
        50, ge=1, description="So many dead tokens at least, within any stretch of the window."
    )
    wipe_window: float = Field(3600.0, gt=0, description="How far back it is looked, s.")


NATIVE_SEAM = 1
"""The number that wheel and gateway must agree on; raised where the two must change together."""


def _native_fault() -> str | None:
    """Why the native transport cannot be used."""
    try:
        wheel = import_module("pushgw_native")
    except ImportError as error:
        missing = isinstance(error, ModuleNotFoundError)
        return "the wheel pushgw-native " + ("is not installed" if missing else "does not fit this machine")
    if wheel.SEAM != NATIVE_SEAM:
        return "the wheel pushgw-native is of another version than this gateway"
    return None


class HttpSettings(_Section):
    """Health and metrics for machines."""

    listen: str | None = Field(
        "127.0.0.1:9464", description="host:port of /livez, /readyz and /metrics; empty: none."
    )
    reports_listen: str | None = Field(
        None,
        description="host:port where vendors' later reports (arrived, clicked) are taken, for a reverse proxy with TLS in front;"
        " empty: none.",
    )

    @field_validator("listen", "reports_listen")
    @classmethod
    def _host_and_port(cls, listen: str | None) -> str | None:
        if not listen:
            return None
        _host, colon, port = listen.rpartition(":")
        if not colon or not port.isdigit():
            raise ValueError("expected host:port, such as 127.0.0.1:9464")
        return listen


class ShutdownSettings(_Section):
    """The way out."""

    grace: float = Field(25.0, ge=0, description="s to finish what is in flight after SIGTERM.")


class LogSettings(_Section):
    """Logs go to stderr."""

    format: Literal["auto", "console", "json"] = Field(
        "auto", description="auto: console on a terminal, else json."
    )
    level: Literal["debug", "info", "warning", "error"] = "info"


class Settings(BaseSettings):
    """All settings."""

    model_config = SettingsConfigDict(
        env_prefix="PUSHGW_", env_nested_delimiter="__", extra="forbid", frozen=True, enable_decoding=False
    )

    sdk_app_id: int = Field(0, description="SdkAppId of records that name none.")
    kafka: KafkaSettings = KafkaSettings()
    state: StateSettings = StateSettings()
    credentials: CredentialSettings = CredentialSettings()
    policy: PolicySettings = PolicySettings()
    dispatch: DispatchSettings = DispatchSettings()
    tokens: TokenSettings = TokenSettings()
    shutdown: ShutdownSettings = ShutdownSettings()
    http: HttpSettings = HttpSettings()
    log: LogSettings = LogSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then environment, then the TOML file."""
        return (init_settings, env_settings)


class SettingsError(ValueError):
    """Settings that stop the start. ``faults`` holds one sentence each, naming the setting."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


def load_settings(config: Path | None = None, **overrides: Any) -> Settings:
    """Settings from the environment over ``config`` (default: ``pushgw.toml`` here, where it exists).

    ``overrides`` (section=dict) beat both. Raises SettingsError with every fault at once.
    """
    faults = _unknown_environment()
    data = _read_toml(config, faults)
    faults += [_unknown(path) for path in _unknown_paths(data)]
    known = _only_known(data)
    try:
        loaded = Settings(**_merge(_merge(known, _environment()), overrides))
    except ValidationError as error:
        faults += [_sentence(e) for e in error.errors()]
        raise SettingsError(faults) from None
    if faults:
        raise SettingsError(faults)
    return loaded


def setting_paths() -> dict[str, Any]:
    """Every setting by its dotted name, with its pydantic field."""
    paths: dict[str, Any] = {}

    def walk(model: type[BaseModel], prefix: str) -> None:
        for name, field in model.model_fields.items():
            inner = field.annotation
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                walk(inner, f"{prefix}{name}.")
            else:
                paths[prefix + name] = field

    walk(Settings, "")
    return paths


def _read_toml(config: Path | None, faults: list[str]) -> dict[str, Any]:
    path = config or Path("pushgw.toml")
    if config is None and not path.exists():
        return {}
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        faults.append(f"{path}: cannot be read ({error.strerror}); name an existing file with --config")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        faults.append(f"{path}: is no TOML ({error})")
    return {}


def _environment() -> dict[str, Any]:
    """PUSHGW_A__B=value as {"a": {"b": value}}; known names only."""
    found: dict[str, Any] = {}
    for dotted in setting_paths():
        value = os.environ.get(_variable(dotted))
        if value is None:
            continue
        *parents, name = dotted.split(".")
        section = found
        for parent in parents:
            section = section.setdefault(parent, {})
        section[name] = value
    return found


def _variable(dotted: str) -> str:
    return "PUSHGW_" + dotted.upper().replace(".", "__")


def _unknown_environment() -> list[str]:
    known = {_variable(dotted): dotted for dotted in setting_paths()}
    return [
        f"{name}: no such setting{_nearest(name, known)}"
        for name in sorted(os.environ)
        if name.startswith("PUSHGW_") and name not in known
    ]


def _unknown_paths(data: dict[str, Any], prefix: str = "") -> list[str]:
    known = setting_paths()
    unknown: list[str] = []
    for key, value in data.items():
        path = prefix + key
        if isinstance(value, dict) and any(k.startswith(path + ".") for k in known):
            unknown += _unknown_paths(value, path + ".")
        elif path not in known:
            unknown.append(path)
    return unknown


def _only_known(data: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    known = setting_paths()
    kept: dict[str, Any] = {}
    for key, value in data.items():
        path = prefix + key
        if isinstance(value, dict) and any(k.startswith(path + ".") for k in known):
            kept[key] = _only_known(value, path + ".")
        elif path in known:
            kept[key] = value
    return kept


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def _unknown(path: str) -> str:
    return f"{path}: no such setting{_nearest(path, setting_paths())}"


def _nearest(name: str, known: Any) -> str:
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else "; see the table of settings in the README"


def _sentence(error: Any) -> str:
    path = ".".join(str(part) for part in error["loc"]) or "settings"
    given = error["input"]
    if isinstance(given, str):
        given = masked_url(given)
    given = "" if any(word in path for word in _SECRETIVE) else f" (given: {given!r})"
    return f"{path}: {error['msg']}{given}"


_SECRETIVE = ("secret", "password", "seal_key")
