"""The vendors' emulators behind a local server, and an embedded broker: everything runs without a network."""

from pushgw.sandbox.authority import Authority, load_authority, make_authority
from pushgw.sandbox.broker import BrokerUnavailable, EmbeddedBroker
from pushgw.sandbox.faults import FaultSyntaxError
from pushgw.sandbox.journal import Journal
from pushgw.sandbox.sandbox import Sandbox, example_directory, with_endpoint

__all__ = [
    "Authority",
    "BrokerUnavailable",
    "EmbeddedBroker",
    "FaultSyntaxError",
    "Journal",
    "Sandbox",
    "example_directory",
    "load_authority",
    "make_authority",
    "with_endpoint",
]
