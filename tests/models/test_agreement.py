"""Two networks compared on images made up for that."""

import math

import pytest
import torch
from torch import Tensor

from landmarks.errors import LandmarksError
from landmarks.models import SHAPES, largest_difference, trial_images


def colours(images: Tensor) -> Tensor:
    return images.mean(dim=(2, 3))


def test_the_difference_is_in_spreads_whatever_the_scale() -> None:
    outputs = torch.cat([colours(images) for images in trial_images()])
    spread = (outputs[1:] - outputs[:-1]).std().item()
    for scale in (1e-3, 1.0, 1e3):
        moved = largest_difference(lambda x, s=scale: colours(x) * s, lambda x, s=scale: colours(x) * s + s * 0.01)
        assert moved == pytest.approx(0.01 / spread, rel=1e-3)
    assert largest_difference(colours, colours) == 0


@pytest.mark.parametrize("shape", SHAPES)
def test_one_image_of_one_shape_is_enough_to_differ(shape: tuple[int, int, int]) -> None:
    def wrong(images: Tensor) -> Tensor:
        found = colours(images)
        if (len(images), images.shape[2] // 32, images.shape[3] // 32) == shape:
            found[-1, 2] += 1.0
        return found

    assert largest_difference(colours, wrong) > 0.1


def test_what_cannot_be_compared() -> None:
    assert largest_difference(colours, lambda x: colours(x) * math.nan) == math.inf
    assert largest_difference(lambda x: torch.ones(len(x), 2), lambda x: torch.zeros(len(x), 2)) == math.inf
    with pytest.raises(LandmarksError, match="not finite"):
        largest_difference(lambda x: colours(x) * math.nan, colours)
    with pytest.raises(LandmarksError, match=r"gives \[2, 2\] instead of \[2, 3\]"):
        largest_difference(colours, lambda x: colours(x)[:, :2])
