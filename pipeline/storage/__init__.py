"""Object stores, reached through pyarrow's file systems: what lies there, its bytes by range, and objects put there whole."""

from pipeline.storage.remote import AnyFile, RemoteFile, remote_file
from pipeline.storage.store import Larger, Seen, Store, check_writer, store_of
from pipeline.storage.trouble import is_of_store, trouble

__all__ = [
    "AnyFile",
    "Larger",
    "RemoteFile",
    "Seen",
    "Store",
    "check_writer",
    "is_of_store",
    "remote_file",
    "store_of",
    "trouble",
]
