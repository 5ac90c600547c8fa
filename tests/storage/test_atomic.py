import errno
import multiprocessing
import os
import signal
from pathlib import Path

import pytest

from landmarks.storage import atomic_file, atomic_folder, atomic_path


def test_a_file_appears_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.csv"
    with atomic_file(path) as file:
        file.write(b"one")
        assert not path.exists()
    assert path.read_bytes() == b"one"
    assert list(path.parent.iterdir()) == [path]


def test_an_error_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError), atomic_file(path) as file:
        file.write(b"half")
        raise RuntimeError
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_takes_the_place_of_another_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder"
    for name in ("first", "second"):
        with atomic_folder(path) as partial:
            (partial / name).write_text(name)
            assert not (path / name).exists()
        assert [file.name for file in path.iterdir()] == [name]
    with pytest.raises(RuntimeError), atomic_folder(path) as partial:
        (partial / "third").touch()
        raise RuntimeError
    assert [file.name for file in path.iterdir()] == ["second"]
    assert list(path.parent.iterdir()) == [path]


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"No space left on device.*file\.csv"), atomic_file(tmp_path / "file.csv"):
        raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(OSError, match=r"taken"), atomic_path(tmp_path / "taken" / "file"):
        (tmp_path / "taken").rmdir()
    assert not list(tmp_path.iterdir())


def _killed_while_writing(path: Path) -> None:
    with atomic_file(path) as file:
        file.write(b"half")
        file.flush()
        with atomic_folder(path.with_name("folder")) as partial:
            (partial / "a").touch()
            os.kill(os.getpid(), signal.SIGKILL)


def test_the_next_writer_clears_up_after_one_that_was_killed(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    for _ in range(3):
        process = multiprocessing.get_context("fork").Process(target=_killed_while_writing, args=(path,))
        process.start()
        process.join()
        assert len(list(tmp_path.iterdir())) == 2
    with atomic_file(path) as outer:  # one that is at work keeps its own
        outer.write(b"whole")
        with atomic_folder(tmp_path / "folder"):
            pass
        assert len(list(tmp_path.iterdir())) == 2
    assert path.read_bytes() == b"whole"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["file.csv", "folder"]
