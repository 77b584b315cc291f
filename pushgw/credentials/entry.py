"""One credential as the gateway holds it: usable, or present but unusable with the reason."""

from __future__ import annotations

from pushgw.credentials.expiry import expiry_sentence
from pushgw.vendor.adapter import Account, Adapter


class CredentialEntry:
    """A credential by its certificate id (a `CredentialFact` of the policy).

    ``fault`` stands from the load (C4 until the file changes); ``refused`` is set and cleared while running, when
    the vendor refuses the credential.
    """

    __slots__ = (
        "account",
        "adapter",
        "business_id",
        "expires_at",
        "fault",
        "fingerprint",
        "ios",
        "platforms",
        "refused",
        "stale",
        "vendor",
    )

    def __init__(
        self,
        business_id: int,
        vendor: str,
        *,
        adapter: Adapter | None = None,
        account: Account | None = None,
        fault: str | None = None,
        platforms: frozenset[str] = frozenset(),
        fingerprint: bytes = b"",
    ) -> None:
        """``platforms``: those of the vendor, where the file is at fault but says whose it is."""
        self.business_id = business_id
        self.vendor = vendor
        self.adapter = adapter
        self.account = account
        self.fault = fault
        self.refused: str | None = None
        self.stale: str | None = None
        """The newest file is at fault, so that this older one goes on: what is wrong with it."""
        self.fingerprint = fingerprint
        """Differs when anything that it was read from does."""
        self.expires_at: float | None = account.credential.summary().expires_at if account else None
        """When a certificate in it ends, epoch s; None where nothing does."""
        self.platforms: frozenset[str] = adapter.platforms if adapter else platforms
        self.ios = adapter.ios if adapter else False

    @property
    def problem(self) -> str | None:
        """Why it cannot be used now (C4), or None."""
        return self.fault or self.refused

    def problem_at(self, now: float) -> str | None:
        """`problem`, also of a certificate that has ended at this very moment (epoch s) and of which nobody has told yet."""
        if self.expires_at is not None and now >= self.expires_at and self.fault is None:
            return expiry_sentence(self.expires_at, now)
        return self.fault or self.refused

    def token_fault(self, token: str) -> str | None:
        """Why the token has not the vendor's shape (C6), or None."""
        return self.adapter.token_fault(token) if self.adapter else None

    def __repr__(self) -> str:
        return f"CredentialEntry({self.business_id}, {self.vendor!r}, problem={self.problem!r})"
