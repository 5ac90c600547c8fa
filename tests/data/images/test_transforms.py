import pickle
import random
import warnings
from types import SimpleNamespace

import albumentations as A  # noqa: N812 - the name its users know
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landmarks.data.images import Augmentation, draw_crop, generators, scaled
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


def test_same_seed_same_image_whatever_came_before(make: SimpleNamespace) -> None:
    one, two = random_augmentation(), random_augmentation()
    image = make.image(0)
    forward = {seed: one(image, seed) for seed in range(20)}
    for seed in reversed(range(20)):
        assert np.array_equal(two(image, seed), forward[seed])
    assert len({one.tobytes() for one in forward.values()}) == 20


def test_a_copy_in_another_process_would_do_the_same(make: SimpleNamespace) -> None:
    one = random_augmentation()
    one(make.image(1), 5)
    copy = pickle.loads(pickle.dumps(one))
    assert np.array_equal(copy(make.image(1), 2**62 + 1), one(make.image(1), 2**62 + 1))


def test_transforms_of_a_list_decide_independently() -> None:
    """With one stream each, started from the same seed, both flips would always happen together."""
    augmentation = Augmentation([A.HorizontalFlip(p=0.5), A.VerticalFlip(p=0.5), A.Resize(2, 2)], 2)
    image = np.zeros((2, 2, 3), dtype=np.uint8)
    image[0, 0] = 255
    places = [int(np.argmax(augmentation(image, seed)[..., 0])) for seed in range(200)]
    assert np.bincount(places, minlength=4).min() > 25


def test_input_stays_as_it_was(make: SimpleNamespace) -> None:
    image = make.image(2).copy()
    before = image.copy()
    for seed in range(10):
        random_augmentation()(image, seed)
    assert np.array_equal(image, before)


def test_the_crop_is_the_one_of_albumentations(make: SimpleNamespace) -> None:
    image = make.image(4, 90, 120)
    for seed in range(30):
        crop = A.RandomResizedCrop((32, 32), scale=(0.08, 1.0), area_for_downscale="image")
        augmentation = Augmentation([crop], 32)
        ours = augmentation(image, seed)
        crop.set_random_state(np.random.default_rng(seed), random.Random(seed))
        assert np.array_equal(ours, crop(image=image)["image"])


def chart(height: int, width: int) -> np.ndarray:
    """An image whose red says which column a pixel is from, and whose green says which row."""
    rows, columns = np.meshgrid(np.linspace(0, 255, height), np.linspace(0, 255, width), indexing="ij")
    return np.stack([columns, rows, np.full_like(rows, 128)], axis=-1).round().astype(np.uint8)


@given(
    height=st.integers(64, 900),
    width=st.integers(64, 900),
    seed=st.integers(0, 2**63 - 1),
    divisor=st.sampled_from([2, 4, 8]),
    scale=st.sampled_from([(0.08, 1.0), (0.35, 1.0), (0.01, 0.05)]),
    wide=st.booleans(),
)
def test_an_image_decoded_smaller_shows_the_same_part(
    height: int, width: int, seed: int, divisor: int, scale: tuple[float, float], wide: bool
) -> None:
    crop = A.RandomResizedCrop((16, 16), scale=scale, ratio=(0.5, 2.0), area_for_downscale="image")
    augmentation = Augmentation([crop, A.HorizontalFlip(p=0.5), A.ColorJitter(p=0.5)], 16)
    if wide:
        augmentation = augmentation.reshaped(12, 20)
    size = height, width
    full = augmentation(chart(*size), seed, size)
    small = augmentation(chart(-(-height // divisor), -(-width // divisor)), seed, size)
    # each edge moves by half a pixel of the small image at most; the rest is what resizing rounds
    limit = 255 * divisor / min(size) + 3
    assert np.abs(full.astype(int) - small)[..., :2].mean() < limit
    assert full.shape == small.shape == (*augmentation.shape, 3)


def test_shrink_says_how_much_of_an_image_is_shown() -> None:
    whole = Augmentation([A.Resize(20, 20)], 20)
    assert whole.shrink(100, 60, 0) == 3
    crop = Augmentation([A.RandomResizedCrop((20, 20), scale=(0.25, 0.25), ratio=(1, 1))], 20)
    assert crop.shrink(100, 100, 7) == 2.5
    assert crop.reshaped(10, 20).shrink(100, 100, 7) == 3.5  # 71 x 35 of its pixels
    assert Augmentation([A.HorizontalFlip(), A.Resize(20, 20)], 20).shrink(100, 60, 0) == 0


@pytest.mark.parametrize("shape", [(32, 96), (96, 32), (64, 64)])
def test_reshaped_lists_crop_at_the_ratio_of_their_shape(make: SimpleNamespace, shape: tuple[int, int]) -> None:
    square = Augmentation([A.RandomResizedCrop((64, 64), scale=(0.1, 0.3), ratio=(0.8, 1.25)), A.HorizontalFlip()], 64)
    reshaped = square.reshaped(*shape)
    assert reshaped(make.image(0, 300, 300), 1).shape == (*shape, 3)
    assert square(make.image(0, 300, 300), 1).shape == (64, 64, 3)
    ratios = []
    for seed in range(50):
        left, top, right, bottom = draw_crop(reshaped._first, (3000, 3000), generators(seed))
        ratios.append((right - left) / (bottom - top) * shape[0] / shape[1])
    assert 0.79 < min(ratios) < 0.9 and 1.1 < max(ratios) < 1.26


def test_only_lists_that_begin_with_a_size_can_be_reshaped() -> None:
    assert Augmentation([A.Resize(32, 32)], 32).reshaped(64, 32)(chart(50, 50), 0).shape == (64, 32, 3)
    with pytest.raises(LandmarksError, match=r"data\.aspect_groups and .* need a list that begins with"):
        Augmentation([A.HorizontalFlip(), A.Resize(32, 32)], 32).reshaped(64, 32)
    with pytest.raises(LandmarksError, match=r"shape \(32, 32, 3\), expected \(64, 32, 3\)"):
        Augmentation([A.Resize(40, 40), A.Resize(32, 32)], 32).reshaped(64, 32)


@pytest.mark.parametrize(
    ("transforms", "message"),
    [
        ([A.HorizontalFlip()], r"shape \(96, 64, 3\), expected \(32, 32, 3\)"),
        ([A.Resize(32, 48)], r"shape \(32, 48, 3\)"),
        ([A.Resize(32, 32), A.Normalize()], "float32 instead of uint8; remove Normalize"),
        ([A.RandomCrop(64, 64), A.Resize(32, 32)], "fails on an image of 60 x 40 pixels"),
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


@given(
    box=st.tuples(*[st.integers(0, 100)] * 4),
    size=st.tuples(st.integers(1, 100), st.integers(1, 100)),
    divisor=st.sampled_from([1, 2, 4, 8]),
)
def test_scaled_boxes_lie_inside(box: tuple[int, int, int, int], size: tuple[int, int], divisor: int) -> None:
    left, right = sorted(side % (size[1] + 1) for side in box[::2])
    top, bottom = sorted(side % (size[0] + 1) for side in box[1::2])
    small = -(-size[0] // divisor), -(-size[1] // divisor)
    x, y, x2, y2 = scaled((left, top, right, bottom), size, small)
    assert 0 <= x < x2 <= small[1] and 0 <= y < y2 <= small[0]
    if divisor == 1 and left < right and top < bottom:
        assert (x, y, x2, y2) == (left, top, right, bottom)
