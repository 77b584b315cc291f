"""What operators upload: loaded, checked, and found by certificate id."""

from pushgw.credentials.directory import CredentialDirectory, Fault, load_directory
from pushgw.credentials.entry import CredentialEntry

__all__ = ["CredentialDirectory", "CredentialEntry", "Fault", "load_directory"]
