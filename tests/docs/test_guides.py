"""The guides' code is real: excerpts stand in the files they name, examples run, links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pushgw.credentials.form import form_of
from pushgw.sandbox.reply import Breakage
from pushgw.vendor import Action, installed_vendors
from pushgw.vendor import testing as kit

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
GUIDES = ("adding-a-vendor.md", "sandbox.md", "certificates.md")
ADDING, SANDBOX, CERTIFICATES = ((DOCS / name).read_text("utf-8") for name in GUIDES)
_EXCERPT = re.compile(r"<!-- (\S+) -->\n```\w+\n(.*?)```", re.DOTALL)
_PYTHON = re.compile(r"(?<!-->\n)```python\n(.*?)```", re.DOTALL)


@pytest.mark.parametrize(("path", "code"), _EXCERPT.findall(ADDING))
def test_excerpts_are_verbatim(path: str, code: str) -> None:
    """What the guide quotes stands in the file, to the letter."""
    assert code in (ROOT / path).read_text("utf-8")


def test_the_sandbox_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """The Python example of the sandbox's guide starts a sandbox and reads its journal."""
    [example] = _PYTHON.findall(SANDBOX)
    exec(compile(example, "sandbox.md", "exec"), {"__name__": "guide"})  # noqa: S102  our own document
    assert capsys.readouterr().out.startswith("https://127.0.0.1:")


async def test_the_mock_transport_example_runs() -> None:
    """So does the one with MockTransport."""
    [example] = _PYTHON.findall(ADDING)
    namespace: dict[str, object] = {}
    exec(compile(example, "adding-a-vendor.md", "exec"), namespace)  # noqa: S102  our own document
    test = namespace["test_one_push"]
    assert callable(test)
    await test()


def test_every_word_of_faults_actions_and_vendors_is_explained() -> None:
    """No action, breakage or vendor is added without a row in its guide; names of the kit in it exist."""
    for action in Action:
        assert f"`{action.name}`" in ADDING
    for word in (*Breakage, "latency-MS"):
        assert f"| `{word}`" in SANDBOX
    for vendor in installed_vendors():
        assert f"\n| {vendor} |" in SANDBOX
    named = re.findall(r"`([a-z_]+)(?:\(\w+\))?`", ADDING.partition("## Tests")[2])
    methods = {name for name in named if name in dir(kit.Subject)}
    assert {
        "response_for",
        "auth_response_for",
        "targets_for",
        "numbered",
        "dead_token",
        "spellings",
    } <= methods


def test_every_field_of_every_vendor_is_explained() -> None:
    """No field is added to a credential without a line that says where in the console it is found."""
    for name, vendor in installed_vendors().items():
        assert f"\n| {name} |" in CERTIFICATES
        for field in form_of(vendor.adapter.credential_model):
            assert f"`{field.name}`" in CERTIFICATES, f"{name}: {field.name}"


@pytest.mark.parametrize("name", GUIDES)
def test_links_lead_somewhere(name: str) -> None:
    """Every relative link is a file."""
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", (DOCS / name).read_text("utf-8")):
        assert (DOCS / target).exists(), target
