"""pushgw: an offline push gateway for instant-messaging backends."""

__version__ = "0.1.0"
