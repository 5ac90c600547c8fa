"""Regions of an image that are embedded besides the whole: a grid of overlapping regions at several sizes.

The grid follows R-MAC (Tolias, Sicre, Jégou, "Particular Object Retrieval with Integral Max-Pooling of CNN
Activations", ICLR 2016, section 3.2). There regions are squares, so that their number depends on the image's shape.
Here they have the image's aspect ratio: every image has the same number of regions, and those of many images form one
array [N, R, D].
"""

from typing import NamedTuple


class Region(NamedTuple):
    """A rectangle of a feature map, in positions; `bottom` and `right` are one past the last."""

    top: int
    left: int
    bottom: int
    right: int


def region_count(levels: int) -> int:
    """Return R, the number of regions of levels 1 to `levels`: 1, 5, 14, 30 and so on."""
    _check_levels(levels)
    return sum(level * level for level in range(1, levels + 1))


def region_grid(height: int, width: int, levels: int) -> list[Region]:
    """Return the regions of a feature map of `height` x `width` positions: level by level, row by row.

    Level l has l x l regions whose sides are 2/(l+1) of the map's, each starting half a side after the previous one.
    Bounds are rounded outwards, so that every level covers all positions, no region is empty (on a map of 1 x 1 all
    are the whole map), and the regions of a mirrored map are the mirrored regions.
    """
    if height < 1 or width < 1:
        raise ValueError(f"a feature map of {height} x {width} has no regions")
    _check_levels(levels)
    regions = []
    for level in range(1, levels + 1):
        rows, columns = _spans(height, level), _spans(width, level)
        regions += [Region(top, left, bottom, right) for top, bottom in rows for left, right in columns]
    return regions


def mirrored_regions(levels: int) -> list[int]:
    """Return for each region the number of the one that shows the same part in the mirrored image."""
    _check_levels(levels)
    order: list[int] = []
    for level in range(1, levels + 1):
        first = len(order)
        order += [first + row * level + (level - 1 - column) for row in range(level) for column in range(level)]
    return order


def _spans(length: int, level: int) -> list[tuple[int, int]]:
    parts = level + 1
    return [(start * length // parts, -(-(start + 2) * length // parts)) for start in range(level)]


def _check_levels(levels: int) -> None:
    if levels < 1:
        raise ValueError(f"levels of regions must be 1 or more, not {levels}")
