"""Writes what is made from code: tables of README.md, docs/reasons.md, docs/vendors.md, docs/vendor-reports.md, docs/metrics.md and the alerts in deploy/.

``python -m docs.generate`` writes; ``tests/docs`` fails when a file is not what this would write.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic_core import PydanticUndefined

from pushgw.messages.hints import ANDROID, APNS
from pushgw.metrics.alerts import ALERTS, rules_file
from pushgw.metrics.catalogue import CATALOGUE, Across, Kind
from pushgw.policy.reasons import Reason
from pushgw.settings import setting_paths
from pushgw.vendor.facts import Limits
from pushgw.vendor.plugin import Vendor, installed_vendors

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Write every generated file."""
    for path, text in generated().items():
        path.write_text(text, "utf-8")


def generated() -> dict[Path, str]:
    """Path -> the text it must have."""
    readme, reports = ROOT / "README.md", ROOT / "docs" / "vendor-reports.md"
    text = readme.read_text("utf-8")
    text = _between(text, "settings", settings_table())
    text = _between(text, "reasons", reasons_table())
    return {
        readme: text,
        ROOT / "docs" / "reasons.md": reasons_page(),
        ROOT / "docs" / "vendors.md": vendors_page(),
        ROOT / "docs" / "metrics.md": metrics_page(),
        reports: _between(reports.read_text("utf-8"), "reports", reports_table()),
        ROOT / "deploy" / "prometheus-alerts.yml": rules_file(),
    }


def settings_table() -> str:
    """Every setting with its variable, default and meaning."""
    rows = ["| setting | environment | default | meaning |", "|---|---|---|---|"]
    for dotted, field in setting_paths().items():
        variable = "PUSHGW_" + dotted.upper().replace(".", "__")
        rows.append(f"| `{dotted}` | `{variable}` | {_default(field)} | {field.description or ''} |")
    return "\n".join(rows)


def reasons_table() -> str:
    """Every reason in evaluation order."""
    rows = ["| code | reason | when | what to do |", "|---|---|---|---|"]
    rows += [f"| {r.code} | `{r.name}` | {r.sentence} | {r.mend} |" for r in Reason]
    return "\n".join(rows)


def reasons_page() -> str:
    """docs/reasons.md: the reasons, then every vendor's result table."""
    parts = [
        "# Why a message is not pushed",
        "Made from the code by `make docs`. Rules are tried from top to bottom; the first that holds is the reason.",
        "Stage A looks at the message, B at the receiver, C at the device.",
        "",
        reasons_table(),
        "",
        "# What vendors answer",
        "The action says what the gateway does next: `accepted`; `invalid_token` marks the device; `retry` repeats with"
        " back-off; `retry_after` likewise, and the whole credential waits, as long as the vendor says or longer each time;"
        " `auth` renews the credential's token once; `config` stops the credential (C4) and touches no device;"
        " `bad_message` and `quota` are reported; `unknown` is reported loudly and never repeated.",
    ]
    for name, vendor in installed_vendors().items():
        parts += ["", f"## {name}", "", "| answer | action | the vendor's words |", "|---|---|---|"]
        parts += [f"| `{code}` | {action} | {words} |" for code, (action, words) in vendor.results.items()]
    return "\n".join(parts) + "\n"


def reports_table() -> str:
    """Every status that a vendor reports later."""
    rows = ["| vendor | status | stage | words |", "|---|---|---|---|"]
    for name, vendor in installed_vendors().items():
        rows += [
            f"| {name} | `{code}` | {stage} | {words} |" for code, (stage, words) in vendor.reports.items()
        ]
    return "\n".join(rows)


SCRAPE = """```yaml
scrape_configs:
  - job_name: pushgw
    static_configs:
      - targets: ["gateway-1.example:9464"]
rule_files:
  - prometheus-alerts.yml
```"""
_PLACEHOLDER = re.compile(r"\{\{ \$(labels\.)?(\w+).*? \}\}")
ACROSS = {Across.SUM: "added", Across.MIN: "the least", Across.MAX: "the most"}


