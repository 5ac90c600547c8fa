"""Writes files and folders whole or not at all: a run that is cut off leaves what was there before.

What is new lies beside its place as ``.NAME.HOST-PID.partial`` until it is complete and on the disk. A process that is
killed cannot clean up; the next one that writes the same thing on the same machine does.
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
    """Open a new file that takes the name `path`, whatever has it, when the block ends; `sync` outlives a power cut."""
    with atomic_path(path, sync) as partial, partial.open("wb") as file:
        yield file


@contextmanager
def atomic_path(path: Path, sync: bool = True) -> Iterator[Path]:
    """Yield a free name beside `path`, for writers that want a name instead of an open file; see `atomic_file`."""
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
    """Yield a new folder that takes the name `path`, and the place of a folder there, when the block ends.

    A folder is not replaced in one step: a kill between the two leaves none, never a mixture.
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
    """Wait until a file is on the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Put the name of what was to be written into errors that lack one, such as that of a full disk."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


def _beside(path: Path) -> Path:
    """Return the name for what is unfinished, after removing what killed processes of this machine left."""
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
    except PermissionError:  # somebody else's
        return True
    return True


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
