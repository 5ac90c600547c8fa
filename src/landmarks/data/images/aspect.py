"""Training shapes for pictures of several aspect ratios, so that crops need not cut wide and high ones to squares.

Pictures are put into groups by width / height. A group trains at its own shape, of about as many pixels as the
square, and its crops have the ratio of that shape. The ratios lie between 1:2 and 2:1 at equal steps of their
logarithm; with five, pictures of 4:3 and 3:2 share one. Longer pictures belong to the outermost groups.
"""

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import LandmarksError

MULTIPLE = 32  # the total stride of the networks
LONGEST = 2.0  # width / height of the widest group, and height / width of the highest
MOST_GROUPS = 15

Shape = tuple[int, int]  # height, width


def group_shapes(groups: int, image_size: int) -> list[Shape]:
    """The shapes of the groups, from high to wide: at most `groups`, for at small sizes neighbours coincide.

    Args:
        groups: How many ratios, 1 to 15; with an odd number, one of them is the square.
        image_size: Side of the square of which every shape has about the area, pixels.

    Returns:
        Heights and widths, multiples of 32.
    """
    if not 1 <= groups <= MOST_GROUPS:
        raise LandmarksError(f"data.aspect_groups is {groups}: it must be 0 (off) or up to {MOST_GROUPS}")
    ratios = LONGEST ** np.linspace(-1, 1, groups) if groups > 1 else np.ones(1)
    return list(dict.fromkeys(_closest_shape(ratio, image_size) for ratio in ratios.tolist()))


def _closest_shape(ratio: float, image_size: int) -> Shape:
    """The shape that errs least in area and, a little less, in ratio, by their logarithms."""
    if ratio > 1:  # wide shapes mirror the high ones
        height, width = _closest_shape(1 / ratio, image_size)
        return width, height
    sides = np.arange(1, max(round(LONGEST * image_size / MULTIPLE), 2) + 1) * MULTIPLE
    heights, widths = np.meshgrid(sides, sides, indexing="ij")
    error = np.abs(np.log(heights * widths / image_size**2)) + 0.99 * np.abs(np.log(widths / heights / ratio))
    row, column = np.unravel_index(np.argmin(error), error.shape)
    return int(sides[row]), int(sides[column])


def assign_groups(sizes: NDArray[np.integer], shapes: list[Shape]) -> NDArray[np.int8]:
    """The group whose ratio is closest to that of each picture; sizes [N, 2], 0 x 0 counts as a square -> int8 [N]."""
    logarithms = np.array([np.log(width / height) for height, width in shapes])
    height, width = np.where(sizes.all(axis=1, keepdims=True), sizes, 1).T
    order = np.argsort(logarithms)
    limits = (logarithms[order][1:] + logarithms[order][:-1]) / 2
    return order[np.searchsorted(limits, np.log(width / height))].astype(np.int8)


def cropped_away(sizes: NDArray[np.integer], shapes: list[Shape], groups: NDArray[np.int8]) -> float:
    """Which part of the pictures' pixels the largest crops of the groups' ratios leave out, on average: 0..1."""
    known = sizes.all(axis=1)
    height, width = sizes[known].astype(float).T
    ratio = np.array([width / height for height, width in shapes])[groups[known]]
    return float(1 - np.minimum(ratio * height / width, width / height / ratio).mean()) if known.any() else 0.0
