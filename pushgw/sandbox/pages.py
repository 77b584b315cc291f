"""The sandbox's own addresses: a page to look at, the journal, the numbers, a reset."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from html import escape
from urllib.parse import parse_qs, urlsplit

import msgspec

from pushgw.sandbox.journal import Journal, Line, masked
from pushgw.sandbox.reply import json_response, sentence
from pushgw.sandbox.switchboard import Switchboard
from pushgw.vendor.emulator import Call
from pushgw.vendor.http import Response

PREFIX = "/_sandbox/"
SHOWN_LINES = 50

_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem}"
    "table{border-collapse:collapse;width:100%;margin:1rem 0}th,td{text-align:left;padding:.25rem .75rem;"
    "border-bottom:1px solid #ddd;vertical-align:top}td.n{text-align:right}code{font-size:13px}"
)


class Pages:
    """Answers ``GET /``, ``GET /_sandbox/journal``, ``GET /_sandbox/journal/count``, ``POST /_sandbox/reset``, and
    ``GET`` and ``PUT /_sandbox/faults`` where there is a switchboard."""

    def __init__(
        self, journal: Journal, reset: Callable[[], None], switchboard: Switchboard | None = None
    ) -> None:
        self._journal = journal
        self._reset = reset
        self._switchboard = switchboard

    def answer(self, call: Call) -> Response | None:
        """The response, or None where the address is not one of the sandbox's own."""
        if call.path != "/" and not call.path.startswith(("/?", PREFIX)):
            return None
        parts = urlsplit(call.path)
        page = (call.method if call.method != "HEAD" else "GET", parts.path)
        match page:
            case ("GET", "/"):
                return self._overview()
            case ("GET", "/_sandbox/journal"):
                return self._lines(parts.query)
            case ("GET", "/_sandbox/journal/count"):
                return json_response(200, self._journal.counts())
            case ("POST", "/_sandbox/reset"):
                self._reset()
                return json_response(200, {"reset": True})
            case ("GET", "/_sandbox/faults") if self._switchboard:
                return self._switchboard.show()
            case ("PUT", "/_sandbox/faults") if self._switchboard:
                return self._switchboard.put(call.body)
            case _:
                return sentence(
                    404,
                    "The sandbox has GET /, GET /_sandbox/journal, GET /_sandbox/journal/count, "
                    "POST /_sandbox/reset, and GET and PUT /_sandbox/faults.",
                )

    def _lines(self, query: str) -> Response:
        asked = {key: values[-1] for key, values in parse_qs(query, keep_blank_values=True).items()}
        since = asked.get("since", "0")
        if not since.isdecimal():
            return sentence(400, "since is the seq of the last line already seen, a whole number.")
        lines = self._journal.lines(vendor=asked.get("vendor"), token=asked.get("token"), since=int(since))
        body = msgspec.json.Encoder().encode_lines(list(lines))
        return Response(status=200, headers={"content-type": "application/x-ndjson"}, body=body)

    def _overview(self) -> Response:
        counts = self._journal.counts()
        vendors = "".join(
            f"<tr><td>{escape(name)}<td class=n>{c.requests}<td class=n>{c.accepted}<td class=n>{c.distinct}"
            f"<td class=n>{c.repeats}<td>{escape(', '.join(f'{k} ×{n}' for k, n in c.faults.items()))}"
            for name, c in counts.vendors.items()
        )
        lines = "".join(_row(line) for line in self._journal.latest(SHOWN_LINES))
        page = (
            "<!doctype html><html lang=en><meta charset=utf-8><meta http-equiv=refresh content=5>"
            f"<title>pushgw sandbox</title><style>{_STYLE}</style><h1>pushgw sandbox</h1>"
            "<p>Emulators of the vendors' push services. Nothing leaves this machine.</p>"
            "<table><tr><th>vendor<th>requests<th>accepted<th>distinct<th>repeats<th>faults dealt"
            f"{vendors}</table><h2>Latest notifications</h2>"
            f"<table><tr><th>time (UTC)<th>vendor<th>token<th>title<th>body{lines}</table>"
            "<p>All of them, machine-readable: <a href=/_sandbox/journal>journal</a>, "
            "<a href=/_sandbox/journal/count>numbers</a>."
        )
        headers = {
            "content-type": "text/html; charset=utf-8",
            "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
        }
        return Response(status=200, headers=headers, body=page.encode("utf-8", "replace"))


def _row(line: Line) -> str:
    at = datetime.fromtimestamp(line.at / 1000, UTC).strftime("%H:%M:%S.%f")[:-3]
    again = " (again)" if line.repeat else ""
    return (
        f"<tr><td>{at}<td>{escape(line.vendor)}{again}<td><code>{escape(masked(line.token))}</code>"
        f"<td>{escape(line.title)}<td>{escape(line.body)}"
    )
