"""``pushgw certs keygen``, ``reseal`` and ``import``: the key of the sealed store, its rotation, and the way into it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from pushgw.assembly import sealed_store_of
from pushgw.cli.book import store_failed
from pushgw.cli.output import Config, Exit, Json, err, fail, out, print_json, settings_or_exit
from pushgw.credentials.directory_store import DirectoryStore
from pushgw.credentials.material import CredentialMissing, Material, MaterialSource, StoreAway, StoreError
from pushgw.credentials.reader import read_credential
from pushgw.credentials.seal_key import new_key
from pushgw.credentials.sealed_store import SealedStore
from pushgw.settings import Settings
from pushgw.vendor.plugin import installed_vendors


def keygen(
    out_file: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="FILE", help="Write it there, readable by its owner only, instead of here."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """A new random key for the sealed store. Who has it can open every credential; without it none can be opened again.

    Example: pushgw certs keygen --out /etc/pushgw/seal-2027.key
    """
    key, text = new_key()
    if out_file is None:
        if json:
            print_json({"KeyID": key.id, "Key": text})
        else:
            out.print(text, markup=False, soft_wrap=True)
        return
    try:
        handle = os.open(out_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(handle)
    except FileExistsError:
        raise fail(Exit.CONFIG, f"--out: {out_file} exists already; a key is never overwritten") from None
    except OSError as error:
        raise fail(Exit.CONFIG, f"--out: {out_file} cannot be written ({error.strerror})") from None
    if json:
        print_json({"KeyID": key.id, "File": str(out_file)})
    else:
        out.print(
            f"key {key.id} is in {out_file}; keep a copy where backups of the state are not", markup=False
        )


def reseal(config: Config = None, json: Json = False) -> None:
    """Seal every credential with credentials.seal_key; afterwards those of credentials.seal_keys_old are not needed.

    Each is changed as a whole, under a running gateway. Ended in the middle, it goes on where it was.

    Example: pushgw certs reseal
    """
    settings = settings_or_exit(config)
    try:
        done = _sealed(settings).reseal()
    except StoreError as error:
        raise store_failed(error) from None
    if json:
        print_json({"Resealed": done.resealed, "WereAlready": done.were_already})
        return
    out.print(f"{len(done.resealed)} resealed, {len(done.were_already)} were already", markup=False)
    if settings.credentials.seal_keys_old:
        err.print("now take the old keys out of credentials.seal_keys_old, and away", markup=False)


def import_directory(
    source: Annotated[
        Path | None,
        typer.Option("--from", metavar="DIR", help="The directory; default: credentials.directory."),
    ] = None,
    replace: Annotated[
        bool,
        typer.Option("--replace", help="Also in place of credentials with the same id and other content."),
    ] = False,
    config: Config = None,
    json: Json = False,
) -> None:
    """Copy the credentials of a directory into the sealed store. The directory stays as it is.

    What has faults is left out and named: exit code 1. Run again, it goes on with what is missing.

    Example: pushgw certs import --from /etc/pushgw/certs
    """
    settings = settings_or_exit(config)
    directory = source or settings.credentials.directory
    if not directory.is_dir():
        raise fail(Exit.CONFIG, f"--from: {directory} is no directory; name the one that has the credentials")
    store = _sealed(settings)
    kept = DirectoryStore(directory, installed_vendors())
    rows = []
    try:
        for business_id in kept.ids():
            rows.append(_imported(store, kept, business_id, replace=replace))
    except StoreAway as error:
        raise store_failed(error) from None
    bad = any(row["Detail"] for row in rows)
    if json:
        print_json({"Credentials": rows})
    else:
        for row in rows:
            out.print(
                f"{row['BusinessID']} {row['Done']} {row['Detail']}".rstrip(), markup=False, soft_wrap=True
            )
        if not rows:
            out.print(f"There is no credential in {directory}.", markup=False)
        elif not bad:
            err.print(f"once a gateway has started on the sealed store, remove {directory}", markup=False)
    raise typer.Exit(int(Exit.NO if bad else Exit.DONE))


def _imported(
    store: SealedStore, directory: DirectoryStore, business_id: int, *, replace: bool
) -> dict[str, Any]:
    try:
        done, detail = _import(store, directory.read(business_id), replace=replace)
    except StoreAway:
        raise
    except StoreError as error:
        done, detail = "left out", str(error)
    return {"BusinessID": business_id, "Done": done, "Detail": detail}


def _import(store: SealedStore, material: Material, *, replace: bool) -> tuple[str, str]:
    reading = read_credential(MaterialSource(material), material.business_id, installed_vendors())
    if reading.faults:
        return "left out", "; ".join(map(str, reading.faults))
    try:
        there = store.read(material.business_id)
    except CredentialMissing:
        store.write(material)
        return "imported", ""
    if (there.toml, dict(there.files)) == (material.toml, dict(material.files)):
        return "was there already", ""
    if not replace:
        return "left out", "another one has this id in the sealed store; say --replace, or remove it first"
    store.write(material, replace=True)
    return "replaced", ""


def _sealed(settings: Settings) -> SealedStore:
    if settings.credentials.store != "sealed":
        raise fail(
            Exit.CONFIG,
            'credentials.store is "directory"; set it to "sealed", and credentials.seal_key with it',
        )
    return sealed_store_of(settings)