def metrics_page() -> str:
    """docs/metrics.md: every metric, and what is worth an alert."""
    parts = [
        "# Metrics",
        "Made from the code by `make docs`. Prometheus scrapes `/metrics` on `http.listen` (default `127.0.0.1:9464`: set it to an"
        " address that Prometheus reaches). With several workers one endpoint shows them all together; the last column says how.",
        "Labels are bounded: kinds of topics, vendors, ids of credential files, codes and actions; never a user, a token or a message.",
        "",
        SCRAPE,
        "",
        "| metric | kind | labels | meaning | workers |",
        "|---|---|---|---|---|",
    ]
    for metric in CATALOGUE:
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        across = "added" if metric.kind is not Kind.GAUGE else ACROSS[metric.across]
        parts.append(f"| `{metric.name}` | {metric.kind} | {labels} | {metric.sentence} | {across} |")
    parts += [
        "",
        "# Alerts",
        "These rules are in [deploy/prometheus-alerts.yml](../deploy/prometheus-alerts.yml); the thresholds are ours to begin with.",
        "",
        "| alert | severity | when | for | what to do |",
        "|---|---|---|---|---|",
    ]
    for alert in ALERTS:
        expr = alert.expr.replace("|", "\\|")
        said = f"{_PLACEHOLDER.sub(_placeholder, alert.summary)} {alert.mend}"
        parts.append(f"| {alert.name} | {alert.severity} | `{expr}` | {alert.lasting} | {said} |")
    return "\n".join(parts) + "\n"


def _placeholder(found: re.Match[str]) -> str:
    """What Prometheus fills in, as people write it."""
    return f"*{found[2]}*" if found[1] else "*N*"


COMMON = (
    "Title",
    "Desc",
    "Ext",
    "MsgLifeTime",
    "UnreadMsgNum",
    "TIMCustomElem.Sound",
    "PushTemplateId",
    "PushTemplateParam",
)
IDENTITIES = {
    "conversation": "who wrote, or the group",
    "collapse_id": "the message's identity for this user, 32 hexadecimal digits",
    "notify_id": "the same as a positive 31-bit integer",
    "vendor_id": "the push's identity, a UUID",
    "push_id": "PushID of the receipt",
}


def vendors_page() -> str:
    """docs/vendors.md: where each key of a message goes, then what is to be known of each vendor."""
    vendors = installed_vendors()
    harmony = dict.fromkeys(k for v in vendors.values() for k in v.mapping if k.startswith("HarmonyInfo."))
    groups: dict[str, Mapping[str, str | None]] = {
        "Common keys": dict.fromkeys(COMMON),
        "AndroidInfo": dict.fromkeys(f"AndroidInfo.{key}" for key in ANDROID),
        "ApnsInfo": dict.fromkeys(f"ApnsInfo.{key}" for key in APNS),
        "HarmonyInfo": harmony,
        "Identities of a push": IDENTITIES,
    }
    parts = [
        "# What each vendor is sent",
        "Made from the code by `make docs`; the tests prove each line by rendering a push with it and one without.",
        "`PushFlag` decides whether a message is pushed at all and goes nowhere. `Title`, `Desc` and `Ext` stand in"
        " `OfflinePushInfo`, or come from the message's body. A message's own values win over `[defaults]`. Fields of templates"
        " and receipts are sent where `[defaults]` configures them.",
        "",
        "`MultiLanguageContent`: of the languages given, the device's (`Lang`, else `policy.language`) fills `Title` and `Desc`."
        " `zh-CN` counts as `zh`, where `zh` itself is not given; of several the first. What the entry lacks comes from"
        " `OfflinePushInfo`'s own `Title` and `Desc`, then from the message's body; where neither has a text, the first entry's"
        " is shown. `ApnsInfo.Title` and `HarmonyInfo.Title` win on their platforms.",
        "",
        "`BadgeSetNum` (0 to 999) takes the place of `UnreadMsgNum`; `BadgeAddNum` (1 to 99) raises the badge by that much where"
        " no `UnreadMsgNum` is given. With either, `BadgeMode` does not count. Both are ignored, with a warning, outside of their"
        " bounds. Huawei, Honor and HarmonyOS show 99 at most.",
        "",
        "`IsVoipPush` is an alert, as it is at Tencent for a device without a VoIP token: a device has one token here, the app's own,"
        " and a VoIP push to it would be refused. A `LiveActivity` goes to the device's token, which Apple takes only where that"
        " is the activity's own; that it is not costs no token. `explain` says both under `Warnings`. `PushTemplateId` and"
        " `PushTemplateParam` name texts that only Tencent has. `vendorParams` of Tencent's client SDK are not part of a message.",
    ]
    for title, keys in groups.items():
        parts += ["", f"## {title}", "", "| key | becomes | no counterpart |", "|---|---|---|"]
        parts += [_key_row(key, said, vendors) for key, said in keys.items()]
    for name, vendor in vendors.items():
        parts += ["", f"## {name}", "", *_facts(vendor)]
    return "\n".join(parts) + "\n"


