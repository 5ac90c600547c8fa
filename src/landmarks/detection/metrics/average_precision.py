"""Average precision per class over all images, and its mean, from matched detections.

AP is the area under the precision-recall curve, where the precision at a recall is the maximum over that recall and all
higher ones (at all points, not on a grid). A class without true boxes has no AP and is left out of the mean.
Source: Everingham et al., "The Pascal Visual Object Classes Challenge: A Retrospective", IJCV 2015, as the Open Images
evaluators use it.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landmarks.detection.metrics.boxes import BoxTruth
from landmarks.detection.metrics.judging import CHALLENGE_2018, OPEN_IMAGES_V2, Judged, Rules, judge
from landmarks.recognition import Detections

# The rules of the official evaluators of Open Images, by name.
EVALUATORS: Mapping[str, Rules] = {"challenge_2018": CHALLENGE_2018, "open_images_v2": OPEN_IMAGES_V2}


@dataclasses.dataclass(frozen=True, eq=False)
class DetectionMetrics:
    """The metrics of one evaluator.

    Attributes:
        classes: Machine names, str [C].
        average_precisions: float64 [C], NaN for a class without true boxes.
        overlap: The threshold of intersection over union.
    """

    classes: NDArray[np.str_]
    average_precisions: NDArray[np.float64]
    overlap: float

    @property
    def mean(self) -> float:
        """Mean over the classes with true boxes; NaN if there are none."""
        known = self.average_precisions[~np.isnan(self.average_precisions)]
        return float(known.mean()) if len(known) else float("nan")

    def as_dict(self) -> dict[str, Any]:
        """Return `map@0.5`, and `ap@0.5` of each class, as JSON values, with None instead of NaN."""
        values = [None if np.isnan(value) else value for value in (self.mean, *self.average_precisions.tolist())]
        each = dict(zip(self.classes.tolist(), values[1:], strict=True))
        return {f"map@{self.overlap:g}": values[0], f"ap@{self.overlap:g}": each}


def score_detections(truth: BoxTruth, detections: Detections, overlap: float = 0.5) -> dict[str, DetectionMetrics]:
    """Compute mean and per-class average precision by the rules of each evaluator.

    Args:
        truth: Boxes and image-level labels, expanded along the hierarchy if the classes have one.
        detections: The detections; those in images or of classes that are not in the truth are ignored.
        overlap: Threshold of intersection over union.

    Returns:
        Metrics by the name of the evaluator, with the classes of the truth.
    """
    metrics = {}
    for name, rules in EVALUATORS.items():
        judged = judge(truth, detections, dataclasses.replace(rules, overlap=overlap))
        metrics[name] = DetectionMetrics(truth.classes, average_precisions(judged), overlap)
    return metrics


def average_precisions(judged: Judged) -> NDArray[np.float64]:
    """Compute the average precision of each class, float64 [C], NaN for a class without true boxes.

    Equal scores are ordered by ascending image id, and within an image false positives come first.
    """
    order = np.lexsort((judged.hits, judged.image_ids, -judged.scores, judged.labels))
    hits = judged.hits[order]
    bounds = np.searchsorted(judged.labels[order], np.arange(len(judged.num_boxes) + 1))
    values = np.full(len(judged.num_boxes), np.nan)
    for label in np.flatnonzero(judged.num_boxes > 0):  # hundreds of classes, each with all its detections at once
        values[label] = _area(hits[bounds[label] : bounds[label + 1]], judged.num_boxes[label])
    return values


def _area(hits: NDArray[np.float64], num_boxes: float) -> float:
    """Compute the area under the envelope of precision over recall; `hits` [N] are by falling score."""
    right = np.cumsum(hits)
    precision = right / (right + np.cumsum(hits == 0))
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float((envelope * hits).sum() / num_boxes)
