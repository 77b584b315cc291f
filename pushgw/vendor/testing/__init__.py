"""The conformance kit: what every adapter promises the gateway, as tests that its author runs.

``AdapterConformance`` is a test class to subclass; the ``check_*`` functions are its single promises, for other runners.
Each raises NotConformant (an AssertionError) with a sentence that names the broken promise and the case. No test library is
imported.
"""

from __future__ import annotations

from pushgw.vendor.testing.authorizing import check_authorization, check_secrets, check_token_server
from pushgw.vendor.testing.checking import check_credential_words, check_probe
from pushgw.vendor.testing.conformance import AdapterConformance
from pushgw.vendor.testing.emulating import (
    check_accepted_content,
    check_batches,
    check_dead_token,
    check_emulator_stands,
    check_refused_authorization,
    check_round_trip,
)
from pushgw.vendor.testing.promise import NotConformant
from pushgw.vendor.testing.reading import (
    check_broken_answers,
    check_every_code,
    check_retry_after,
    check_unknown_code,
    check_unreadable_answers,
    check_words,
)
from pushgw.vendor.testing.rendering import (
    check_facts,
    check_optional_fields,
    check_render_is_pure,
    check_request_is_well_formed,
    check_shared_headers,
    check_sizes,
    check_texts,
    check_tokens,
)
from pushgw.vendor.testing.subject import Subject

__all__ = [
    "AdapterConformance",
    "NotConformant",
    "Subject",
    "check_accepted_content",
    "check_authorization",
    "check_batches",
    "check_broken_answers",
    "check_credential_words",
    "check_dead_token",
    "check_emulator_stands",
    "check_every_code",
    "check_facts",
    "check_optional_fields",
    "check_probe",
    "check_refused_authorization",
    "check_render_is_pure",
    "check_request_is_well_formed",
    "check_retry_after",
    "check_round_trip",
    "check_secrets",
    "check_shared_headers",
    "check_sizes",
    "check_texts",
    "check_token_server",
    "check_tokens",
    "check_unknown_code",
    "check_unreadable_answers",
    "check_words",
]
