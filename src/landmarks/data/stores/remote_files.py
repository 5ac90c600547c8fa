"""Files in object storage or on a web server, read by byte range through fsspec.

This module adds what fsspec leaves to its callers: a time limit, retries after temporary errors, the same kind of
error for all of its packages, and connections that work after a fork.
"""

import errno
import json
import logging
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
import fsspec
from fsspec.asyn import reset_lock, sync
from upath import UPath

from landmarks.data.stores.tar_files import TarStamp
from landmarks.errors import LandmarksError
from landmarks.progress import BYTES, show_progress
from landmarks.storage import QUICK, FileLock, RetryPolicy, TemporaryError, atomic_file, is_temporary, printable

TIMEOUT = 30.0
CHUNK = 4 << 20

log = logging.getLogger(__name__)

# OSError(ENOENT, …) is a FileNotFoundError, OSError(EACCES, …) a PermissionError.
_REFUSALS = {404: errno.ENOENT, 410: errno.ENOENT, 416: errno.ERANGE}
_VERSIONS = ("ETag", "etag", "Last-Modified", "LastModified", "last_modified", "updated", "mtime", "created")


@dataclass(frozen=True)
class RemoteFiles:
    """Lists, stamps and reads files by their names below `root`. Picklable; safe under fork, spawn and threads.

    The server must support byte ranges but need not list folders. All errors are OSErrors: FileNotFoundError and
    PermissionError are raised at once, others when all attempts have failed.
    """

    root: UPath
    retry: RetryPolicy = QUICK
    timeout: float = TIMEOUT  # seconds that one attempt may take

    def address(self, name: str) -> str:
        """Return the address of a file, for messages."""
        return str(self.root / name)

    def names(self, folder: str) -> list[str]:
        """Return the names directly in a folder, sorted; none if it is missing or the server does not list folders."""
        return sorted(self.listed(folder))

    def listed(self, folder: str) -> dict[str, TarStamp]:
        """Return what is directly in a folder, by name, with size (0 if unknown) and version, as far as listed."""
        place = (self.root / folder).path.rstrip("/") + "/"
        try:
            entries = self._ask("ls", place, detail=True)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return {}
        below = ((str(entry["name"]).rstrip("/"), entry) for entry in entries)
        names = ((path.removeprefix(place), entry) for path, entry in below if path.startswith(place))
        return {
            name: TarStamp(int(entry.get("size") or 0), _version(entry))
            for name, entry in names
            if name and "/" not in name
        }

    def stamp(self, name: str) -> TarStamp:
        """Return the size and version of a file; the version is its ETag or time, if the server gives them."""
        info = self._ask("info", (self.root / name).path)
        if info.get("type") == "directory" or info.get("size") is None:
            raise FileNotFoundError(errno.ENOENT, "the server reports no file with a size", self.address(name))
        return TarStamp(int(info["size"]), _version(info))

    def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        """Return the bytes from `offset`, all or `length` of them, fewer only at the end of the file."""
        if length == 0:
            return b""
        limits = {} if length is None else {"start": offset, "end": offset + length}
        try:
            data = bytes(self._ask("cat_file", (self.root / name).path, **limits))
        except OSError as error:
            if error.errno == errno.ERANGE:
                return b""
            raise
        if length is not None and len(data) > length:
            raise OSError(errno.EOPNOTSUPP, "the server ignores byte ranges", self.address(name))
        return data

    def _ask(self, method: str, path: str, **arguments: Any) -> Any:
        given_up = str(self.root) in _given_up
        retry, timeout = (
            (replace(self.retry, attempts=1), self.timeout / 10) if given_up else (self.retry, self.timeout)
        )

        def attempt() -> Any:
            try:
                return self._ask_once(method, path, timeout, **arguments)
            except Exception as raised:  # every fsspec package has its own classes
                error = _told(raised)
                raise _final(error, path) or TemporaryError(
                    printable(f"{type(error).__name__} {error}".rstrip())
                ) from error

        try:
            answer = retry.call(path, attempt)
        except TemporaryError as last:
            _given_up.add(str(self.root))
            attempts = f"{retry.attempts} attempts, the last: " if retry.attempts > 1 else ""
            raise OSError(errno.EIO, f"{attempts}{last}", path) from last
        except OSError:
            _given_up.discard(str(self.root))
            raise
        _given_up.discard(str(self.root))
        return answer

    def _ask_once(self, method: str, path: str, timeout: float, **arguments: Any) -> Any:
        system = _file_system(self.root)
        if not system.async_impl:
            return getattr(system, method)(path, **arguments)
        return sync(system.loop, getattr(system, f"_{method}"), path, timeout=timeout, **arguments)


