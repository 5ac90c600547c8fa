import pickle
import warnings
from types import SimpleNamespace

import albumentations as A  # noqa: N812 - the name its users know
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from landmarks.data.transforms import Augmentation, EvalResize, resize_released
from landmarks.errors import LandmarksError


def random_augmentation(size: int = 32) -> Augmentation:
    return Augmentation(
        [
            A.RandomResizedCrop(size=(size, size), scale=(0.1, 1.0)),
            A.HorizontalFlip(p=0.5),
            A.OneOf([A.GaussianBlur(p=1), A.GaussNoise(p=1)], p=0.5),
            A.ColorJitter(p=0.5),
            A.CoarseDropout(fill="random_uniform", p=0.5),
        ],
        size,
    )


def test_same_seed_same_picture_whatever_came_before(make: SimpleNamespace) -> None:
    one, two = random_augmentation(), random_augmentation()
    image = make.picture(0)
    forward = {seed: one(image, seed) for seed in range(20)}
    for seed in reversed(range(20)):
        assert np.array_equal(two(image, seed), forward[seed])
    assert len({picture.tobytes() for picture in forward.values()}) == 20


def test_a_copy_in_another_process_would_do_the_same(make: SimpleNamespace) -> None:
    one = random_augmentation()
    one(make.picture(1), 5)
    copy = pickle.loads(pickle.dumps(one))
    assert np.array_equal(copy(make.picture(1), 2**62 + 1), one(make.picture(1), 2**62 + 1))


def test_transforms_of_a_list_decide_independently() -> None:
    """With one stream each, started from the same seed, both flips would always happen together."""
    augmentation = Augmentation([A.HorizontalFlip(p=0.5), A.VerticalFlip(p=0.5), A.Resize(2, 2)], 2)
    image = np.zeros((2, 2, 3), dtype=np.uint8)
    image[0, 0] = 255
    places = [int(np.argmax(augmentation(image, seed)[..., 0])) for seed in range(200)]
    assert np.bincount(places, minlength=4).min() > 25


def test_input_stays_as_it_was(make: SimpleNamespace) -> None:
    image = make.picture(2).copy()
    before = image.copy()
    for seed in range(10):
        random_augmentation()(image, seed)
    assert np.array_equal(image, before)


@pytest.mark.parametrize(
    ("transforms", "message"),
    [
        ([A.HorizontalFlip()], r"shape \(96, 64, 3\), expected \(32, 32, 3\)"),
        ([A.Resize(32, 48)], r"shape \(32, 48, 3\)"),
        ([A.Resize(32, 32), A.Normalize()], "float32 instead of uint8; leave Normalize"),
        ([A.RandomCrop(64, 64), A.Resize(32, 32)], "fails on a picture of 60 x 40 pixels"),
        ([], "expected"),
    ],
)
def test_wrong_lists_fail_when_made(transforms: list[A.BasicTransform], message: str) -> None:
    with pytest.raises(LandmarksError, match=message):
        Augmentation(transforms, 32)


def test_unknown_argument_is_an_error_not_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        flip = A.OneOf([A.HorizontalFlip(probability=1)])
    with pytest.raises(LandmarksError, match="HorizontalFlip has no argument 'probability'"):
        Augmentation([flip, A.Resize(8, 8)], 8)


@pytest.mark.parametrize(
    ("size", "short_side", "expected"),
    [
        ((480, 640), 448, (448, 576)),  # 597.3 floors to 576
        ((640, 480), 448, (576, 448)),
        ((500, 500), 555, (544, 544)),  # as released
        ((100, 300), 448, (448, 1344)),  # exactly 3 to 1 is not capped
        ((100, 600), 448, (224, 1344)),  # 6 to 1 halves
        ((1, 4000), 448, (32, 1344)),
        ((4000, 1), 96, (288, 32)),
        ((1, 1), 224, (224, 224)),
        ((50, 50), 31, (32, 32)),
    ],
)
def test_released_sizes(size: tuple[int, int], short_side: int, expected: tuple[int, int]) -> None:
    image = resize_released(np.zeros((*size, 3), dtype=np.uint8), short_side)
    assert image.shape == (*expected, 3)


@given(height=st.integers(1, 900), width=st.integers(1, 900), short=st.integers(1, 120))
def test_released_sizes_are_always_multiples(height: int, width: int, short: int) -> None:
    rows, columns, _ = resize_released(np.zeros((height, width, 3), dtype=np.uint8), short).shape
    assert rows % 32 == columns % 32 == 0 and min(rows, columns) >= 32
    assert max(rows, columns) <= max(3 * short, 32)


def test_released_filter_is_lanczos(make: SimpleNamespace) -> None:
    image = make.picture(3, 200, 300)
    expected = np.asarray(Image.fromarray(image).resize((96, 64), Image.Resampling.LANCZOS))
    assert np.array_equal(resize_released(image, 64), expected)


@pytest.mark.parametrize("shape", [(10, 400), (33, 33), (1, 1), (3000, 2)])
def test_square_is_square(shape: tuple[int, int]) -> None:
    image = EvalResize(40, "square")(np.zeros((*shape, 3), dtype=np.uint8))
    assert image.shape == (40, 40, 3) and image.dtype == np.uint8


@pytest.mark.parametrize(("short_side", "mode"), [(0, "square"), (40, "crop")])
def test_impossible_resize(short_side: int, mode: str) -> None:
    with pytest.raises(LandmarksError, match="short_side"):
        EvalResize(short_side, mode)  # type: ignore[arg-type]
