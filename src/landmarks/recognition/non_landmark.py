"""The rule that decides from detected objects that an image shows no landmark.

The second place of 2019 separated landmark from non-landmark images with a detector of 500 Open Images classes. Its
rule was never published, so this one is ours: an image shows no landmark if no object speaks for one and objects that
speak against one cover much of it. So a person in front of a castle is no reason, nor are trees, boats or trains,
which count for neither side.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from landmarks.errors import LandmarksError
from landmarks.ids import find_rows
from landmarks.recognition.detections import DetectionClasses, FoundObjects

NO_BOX = -1

Groups = Mapping[str, Sequence[str] | None]


class Sides(NamedTuple):
    """The classes of a detector that a rule names, bool [C] for each side, and the names that the detector lacks."""

    speaks_for: NDArray[np.bool_]
    speaks_against: NDArray[np.bool_]
    unknown: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Judgement:
    """The decision of the rule for every query [Q], and its reasons."""

    looked_at: NDArray[np.bool_]  # whether the detector has processed the query
    found: NDArray[np.int64]  # number of boxes of any class
    speaks_for: NDArray[np.float64]  # largest score times area of a box that speaks for a landmark; 0 without one
    best_for: NDArray[np.int64]  # that box, a row of the detections; -1 without one
    against_area: NDArray[np.float64]  # share of the image covered by confident boxes that speak against a landmark
    best_against: NDArray[np.int64]  # the largest of those boxes; -1 without one
    num_against: NDArray[np.int64]  # their number
    no_landmark: NDArray[np.bool_]  # the decision


@dataclass(frozen=True)
class NonLandmarkRule:
    """The classes that speak for and against a landmark, and the thresholds of the decision.

    Classes are given by title or machine name in named groups; a group set to null is left out.

    Attributes:
        speaks_for: classes of objects that are landmarks.
        speaks_against: classes of objects that fill images without landmarks.
        most_for: score times area (1 = the whole image) from which a box speaks for a landmark.
        least_score: minimum score of a box that speaks against a landmark.
        least_area: share of the image that these boxes must cover together.
        found_nothing: whether to keep or filter a processed image without any detections.
        missing_classes: ``"ignore"`` allows classes that the detector does not know, as long as it knows some of each
            side.
    """

    speaks_for: Groups
    speaks_against: Groups
    most_for: float = 0.02
    least_score: float = 0.5
    least_area: float = 0.25
    found_nothing: Literal["keep", "filter"] = "keep"
    missing_classes: Literal["error", "ignore"] = "error"

    def __post_init__(self) -> None:
        for name in ("most_for", "least_score", "least_area"):
            if not 0 < getattr(self, name) <= 1:
                raise LandmarksError(f"non-landmark rule: {name} is {getattr(self, name)}, it must lie in (0, 1]")
        for name in ("speaks_for", "speaks_against"):
            if not _names(getattr(self, name)):
                raise LandmarksError(f"non-landmark rule: {name} names no class")

    def find_classes(self, classes: DetectionClasses) -> Sides:
        """Find the rule's classes among the detector's.

        Raises:
            LandmarksError: the detector lacks a class (suggests similar ones), or all of a side, or a class is on both
                sides.
        """
        sides = [_find(_names(groups), classes) for groups in (self.speaks_for, self.speaks_against)]
        unknown = tuple(name for _, missing in sides for name in missing)
        if unknown and self.missing_classes == "error":
            _refuse_unknown(unknown, classes)
        for name, (chosen, missing) in zip(("speaks_for", "speaks_against"), sides, strict=True):
            if not chosen.any():
                raise LandmarksError(
                    f"non-landmark rule: the detector knows no class of {name} ({', '.join(missing[:5])} …); "
                    f"its classes are {', '.join(classes.titles[:5])} …"
                )
        both = classes.titles[sides[0][0] & sides[1][0]]
        if len(both):
            raise LandmarksError(f"non-landmark rule: {', '.join(both)} cannot speak both for and against a landmark")
        return Sides(sides[0][0], sides[1][0], unknown)

    def judge(self, found: FoundObjects, query_ids: NDArray[np.uint64]) -> Judgement:
        """Decide for every query from its detections.

        Args:
            found: detections in any images.
            query_ids: uint64 [Q], each once.
        """
        is_for, is_against, _ = self.find_classes(found.classes)
        count, boxes = len(query_ids), found.boxes
        query = find_rows(boxes.image_ids, query_ids)
        corners = np.clip(boxes.boxes, 0, 1)
        area = (corners[:, 2] - corners[:, 0]) * (corners[:, 3] - corners[:, 1])
        loudness = boxes.scores * area

        speaking = np.flatnonzero((query >= 0) & is_for[boxes.labels])
        best_for = _best(speaking, query, loudness, count)
        speaks_for = np.where(best_for == NO_BOX, 0.0, loudness[best_for] if len(loudness) else 0.0)
        sure = np.flatnonzero((query >= 0) & is_against[boxes.labels] & (boxes.scores >= self.least_score))
        sure = sure[np.argsort(query[sure], kind="stable")]
        num_against = np.bincount(query[sure], minlength=count)
        against_area = covered_area(corners[sure], np.concatenate([[0], np.cumsum(num_against)]))

        looked_at = find_rows(query_ids, found.looked_at) >= 0
        num_found = np.bincount(query[query >= 0], minlength=count)
        no_landmark = (speaks_for < self.most_for) & (against_area >= self.least_area)
        if self.found_nothing == "filter":
            no_landmark |= looked_at & (num_found == 0)
        best_against = _best(sure, query, area, count)
        return Judgement(
            looked_at, num_found, speaks_for, best_for, against_area, best_against, num_against, no_landmark
        )


def _names(groups: Groups) -> list[str]:
    return [name for names in groups.values() for name in names or ()]


def _find(names: Sequence[str], classes: DetectionClasses) -> tuple[NDArray[np.bool_], list[str]]:
    """Return the named classes, bool [C], and the unknown names. If two classes share a title, both are meant."""
    chosen = np.zeros(len(classes), np.bool_)
    for name in names:
        chosen[classes.called(name)] = True
    return chosen, [name for name in names if not classes.called(name)]


def _refuse_unknown(names: Sequence[str], classes: DetectionClasses) -> None:
    more = f" (and {len(names) - 1} more of the rule's classes are unknown)" if len(names) > 1 else ""
    try:
        classes.find(names[0])
    except LandmarksError as error:
        raise LandmarksError(
            f"non-landmark rule: {error}{more}; set missing_classes: ignore to leave out classes that the detector "
            "does not know"
        ) from error


def _best(
    rows: NDArray[np.intp], query: NDArray[np.int64], value: NDArray[np.float64], count: int
) -> NDArray[np.int64]:
    """Return the box among `rows` with the largest value in every query, int64 [Q]; -1 for a query without any."""
    best = np.full(count, NO_BOX, np.int64)
    rising = rows[np.lexsort((-rows, value[rows], query[rows]))]
    best[query[rising]] = rising  # the last assignment to a query wins
    return best


def covered_area(boxes: NDArray[np.float64], start: NDArray[np.int64]) -> NDArray[np.float64]:
    """Compute the area of the union of each image's boxes; the time grows with the square of their number.

    Args:
        boxes: [P, 4], XMin, YMin, XMax, YMax as shares of width and height, image by image; clipped to [0, 1].
        start: int64 [Q + 1], boundaries: image q has the boxes `start[q]` to `start[q + 1]`.

    Returns:
        float64 [Q], shares of the image.
    """
    boxes = np.clip(boxes, 0, 1)
    image = np.repeat(np.arange(len(start) - 1), np.diff(start))
    edges = np.concatenate([boxes[:, 0], boxes[:, 2]])
    edges = edges[np.lexsort((edges, np.tile(image, 2)))]  # the edges of image q begin at 2 start[q]
    downwards = boxes[np.lexsort((boxes[:, 1], image))]
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
    for image in range(len(areas)):
        first, last = start[image], start[image + 1]
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
        areas[image] = area
