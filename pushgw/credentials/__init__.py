"""What operators upload: loaded, checked, and found by certificate id."""

from pushgw.credentials.directory import CredentialDirectory, load_directory
from pushgw.credentials.directory_shelf import DirectoryShelf
from pushgw.credentials.entry import CredentialEntry
from pushgw.credentials.fault import Fault
from pushgw.credentials.watch import CredentialWatch

__all__ = [
    "CredentialDirectory",
    "CredentialEntry",
    "CredentialWatch",
    "DirectoryShelf",
    "Fault",
    "load_directory",
]
