"""``pushgw certs add`` and ``rotate``: nothing is written before it was found good."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from pushgw.assembly import credential_store_of
from pushgw.cli.book import store_failed
from pushgw.cli.certs_checks import ask_vendor, line_of
from pushgw.cli.certs_intake import (
    ask,
    checked,
    fill,
    flags_of,
    found_in,
    pairs_of,
    secret_of,
    vendor_of,
)
from pushgw.cli.certs_remove import ids_of
from pushgw.cli.loop import run_async
from pushgw.cli.output import Config, Exit, Json, err, fail, out, print_json, settings_or_exit
from pushgw.credentials.check import Check, Result, offline_checks
from pushgw.credentials.content import Unreadable, tidied
from pushgw.credentials.draft import Draft
from pushgw.credentials.form import FormField, form_of
from pushgw.credentials.material import CredentialStore, MaterialSource, StoreError
from pushgw.credentials.reader import Reading, read_credential
from pushgw.credentials.secret_file import read_file
from pushgw.settings import Settings
from pushgw.vendor.plugin import installed_vendors

From = Annotated[
    list[Path] | None,
    typer.Option(
        "--from",
        help="A file of the vendor's console; it is recognised, and the fields that it knows are filled. May be repeated.",
    ),
]
Set = Annotated[
    list[str] | None, typer.Option("--set", help="field=value, the same as --field value. May be repeated.")
]
Default = Annotated[
    list[str] | None,
    typer.Option(
        "--default", help="key=value of the defaults table, such as channel_id=im. May be repeated."
    ),
]
Form = Annotated[
    bool | None,
    typer.Option(
        "--form/--no-form", help="Ask for what is missing; default: on a terminal.", show_default=False
    ),
]
Name = Annotated[str | None, typer.Option("--name", help="For lists: whose app this is.")]
Endpoint = Annotated[
    str | None, typer.Option("--endpoint", help="Base URL in place of the vendor's: a proxy, a region.")
]
AuthEndpoint = Annotated[
    str | None, typer.Option("--auth-endpoint", help="Base URL in place of the vendor's token server.")
]
Proxy = Annotated[
    str | None,
    typer.Option(
        "--proxy", help="HTTP proxy on the way there, http://host:port; env:NAME where it has a login."
    ),
]
CaFile = Annotated[
    Path | None, typer.Option("--ca-file", help="PEM: whom to trust at these, beside the system's roots.")
]


def add(
    context: typer.Context,
    vendor: Annotated[str | None, typer.Option("--vendor", help="apns, fcm, huawei ...")] = None,
    business_id: Annotated[
        int | None,
        typer.Option("--id", min=0, help="Certificate id that clients report; default: the next free one."),
    ] = None,
    files: From = None,
    fields: Set = None,
    defaults: Default = None,
    name: Name = None,
    endpoint: Endpoint = None,
    auth_endpoint: AuthEndpoint = None,
    proxy: Proxy = None,
    ca_file: CaFile = None,
    form: Form = None,
    list_fields: Annotated[
        bool, typer.Option("--fields", help="Only list the fields of --vendor, which are flags here.")
    ] = False,
    config: Config = None,
    json: Json = False,
) -> None:
    """Add a credential: one flag per field of the vendor's console, or a form.

    It is checked offline before anything is written. A secret may be given as env:NAME: then the file names the
    environment variable. Never overwrites: `pushgw certs rotate` does.

    Example: pushgw certs add --vendor oppo --id 6005 --app-key abc --master-secret env:OPPO_SECRET
    Example: pushgw certs add --from AuthKey_ABC123DEFG.p8 --team-id DEF123GHIJ --bundle-id com.example.im
    """
    settings = settings_or_exit(config)
    vendors = installed_vendors()
    written = {**pairs_of(fields or [], "--set"), **flags_of(context.args)}
    asks = sys.stdin.isatty() and not json if form is None else form
    found = found_in(files or [], vendors, secret_of(written.get("password") or ""))
    vendor = vendor_of(found, vendors, vendor)
    if vendor is None:
        if not asks or list_fields:
            raise fail(Exit.USAGE, f"--vendor is missing; it is one of {', '.join(sorted(vendors))}")
        vendor = typer.prompt(f"vendor ({', '.join(sorted(vendors))})", err=True)
        vendor = vendor_of((), vendors, vendor) or ""
    questions = form_of(vendors[vendor].adapter.credential_model)
    if list_fields:
        _show_fields(vendor, questions, json)
        return
    given = checked(written, questions, vendor)
    store = credential_store_of(settings)
    if business_id is None:
        business_id = max(ids_of(store), default=0) + 1
    if business_id in ids_of(store):
        raise fail(
            Exit.USAGE,
            f"--id: there is a credential {business_id} already; `pushgw certs rotate {business_id}` replaces it",
        )
    draft = Draft(business_id, vendor, vendors, store)
    _top(
        draft,
        {"name": name, "endpoint": endpoint, "auth_endpoint": auth_endpoint, "proxy": proxy},
        ca_file,
        defaults,
    )
    fill(draft, found, given)
    if asks:
        ask(draft)
    checks = _approved(draft, time.time())
    _written(store, draft, replace=False)
    _done("added", draft, checks, json)


def rotate(
    context: typer.Context,
    business_id: Annotated[int, typer.Argument(metavar="ID", help="Certificate id.")],
    files: From = None,
    fields: Set = None,
    unset: Annotated[
        list[str] | None, typer.Option("--unset", help="A field to take away. May be repeated.")
    ] = None,
    defaults: Default = None,
    name: Name = None,
    endpoint: Endpoint = None,
    auth_endpoint: AuthEndpoint = None,
    proxy: Proxy = None,
    ca_file: CaFile = None,
    offline: Annotated[bool, typer.Option("--offline", help="Do not ask the vendor first.")] = False,
    config: Config = None,
    json: Json = False,
) -> None:
    """Replace what has expired or leaked: the fields that are given, the others stay.

    The new credential is checked, also by asking the vendor, and only then takes the old one's place, at once. The old
    one is kept: as <id>.toml.previous, or sealed with the new one.

    Example: pushgw certs rotate 6666 --from push-2027.p12 --password env:P12_PASSWORD
    Example: pushgw certs rotate 6005 --master-secret 0123456789abcdef0123456789abcdef
    """
    settings = settings_or_exit(config)
    vendors = installed_vendors()
    store = credential_store_of(settings)
    written = {**pairs_of(fields or [], "--set"), **flags_of(context.args)}
    try:
        draft = Draft.of(store.read(business_id), vendors, store)
    except StoreError as error:
        raise store_failed(error) from None
    password = written.get("password")
    found = found_in(
        files or [], vendors, secret_of(draft.text("password") if password is None else password)
    )
    vendor_of(found, vendors, draft.vendor_name)
    given = checked(written, form_of(draft.model), draft.vendor_name)
    for field in unset or []:
        draft.unset(field.replace("-", "_"))
    _top(
        draft,
        {"name": name, "endpoint": endpoint, "auth_endpoint": auth_endpoint, "proxy": proxy},
        ca_file,
        defaults,
    )
    before = draft.material()
    fill(draft, found, given)
    if (
        not (unset or defaults or name or endpoint or auth_endpoint or proxy or ca_file)
        and draft.material() == before
    ):
        raise fail(Exit.USAGE, "nothing is new; give the new secret by its flag or with --from")
    checks = _approved(draft, time.time())
    if not offline:
        checks += _accepted(settings, draft)
    _written(store, draft, replace=True)
    _done("rotated", draft, checks, json)


# --- steps ------------------------------------------------------------------------------------------------


def _top(
    draft: Draft,
    given: Mapping[str, str | None],
    ca_file: Path | None,
    defaults: list[str] | None,
) -> None:
    for key, value in given.items():
        if value is not None:
            draft.set_top(key, value)
    if ca_file is not None:
        try:
            draft.set_ca_file(ca_file.name, tidied(read_file(ca_file)))
        except Unreadable as error:
            raise fail(Exit.CONFIG, f"--ca-file: {ca_file} {error}") from None
    for key, value in pairs_of(defaults or [], "--default").items():
        draft.set_default(key, value)


def _reading(draft: Draft) -> Reading:
    material = draft.material()
    return read_credential(MaterialSource(material), material.business_id, installed_vendors())


def _approved(draft: Draft, now: float) -> list[Check]:
    """The offline checks of what would be written. Exits 3 with every fault; nothing was written."""
    checks = offline_checks(_reading(draft), now)
    if bad := [check.sentence for check in checks if check.result is Result.FAIL]:
        raise fail(Exit.CONFIG, *bad, "nothing was written")
    return checks


def _accepted(settings: Settings, draft: Draft) -> list[Check]:
    """The online checks. Exits 1 where the vendor refuses, 4 where it does not answer; nothing was written."""
    entry = _reading(draft).entry
    assert entry is not None  # noqa: S101  it was approved
    checks = run_async(ask_vendor(settings, entry))
    for check in checks:
        if check.result is Result.FAIL:
            raise fail(Exit.NO, f"the vendor refuses it: {check.sentence}", "the old one stays in use")
        if check.result is Result.UNREACHABLE:
            mend = "the old one stays in use; try again, or say --offline"
            raise fail(Exit.UNREACHABLE, f"{check.check}: {check.sentence}", mend)
    return checks


def _written(store: CredentialStore, draft: Draft, *, replace: bool) -> None:
    try:
        store.write(draft.material(), replace=replace)
    except StoreError as error:
        raise store_failed(error) from None


def _done(what: str, draft: Draft, checks: list[Check], json: bool) -> None:
    doubts = [check for check in checks if check.result is not Result.PASS]
    if json:
        print_json(
            {
                "BusinessID": draft.business_id,
                "Vendor": draft.vendor_name,
                "Done": what,
                "Warnings": [check.sentence for check in doubts],
            }
        )
        return
    for check in doubts:
        err.print(line_of(draft.business_id, draft.vendor_name, check), markup=False, soft_wrap=True)
    out.print(f"{draft.business_id} ({draft.vendor_name}) {what}", markup=False)
    if what == "added":
        out.print(f"Try it: pushgw certs check {draft.business_id}", markup=False)


def _show_fields(vendor: str, form: list[FormField], json: bool) -> None:
    if json:
        fields = [
            {
                "Field": f.name,
                "Description": f.description,
                "Required": f.required,
                "Secret": f.secret,
                "File": f.is_file,
            }
            for f in form
        ]
        print_json({"Vendor": vendor, "Fields": fields})
        return
    for field in form:
        notes = [note for note, holds in (("secret", field.secret), ("file", field.is_file)) if holds]
        remark = f" ({', '.join(notes)})" if notes else ""
        flag = "--" + field.name.replace("_", "-")
        out.print(f"{flag:26}{field.description}{remark}", markup=False, soft_wrap=True)
