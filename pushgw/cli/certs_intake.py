"""What an operator gave on the command line or in the form, put into a draft of a credential."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import typer

from pushgw.cli.output import Exit, err, fail
from pushgw.credentials.content import Unreadable, tidied
from pushgw.credentials.draft import ENV, Draft
from pushgw.credentials.fault import nearest
from pushgw.credentials.form import FormField, form_of
from pushgw.credentials.recognize import recognize
from pushgw.credentials.secret_file import read_file
from pushgw.vendor.checks import Recognized
from pushgw.vendor.plugin import Vendor


class Found(msgspec.Struct, frozen=True):
    """A file given with --from, read."""

    path: Path
    content: bytes
    by_vendor: Mapping[str, Recognized]


def pairs_of(written: Sequence[str], option: str) -> dict[str, str]:
    """``field=value`` of repeated options. Exits 2 for anything else."""
    pairs = {}
    for text in written:
        name, sign, value = text.partition("=")
        if not sign or not name.strip():
            raise fail(Exit.USAGE, f"{option}: expected field=value, such as {option} app_key=abc")
        pairs[name.strip().replace("-", "_")] = value
    return pairs


def flags_of(arguments: Sequence[str]) -> dict[str, str | None]:
    """``--app-key X`` and ``--app-key=X``: the vendor's fields as flags; None where no value follows, which `checked` says.

    Exits 2 for what is neither. A value that begins with two hyphens is written with ``=``: elsewhere it is the next flag.
    """
    fields: dict[str, str | None] = {}
    left = list(arguments)
    while left:
        flag = left.pop(0)
        if not flag.startswith("--") or len(flag) < 3:
            raise fail(Exit.USAGE, f"{flag if len(flag) < 20 else 'an argument'} belongs to no option")
        name, sign, written = flag[2:].partition("=")
        value: str | None = written
        if not sign:
            value = left.pop(0) if left and not left[0].startswith("--") else None
        fields[name.replace("-", "_")] = value
    return fields


def checked(given: Mapping[str, str | None], form: Sequence[FormField], vendor_name: str) -> dict[str, str]:
    """The fields with their values. Exits 2 for one that the vendor does not have, with the one that is most like it, and for
    one without a value."""
    known = {field.name: field for field in form}
    fields = {}
    for name, value in given.items():
        flag = "--" + name.replace("_", "-")
        if name not in known:
            meant = nearest(name, list(known), "; did you mean {}?")
            raise fail(
                Exit.USAGE, f"{flag}: {vendor_name} has no such field{meant}; it has {', '.join(known)}"
            )
        if value is None:
            kind = "FILE" if known[name].is_file else "VALUE"
            raise fail(
                Exit.USAGE, f"{flag}: the value of {name} is missing; write {flag} {kind} (or {flag}={kind})"
            )
        fields[name] = value
    return fields


def found_in(paths: Sequence[Path], vendors: Mapping[str, Vendor], password: str) -> list[Found]:
    """The files given with --from. Exits 3 where one cannot be used."""
    found = []
    for path in paths:
        try:
            content = tidied(read_file(path))
            found.append(Found(path, content, recognize(path.name, content, vendors, password)))
        except Unreadable as error:
            raise fail(Exit.CONFIG, f"{path} {error}") from None
    return found


def secret_of(value: str) -> str:
    """A secret that is needed here and now. Exits 3 where the environment variable it names is not set."""
    if not value.startswith(ENV):
        return value
    name = value.removeprefix(ENV)
    if name not in os.environ:
        raise fail(Exit.CONFIG, f"the environment variable {name} is not set")
    return os.environ[name]


def vendor_of(found: Sequence[Found], vendors: Mapping[str, Vendor], given: str | None) -> str | None:
    """The vendor: as given, else the one that the files speak of. Exits 2 where they do not agree."""
    if given is not None and given not in vendors:
        known = ", ".join(sorted(vendors))
        raise fail(
            Exit.USAGE, f"--vendor: none is called {given}{nearest(given, vendors)}; known are {known}"
        )
    if not found:
        return given
    possible = set.intersection(*(set(one.by_vendor) for one in found))
    if given is not None:
        for one in found:
            if given not in one.by_vendor:
                kind = next(iter(one.by_vendor.values())).kind
                raise fail(Exit.USAGE, f"{one.path.name} is {kind}: nothing that {given} takes")
        return given
    if len(possible) != 1:
        names = sorted(possible or {name for one in found for name in one.by_vendor})
        raise fail(
            Exit.USAGE,
            f"--from: the file may be of {' or '.join(names)}; say which with --vendor {names[0]}"
            if possible
            else f"--from: the files are of several vendors ({', '.join(names)}); give those of one",
        )
    return possible.pop()


def fill(draft: Draft, found: Sequence[Found], fields: Mapping[str, str]) -> None:
    """Into the draft: what the files know, then what was given field by field. Exits 3 for a file that cannot be read."""
    form = {field.name: field for field in form_of(draft.model)}
    for one in found:
        known = one.by_vendor[draft.vendor_name]
        for name, value in known.fields.items():
            if name not in draft.given:
                draft.set(name, value)
        for name, value in known.own.items():
            draft.set(name, value)
        if known.file_field:
            draft.set_file(known.file_field, one.path.name, one.content)
    for name, value in fields.items():
        if form[name].is_file:
            put_file(draft, name, Path(value))
        else:
            draft.set(name, value)


def put_file(draft: Draft, field: str, path: Path) -> None:
    """The file's content. Exits 3 where it cannot be read."""
    try:
        draft.set_file(field, path.name, tidied(read_file(path)))
    except Unreadable as error:
        shown = path if len(str(path)) < 200 else "the file"
        raise fail(Exit.CONFIG, f"{field}: {shown} {error}") from None


def ask(draft: Draft) -> None:
    """The form on a terminal: every field that has no value yet, in the words of the vendor's console."""
    for field in form_of(draft.model):
        if field.name not in draft.given:
            _ask_one(draft, field)


def _ask_one(draft: Draft, field: FormField) -> None:
    note = "path of the file" if field.is_file else "secret, not shown" if field.secret else ""
    left_out = (
        "" if field.required else f"Enter for {field.default}" if field.default else "Enter to leave out"
    )
    remarks = "; ".join(filter(None, (note, left_out)))
    err.print(f"{field.name}: {field.description}{f' ({remarks})' if remarks else ''}", markup=False)
    while True:
        value = typer.prompt(
            f"  {field.name}",
            default=None if field.required else "",
            hide_input=field.secret,
            show_default=False,
            err=True,
        ).strip()
        if not value:
            return
        if not field.is_file:
            draft.set(field.name, value)
            return
        try:
            path = Path(value).expanduser()
            draft.set_file(field.name, path.name, tidied(read_file(path)))
            return
        except Unreadable as error:
            err.print(f"  {value} {error}", markup=False)
