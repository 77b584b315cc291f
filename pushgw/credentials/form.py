"""The form of a vendor's credential: its fields in the words of the vendor's console, made from the vendor's model."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
from pydantic import SecretBytes, SecretStr

from pushgw.vendor.adapter import Credential


class FormField(msgspec.Struct, frozen=True, kw_only=True):
    """One field that an operator fills in."""

    name: str
    """As in the TOML."""
    description: str
    required: bool
    secret: bool
    """Not to be shown while it is typed, nor ever after."""
    is_file: bool
    """Takes the name of a file."""
    default: str = ""


def form_of(model: type[Credential]) -> list[FormField]:
    """The fields in the model's order."""
    return [_field(name, model) for name in toml_fields(model)]


def toml_fields(model: type[Credential]) -> tuple[str, ...]:
    """Names that the TOML may use: the model's, with file fields in the places of what they fill."""
    return tuple(toml_name(name, model) for name in model.model_fields)


def toml_name(field: str, model: type[Credential]) -> str:
    """The TOML's name for a field of the model."""
    return next((toml for toml, target in model.file_fields.items() if target == field), field)


def is_secret(name: str, model: type[Credential]) -> bool:
    """Whether the field of this TOML name holds a secret itself; one that names a file does not."""
    field = model.model_fields.get(name)
    return name not in model.file_fields and field is not None and _holds_secret(field.annotation)


def _field(name: str, model: type[Credential]) -> FormField:
    field = model.model_fields[model.file_fields.get(name, name)]
    secret = is_secret(name, model)
    default = field.default
    return FormField(
        name=name,
        description=field.description or name.replace("_", " "),
        required=field.is_required(),
        secret=secret,
        is_file=name in model.file_fields,
        default=default if isinstance(default, str) else "",
    )


def _holds_secret(annotation: Any) -> bool:
    return annotation in (SecretStr, SecretBytes) or any(_holds_secret(a) for a in get_args(annotation))
