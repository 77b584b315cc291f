"""Which vendor's file an operator has in hand."""

from __future__ import annotations

from collections.abc import Mapping

from pushgw.credentials.content import Unreadable
from pushgw.vendor.checks import Recognized
from pushgw.vendor.plugin import Vendor


def recognize(
    name: str, content: bytes, vendors: Mapping[str, Vendor], password: str = ""
) -> dict[str, Recognized]:
    """What the file is to each vendor that knows it: one, or several that share a kind of file.

    Raises Unreadable with a sentence where nobody knows it, or the only one that does cannot use it.
    """
    found: dict[str, Recognized] = {}
    unusable: dict[str, str] = {}
    for vendor_name, vendor in sorted(vendors.items()):
        try:
            known = vendor.adapter.credential_model.recognize(name, content, password)
        except ValueError as error:
            unusable[vendor_name] = str(error)
        else:
            if known is not None:
                found[vendor_name] = known
    if found:
        return found
    if unusable:
        vendor_name, sentence = next(iter(unusable.items()))
        raise Unreadable(f"({vendor_name}) {sentence}")
    raise Unreadable(
        "is nothing that a vendor gives out: expected a key (.p8), a certificate with its key (.p12, .pem), "
        "or a service account's or AppGallery Connect's JSON"
    )
