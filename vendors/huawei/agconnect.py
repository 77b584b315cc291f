"""agconnect-services.json: what AppGallery Connect gives to the app. It knows the app's ids, and no secret for a server.

Source: Huawei's guide to adding the configuration file of AppGallery Connect.
"""

from __future__ import annotations

from typing import Any

from pushgw.vendor.answers import json_object
from pushgw.vendor.checks import Recognized


def recognized_agconnect(content: bytes) -> Recognized | None:
    """The app's ids, or None for another file. Raises ValueError where the ids are missing.

    ``client.client_secret`` is left alone: it is the app's own, for AppGallery Connect, and no OAuth 2.0 client secret.
    """
    file = json_object(content)
    client, app = _table(file.get("client")), _table(file.get("app_info"))
    if not ({"agcgw", "agcgw_all", "configuration_version"} & file.keys() and (client or app)):
        return None
    oauth = _table(file.get("oauth_client"))
    fields = {
        "app_id": _text(oauth.get("client_id")) or _text(client.get("app_id")) or _text(app.get("app_id")),
        "package": _text(client.get("package_name")) or _text(app.get("package_name")),
        "project_id": _text(client.get("project_id")),
    }
    if not fields["app_id"] or not fields["package"]:
        raise ValueError(
            "is an agconnect-services.json without the app's ids; download it again from AppGallery Connect (Project settings)"
        )
    return Recognized(
        kind="agconnect-services.json of Huawei's", fields={n: v for n, v in fields.items() if v}
    )


def _table(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
