"""When the objects found in an image say that it shows no landmark.

The second place of 2019 told landmark from non-landmark images with a detector of 500 Open Images classes; the rule
was never published, so this one is ours. An image is judged to be none only on stated evidence: nothing in it speaks
for a landmark, and what speaks against one covers much of it. A person in front of a castle is no reason; nor are
trees, boats or trains, which speak for neither side.
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
    """Which classes of a detector a rule names, bool [C] for each side, and the names in it that are none of them."""

    speaks_for: NDArray[np.bool_]
    speaks_against: NDArray[np.bool_]
    unknown: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Judgement:
    """What the rule makes of every query [Q], and why."""

    looked_at: NDArray[np.bool_]  # the detector has seen the query
    found: NDArray[np.int64]  # boxes of any class
    speaks_for: NDArray[np.float64]  # score times area of the box that speaks loudest for a landmark; 0 for none
    best_for: NDArray[np.int64]  # that box, a row of the detections; -1 for none
    against_area: NDArray[np.float64]  # share of the image that sure boxes of classes against one cover together
    best_against: NDArray[np.int64]  # the largest of those boxes; -1 for none
    num_against: NDArray[np.int64]  # how many there are
    no_landmark: NDArray[np.bool_]  # the decision


@dataclass(frozen=True)
class NonLandmarkRule:
    """Which classes speak for and against a landmark, and how loud they must be.

    Classes are given in named groups, each by its title or machine name; a group set to null is taken out.
    """

    speaks_for: Groups  # classes that landmarks are
    speaks_against: Groups  # classes that fill images of something else
    most_for: float = 0.02  # score times area (1 = the whole image) of a box from which on it speaks for a landmark
    least_score: float = 0.5  # of a box that speaks against one
    least_area: float = 0.25  # share of the image that those boxes must cover together
    # what to do with an image that was looked at and in which nothing at all was found
    found_nothing: Literal["keep", "filter"] = "keep"
    # "ignore" lets the rule name classes that the detector does not know, as long as it knows some of either side
    missing_classes: Literal["error", "ignore"] = "error"

    def __post_init__(self) -> None:
        for name in ("most_for", "least_score", "least_area"):
            if not 0 < getattr(self, name) <= 1:
                raise LandmarksError(f"non-landmark rule: {name} is {getattr(self, name)}, it must lie in (0, 1]")
        for name in ("speaks_for", "speaks_against"):
            if not _names(getattr(self, name)):
                raise LandmarksError(f"non-landmark rule: {name} names no class")

    def find_classes(self, classes: DetectionClasses) -> Sides:
        """Find the rule's classes among the detector's; an error says which title may have been meant."""
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
        """Weigh what was found in every query, ids uint64 [Q], each once."""
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
    """The named classes, bool [C], and the names that are none. Two classes may share a title: both are meant."""
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
            f"non-landmark rule: {error}{more}; missing_classes: ignore goes on without the classes that a smaller "
            "detector does not know"
        ) from error


def _best(
    rows: NDArray[np.intp], query: NDArray[np.int64], value: NDArray[np.float64], count: int
) -> NDArray[np.int64]:
    """Of some boxes the one with the largest value in every query, int64 [Q]; -1 where a query has none of them."""
    best = np.full(count, NO_BOX, np.int64)
    rising = rows[np.lexsort((-rows, value[rows], query[rows]))]
    best[query[rising]] = rising  # the last one stays
    return best


def covered_area(boxes: NDArray[np.float64], start: NDArray[np.int64]) -> NDArray[np.float64]:
    """Measure the union of the boxes of every image, float64 [Q] as a share of it; n boxes take time n².

    Boxes [P, 4] are shares of width and height, image by image; what lies outside [0, 1] does not count. Image q has
    the boxes `start[q]` to `start[q + 1]`.
    """
    boxes = np.clip(boxes, 0, 1)
    image = np.repeat(np.arange(len(start) - 1), np.diff(start))
    edges = np.concatenate([boxes[:, 0], boxes[:, 2]])
    edges = edges[np.lexsort((edges, np.tile(image, 2)))]  # those of image q begin at 2 start[q]
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
