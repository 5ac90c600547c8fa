"""Decides which detections are true positives, false positives or ignored, by the rules of both Open Images evaluators.

Detections of a class in an image are taken by falling score. Each is compared only with the true box that it overlaps
most: if that overlap reaches the threshold and the box is not matched yet, the detection is a true positive, otherwise
a false one. Thus the first detection of every true box is right, and no loop over detections is needed. A detection
that is not right and lies inside a group-of box (its intersection over its own area reaches the threshold) is ignored;
the best one of each such box counts as its detection, with the weight of a group.

Detections in images without ground truth, and of classes that are not in the ground truth, are ignored.
Source: the evaluation pages of Open Images V4 and of its 2018 challenge
(https://storage.googleapis.com/openimages/web/evaluation.html); Kuznetsova et al., "The Open Images Dataset V4",
IJCV 2020, section 5.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from landmarks.detection.metrics.boxes import BoxTruth, ranges
from landmarks.errors import FormatError
from landmarks.recognition import Detections

PAIRS = 1 << 20  # of a block; about 100 bytes each

Overlap = Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]


def intersection_over_union(found: NDArray[np.float64], true: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute intersection over union of boxes [N, 4] and [N, 4]: float64 [N], 0 if neither has an area."""
    shared = _intersection(found, true)
    return _share(shared, _area(found) + _area(true) - shared)


