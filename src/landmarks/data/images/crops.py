"""Where a random crop falls, asked before the picture is decoded.

`albumentations.RandomResizedCrop` draws area, ratio and place from the size of a picture alone. Its methods for
drawing and for applying are public, so the draw can be made for the size in the header, and applied to whatever part
of its resolution is then decoded.
"""

import random

import albumentations
import numpy as np

Box = tuple[int, int, int, int]  # left, top, right, bottom
Generators = tuple[np.random.Generator, random.Random]


def generators(seed: int) -> Generators:
    """The two random states of albumentations, new from a seed."""
    return np.random.default_rng(seed), random.Random(seed)


def draw_crop(crop: albumentations.RandomResizedCrop, size: tuple[int, int], state: Generators) -> Box:
    """Draw the crop of a picture of `size`, height and width in pixels; advances `state`."""
    crop.set_random_state(*state)
    return crop.get_params_dependent_on_data({"shape": size}, {})["crop_coords"]


def scaled(box: Box, full_size: tuple[int, int], size: tuple[int, int]) -> Box:
    """The same part of a picture in a copy of another size, at least one pixel of it.

    Args:
        box: In pixels of the full picture.
        full_size: Its height and width.
        size: Height and width of the copy.
    """
    left, right = (round(side * size[1] / full_size[1]) for side in box[::2])
    top, bottom = (round(side * size[0] / full_size[0]) for side in box[1::2])
    left, top = min(left, size[1] - 1), min(top, size[0] - 1)
    return left, top, max(right, left + 1), max(bottom, top + 1)
