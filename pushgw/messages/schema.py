"""The contract of the message topic as JSON Schema (draft 2020-12), for publishers and for `pushgw schema message`."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any


def message_schema() -> dict[str, Any]:
    """The schema, a fresh copy. The codec accepts what it accepts, and other webhooks beside (they are pushed to nobody)."""
    text = files("pushgw.messages").joinpath("schemas/im-message.schema.json").read_text("utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema
