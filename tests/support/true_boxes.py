"""Truth and detections as rows are written by hand."""

import numpy as np

from landmarks.detection.metrics import BoxTruth
from landmarks.recognition.detections import Detections

Corners = tuple[float, float, float, float]
True_ = tuple[int, str, Corners, bool]  # image, class, corners, whether it is a group
Label = tuple[int, str, bool]  # image, class, whether it is there
Found = tuple[int, str, Corners, float]  # image, class, corners, score


def box_truth(classes: list[str], boxes: list[True_], labels: list[Label]) -> BoxTruth:
    return BoxTruth(
        image_ids=np.array([box[0] for box in boxes], np.uint64),
        labels=np.array([classes.index(box[1]) for box in boxes], np.int32),
        boxes=np.array([box[2] for box in boxes], np.float64).reshape(-1, 4),
        group_of=np.array([box[3] for box in boxes], np.bool_),
        verified_image_ids=np.array([label[0] for label in labels], np.uint64),
        verified_labels=np.array([classes.index(label[1]) for label in labels], np.int32),
        present=np.array([label[2] for label in labels], np.bool_),
        classes=np.array(classes, np.str_),
    )


def found_boxes(classes: list[str], found: list[Found]) -> Detections:
    return Detections(
        image_ids=np.array([box[0] for box in found], np.uint64),
        labels=np.array([classes.index(box[1]) for box in found], np.int32),
        scores=np.array([box[3] for box in found], np.float64),
        boxes=np.array([box[2] for box in found], np.float64).reshape(-1, 4),
        classes=np.array(classes, np.str_),
    )
