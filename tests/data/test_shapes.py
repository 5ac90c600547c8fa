"""Which pictures go together; what the batches hold is tested with the data module."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landmarks.data import ImageSet, PictureShapes, Root, ShapeBatches, open_root
from landmarks.data.images import Preprocessing, group_shapes, picture_sizes
from landmarks.errors import LandmarksError
from landmarks.storage import derived_folder
from pictures import image_set

SMALL = Preprocessing("released", 64)
ADDRESS = open_root("https://example.org/gldv2")


@pytest.fixture
def images(make: SimpleNamespace) -> ImageSet:
    """Six pictures, wide and high by turns."""
    return image_set([make.jpeg(number, *((60, 120) if number % 2 else (120, 60))) for number in range(6)])


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
    # 64 x 64 at 64 pixels, but 128 x 128 and 128 x 160 at 128
    images = image_set([make.jpeg(number, 100, 128 if number % 2 else 100) for number in range(4)])
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


SHAPES = st.lists(st.sampled_from([(32, 32), (32, 64), (64, 32), (96, 64), (0, 0)]), max_size=60)


@given(pictures=SHAPES, batch_size=st.integers(1, 9), world_size=st.integers(1, 4))
def test_each_row_once_in_a_batch_of_its_shape(
    pictures: list[tuple[int, int]], batch_size: int, world_size: int
) -> None:
    shapes = np.array(pictures, dtype=np.int64).reshape(-1, 2)
    ranks = [ShapeBatches(shapes, batch_size, rank, world_size) for rank in range(world_size)]
    batches = [batch for rank in ranks for batch in rank]
    assert sorted(row for batch in batches for row in batch) == list(range(len(pictures)))
    for batch in batches:
        assert 1 <= len(batch) <= batch_size and len({pictures[row] for row in batch}) == 1
    assert [len(rank) for rank in ranks] == [len(list(rank)) for rank in ranks]
    counts = {shape: pictures.count(shape) for shape in set(pictures)}
    assert len(batches) == sum(-(-count // batch_size) for count in counts.values())  # no more than needed
    assert max(map(len, ranks)) - min(map(len, ranks)) <= 1
    again = ShapeBatches(shapes, batch_size, 0, world_size)
    assert list(again) == list(ranks[0]) == list(ranks[0])


@given(pictures=SHAPES, batch_size=st.integers(1, 9), worlds=st.tuples(*[st.integers(1, 4)] * 2), data=st.data())
def test_what_is_done_is_left_out_and_the_rest_keeps_its_batches(
    pictures: list[tuple[int, int]], batch_size: int, worlds: tuple[int, int], data: st.DataObject
) -> None:
    shapes = np.array(pictures, dtype=np.int64).reshape(-1, 2)
    before, after = worlds
    first = [list(ShapeBatches(shapes, batch_size, rank, before)) for rank in range(before)]
    made = [batch for share in first for batch in share[: data.draw(st.integers(0, len(share)))]]
    done = np.zeros(len(pictures), np.bool_)
    done[[row for batch in made for row in batch]] = True
    rest = [batch for rank in range(after) for batch in ShapeBatches(shapes, batch_size, rank, after, done)]
    assert sorted(made + rest) == sorted(batch for share in first for batch in share)


def test_the_most_pixels_come_first_and_rows_in_order() -> None:
    shapes = np.array([(32, 32), (64, 64), (32, 32), (32, 64), (64, 64), (32, 32), (64, 64)])
    assert list(ShapeBatches(shapes, 2)) == [[1, 4], [6], [3], [0, 2], [5]]
    assert list(ShapeBatches(np.zeros((5, 2), np.int64), 2)) == [[0, 1], [2, 3], [4]]
    second = np.array([32, 32, 96, 32, 32, 32, 32])[:, None].repeat(2, axis=1)
    assert list(ShapeBatches(np.hstack([shapes, second]), 2)) == [[2], [1, 4], [6], [0, 5], [3]]


@pytest.mark.parametrize(("batch_size", "rank", "world_size"), [(0, 0, 1), (1, 1, 1), (1, -1, 1)])
def test_impossible_shares(batch_size: int, rank: int, world_size: int) -> None:
    with pytest.raises(LandmarksError, match="not possible"):
        ShapeBatches(np.ones((3, 2), np.int64), batch_size, rank, world_size)
