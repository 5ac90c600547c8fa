import errno
import fcntl
import hashlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from landmarks.data.gldv2 import DiskFullError, PartialFile, partial_name
from landmarks.errors import LandmarksError


def test_name_comes_with_the_end(tmp_path: Path) -> None:
    path = tmp_path / "train/images_000.tar"
    with PartialFile(path) as partial:
        partial.append(b"one ")
        partial.append(b"two\n")
        assert not path.exists() and partial_name(path).read_bytes() == b"one two\n"
        assert partial.md5 == hashlib.md5(b"one two\n").hexdigest() and partial.size == 8
        partial.finish()
    assert path.read_bytes() == b"one two\n" and not partial_name(path).exists()


def test_bytes_of_an_earlier_run_are_kept_and_hashed(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    for part in (b"id,url\r\n", b"more"):
        with PartialFile(path) as partial:
            partial.append(part)
    with PartialFile(path) as partial:
        assert partial.size == 12 and partial.first_line() == "id,url"
        assert partial.md5 == hashlib.md5(b"id,url\r\nmore").hexdigest()
        partial.restart()
        partial.append(b"new")
        assert partial.size == 3 and partial.md5 == hashlib.md5(b"new").hexdigest()
        partial.finish()
    assert path.read_bytes() == b"new"


def test_nothing_received_leaves_nothing(tmp_path: Path) -> None:
    with PartialFile(tmp_path / "a"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_only_one_process_at_a_time(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from landmarks.data.gldv2.partial_file import PartialFile\n"
        "with PartialFile(Path(sys.argv[1])) as partial:\n"
        "    partial.append(b'theirs'); print(flush=True); sys.stdin.read()"
    )
    path = tmp_path / "a.tar"
    with subprocess.Popen(
        [sys.executable, "-c", program, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(LandmarksError, match=r"a\.tar: another process is downloading this file"):
            PartialFile(path)
        process.kill()
    with PartialFile(path) as partial:
        assert partial.size == 6


def test_file_system_without_locks_does_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(file: object, operation: int) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with PartialFile(tmp_path / "a") as partial:
        partial.append(b"bytes")
        partial.finish()
    assert (tmp_path / "a").read_bytes() == b"bytes"


def test_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "train").write_text("a file where a folder should be")
    with pytest.raises(LandmarksError, match=r"train/a\.tar\.partial: cannot write here"):
        PartialFile(tmp_path / "train/a.tar")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 64 KB."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path)]
    if sys.platform != "linux" or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("needs the right to mount a file system")
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


def test_full_disk_keeps_what_fitted(small_disk: Path) -> None:
    data = bytes(range(256)) * 400
    with PartialFile(small_disk / "a") as partial:
        with pytest.raises(DiskFullError, match=r"a\.partial: the disk is full after 65,536 bytes"):
            partial.append(data)
        assert partial.size == 65536 and partial.md5 == hashlib.md5(data[:65536]).hexdigest()
    assert partial_name(small_disk / "a").read_bytes() == data[:65536]
