"""Which images go together; what the batches hold is tested with the data module."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from images import image_set
from landmarks.data import (
    ImageSet,
    ImageShapes,
    Root,
    ShapeBatches,
    assign_groups,
    cropped_away,
    group_shapes,
    open_root,
)
from landmarks.data.images import Preprocessing, image_sizes
from landmarks.errors import LandmarksError
from landmarks.storage import derived_folder

SMALL = Preprocessing("aspect", 64)
ADDRESS = open_root("https://example.org/gldv2")


@pytest.fixture
def images(make: SimpleNamespace) -> ImageSet:
    """Six images, wide and high by turns."""
    return image_set([make.jpeg(number, *((60, 120) if number % 2 else (120, 60))) for number in range(6)])


def test_wide_and_high_images_train_apart(images: ImageSet, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    shapes = group_shapes(3, 96)
    groups = ImageShapes(tmp_path, 0).aspect_groups(images, shapes)
    (high, wide) = (shapes[groups[row]] for row in (0, 1))
    assert high[0] > high[1] and wide[0] < wide[1] and groups.tolist() == [groups[0], groups[1]] * 3
    assert "3 images" in caplog.text and "leave out 0%" in caplog.text


@pytest.mark.parametrize(
    ("root", "mode", "known", "grouped"),
    [
        (Path("photos"), "aspect", False, True),
        (Path("photos"), "square", False, False),
        (ADDRESS, "aspect", False, False),
        (ADDRESS, "aspect", True, True),
    ],
)
def test_sizes_are_asked_for_where_they_help_and_are_cheap(
    images: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: Root, mode: str, known: bool, grouped: bool
) -> None:
    monkeypatch.setenv("LANDMARKS_CACHE", str(tmp_path / "cache"))
    if known:
        image_sizes(images, derived_folder(root) / "sizes")
    batches = list(ImageShapes(root, 0).evaluation_batches(images, [Preprocessing(mode, 64)], 2))  # type: ignore[arg-type]
    assert sorted(row for batch in batches for row in batch) == list(range(6))
    assert all(len({row % 2 for row in batch}) == 1 for batch in batches) is grouped
    assert grouped or batches == [[0, 1], [2, 3], [4, 5]]


def test_images_alike_at_one_scale_and_not_at_another_are_kept_apart(tmp_path: Path, make: SimpleNamespace) -> None:
    # 64 x 64 at 64 pixels, but 128 x 128 and 128 x 160 at 128
    images = image_set([make.jpeg(number, 100, 128 if number % 2 else 100) for number in range(4)])
    shapes = ImageShapes(tmp_path, 0)
    assert list(shapes.evaluation_batches(images, [SMALL], 4)) == [[0, 1, 2, 3]]
    assert list(shapes.evaluation_batches(images, [SMALL, Preprocessing("aspect", 128)], 4)) == [[1, 3], [0, 2]]


def test_every_rank_has_a_batch_where_there_are_images_enough(images: ImageSet) -> None:
    for world_size in range(1, 8):
        share = [
            list(ImageShapes(ADDRESS, 0).evaluation_batches(images, [SMALL], 64, rank, world_size))
            for rank in range(world_size)
        ]
        assert sorted(row for batches in share for batch in batches for row in batch) == list(range(6))
        assert all(share) is (world_size <= 6)


SHAPES = st.lists(st.sampled_from([(32, 32), (32, 64), (64, 32), (96, 64), (0, 0)]), max_size=60)


@given(images=SHAPES, batch_size=st.integers(1, 9), world_size=st.integers(1, 4))
def test_each_row_once_in_a_batch_of_its_shape(images: list[tuple[int, int]], batch_size: int, world_size: int) -> None:
    shapes = np.array(images, dtype=np.int64).reshape(-1, 2)
    ranks = [ShapeBatches(shapes, batch_size, rank, world_size) for rank in range(world_size)]
    batches = [batch for rank in ranks for batch in rank]
    assert sorted(row for batch in batches for row in batch) == list(range(len(images)))
    for batch in batches:
        assert 1 <= len(batch) <= batch_size and len({images[row] for row in batch}) == 1
    assert [len(rank) for rank in ranks] == [len(list(rank)) for rank in ranks]
    counts = {shape: images.count(shape) for shape in set(images)}
    assert len(batches) == sum(-(-count // batch_size) for count in counts.values())  # no more than needed
    assert max(map(len, ranks)) - min(map(len, ranks)) <= 1
    again = ShapeBatches(shapes, batch_size, 0, world_size)
    assert list(again) == list(ranks[0]) == list(ranks[0])


@given(images=SHAPES, batch_size=st.integers(1, 9), worlds=st.tuples(*[st.integers(1, 4)] * 2), data=st.data())
def test_what_is_done_is_left_out_and_the_rest_keeps_its_batches(
    images: list[tuple[int, int]], batch_size: int, worlds: tuple[int, int], data: st.DataObject
) -> None:
    shapes = np.array(images, dtype=np.int64).reshape(-1, 2)
    before, after = worlds
    first = [list(ShapeBatches(shapes, batch_size, rank, before)) for rank in range(before)]
    made = [batch for share in first for batch in share[: data.draw(st.integers(0, len(share)))]]
    done = np.zeros(len(images), np.bool_)
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


def test_five_shapes_at_the_usual_sizes() -> None:
    assert group_shapes(5, 224) == [(320, 160), (256, 192), (224, 224), (192, 256), (160, 320)]
    assert group_shapes(5, 448) == [(640, 320), (544, 384), (448, 448), (384, 544), (320, 640)]
    assert group_shapes(1, 224) == [(224, 224)]


@given(groups=st.integers(1, 15), image_size=st.integers(16, 600))
def test_shapes_are_multiples_of_about_the_same_area(groups: int, image_size: int) -> None:
    shapes = group_shapes(groups, image_size)
    assert 1 <= len(shapes) == len(set(shapes)) <= groups
    assert sorted(shapes) == sorted((width, height) for height, width in shapes)  # high as wide
    for height, width in shapes:
        assert height % 32 == width % 32 == 0
        assert max(height, width) <= 3 * min(height, width)
        if image_size >= 128:
            assert 0.75 < height * width / image_size**2 < 1.3
            assert max(height, width) / min(height, width) < 2.4
    ratios = [width / height for height, width in shapes]
    assert ratios == sorted(ratios)


@given(st.lists(st.tuples(st.integers(1, 65535), st.integers(1, 65535)), min_size=1, max_size=20), st.integers(1, 9))
def test_each_image_joins_the_closest_ratio(images: list[tuple[int, int]], groups: int) -> None:
    sizes, shapes = np.array(images, dtype=np.uint16), group_shapes(groups, 224)
    chosen = assign_groups(sizes, shapes)
    assert chosen.dtype == np.int8
    for (height, width), group in zip(images, chosen.tolist(), strict=True):
        distance = [abs(np.log(width / height) - np.log(w / h)) for h, w in shapes]
        assert distance[group] <= min(distance) + 1e-9


def test_photographs_find_their_group() -> None:
    shapes = group_shapes(5, 224)
    sizes = np.array([(600, 800), (800, 600), (533, 800), (800, 800), (300, 800), (800, 300), (0, 0)], dtype=np.uint16)
    assert assign_groups(sizes, shapes).tolist() == [3, 1, 3, 2, 4, 0, 2]
    assert assign_groups(np.empty((0, 2), np.uint16), shapes).shape == (0,)


def test_groups_leave_less_of_the_images_out() -> None:
    sizes = np.array([(600, 800), (800, 600), (500, 500), (400, 800), (0, 0)], dtype=np.uint16)
    square, five = group_shapes(1, 224), group_shapes(5, 224)
    assert cropped_away(sizes, square, assign_groups(sizes, square)) == pytest.approx((0.25 + 0.25 + 0 + 0.5) / 4)
    assert cropped_away(sizes, five, assign_groups(sizes, five)) == pytest.approx(0, abs=1e-9)
    assert cropped_away(sizes[4:], five, np.array([2], np.int8)) == 0


@pytest.mark.parametrize("groups", [-1, 0, 16])
def test_impossible_numbers_of_groups(groups: int) -> None:
    with pytest.raises(LandmarksError, match=f"aspect_groups is {groups}"):
        group_shapes(groups, 224)