def _version(info: dict[str, Any]) -> str:
    return next((f"{key} {info[key]}" for key in _VERSIONS if info.get(key)), "")


def unreachable(address: str, error: OSError) -> LandmarksError:
    """Make the error for users when RemoteFiles fails to read what the program needs."""
    return LandmarksError(
        f"{address}: {error.strerror or error}; check that the address is right and that this machine may read there"
    )


# A forked process has no fsspec thread to wait for; new versions of fsspec do this themselves.
os.register_at_fork(after_in_child=reset_lock)

# Addresses that failed despite all attempts: until they answer again, each request gets one short attempt only.
# Otherwise a dead server would delay each of the hundreds of images in a batch.
_given_up: set[str] = set()

_systems: dict[tuple[int, str, str], Any] = {}


def _file_system(root: UPath) -> Any:
    """Return the fsspec file system of this process.

    A forked process needs its own. It also keeps the inherited ones, because deleting them would close its parent's
    connections.
    """
    key = (os.getpid(), root.protocol, repr(root.storage_options))
    if key not in _systems:
        _systems[key] = fsspec.filesystem(root.protocol, **root.storage_options)
    return _systems[key]


def _told(error: Exception) -> Exception:
    """Return the underlying error: fsspec's `info` over HTTP reports "not found" for every error."""
    if isinstance(error, FileNotFoundError) and isinstance(error.__cause__, aiohttp.ClientError | OSError):
        return error.__cause__
    return error


def _final(error: Exception, path: str) -> OSError | None:
    """Return the OSError to raise for a permanent error; None for a temporary one."""
    if isinstance(error, aiohttp.ClientResponseError):
        if is_temporary(error.status) or error.status < 400:
            return None
        reason = f"the server answers {error.status} {error.message}".rstrip()
        return OSError(_REFUSALS.get(error.status, errno.EACCES), reason, path)
    if isinstance(error, PermissionError):
        return PermissionError(errno.EACCES, printable(f"no access: {error}"), path)
    if isinstance(error, FileNotFoundError | NotADirectoryError | IsADirectoryError):
        return FileNotFoundError(errno.ENOENT, "no such file", path)
    return None


def fetch_copy(files: RemoteFiles, name: str, copy: Path) -> None:
    """Update the local copy of a remote file if it has changed. Raises OSError."""
    copy.parent.mkdir(parents=True, exist_ok=True)
    origin = copy.with_name(f"{copy.name}.origin")
    with FileLock(copy.with_name(f"{copy.name}.lock"), wait=True):
        stamp = files.stamp(name)
        record = json.dumps(asdict(stamp))
        if not copy.is_file() or not origin.is_file() or origin.read_text() != record:
            origin.unlink(missing_ok=True)
            _copy(files, name, copy, stamp)
            origin.write_text(record)


def _copy(files: RemoteFiles, name: str, copy: Path, stamp: TarStamp) -> None:
    log.info("copying %s (%s bytes) to %s", files.address(name), f"{stamp.size:,}", copy)
    with atomic_file(copy) as file, show_progress() as progress:
        for offset in range(0, stamp.size, CHUNK):
            file.write(files.read(name, offset, min(CHUNK, stamp.size - offset)))
            progress.show(f"copying {name}", file.tell(), stamp.size, BYTES)
        if file.tell() != stamp.size or files.stamp(name) != stamp:
            raise OSError(f"{files.address(name)} changed while it was copied; run the command again")