def intersection_over_detection(found: NDArray[np.float64], true: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute intersection over the area of the detection, boxes [N, 4] and [N, 4]: float64 [N], 0 without an area."""
    return _share(_intersection(found, true), _area(found))


def best_overlaps(
    found: NDArray[np.float64],
    first: NDArray[np.int64],
    last: NDArray[np.int64],
    true: NDArray[np.float64],
    overlap: Overlap,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Find the true box [T, 4] that each detection [N, 4] overlaps most.

    The candidates of detection i are the rows from `first[i]` to `last[i]` (excluded), at least one. Returns the
    largest overlaps, float64 [N], and their rows, int64 [N], the first of equal ones. Pairs are formed in blocks, so
    that memory does not grow with their number.
    """
    largest, rows = np.zeros(len(found)), np.zeros(len(found), np.int64)
    for part in _blocks(last - first):
        counts = last[part] - first[part]
        starts = np.cumsum(counts) - counts
        owners = np.repeat(np.arange(len(counts)), counts)
        partners = ranges(first[part], counts)
        overlaps = overlap(found[part][owners], true[partners])
        largest[part] = np.maximum.reduceat(overlaps, starts)
        best = np.flatnonzero(overlaps == largest[part][owners])
        best = best[np.diff(owners[best], prepend=-1) > 0]
        rows[part] = partners[best]
    return largest, rows


def _blocks(counts: NDArray[np.int64]) -> Iterator[slice]:
    """Divide rows into runs whose `counts` add up to at most `PAIRS`, or that are a single row."""
    ends = np.cumsum(counts)
    begin = 0
    while begin < len(counts):
        before = int(ends[begin - 1]) if begin else 0
        end = max(begin + 1, int(np.searchsorted(ends, before + PAIRS, side="right")))
        yield slice(begin, end)
        begin = end


def _area(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def _intersection(found: NDArray[np.float64], true: NDArray[np.float64]) -> NDArray[np.float64]:
    sides = np.minimum(found[:, 2:], true[:, 2:]) - np.maximum(found[:, :2], true[:, :2])
    sides = np.maximum(sides, 0)
    return sides[:, 0] * sides[:, 1]


def _share(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


@dataclass(frozen=True)
class Rules:
    """The rules of an evaluator.

    Attributes:
        verified_only: Whether to ignore detections of a class that was not verified in the image, that is, has neither
            an image-level label, positive or negative, nor a box there. Otherwise they are false positives.
        group_of_weight: Weight of a group-of box, found or missed, where that of a single object is 1; 0 ignores them.
        overlap: Threshold of intersection over union, and for group-of boxes over the detection's area.
    """

    verified_only: bool
    group_of_weight: float
    overlap: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.overlap <= 1:
            raise FormatError(f"the threshold of overlap is {self.overlap}; it must be above 0 and at most 1")
        if not 0 <= self.group_of_weight < np.inf:
            raise FormatError(f"the weight of a group-of box is {self.group_of_weight}; it must be 0 or more")


CHALLENGE_2018 = Rules(verified_only=True, group_of_weight=1.0)  # rules of the 2018 challenge
OPEN_IMAGES_V2 = Rules(verified_only=False, group_of_weight=0.0)  # rules of the earlier "Open Images V2" evaluation


@dataclass(frozen=True, eq=False)
class Judged:
    """The J detections that count for average precision; labels are rows of the ground truth's classes.

    A hit is 0 for a false positive, 1 for a true positive, and the weight of a group-of box for its best detection; the
    number of true boxes of each class, float64 [C], counts a group-of box with its weight.
    """

    image_ids: NDArray[np.uint64]
    labels: NDArray[np.int32]
    scores: NDArray[np.float64]
    hits: NDArray[np.float64]
    num_boxes: NDArray[np.float64]


def judge(truth: BoxTruth, detections: Detections, rules: Rules = CHALLENGE_2018) -> Judged:
    """Match detections with the ground truth, which must be expanded if the classes have a hierarchy.

    Returns the detections that count. The classes may be in any order; for equal scores, neither the order of rows nor
    that of classes matters.
    """
    images = np.unique(np.concatenate([truth.image_ids, truth.verified_image_ids]))
    classes = len(truth.classes)
    true_keys = np.searchsorted(images, truth.image_ids) * classes + truth.labels
    rows, keys = _known(truth, detections, images)
    if rules.verified_only:
        looked_for = np.searchsorted(images, truth.verified_image_ids) * classes + truth.verified_labels
        first, last = _spans(np.unique(np.concatenate([looked_for, true_keys])), keys)
        rows, keys = rows[last > first], keys[last > first]

    single, group = _by_key(true_keys, ~truth.group_of), _by_key(true_keys, truth.group_of)
    right, inside = np.zeros(len(rows), np.bool_), np.zeros(len(rows), np.bool_)
    found = detections.boxes[rows]

    on, boxes = _overlapping(
        found, keys, truth.boxes[single], true_keys[single], intersection_over_union, rules.overlap
    )
    right[on[_best_of_each(boxes, found[on], detections.scores[rows[on]])]] = True

    rest = np.flatnonzero(~right)
    on, boxes = _overlapping(
        found[rest], keys[rest], truth.boxes[group], true_keys[group], intersection_over_detection, rules.overlap
    )
    on = rest[on]
    inside[on] = True
    best = on[_best_of_each(boxes, found[on], detections.scores[rows[on]])]
    # The evaluator's best score of a group begins at 0, so that one at or below it finds nothing.
    best = best[detections.scores[rows[best]] > 0] if rules.group_of_weight else best[:0]

    single_of_class = np.bincount(truth.labels[single], minlength=classes)
    group_of_class = np.bincount(truth.labels[group], minlength=classes)
    kept = np.concatenate([np.flatnonzero(~inside), best])
    hits = np.concatenate([right[~inside].astype(np.float64), np.full(len(best), rules.group_of_weight)])
    return Judged(
        image_ids=detections.image_ids[rows[kept]],
        labels=(keys[kept] % max(classes, 1)).astype(np.int32),
        scores=detections.scores[rows[kept]],
        hits=hits,
        num_boxes=single_of_class + rules.group_of_weight * group_of_class,
    )


def _known(
    truth: BoxTruth, detections: Detections, images: NDArray[np.uint64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return rows of detections whose image and class are in the truth, and their ascending keys image * C + class."""
    row_of_name = {name: row for row, name in enumerate(truth.classes.tolist())}
    row_of_class = np.array([row_of_name.get(name, -1) for name in detections.classes.tolist()], np.int64)
    rows = np.flatnonzero(row_of_class[detections.labels] >= 0) if len(images) else np.empty(0, np.int64)
    places = np.minimum(np.searchsorted(images, detections.image_ids[rows]), len(images) - 1)
    known = images[places] == detections.image_ids[rows]
    rows, places = rows[known], places[known]
    keys = places * len(truth.classes) + row_of_class[detections.labels[rows]]
    order = np.argsort(keys)  # looking up ascending keys takes a fifth of the time
    return rows[order], keys[order]


def _by_key(keys: NDArray[np.int64], which: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the chosen rows by ascending key (stable)."""
    rows = np.flatnonzero(which)
    return rows[np.argsort(keys[rows], kind="stable")]


def _spans(ordered: NDArray[np.int64], keys: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where each key begins and ends in a sorted array."""
    return np.searchsorted(ordered, keys), np.searchsorted(ordered, keys, side="right")


def _overlapping(
    found: NDArray[np.float64],
    keys: NDArray[np.int64],
    true: NDArray[np.float64],
    true_keys: NDArray[np.int64],
    overlap: Overlap,
    threshold: float,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return rows of `found` [N, 4] that overlap a true box of their key enough, and its row in `true` [T, 4]."""
    first, last = _spans(true_keys, keys)
    near = np.flatnonzero(last > first)
    overlaps, boxes = best_overlaps(found[near], first[near], last[near], true, overlap)
    enough = overlaps >= threshold
    return near[enough], boxes[enough]


def _best_of_each(
    boxes: NDArray[np.int64], found: NDArray[np.float64], scores: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Return the row with the highest score for each true box; ties are broken by the corners, not by the row order."""
    order = np.lexsort((*found.T[::-1], -scores, boxes))
    return order[np.diff(boxes[order], prepend=-1) > 0]