def _key_row(key: str, said: str | None, vendors: dict[str, Vendor]) -> str:
    fields = [
        f"{name}: {_code(vendor.mapping[key])}" for name, vendor in vendors.items() if key in vendor.mapping
    ]
    lacks = [name for name, vendor in vendors.items() if key not in vendor.mapping]
    rest = ", ".join(lacks) if len(lacks) < len(vendors) - 3 else f"the other {len(lacks)}"
    label = f"`{key}`" + (f", {said}" if said else "")
    return f"| {label} | {'<br>'.join(fields)} | {rest} |"


def _facts(vendor: Vendor) -> list[str]:
    adapter, facts = vendor.adapter, vendor.facts
    rows = {
        "reaches": f"{', '.join(sorted(adapter.platforms))}; Tencent's PushPlatform {adapter.push_platform}",
        "hosts": "<br>".join(f"{use}: `{url}`" for use, url in facts.hosts.items()),
        "connection": "HTTP/2" if adapter.http2 else "HTTP/1.1",
        "authorization": facts.auth,
        "renewed after": f"{facts.renewed_after:,} s" if facts.renewed_after else "never",
        "devices in a request": f"{adapter.batch_limit:,}",
        **_limits(facts.limits),
        "gives way when `Ext` is long": ", then ".join(map(_code, facts.gives_way))
        or "nothing; too long an `Ext` is C6",
        "a repeat replaces itself by": _code(", ".join(facts.replaces_by)),
        "answers": f"{len(vendor.results)} rows in [reasons.md](reasons.md#{adapter.vendor})",
    }
    if facts.limits.payload is None and facts.limits.ext is None:
        rows["gives way when `Ext` is long"] = "nothing; no limit of `Ext` is known"
    table = ["| | |", "|---|---|", *(f"| {name} | {said} |" for name, said in rows.items())]
    defaults = {key: fields for key, fields in vendor.mapping.items() if key.startswith("defaults.")}
    table += ["", "| key of `[defaults]` | becomes |", "|---|---|"]
    table += [f"| `{key.removeprefix('defaults.')}` | {_code(fields)} |" for key, fields in defaults.items()]
    return table


def _limits(limits: Limits) -> dict[str, str]:
    text = _units(limits.text)
    if limits.big_text not in (None, limits.text):
        text += f", {limits.big_text} with `PushStyle` 1"
    payload = "no figure is known"
    if limits.payload:
        payload = f"{limits.payload:,} bytes: {limits.payload_is}"
    elif limits.ext:
        payload = f"`Ext` of {limits.ext:,} characters"
    longest = f"{limits.longest_ttl:,} s" if limits.longest_ttl else "as long as the message's"
    return {
        "title": _units(limits.title),
        "text": text,
        "payload": payload,
        "lifetime": f"{limits.shortest_ttl:,} s to {longest}" if limits.longest_ttl else longest,
    }


def _units(limit: int | None) -> str:
    return f"{limit} UTF-16 units, the rest is cut" if limit else "within the payload"


def _code(fields: str) -> str:
    return ", ".join(f"`{field}`" for field in fields.split(", ")) if fields else ""


def _default(field: Any) -> str:
    value = field.default
    if value is None or value is PydanticUndefined:
        return ""
    return f"`{str(value).lower()}`" if isinstance(value, bool) else f"`{value}`"


def _between(text: str, name: str, content: str) -> str:
    start, end = f"<!-- {name}: made by make docs -->", f"<!-- end of {name} -->"
    before, _, rest = text.partition(start)
    _, _, after = rest.partition(end)
    return f"{before}{start}\n{content}\n{end}{after}"


if __name__ == "__main__":
    main()
