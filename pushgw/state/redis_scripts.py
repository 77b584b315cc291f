"""The Lua scripts that run inside Redis: text and SHA-1, which is how a server that has it already is told to run it."""

from __future__ import annotations

import hashlib
from importlib.resources import files


class Script:
    """One script; ``reads`` promises that it writes nothing, so that a full or replicating server runs it, too."""

    def __init__(self, name: str, *, reads: bool = False) -> None:
        body = files("pushgw.state").joinpath("lua", f"{name}.lua").read_text("utf-8")
        self.name = name
        self.text = f"#!lua{' flags=no-writes' if reads else ''}\n{body}"
        self.sha = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()


ADMIT = Script("admit")
PEEK = Script("admit", reads=True)
SETTLE = Script("settle")
READ = Script("read", reads=True)
CHANGE = Script("change")
REMEMBER = Script("remember")
SHOWING = Script("shown", reads=True)
NEWER = Script("newer")
