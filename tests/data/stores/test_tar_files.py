import os
from pathlib import Path

import pytest

from landmarks.data.stores import LocalTars, TarStamp


@pytest.fixture
def files(tmp_path: Path) -> LocalTars:
    for name in ("images_001.tar", "images_000.tar", "._images_000.tar", "images_002.tar.part", "md5sum.txt"):
        (tmp_path / name).write_bytes(bytes(range(100)))
    return LocalTars(tmp_path)


def test_tars_come_sorted_and_without_hidden_or_unfinished_ones(files: LocalTars) -> None:
    assert files.names() == ["images_000.tar", "images_001.tar"]
    assert files.address("images_000.tar") == str(files.folder / "images_000.tar")
    assert files.address("") == str(files.folder)
    assert LocalTars(files.folder / "nowhere").names() == []


def test_reading_and_walking_give_the_same_bytes(files: LocalTars) -> None:
    walk = files.walk("images_000.tar")
    for place in ((0, 5), (50, 10), (95, 20), (100, 5), (3, 0)):
        assert files.read("images_000.tar", *place) == walk(*place) == bytes(range(100))[place[0] :][: place[1]]


def test_no_descriptor_stays_open(files: LocalTars) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        files.read("images_000.tar", 0, 1)
        files.walk("images_000.tar")(0, 1)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_stamp_changes_with_size_and_time(files: LocalTars) -> None:
    path = files.folder / "images_000.tar"
    stamp = files.stamp(path.name)
    assert files.stamp(path.name).agrees_with(stamp)
    os.utime(path, ns=(1, 1))
    assert not files.stamp(path.name).agrees_with(stamp)
    # A server's versions are of another kind, so that the size has to do.
    assert stamp.agrees_with(TarStamp(100, 'ETag "5d41"')) and not stamp.agrees_with(TarStamp(101, 'ETag "5d41"'))
    assert not TarStamp(100, 'ETag "1"').agrees_with(TarStamp(100, 'ETag "2"'))
