"""Write files and folders atomically: an interrupted write keeps the previous version.

New content is written beside its final path as ``.NAME.HOST-PID.partial``, and renamed when it is complete and on the
disk. Partial files of a killed process are removed by the next one that writes the same path on the same machine.
"""

import glob
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def atomic_file(path: Path, sync: bool = True) -> Iterator[BinaryIO]:
    """Open a new file for writing, which replaces `path` when the block ends.

    Args:
        path: The final path.
        sync: Wait until the content is on the disk, so that it survives a power failure.
    """
    with atomic_path(path, sync) as partial, partial.open("wb") as file:
        yield file


@contextmanager
def atomic_path(path: Path, sync: bool = True) -> Iterator[Path]:
    """Yield an unused path beside `path`, for writers that need a path instead of an open file; see `atomic_file`."""
    partial = _beside(path)
    try:
        with _naming(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield partial
            if sync:
                sync_file(partial)
            partial.replace(path)
    finally:
        _remove(partial)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a new folder, which replaces `path` when the block ends.

    An existing folder is removed before the new one is renamed: a kill between the two leaves none, never a mixture.
    """
    partial = _beside(path)
    try:
        with _naming(path):
            partial.mkdir(parents=True)
            yield partial
            for file in partial.rglob("*"):
                if file.is_file():
                    sync_file(file)
            if path.exists():
                shutil.rmtree(path)
            partial.replace(path)
    finally:
        _remove(partial)


def sync_file(path: Path) -> None:
    """Wait until a file is written to the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Add the path to errors of the operating system that lack one, such as that of a full disk."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


def _beside(path: Path) -> Path:
    """Return the path for partial content, after removing that of killed processes of this machine."""
    start, end = f".{path.name}.{socket.gethostname()}-", ".partial"
    for left in path.parent.glob(f"{glob.escape(start)}*{end}"):
        pid = left.name[len(start) : -len(end)]
        if pid.isdecimal() and not _is_running(int(pid)):
            _remove(left)
    return path.with_name(f"{start}{os.getpid()}{end}")


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # a process of another user
        return True
    return True


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
