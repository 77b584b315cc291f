"""What Apple's answers mean: one table. Source: Apple's page on handling notification responses from APNs."""

from __future__ import annotations

from pushgw.vendor.push import Action

RESULTS: dict[str, tuple[Action, str]] = {
    "200": (Action.ACCEPTED, "accepted"),
    # 400
    "BadDeviceToken": (
        Action.INVALID_TOKEN,
        "no token of this environment; if it befalls many, environment is wrong (sandbox or production)",
    ),
    "DeviceTokenNotForTopic": (
        Action.INVALID_TOKEN,
        "the token is another app's; if it befalls many, bundle_id is wrong",
    ),
    "BadCollapseId": (Action.BAD_MESSAGE, "the collapse id is longer than 64 bytes"),
    "BadExpirationDate": (Action.BAD_MESSAGE, "the expiration is no epoch time"),
    "BadMessageId": (Action.BAD_MESSAGE, "the apns-id is no UUID"),
    "BadPriority": (Action.BAD_MESSAGE, "the priority does not exist or does not go with the push type"),
    "BadTopic": (Action.BAD_MESSAGE, "the topic is malformed; look at bundle_id"),
    "DuplicateHeaders": (Action.BAD_MESSAGE, "a header was given twice"),
    "InvalidPushType": (Action.BAD_MESSAGE, "the push type does not exist or does not go with the payload"),
    "MissingDeviceToken": (Action.BAD_MESSAGE, "there is no token in the path"),
    "PayloadEmpty": (Action.BAD_MESSAGE, "the payload is empty"),
    "MissingTopic": (Action.CONFIG, "a certificate of several topics needs one named; set bundle_id"),
    "TopicDisallowed": (Action.CONFIG, "this key or certificate may not push to this app; look at bundle_id"),
    "IdleTimeout": (Action.RETRY, "the connection had been idle too long"),
    # 403
    "ExpiredProviderToken": (
        Action.AUTH,
        "the provider token is older than an hour; look at this machine's clock",
    ),
    "InvalidProviderToken": (
        Action.CONFIG,
        "the provider token is not accepted; look at key_id and team_id, and whether the key was revoked",
    ),
    "MissingProviderToken": (
        Action.CONFIG,
        "neither a provider token nor a certificate came; set one of them",
    ),
    "UnrelatedKeyIdInToken": (
        Action.AUTH,
        "the connection is bound to another key; look at key_id and team_id",
    ),
    "BadEnvironmentKeyIdInToken": (
        Action.CONFIG,
        "the key is of the other environment; look at environment, or make a key for both",
    ),
    "BadEnvironmentKeyInToken": (
        Action.CONFIG,
        "the key is of the other environment; look at environment, or make a key for both",
    ),
    "BadCertificate": (Action.CONFIG, "the certificate is not accepted; make a new one"),
    "BadCertificateEnvironment": (
        Action.CONFIG,
        "the certificate is of the other environment; look at environment",
    ),
    "Forbidden": (Action.CONFIG, "Apple forbids this; look at the account in the developer portal"),
    # 404, 405
    "BadPath": (Action.BAD_MESSAGE, "the path is malformed"),
    "MethodNotAllowed": (Action.BAD_MESSAGE, "the method is not POST"),
    # 410
    "Unregistered": (Action.INVALID_TOKEN, "the app is no longer on the device"),
    "ExpiredToken": (Action.INVALID_TOKEN, "the token has expired"),
    # 413, 429
    "PayloadTooLarge": (Action.BAD_MESSAGE, "the payload is larger than 4096 bytes (voip: 5120)"),
    "TooManyProviderTokenUpdates": (
        Action.RETRY_AFTER,
        "provider tokens are renewed too often; look for other services that sign with this key",
    ),
    "TooManyRequests": (Action.RETRY, "too many notifications to this one device"),
    # 500, 503
    "InternalServerError": (Action.RETRY, "internal error at Apple"),
    "ServiceUnavailable": (Action.RETRY, "Apple cannot answer just now"),
    "Shutdown": (Action.RETRY, "Apple's server is shutting down"),
    # A reason that the page does not list, by its status.
    "HTTP 4xx": (Action.BAD_MESSAGE, "refused for a reason that Apple's page does not list; report it"),
    "HTTP 5xx": (Action.RETRY, "an error that Apple's page does not list"),
    # No reason at all.
    "no reason": (
        Action.RETRY,
        "an error without Apple's words, such as a proxy's; look at what is in between",
    ),
}
"""Reason -> (what to do, what it means; then, after a semicolon, what to look at)."""

ON_ANOTHER_CONNECTION = frozenset(
    {"ExpiredProviderToken", "UnrelatedKeyIdInToken", "IdleTimeout", "ServiceUnavailable", "Shutdown"}
)
"""Reasons that are about the connection: it keeps what it holds against the token, or ends. The repeat goes on a new one."""


def lookup(status: int, reason: str) -> tuple[Action, str]:
    """Action and words of an answer that is no 200; ``reason`` is empty where the body told none."""
    if known := RESULTS.get(reason):
        return known
    if status < 400:
        return Action.UNKNOWN, "a status that Apple does not use; look at the endpoint"
    if not reason:
        return RESULTS["no reason"]
    return RESULTS["HTTP 5xx" if status >= 500 else "HTTP 4xx"]
