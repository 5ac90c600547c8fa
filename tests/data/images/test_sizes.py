import multiprocessing
import os
import signal
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from landmarks.data import ImageSet, ImageTable
from landmarks.data.images import (
    HEAD,
    ORIENTATION_TAG,
    UnreadableImageError,
    decode,
    image_sizes,
    read_size,
    sizes_path,
)
from landmarks.data.images import sizes as module
from landmarks.data.stores import FileStore
from landmarks.storage import RowLog


def image_set(folder: Path, files: list[bytes]) -> ImageSet:
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{number}.jpg" for number in range(len(files))]
    for path, data in zip(paths, files, strict=True):
        path.write_bytes(data)
    table = ImageTable.unlabelled(np.arange(len(files), dtype=np.uint64) + 5)
    return ImageSet(table, FileStore(table.ids, paths))


@pytest.fixture
def mixed(tmp_path: Path, make: SimpleNamespace) -> ImageSet:
    """Images of all sorts; the last three cannot be read."""
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = 8
    image = make.image(1, 50, 70)
    profile = np.random.default_rng(0).integers(255, size=150_000, dtype=np.uint8).tobytes()  # no byte 255: no markers
    long_header = make.encoded(image, icc_profile=profile)
    return image_set(
        tmp_path / "mixed",
        [
            make.jpeg(0, 33, 47),
            make.encoded(image, exif=exif),
            long_header,
            make.encoded(image, exif=exif, icc_profile=profile[:70_000], progressive=True),
            make.encoded(image, "PNG"),
            make.encoded(image, "PNG", exif=exif),
            make.encoded(image, "WEBP", exif=exif),
            make.jpeg(2, 1, 600),
            long_header.replace(b"\xff\xc0", bytes(3) + b"\xff\xc0", 1),
            b"",
            b"<html>",
            make.jpeg()[:300],
        ],
    )


def test_sizes_are_those_of_the_decoded_images(mixed: ImageSet, tmp_path: Path) -> None:
    sizes = image_sizes(mixed, tmp_path / "sizes")
    assert sizes.dtype == np.uint16 and sizes.shape == (12, 2)
    for row in range(12):
        try:
            expected = decode(mixed.read(row)).shape[:2]
        except UnreadableImageError:
            expected = (0, 0)
        assert tuple(sizes[row]) == expected, row
    assert not sizes[9:].any() and sizes[:9].all()


def test_sizes_are_read_once(mixed: ImageSet, tmp_path: Path) -> None:
    first = np.array(image_sizes(mixed, tmp_path / "sizes"))
    for path in (tmp_path / "mixed").iterdir():
        path.unlink()
    assert np.array_equal(image_sizes(mixed, tmp_path / "sizes"), first)
    assert [path.name for path in (tmp_path / "sizes").iterdir()] == [sizes_path(mixed, tmp_path).name]


def test_other_images_have_other_sizes(mixed: ImageSet, tmp_path: Path) -> None:
    whole = image_sizes(mixed, tmp_path)
    for rows in (np.arange(12)[::-1], np.array([3, 1, 7]), np.empty(0, np.int64)):
        assert np.array_equal(image_sizes(mixed.take(rows), tmp_path), whole[rows])


@pytest.mark.parametrize("damage", [b"", b"text", None])
def test_a_corrupt_file_is_made_again(mixed: ImageSet, tmp_path: Path, damage: bytes | None) -> None:
    path = sizes_path(mixed, tmp_path) / "sizes.npy"
    first = np.array(image_sizes(mixed, tmp_path))
    path.write_bytes(path.read_bytes()[:-4] if damage is None else damage)
    assert np.array_equal(image_sizes(mixed, tmp_path), first)


def test_workers_find_the_same(mixed: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK", 5)
    assert np.array_equal(image_sizes(mixed, tmp_path / "a", 2), image_sizes(mixed, tmp_path / "b"))


def test_what_is_missing_is_not_kept(mixed: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK", 4)
    away = (tmp_path / "mixed" / "5.jpg").rename(tmp_path / "away")
    sizes = image_sizes(mixed, tmp_path)
    assert not sizes[5].any() and sizes[6].all()
    assert not sizes_path(mixed, tmp_path).exists()
    away.rename(tmp_path / "mixed" / "5.jpg")
    assert image_sizes(mixed, tmp_path)[5].tolist() == [70, 50]


class Deadly(FileStore):
    """Kills its process at the tenth read."""

    reads = 0

    def read(self, image_id: int, location: int, length: int | None = None) -> bytes:
        self.reads += 1
        if self.reads == 10:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().read(image_id, location, length)


def test_a_killed_run_is_resumed(mixed: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK", 2)
    deadly = Deadly(mixed.table.ids, [tmp_path / "mixed" / f"{row}.jpg" for row in range(12)])
    arguments = ImageSet(mixed.table, deadly), tmp_path / "sizes"
    process = multiprocessing.get_context("fork").Process(target=image_sizes, args=arguments)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    partial = sizes_path(mixed, tmp_path / "sizes").with_suffix(".partial")
    with RowLog(partial, module.COLUMNS) as rows:
        done = rows.count
    assert 2 <= done <= 9 and done % 2 == 0
    (partial / "sizes.npy").write_bytes((partial / "sizes.npy").read_bytes() + b"x")  # a torn write
    expected = np.array(image_sizes(mixed, tmp_path / "whole"))
    for row in range(done):  # these are not read again
        (tmp_path / "mixed" / f"{row}.jpg").unlink()
    assert np.array_equal(image_sizes(mixed, tmp_path / "sizes"), expected)
    assert not partial.exists()


def test_a_folder_that_cannot_be_written(mixed: ImageSet, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(Exception, match=r"file/.*: cannot be written"):
        image_sizes(mixed, tmp_path / "file" / "sizes")


class Spy:
    """A store of one image that remembers how many bytes it was asked for."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.lengths: list[int | None] = []

    def locate(self, ids: np.ndarray) -> np.ndarray:
        return np.zeros(len(ids), np.int32)

    def read(self, image_id: int, location: int, length: int | None = None) -> bytes:
        self.lengths.append(length)
        return self.data[:length]


def one(store: Spy) -> ImageSet:
    return ImageSet(ImageTable.unlabelled(np.array([7], np.uint64)), store)


def test_the_first_bytes_of_a_photograph_are_enough(make: SimpleNamespace) -> None:
    store = Spy(make.jpeg(0, 300, 400))
    assert len(store.data) > HEAD
    assert read_size(one(store), 0) == (300, 400)
    assert store.lengths == [HEAD]


def test_a_long_header_is_read_to_its_end_and_no_further(make: SimpleNamespace) -> None:
    profile = np.random.default_rng(0).bytes(100_000)
    store = Spy(make.encoded(make.image(0, 300, 400), icc_profile=profile))
    assert read_size(one(store), 0) == (300, 400)
    assert 2 <= len(store.lengths) <= 6 and None not in store.lengths
