from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from landmarks.data import ImageSet, ImageTable
from landmarks.data.images import HEAD, read_size
from landmarks.data.stores import MissingImageError


class Spy:
    """A store of one picture that remembers how many bytes it was asked for."""

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
    store = Spy(make.encoded(make.picture(0, 300, 400), icc_profile=profile))
    assert read_size(one(store), 0) == (300, 400)
    assert 2 <= len(store.lengths) <= 6 and None not in store.lengths


@pytest.mark.parametrize("data", [b"", b"<html>404</html>", b"\xff\xd8\xff"])
def test_what_has_no_size_is_nothing(data: bytes) -> None:
    assert read_size(one(Spy(data)), 0) == (0, 0)


def test_a_missing_picture_is_an_error_of_its_store(tmp_path: Path) -> None:
    class Empty(Spy):
        def read(self, image_id: int, location: int, length: int | None = None) -> bytes:
            raise MissingImageError("image 0000000000000007 is away")

    with pytest.raises(MissingImageError, match="away"):
        read_size(one(Empty(b"")), 0)
