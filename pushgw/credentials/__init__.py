"""What operators upload: loaded, checked, and found by certificate id."""

from pushgw.credentials.directory import CredentialDirectory, load_directory
from pushgw.credentials.entry import CredentialEntry
from pushgw.credentials.fault import Fault

__all__ = ["CredentialDirectory", "CredentialEntry", "Fault", "load_directory"]
