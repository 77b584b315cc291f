"""Writes what is made from code: the settings and reasons tables of README.md, and docs/reasons.md.

``python -m docs.generate`` writes; ``tests/docs`` fails when a file is not what this would write.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic_core import PydanticUndefined

from pushgw.policy.reasons import Reason
from pushgw.settings import setting_paths
from pushgw.vendor.plugin import installed_vendors

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Write every generated file."""
    for path, text in generated().items():
        path.write_text(text, "utf-8")


def generated() -> dict[Path, str]:
    """Path -> the text it must have."""
    readme = ROOT / "README.md"
    text = readme.read_text("utf-8")
    text = _between(text, "settings", settings_table())
    text = _between(text, "reasons", reasons_table())
    return {readme: text, ROOT / "docs" / "reasons.md": reasons_page()}


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
        " back-off; `auth` renews the credential's token once; `config` stops the credential (C4) and touches no device;"
        " `bad_message` and `quota` are reported; `unknown` is reported loudly and never repeated.",
    ]
    for name, vendor in installed_vendors().items():
        parts += ["", f"## {name}", "", "| answer | action | the vendor's words |", "|---|---|---|"]
        parts += [f"| `{code}` | {action} | {words} |" for code, (action, words) in vendor.results.items()]
    return "\n".join(parts) + "\n"


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
