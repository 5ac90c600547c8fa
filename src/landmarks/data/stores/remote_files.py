"""Files below an address, object storage or a web server, read by range through fsspec.

Here is what fsspec leaves to its callers: a time limit, further attempts after a fault that may pass, one kind of
error whichever package answers, and connections that survive a fork.
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

# OSError makes a FileNotFoundError or PermissionError of the first two kinds.
_REFUSALS = {404: errno.ENOENT, 410: errno.ENOENT, 416: errno.ERANGE}
_VERSIONS = ("ETag", "etag", "Last-Modified", "LastModified", "last_modified", "updated", "mtime", "created")


@dataclass(frozen=True)
class RemoteFiles:
    """Lists, stamps and reads files by their names below `root`. Picklable; safe under fork, spawn and threads.

    A server may lack listing; it must know byte ranges. Every error is an OSError: FileNotFoundError and
    PermissionError for what the server says at once, others when all attempts have failed.
    """

    root: UPath
    retry: RetryPolicy = QUICK
    timeout: float = TIMEOUT  # seconds that one attempt may take

    def address(self, name: str) -> str:
        """For messages."""
        return str(self.root / name)

    def names(self, folder: str) -> list[str]:
        """What lies directly in a folder, sorted; nothing if it is not there or the server lists no folders."""
        return sorted(self.listed(folder))

    def listed(self, folder: str) -> dict[str, TarStamp]:
        """What lies directly in a folder, by name, with size (0: unknown) and version as far as these are listed."""
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
        """Size and version of a file; the version is its ETag or its time where the server tells them."""
        info = self._ask("info", (self.root / name).path)
        if info.get("type") == "directory" or info.get("size") is None:
            raise FileNotFoundError(errno.ENOENT, "the server does not call it a file with a size", self.address(name))
        return TarStamp(int(info["size"]), _version(info))

    def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        """Bytes from `offset`, all or at most `length`; fewer only where the file ends."""
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
    """What to tell people who cannot go on without a file or an answer of RemoteFiles."""
    return LandmarksError(
        f"{address}: {error.strerror or error}; is the address right, and may this machine read there?"
    )


# A forked process has none of its parent's threads, so it must not wait for that of fsspec; new versions see to it.
os.register_at_fork(after_in_child=reset_lock)

# Addresses that failed in spite of all attempts: until they answer again, one short attempt for each request will do.
# Else a server that died would hold up each of the hundreds of images in a batch.
_given_up: set[str] = set()

_systems: dict[tuple[int, str, str], Any] = {}


def _file_system(root: UPath) -> Any:
    """The fsspec file system of this process.

    A forked process needs its own. It also keeps those it has inherited: to end one is to close its parent's
    connections.
    """
    key = (os.getpid(), root.protocol, repr(root.storage_options))
    if key not in _systems:
        _systems[key] = fsspec.filesystem(root.protocol, **root.storage_options)
    return _systems[key]


def _told(error: Exception) -> Exception:
    """What was really wrong: fsspec's `info` over HTTP says "not found" to everything."""
    if isinstance(error, FileNotFoundError) and isinstance(error.__cause__, aiohttp.ClientError | OSError):
        return error.__cause__
    return error


def _final(error: Exception, path: str) -> OSError | None:
    """What to raise for an error that another attempt would only repeat; None for one that may pass."""
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
    """Bring a copy on this machine up to date with the file called `name` there. Raises OSError."""
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
            raise OSError(f"{files.address(name)} changed while it was read; start again")
