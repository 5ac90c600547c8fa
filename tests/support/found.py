"""Objects found in made-up images."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from landmarks.detection import DetectionWriter
from landmarks.recognition.detections import DetectionClasses, DetectionProtocol, Detections, FoundObjects

TITLES = ("Tower", "Person", "Dog", "Tree")
CLASSES = DetectionClasses(np.array([f"/m/0{i}" for i in range(len(TITLES))]), np.array(TITLES))
PROTOCOL = DetectionProtocol("small", "abc", 64, 96, 0.1, 0.5, 100)

Box = tuple[int, str, float, tuple[float, float, float, float]]  # image, title, score, corners


def found_objects(boxes: Sequence[Box], looked_at: Sequence[int]) -> FoundObjects:
    """Objects of `CLASSES` in images."""
    return FoundObjects(
        Detections(
            np.array([image for image, *_ in boxes], np.uint64),
            np.array([TITLES.index(title) for _, title, *_ in boxes], np.int32),
            np.array([score for *_, score, _ in boxes], np.float64),
            np.array([corners for *_, corners in boxes], np.float64).reshape(-1, 4),
            CLASSES.names,
        ),
        np.array(looked_at, np.uint64),
        CLASSES,
    )


def write_detections(folder: Path, found: FoundObjects, protocol: DetectionProtocol) -> None:
    """Write a whole set at once."""
    with DetectionWriter(folder, found.classes, protocol) as writer:
        writer.add(found.looked_at, found.boxes)
        writer.close()
