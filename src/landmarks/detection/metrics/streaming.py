"""Open Images mean average precision as a torchmetrics `Metric`, for validation loops and several processes.

Detections are matched within their image, so that only scores and matches are kept, on the CPU, about 20 bytes per
detection. An image that comes twice, as in the padding of a distributed sampler, counts once. torchmetrics' own
MeanAveragePrecision follows COCO, which has neither group-of boxes nor unverified classes.
"""

from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from landmarks.detection.metrics.average_precision import DetectionMetrics, average_precisions
from landmarks.detection.metrics.boxes import BoxTruth
from landmarks.detection.metrics.judging import CHALLENGE_2018, Judged, Rules, judge
from landmarks.errors import FormatError
from landmarks.ids import format_id
from landmarks.metrics import ArraysMetric
from landmarks.recognition import Detections


class OpenImagesMAP(ArraysMetric):
    """Mean and per-class average precision over all images seen; `score_detections` is the definition.

    Args:
        classes: Machine names, str [C], in the order of the ground truth.
        rules: Rules of the evaluator: `CHALLENGE_2018`, `OPEN_IMAGES_V2` or others.
        kwargs: Arguments of `torchmetrics.Metric`.

    Example:
        >>> house = np.array(["/m/03jm5"])
        >>> image, label, box = np.array([7], np.uint64), np.zeros(1, np.int32), np.array([[0.1, 0.1, 0.6, 0.9]])
        >>> truth = BoxTruth(image, label, box, np.array([False]), image, label, np.array([True]), house)
        >>> metric = OpenImagesMAP(house)
        >>> metric.update(image, Detections(image, label, np.array([0.8]), box, house), truth)
        >>> metric.compute()["map@0.5"].item()
        1.0
    """

    # For each image its id, the number of detections that count, and the number of classes with boxes; then the rows of
    # both, in the order of the images, which gathering over ranks preserves.
    _DTYPES: ClassVar = {
        "images": torch.int64,
        "num_detections": torch.int64,
        "num_classes": torch.int64,
        "labels": torch.int32,
        "scores": torch.float64,
        "hits": torch.float64,
        "box_labels": torch.int32,
        "box_counts": torch.float64,
    }

    def __init__(self, classes: NDArray[np.str_], rules: Rules = CHALLENGE_2018, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.classes = classes
        self.rules = rules

    def update(self, image_ids: NDArray[np.uint64], detections: Detections, truth: BoxTruth) -> None:
        """Add the detections in some images.

        Args:
            image_ids: The images, each once, including those without detections, uint64 [N].
            detections: The detections in these images.
            truth: The ground truth of these images, or better of all images every time, since it is then sorted once.
        """
        if not np.array_equal(truth.classes, self.classes):
            raise FormatError("the truth has other classes than the metric; make the metric with those of the truth")
        ordered = np.unique(image_ids)
        if len(ordered) != len(image_ids):
            raise FormatError(f"{len(image_ids) - len(ordered)} of {len(image_ids)} images occur twice; give each once")
        stray = ~np.isin(detections.image_ids, ordered)
        if stray.any():
            image_id = format_id(detections.image_ids[np.argmax(stray)])
            raise FormatError(f"a detection is in image {image_id}, which is not among the {len(ordered)} images given")
        known = truth.of_images(ordered)
        judged = judge(known, detections, self.rules)
        places = np.searchsorted(ordered, judged.image_ids)
        order = np.argsort(places, kind="stable")

        weights = np.where(known.group_of, self.rules.group_of_weight, 1.0)
        keys = np.searchsorted(ordered, known.image_ids) * len(self.classes) + known.labels
        pairs, pair_of_box = np.unique(keys, return_inverse=True)
        images, labels = np.divmod(pairs, max(len(self.classes), 1))
        self._add(
            images=ordered.view(np.int64),
            num_detections=np.bincount(places, minlength=len(ordered)),
            num_classes=np.bincount(images, minlength=len(ordered)),
            labels=judged.labels[order],
            scores=judged.scores[order],
            hits=judged.hits[order],
            box_labels=labels,
            box_counts=np.bincount(pair_of_box, weights, minlength=len(pairs)),
        )

    def compute(self) -> dict[str, Any]:
        """Return `map@0.5`, and `ap@0.5` by class name; float64 [], NaN for a class without boxes."""
        metrics = DetectionMetrics(self.classes, average_precisions(self._judged()), self.rules.overlap)
        values = torch.from_numpy(metrics.average_precisions)
        return {
            f"map@{metrics.overlap:g}": torch.tensor(metrics.mean, dtype=torch.float64),
            f"ap@{metrics.overlap:g}": dict(zip(self.classes.tolist(), values, strict=True)),
        }

    def _judged(self) -> Judged:
        """Return the detections of all images, of repeated images only the first occurrence."""
        state = {name: self._joined(name) for name in self._DTYPES}
        images = state["images"].view(np.uint64)
        first = np.zeros(len(images), np.bool_)
        first[np.unique(images, return_index=True)[1]] = True
        detections = np.repeat(first, state["num_detections"])
        boxes = np.repeat(first, state["num_classes"])
        labels, counts = state["box_labels"][boxes], state["box_counts"][boxes]
        return Judged(
            image_ids=np.repeat(images, state["num_detections"])[detections],
            labels=state["labels"][detections],
            scores=state["scores"][detections],
            hits=state["hits"][detections],
            num_boxes=np.bincount(labels, counts, minlength=len(self.classes)).astype(np.float64, copy=False),
        )
