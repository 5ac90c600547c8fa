"""Sizes and pixels of the published programs' resizes."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from landmarks.data.images import Preprocessing
from landmarks.errors import LandmarksError


@pytest.mark.parametrize(
    ("size", "short_side", "expected"),
    [
        ((480, 640), 448, (448, 576)),  # 597.3 floors to 576
        ((640, 480), 448, (576, 448)),
        ((500, 500), 555, (544, 544)),  # as published
        ((100, 300), 448, (448, 1344)),  # exactly 3 to 1 is not capped
        ((100, 600), 448, (224, 1344)),  # 6 to 1 halves
        ((1, 4000), 448, (32, 1344)),
        ((4000, 1), 96, (288, 32)),
        ((1, 1), 224, (224, 224)),
        ((50, 50), 31, (32, 32)),
    ],
)
def test_published_sizes(size: tuple[int, int], short_side: int, expected: tuple[int, int]) -> None:
    image = Preprocessing("aspect", short_side)(np.zeros((*size, 3), dtype=np.uint8))
    assert image.shape == (*expected, 3)


@given(height=st.integers(1, 900), width=st.integers(1, 900), short=st.integers(1, 120))
def test_published_sizes_are_always_multiples(height: int, width: int, short: int) -> None:
    rows, columns, _ = Preprocessing("aspect", short)(np.zeros((height, width, 3), dtype=np.uint8)).shape
    assert rows % 32 == columns % 32 == 0 and min(rows, columns) >= 32
    assert max(rows, columns) <= max(3 * short, 32)


@pytest.mark.parametrize(
    ("mode", "patch", "expected"),
    [
        ("aspect", 16, (448, 576)),  # 32 is a multiple of it
        ("aspect", 14, (490, 658)),  # 500 and 666.7 floored to multiples of the patch
        ("square", 1, (500, 500)),
        ("square", 14, (504, 504)),
        ("crop", 1, (480, 480)),
        ("crop", 14, (490, 490)),
    ],
)
def test_sides_are_rounded_as_published_or_as_the_network_needs(
    mode: str, patch: int, expected: tuple[int, int]
) -> None:
    short = 448 if patch == 16 else 500
    resize = Preprocessing(mode, short, patch=patch)  # type: ignore[arg-type]
    assert resize.shape(480, 640) == expected
    assert resize(np.zeros((480, 640, 3), dtype=np.uint8)).shape[:2] == expected


def test_published_filter_is_lanczos(make: SimpleNamespace) -> None:
    image = make.image(3, 200, 300)
    expected = np.asarray(Image.fromarray(image).resize((96, 64), Image.Resampling.LANCZOS))
    assert np.array_equal(Preprocessing("aspect", 64)(image), expected)


@given(height=st.integers(1, 300), width=st.integers(1, 300), mode=st.sampled_from(["aspect", "square", "crop"]))
def test_shapes_are_known_beforehand(height: int, width: int, mode: str) -> None:
    resize = Preprocessing(mode, 40)  # type: ignore[arg-type]
    shapes = resize.shapes(np.array([[height, width], [0, 0], [30, 30]], dtype=np.uint16))
    assert shapes.shape == (3, 2) and shapes[1].tolist() == [0, 0]
    assert resize(np.zeros((height, width, 3), dtype=np.uint8)).shape[:2] == tuple(shapes[0])


@pytest.mark.parametrize("shape", [(10, 400), (33, 33), (1, 1), (3000, 2)])
def test_square_is_square(shape: tuple[int, int]) -> None:
    image = Preprocessing("square", 40)(np.zeros((*shape, 3), dtype=np.uint8))
    assert image.shape == (40, 40, 3) and image.dtype == np.uint8


@pytest.mark.parametrize(("short_side", "mode"), [(0, "square"), (40, "centre")])
def test_impossible_resize(short_side: int, mode: str) -> None:
    with pytest.raises(LandmarksError, match="short_side"):
        Preprocessing(mode, short_side)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("size", "resized", "left", "top"), [((300, 400), (224, 288), 32, 0), ((500, 300), (352, 224), 0, 64)]
)
def test_the_crop_is_the_middle_of_the_resized_image(
    size: tuple[int, int], resized: tuple[int, int], left: int, top: int, make: SimpleNamespace
) -> None:
    image = make.image(5, *size)
    whole = np.asarray(Image.fromarray(image).resize(resized[::-1], Image.Resampling.BILINEAR))
    assert np.array_equal(Preprocessing("crop", 224)(image), whole[top : top + 224, left : left + 224])
    assert Preprocessing("crop", 224).shape(*size) == (224, 224)


def test_the_crop_of_a_very_long_image_costs_little() -> None:
    image = np.zeros((8, 200_000, 3), dtype=np.uint8)
    image[:, 100_000:] = 255
    crop = Preprocessing("crop", 224)(image)  # resized as a whole it would have more than a thousand million pixels
    assert crop.shape == (224, 224, 3) and crop[:, 0].max() == 0 and crop[:, -1].min() == 255
