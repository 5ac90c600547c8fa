"""What is kept on disk: whole or not there, locked while it is written, and an error where a bit has flipped."""

from landmarks.storage.append_log import AppendLog, no_head
from landmarks.storage.atomic_file import atomic_file, atomic_folder, atomic_path, sync_file
from landmarks.storage.cache_folder import FOLDER, derived_folder, user_cache
from landmarks.storage.checksums import (
    CHECKSUMS_FILE,
    SEAL,
    UNSEALED,
    ChangedError,
    check_archive,
    check_folder,
    check_tensors,
    sealed_tensors,
    write_checksums,
)
from landmarks.storage.lock import FileLock, LockedError
from landmarks.storage.npy_header import map_array, read_any_header, read_header, write_header
from landmarks.storage.row_log import Column, RowLog

__all__ = [
    "CHECKSUMS_FILE",
    "FOLDER",
    "SEAL",
    "UNSEALED",
    "AppendLog",
    "ChangedError",
    "Column",
    "FileLock",
    "LockedError",
    "RowLog",
    "atomic_file",
    "atomic_folder",
    "atomic_path",
    "check_archive",
    "check_folder",
    "check_tensors",
    "derived_folder",
    "map_array",
    "no_head",
    "read_any_header",
    "read_header",
    "sealed_tensors",
    "sync_file",
    "user_cache",
    "write_checksums",
    "write_header",
]
