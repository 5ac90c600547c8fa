"""Average precision of detected boxes as the Open Images challenges count it, and the CSV files that hold them.

The torchmetrics class is in `landmarks.detection.metrics.streaming`, and the files, which polars reads, are in
`landmarks.detection.metrics.files`; neither is imported here, so that arrays are scored without waiting for them.
"""

from landmarks.detection.metrics.average_precision import DetectionFigures, score_detections
from landmarks.detection.metrics.boxes import BoxTruth
from landmarks.detection.metrics.hierarchy import expand_detections, expand_truth
from landmarks.detection.metrics.judging import CHALLENGE_2018, OPEN_IMAGES_V2, Rules
from landmarks.recognition.detections.boxes import Detections

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
