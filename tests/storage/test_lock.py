import errno
import fcntl
import logging
import multiprocessing
import time
from pathlib import Path

import pytest

from landmarks.storage import FileLock, LockedError


def _hold(path: Path, seconds: float) -> None:
    with FileLock(path):
        path.with_name("held").touch()
        time.sleep(seconds)


def _start(path: Path, seconds: float) -> multiprocessing.process.BaseProcess:
    process = multiprocessing.get_context("fork").Process(target=_hold, args=(path, seconds))
    process.start()
    while not path.with_name("held").exists():
        time.sleep(0.01)
    return process


def test_another_process_is_waited_for_or_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    process = _start(tmp_path / "lock", 0.5)
    with pytest.raises(LockedError, match=f"{tmp_path}: another process writes"):
        FileLock(tmp_path / "lock")
    with caplog.at_level(logging.INFO), FileLock(tmp_path / "lock", wait=True):
        assert "waiting for another process" in caplog.text
    process.join()
    FileLock(tmp_path / "lock").release()


def test_a_killed_process_releases_its_lock(tmp_path: Path) -> None:
    process = _start(tmp_path / "lock", 60)
    process.kill()
    process.join()
    FileLock(tmp_path / "lock").release()


def test_a_file_system_without_locks_is_named_and_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(file: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with FileLock(tmp_path / "lock"):
        assert "the file system has no locks (No locks available)" in caplog.text
