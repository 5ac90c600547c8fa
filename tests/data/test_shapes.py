"""Which pictures go together; what the batches hold is tested with the data module."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from landmarks.data import ImageSet, ImageTable, PictureShapes, Root, open_root
from landmarks.data.images import Preprocessing, group_shapes, picture_sizes
from landmarks.data.stores import FileStore
from landmarks.storage import derived_folder

SMALL = Preprocessing("released", 64)
ADDRESS = open_root("https://example.org/gldv2")


@pytest.fixture
def images(tmp_path: Path, make: SimpleNamespace) -> ImageSet:
    """Six pictures, wide and high by turns."""
    paths = [tmp_path / f"{number}.jpg" for number in range(6)]
    for number, path in enumerate(paths):
        path.write_bytes(make.jpeg(number, *((60, 120) if number % 2 else (120, 60))))
    table = ImageTable.unlabelled(np.arange(6, dtype=np.uint64))
    return ImageSet(table, FileStore(table.ids, paths))


def test_wide_and_high_pictures_train_apart(images: ImageSet, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    shapes = group_shapes(3, 96)
    groups = PictureShapes(tmp_path, 0).aspect_groups(images, shapes)
    (high, wide) = (shapes[groups[row]] for row in (0, 1))
    assert high[0] > high[1] and wide[0] < wide[1] and groups.tolist() == [groups[0], groups[1]] * 3
    assert "3 pictures" in caplog.text and "leave out 0%" in caplog.text


@pytest.mark.parametrize(
    ("root", "mode", "known", "grouped"),
    [
        (Path("photos"), "released", False, True),
        (Path("photos"), "square", False, False),
        (ADDRESS, "released", False, False),
        (ADDRESS, "released", True, True),
    ],
)
def test_sizes_are_asked_for_where_they_help_and_are_cheap(
    images: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: Root, mode: str, known: bool, grouped: bool
) -> None:
    monkeypatch.setenv("LANDMARKS_CACHE", str(tmp_path / "cache"))
    if known:
        picture_sizes(images, derived_folder(root) / "sizes")
    batches = list(PictureShapes(root, 0).evaluation_batches(images, [Preprocessing(mode, 64)], 2))  # type: ignore[arg-type]
    assert sorted(row for batch in batches for row in batch) == list(range(6))
    assert all(len({row % 2 for row in batch}) == 1 for batch in batches) is grouped
    assert grouped or batches == [[0, 1], [2, 3], [4, 5]]


def test_pictures_alike_at_one_scale_and_not_at_another_are_kept_apart(tmp_path: Path, make: SimpleNamespace) -> None:
    paths = [tmp_path / f"{number}.jpg" for number in range(4)]
    for number, path in enumerate(paths):  # 64 x 64 at 64 pixels, but 128 x 128 and 128 x 160 at 128
        path.write_bytes(make.jpeg(number, 100, 128 if number % 2 else 100))
    table = ImageTable.unlabelled(np.arange(4, dtype=np.uint64))
    images = ImageSet(table, FileStore(table.ids, paths))
    shapes = PictureShapes(tmp_path, 0)
    assert list(shapes.evaluation_batches(images, [SMALL], 4)) == [[0, 1, 2, 3]]
    assert list(shapes.evaluation_batches(images, [SMALL, Preprocessing("released", 128)], 4)) == [[1, 3], [0, 2]]


def test_every_rank_has_a_batch_where_there_are_pictures_enough(images: ImageSet) -> None:
    for world_size in range(1, 8):
        share = [
            list(PictureShapes(ADDRESS, 0).evaluation_batches(images, [SMALL], 64, rank, world_size))
            for rank in range(world_size)
        ]
        assert sorted(row for batches in share for batch in batches for row in batch) == list(range(6))
        assert all(share) is (world_size <= 6)
