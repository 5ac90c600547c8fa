"""Average precision of detected boxes as the Open Images challenges count it, and the CSV files that hold them.

The torchmetrics class is in `landmarks.metrics.detection.streaming`, and the files, which polars reads, are in
`landmarks.metrics.detection.files`; neither is imported here, so that arrays are scored without waiting for them.
"""

from landmarks.metrics.detection.average_precision import DetectionFigures, score_detections
from landmarks.metrics.detection.boxes import BoxTruth, Detections
from landmarks.metrics.detection.hierarchy import expand_detections, expand_truth
from landmarks.metrics.detection.judging import CHALLENGE_2018, OPEN_IMAGES_V2, Rules

__all__ = [
    "CHALLENGE_2018",
    "OPEN_IMAGES_V2",
    "BoxTruth",
    "DetectionFigures",
    "Detections",
    "Rules",
    "expand_detections",
    "expand_truth",
    "score_detections",
]
