"""The throw-away credentials that come with pushgw, and copies of a credential directory aimed at a sandbox."""

from __future__ import annotations

import json
import shutil
import tomllib
from pathlib import Path

from pushgw.sandbox.authority import CA_FILE

_AIMED = ("endpoint", "auth_endpoint", "ca_file")


def example_directory() -> Path:
    """Where the example credentials are: inside an installed package, beside it in a checkout.

    Raises FileNotFoundError where neither is there.
    """
    here = Path(__file__).resolve()
    for directory in (here.parent / "certs.example", here.parents[2] / "certs.example"):
        if directory.is_dir():
            return directory
    raise FileNotFoundError(
        "certs.example was not installed with pushgw; install it from its wheel or a checkout"
    )


def with_endpoint(source_dir: Path, target_dir: Path, url: str, ca_pem: bytes) -> None:
    """Copy a credential directory and aim every credential of the copy at ``url``, trusting ``ca_pem``.

    ``url``: base URL without a trailing slash. Raises ValueError for a TOML file that cannot be rewritten
    line by line (such as ``endpoint`` in a multi-line text).
    """
    shutil.copytree(source_dir, target_dir, dirs_exist_ok=True)
    (target_dir / CA_FILE).write_bytes(ca_pem)
    aim = {"endpoint": url, "auth_endpoint": url, "ca_file": CA_FILE}
    for path in sorted(target_dir.glob("*.toml")):
        before = path.read_text("utf-8-sig")
        after = _aimed(before, aim)
        if tomllib.loads(after) != tomllib.loads(before) | aim:
            raise ValueError(
                f"{path.name}: endpoint, auth_endpoint and ca_file must each be one line of their own"
            )
        path.write_text(after, "utf-8")


def _aimed(toml: str, aim: dict[str, str]) -> str:
    lines = toml.splitlines()
    first_table = next((n for n, line in enumerate(lines) if line.lstrip().startswith("[")), len(lines))
    head = [line for line in lines[:first_table] if line.partition("=")[0].strip() not in _AIMED]
    aimed = [f"{key} = {json.dumps(value)}" for key, value in aim.items()]
    return "\n".join([*head, *aimed, "", *lines[first_table:], ""])
