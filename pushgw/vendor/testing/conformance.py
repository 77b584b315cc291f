"""AdapterConformance: all checks as one test class, for pytest or any runner that looks for ``test_`` methods."""

from __future__ import annotations

from pushgw.vendor.testing import authorizing, checking, emulating, reading, rendering
from pushgw.vendor.testing.subject import Subject


class AdapterConformance(Subject):
    """Subclass it in a test module and say who is to be tested::

        class TestAcme(AdapterConformance):
            vendor = acme.vendor
            account = Account(business_id=1, vendor="acme", credential=AcmeCredential(key="..."))
            token = "0123456789abcdef"

    Each method is one promise; all but the first three attributes have defaults (see Subject).
    """

    def test_facts(self) -> None:
        """Names agree, limits make sense, every row of the result table has an action and words."""
        rendering.check_facts(self)

    def test_render_is_pure(self) -> None:
        """The same arguments give the same bytes."""
        rendering.check_render_is_pure(self)

    def test_shared_headers(self) -> None:
        """Shared headers are one tuple object while the authorization lasts."""
        rendering.check_shared_headers(self)

    def test_request_is_well_formed(self) -> None:
        """HTTP can carry the request, and it goes where the account points it."""
        rendering.check_request_is_well_formed(self)

    def test_texts(self) -> None:
        """Any Unicode is rendered or Refused."""
        rendering.check_texts(self)

    def test_optional_fields(self) -> None:
        """A push does with any optional field left out or at its edge."""
        rendering.check_optional_fields(self)

    def test_sizes(self) -> None:
        """What is too large is cut, or Refused with its size."""
        rendering.check_sizes(self)

    def test_tokens(self) -> None:
        """Bad tokens are refused beforehand and cannot inject a header."""
        rendering.check_tokens(self)

    def test_every_code(self) -> None:
        """Every row of the result table is what the adapter makes of such an answer."""
        reading.check_every_code(self)

    def test_unknown_code(self) -> None:
        """An unknown code is neither success nor death."""
        reading.check_unknown_code(self)

    def test_unreadable_answers(self) -> None:
        """Noise never raises, kills a token or counts as accepted."""
        reading.check_unreadable_answers(self)

    def test_broken_answers(self) -> None:
        """Answers cut short or of wrong types never raise."""
        reading.check_broken_answers(self)

    def test_retry_after(self) -> None:
        """Retry-After reaches the Outcome."""
        reading.check_retry_after(self)

    def test_words(self) -> None:
        """An Outcome's words are short and never quote the token."""
        reading.check_words(self)

    def test_authorization(self) -> None:
        """An authorization lasts, and a token server is asked only where it must be."""
        authorizing.check_authorization(self)

    def test_token_server(self) -> None:
        """Any answer of the token server is a usable token or AuthFailed."""
        authorizing.check_token_server(self)

    def test_secrets(self) -> None:
        """Secrets stay out of reprs, dry runs and errors."""
        authorizing.check_secrets(self)

    def test_credential_words(self) -> None:
        """Summary and findings hold no secret, and no file makes ``recognize`` fail."""
        checking.check_credential_words(self)

    def test_probe(self) -> None:
        """The harmless push passes with a good credential and shows nothing."""
        checking.check_probe(self)

    def test_round_trip(self) -> None:
        """The emulator takes what the adapter sends, and a repeat replaces itself."""
        emulating.check_round_trip(self)

    def test_batches(self) -> None:
        """One Outcome for each target, in order, up to the limit."""
        emulating.check_batches(self)

    def test_dead_token(self) -> None:
        """A dead token is reported as such."""
        emulating.check_dead_token(self)

    def test_refused_authorization(self) -> None:
        """A wrong authorization touches no device."""
        emulating.check_refused_authorization(self)

    def test_emulator_stands(self) -> None:
        """The emulator survives junk."""
        emulating.check_emulator_stands(self)

    def test_accepted_content(self) -> None:
        """What is rendered keeps to the limits, and texts are cut between graphemes."""
        emulating.check_accepted_content(self)
