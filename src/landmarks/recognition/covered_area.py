"""What part of a picture several boxes cover together: the area of their union, not the sum of their areas.

Ten boxes around one face would otherwise count as ten faces. Exact: between two neighbouring vertical edges the union
is a column of intervals, and the lengths of those are added from top to bottom.
"""

import numba
import numpy as np
from numpy.typing import NDArray


def covered_area(boxes: NDArray[np.float64], start: NDArray[np.int64]) -> NDArray[np.float64]:
    """Area of the union of the boxes of every picture, as a share of the picture.

    Args:
        boxes: float64 [P, 4], XMin, YMin, XMax, YMax as shares of width and height, picture by picture; what lies
            outside [0, 1] does not count.
        start: int64 [Q + 1], picture q has the boxes `start[q]` to `start[q + 1]`.

    Returns:
        float64 [Q] in [0, 1]; a picture with n boxes takes time n².
    """
    boxes = np.clip(boxes, 0, 1)
    picture = np.repeat(np.arange(len(start) - 1), np.diff(start))
    edges = np.concatenate([boxes[:, 0], boxes[:, 2]])
    edges = edges[np.lexsort((edges, np.tile(picture, 2)))]  # those of picture q begin at 2 start[q]
    downwards = boxes[np.lexsort((boxes[:, 1], picture))]
    areas = np.zeros(len(start) - 1)
    _fill_areas(downwards, edges, start.astype(np.int64), areas)
    return areas


@numba.njit(nogil=True, cache=True)
def _fill_areas(
    downwards: NDArray[np.float64],
    edges: NDArray[np.float64],
    start: NDArray[np.int64],
    areas: NDArray[np.float64],
) -> None:
    for picture in range(len(areas)):
        first, last = start[picture], start[picture + 1]
        area = 0.0
        for edge in range(2 * first, 2 * last - 1):
            left, right = edges[edge], edges[edge + 1]
            if left == right:
                continue
            length, bottom = 0.0, 0.0
            for box in range(first, last):
                if downwards[box, 0] <= left and downwards[box, 2] >= right and downwards[box, 3] > bottom:
                    length += downwards[box, 3] - max(downwards[box, 1], bottom)
                    bottom = downwards[box, 3]
            area += (right - left) * length
        areas[picture] = area
