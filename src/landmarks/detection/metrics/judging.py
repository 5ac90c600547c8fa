"""Which detections count as right, as wrong or not at all, by the rules of the two Open Images evaluators.

Detections of a class in an image are taken by falling score. Each looks only at the true box that it overlaps most: if
that overlap reaches the threshold and the box is not taken yet, the detection is right, otherwise wrong. So the first
detection of every true box is right, and no loop over detections is needed. A detection that is not right and lies
inside a group-of box (shared area over its own area reaches the threshold) is left out; the best one of each such box
stands for it with the weight of a group.

Detections in images of which nothing is known, and of classes that the truth does not know, count nowhere.
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
    """Shared area over joint area of boxes [N, 4] and [N, 4]: float64 [N], 0 where neither has an area."""
    shared = _intersection(found, true)
    return _share(shared, _area(found) + _area(true) - shared)


def intersection_over_detection(found: NDArray[np.float64], true: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shared area over the area of the found box, boxes [N, 4] and [N, 4]: float64 [N], 0 for a box without area."""
    return _share(_intersection(found, true), _area(found))


def best_overlaps(
    found: NDArray[np.float64],
    first: NDArray[np.int64],
    last: NDArray[np.int64],
    true: NDArray[np.float64],
    overlap: Overlap,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Find the true box [T, 4] with which each found box [N, 4] overlaps most.

    The true boxes of found box i are the rows `first[i]` to `last[i]`, at least one. Returns the largest overlaps,
    float64 [N], and the rows that have them, int64 [N], the first of equal ones. Pairs are formed a block at a time, so
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
    """Cut rows into runs whose `counts` add up to `PAIRS` at most, or that are one row."""
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
    """What an evaluator counts.

    Attributes:
        verified_only: leave out detections of a class that was not looked for in the image: it has neither an
            image-level label, positive or negative, nor a box there. Otherwise they are wrong.
        group_of_weight: what a group-of box counts, found or missed, against 1 of a single object; 0 for not at all.
        overlap: threshold, of intersection over union, and over the detection's area for group-of boxes.
    """

    verified_only: bool
    group_of_weight: float
    overlap: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.overlap <= 1:
            raise FormatError(f"the threshold of overlap is {self.overlap}; give a share above 0, up to 1")
        if not 0 <= self.group_of_weight < np.inf:
            raise FormatError(f"the weight of a group-of box is {self.group_of_weight}; give 0 or more")


CHALLENGE_2018 = Rules(verified_only=True, group_of_weight=1.0)
OPEN_IMAGES_V2 = Rules(verified_only=False, group_of_weight=0.0)


@dataclass(frozen=True, eq=False)
class Judged:
    """What is left of J detections to compute average precision; labels are rows of the truth's classes.

    A hit is 0 for wrong, 1 for right, the weight of a group-of box for the one that found it; the number of true boxes
    of each class, float64 [C], counts a group-of box with its weight.
    """

    image_ids: NDArray[np.uint64]
    labels: NDArray[np.int32]
    scores: NDArray[np.float64]
    hits: NDArray[np.float64]
    num_boxes: NDArray[np.float64]


def judge(truth: BoxTruth, detections: Detections, rules: Rules = CHALLENGE_2018) -> Judged:
    """Compare detections, their classes in any order, with the truth, expanded if the classes have a hierarchy.

    Returns the detections that count. Where scores tie, neither the order of rows nor that of classes matters.
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
    """Rows of the detections whose image and class the truth knows, and image x classes + class of each, rising."""
    row_of_name = {name: row for row, name in enumerate(truth.classes.tolist())}
    row_of_class = np.array([row_of_name.get(name, -1) for name in detections.classes.tolist()], np.int64)
    rows = np.flatnonzero(row_of_class[detections.labels] >= 0) if len(images) else np.empty(0, np.int64)
    places = np.minimum(np.searchsorted(images, detections.image_ids[rows]), len(images) - 1)
    known = images[places] == detections.image_ids[rows]
    rows, places = rows[known], places[known]
    keys = places * len(truth.classes) + row_of_class[detections.labels[rows]]
    order = np.argsort(keys)  # look-ups of rising keys take a fifth of those of mixed ones
    return rows[order], keys[order]


def _by_key(keys: NDArray[np.int64], which: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Some rows by rising key, those of one key in their order."""
    rows = np.flatnonzero(which)
    return rows[np.argsort(keys[rows], kind="stable")]


def _spans(ordered: NDArray[np.int64], keys: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where each key begins and ends in a sorted array."""
    return np.searchsorted(ordered, keys), np.searchsorted(ordered, keys, side="right")


def _overlapping(
    found: NDArray[np.float64],
    keys: NDArray[np.int64],
    true: NDArray[np.float64],
    true_keys: NDArray[np.int64],
    overlap: Overlap,
    threshold: float,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of `found` [N, 4] that lie on a true box of their key, and the row of that box in `true` [T, 4]."""
    first, last = _spans(true_keys, keys)
    near = np.flatnonzero(last > first)
    overlaps, boxes = best_overlaps(found[near], first[near], last[near], true, overlap)
    enough = overlaps >= threshold
    return near[enough], boxes[enough]


def _best_of_each(
    boxes: NDArray[np.int64], found: NDArray[np.float64], scores: NDArray[np.float64]
) -> NDArray[np.int64]:
    """The row of highest score for each true box; equal scores are decided by the corners, not by the order of rows."""
    order = np.lexsort((*found.T[::-1], -scores, boxes))
    return order[np.diff(boxes[order], prepend=-1) > 0]
