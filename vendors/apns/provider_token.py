"""The provider token: the JWT with which a ``.p8`` key speaks for a team. Source: Apple's page on token-based connections."""

from __future__ import annotations

import jwt
from aioapns.connection import JWTAuthorizationHeaderProvider
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

REFRESH_S = 47 * 60
"""Apple takes a token for an hour after its ``iat``; we replace it well before."""
YOUNGEST_RENEWAL_S = 20 * 60
"""Apple answers TooManyProviderTokenUpdates to whoever signs anew more often than this."""

_DOWNLOAD = "name the AuthKey_<key_id>.p8 file from Apple's developer portal (Keys)"


class ProviderToken(JWTAuthorizationHeaderProvider):
    """aioapns' provider of the authorization header, with the time of issue coming in from outside.

    aioapns reads the clock itself and renews after 30 minutes; a lane asks for a token of a given moment.
    """

    TOKEN_TTL = REFRESH_S

    def __init__(self, pem: bytes, key_id: str, team_id: str) -> None:
        """Raises ValueError with the operator's sentence where ``pem`` is no P-256 key."""
        super().__init__(key=load_key(pem), key_id=key_id, team_id=team_id)

    def sign(self, issued_at: int) -> str:
        """The JWT issued at ``issued_at`` (epoch s): ES256, no ``exp``, and no ``typ``, as Apple describes it."""
        return jwt.encode(
            payload={"iss": self.team_id, "iat": issued_at},
            key=self.key,
            algorithm="ES256",
            headers={"kid": self.key_id, "typ": ""},  # an empty typ is PyJWT's word for none
        )


def load_key(pem: bytes) -> EllipticCurvePrivateKey:
    """The key of a ``.p8`` file. Raises ValueError with a sentence for the operator, never with a part of the key."""
    try:
        key = load_pem_private_key(pem, password=None)
    except TypeError:
        raise ValueError(f"the key is locked with a password, Apple's never are; {_DOWNLOAD}") from None
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError(f"the file holds no private key in PEM form; {_DOWNLOAD}") from None
    if not isinstance(key, EllipticCurvePrivateKey) or not isinstance(key.curve, SECP256R1):
        raise ValueError(f"the key is not of the curve P-256 that Apple issues; {_DOWNLOAD}")
    return key
