import hashlib
import os
import pickle
from pathlib import Path
from types import SimpleNamespace

import pytest

from landmarks.data.gldv2.checks import Container, indexed_tars, open_folders, open_tar
from landmarks.data.stores import LocalTars, MissingImageError, update_offsets
from landmarks.ids import format_ids

NAMES = [f"{number * 0x0123456789ABCDEF % 2**64:016x}" for number in (9, 3, 7, 1, 8, 2)]
BYTES = {name: name.encode() * (place + 1) for place, name in enumerate(NAMES)}


def contents(container: Container) -> dict[str, bytes]:
    return {name: container.read(row) for row, name in enumerate(format_ids(container.ids))}


@pytest.fixture
def files(tmp_path: Path, make: SimpleNamespace) -> LocalTars:
    for part in (0, 1):
        make.write_tar(tmp_path / "test" / f"images_00{part}.tar", dict(list(BYTES.items())[part::2]))
    return LocalTars(tmp_path / "test")


def test_an_index_and_the_headers_give_the_same_tars_in_the_order_of_the_tar(files: LocalTars, tmp_path: Path) -> None:
    offsets = update_offsets(files, tmp_path / "offsets").offsets
    indexed = sorted(indexed_tars("test", files, offsets), key=lambda tar: tar.name)
    for part, (container, name) in enumerate(zip(indexed, files.names(), strict=True)):
        alone = open_tar("test", files, name)
        assert container.name == alone.name == f"test/images_00{part}.tar" and container.stamp == alone.stamp
        assert list(contents(container).items()) == list(contents(alone).items()) == list(BYTES.items())[part::2]
        assert contents(pickle.loads(pickle.dumps(container.take(slice(1, 3))))) == dict(
            list(BYTES.items())[part::2][1:]
        )
        assert container.md5() == hashlib.md5((files.folder / name).read_bytes()).hexdigest()


def test_a_tar_that_shrinks_or_goes_is_a_missing_image(files: LocalTars) -> None:
    container = open_tar("test", files, "images_000.tar")
    os.truncate(files.folder / "images_000.tar", 700)
    with pytest.raises(MissingImageError, match="shorter"):
        container.read(2)
    (files.folder / "images_000.tar").unlink()
    with pytest.raises(MissingImageError, match="cannot be read"):
        container.read(0)


def test_the_stamp_of_a_folder_follows_its_files(tmp_path: Path) -> None:
    path = tmp_path / "test" / "a" / "b" / "c" / "abc0000000000001.jpg"
    path.parent.mkdir(parents=True)

    def stamp() -> str:
        (container,) = open_folders(tmp_path, "test")
        return container.stamp

    path.write_bytes(b"12")
    os.utime(path, ns=(5, 5))
    first = stamp()
    assert stamp() == first
    os.utime(path, ns=(6, 6))
    touched = stamp()
    path.with_name("abc0000000000002.jpg").write_bytes(b"")
    assert len({first, touched, stamp()}) == 3
