"""Rows C1...C6, and B4 for one device of several: what a device and its credential say against it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushgw.policy.case import Case
from pushgw.policy.dnd import moment
from pushgw.policy.receiver_rules import in_foreground

if TYPE_CHECKING:
    from pushgw.policy.facts import Device
    from pushgw.policy.receiver_rules import ReceiverCase

    class DeviceCase(ReceiverCase):
        """A case past C1: there is a device."""

        device: Device


def device_foreground(case: Case) -> str | None:
    """B4 for one device, where others of the receiver's are in the background."""
    device = case.device
    if device is None or device.lost or not in_foreground(device, case.hint):
        return None
    return f"The app on {device.device_id} is in the foreground."


def no_token(case: Case) -> str | None:
    """C1."""
    device = case.device
    if device is None:
        return f"{case.receiver} has no device."
    if device.lost:
        return f"The token of {device.device_id} was since reported by another device."
    return None if device.token else f"{device.device_id} reported an empty token."


def cert_unknown(case: DeviceCase) -> str | None:
    """C2."""
    business_id = case.device.business_id
    if case.book.find(business_id) is not None:
        return None
    return f"{case.device.device_id} reported BusinessID {business_id}, and there is no such credential."


def cert_mismatch(case: DeviceCase) -> str | None:
    """C3. A device of unknown platform passes; so does a credential that cannot even be read (C4 follows)."""
    device = case.device
    platform = device.platform
    if platform is None:
        return None
    credential = case.book.find(device.business_id)
    if credential is None or platform in credential.platforms or not credential.platforms:
        return None
    return (
        f"{device.device_id} is a device of platform {platform}, "
        f"and credential {device.business_id} is one of {credential.vendor}."
    )


def cert_unusable(case: DeviceCase) -> str | None:
    """C4."""
    credential = case.book.find(case.device.business_id)
    if credential is None or credential.problem is None:
        return None
    return f"Credential {case.device.business_id} cannot be used: {credential.problem}"


def token_dead(case: DeviceCase) -> str | None:
    """C5. A newer Put clears the mark."""
    device = case.device
    if device.dead_ms is None:
        return None
    return f"The vendor declared the token of {device.device_id} dead at {moment(device.dead_ms / 1000)}."


def channel_reject(case: DeviceCase) -> str | None:
    """C6, as far as the token's shape goes."""
    device = case.device
    credential = case.book.find(device.business_id)
    fault = credential.token_fault(device.token) if credential is not None else None
    return None if fault is None else f"{device.device_id} cannot be reached: {fault}."
