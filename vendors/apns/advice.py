"""What the result table cannot know: words for the operator that depend on the credential and on the push."""

from __future__ import annotations

from pushgw.vendor.adapter import Account, Auth
from pushgw.vendor.push import Push
from vendors.apns.credential import HOSTS, ApnsCredential
from vendors.apns.provider_token import YOUNGEST_RENEWAL_S
from vendors.apns.push_type import PushType


def advice(reason: str, push: Push, account: Account, push_type: PushType) -> str:
    """A hint beside the table's own for Apple's ``reason``; empty where the table says it all."""
    credential: ApnsCredential = account.credential
    match reason:
        case "BadDeviceToken":
            return f"{_token_of_the_other_environment(credential)}{_other_tokens(push_type)}"
        case "DeviceTokenNotForTopic":
            return f"the topic was {credential.topic(push_type)}{_other_tokens(push_type)}"
        case "BadEnvironmentKeyIdInToken" | "BadEnvironmentKeyInToken" | "BadCertificateEnvironment":
            return (
                f"this credential is configured for {credential.environment}; "
                "until that is mended, all of its devices are refused with C4"
            )
        case "ExpiredProviderToken":
            return _clock_is_wrong(push, account)
    return ""


def _token_of_the_other_environment(credential: ApnsCredential) -> str:
    here = credential.environment
    [other] = HOSTS.keys() - {here}
    return (
        f"this credential is configured for {here}: an app built for {other} must report the certificate id of a "
        f"credential for {other} (a mismatch like C3); if all devices are refused, not the tokens are at fault "
        "but environment in this credential (like C4)"
    )


def _other_tokens(push_type: PushType) -> str:
    if not push_type.suffix:
        return ""
    return f"; a {push_type.name} push goes to a token of its own, which is not the one for alerts"


def _clock_is_wrong(push: Push, account: Account) -> str:
    """Apple calls a token of at most 20 minutes expired: then not the token is old, but the time in it is wrong."""
    auth: Auth | None = account.cache.get("apns.auth")
    if auth is None or not 0 <= push.now - auth.made_at < YOUNGEST_RENEWAL_S:
        return ""
    age = int(push.now - auth.made_at)
    return (
        f"the token was signed {age} s ago by this machine's clock, so that is a clock problem: set it by NTP"
    )
