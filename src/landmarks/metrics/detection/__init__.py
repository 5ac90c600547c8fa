"""Average precision of detected boxes as the Open Images challenges count it, and the CSV files that hold them."""

from landmarks.metrics.detection.boxes import BoxTruth, Detections

__all__ = ["BoxTruth", "Detections"]
