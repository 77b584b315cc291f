"""``pushgw sandbox``: the vendors' emulators behind TLS."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Annotated

import typer

from pushgw.cli.loop import run_async
from pushgw.cli.output import Exit, Json, err, fail, out, print_json
from pushgw.credentials import load_directory
from pushgw.sandbox import FaultSyntaxError, Sandbox, example_directory, load_authority
from pushgw.vendor.adapter import Account
from pushgw.vendor.plugin import installed_vendors


def sandbox(
    listen: Annotated[
        str, typer.Option("--listen", help="host:port; port 0 takes a free one.")
    ] = "127.0.0.1:8443",
    fault: Annotated[
        list[str] | None,
        typer.Option("--fault", help="vendor=code:share, such as xiaomi=20001:10% or apns=hang:5%."),
    ] = None,
    certs: Annotated[
        Path | None,
        typer.Option("--certs", help="Credentials to accept; default: the throw-away ones of certs.example."),
    ] = None,
    journal: Annotated[
        Path | None, typer.Option("--journal", help="Write what was accepted here, JSON lines.")
    ] = None,
    tls: Annotated[
        Path | None,
        typer.Option(
            "--tls", help="Folder with sandbox-ca.pem and sandbox-server.pem; default: certs.example."
        ),
    ] = None,
    reports_to: Annotated[
        str | None,
        typer.Option(
            "--reports-to",
            help="Base URL of a gateway's http.reports_listen: Huawei's double tells it what arrived.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Serve all vendors' emulators until Ctrl-C. They check what the vendors check and refuse as they do.

    Examples: pushgw sandbox --listen 127.0.0.1:8443 --fault apns=503:10%

    pushgw sandbox --reports-to http://127.0.0.1:9480
    """
    host, colon, port = listen.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65_535:
        raise fail(Exit.USAGE, f"--listen {listen}: expected host:port, such as 127.0.0.1:8443")
    if reports_to is not None and not reports_to.startswith(("http://", "https://")):
        raise fail(Exit.USAGE, f"--reports-to {reports_to}: expected a URL, such as http://127.0.0.1:9480")
    try:
        book = load_directory(certs or example_directory(), installed_vendors())
    except NotADirectoryError:
        raise fail(Exit.USAGE, f"--certs {certs}: is no directory") from None
    for problem in book.faults:
        err.print(f"pushgw: {problem}", markup=False)
    run_async(_serve(host, int(port), fault or [], book.accounts, journal, tls, reports_to, json))


async def _serve(
    host: str,
    port: int,
    faults: list[str],
    accounts: list[Account],
    journal: Path | None,
    tls: Path | None,
    reports_to: str | None,
    json: bool,
) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stopped.set)
    try:
        authority = load_authority(tls) if tls else None
        server = await Sandbox.start(
            accounts,
            host=host,
            port=port,
            faults=faults,
            journal_file=journal,
            tls=authority,
            reports_to=reports_to,
        )
    except (FaultSyntaxError, FileNotFoundError) as error:
        raise fail(Exit.USAGE, str(error)) from None
    except OSError as error:
        raise fail(
            Exit.UNREACHABLE, f"{host}:{port} cannot be listened on ({error}); try --listen {host}:0"
        ) from None
    if json:
        print_json({"url": server.url, "port": server.port, "vendors": sorted(server.emulators)})
    else:
        out.print(
            f"Sandbox at {server.url} for {', '.join(sorted(server.emulators))}; journal at {server.url}/"
        )
    await stopped.wait()
    await server.close()
