import json
from pathlib import Path

import numpy as np
import pytest

from landmarks.detection import OUTPUTS, Findings, write_findings
from landmarks.detection.openimages import DetectionSet, OpenImages
from landmarks.recognition.detections import DetectionClasses

CLASSES = DetectionClasses(np.array(["/m/a", "/m/b"]), np.array(["A", "B"]))
SCORES = {"trained": {"validation": {"map@0.5": 0.25, "v2_map@0.5": 0.125}}}
NO_ROWS = np.empty(0, np.int64)


@pytest.fixture
def images(rectangles: Path) -> DetectionSet:
    return OpenImages(rectangles).validation()


def test_classes_without_true_boxes_are_left_out_and_a_mean_that_is_none_is_null(
    images: DetectionSet, tmp_path: Path
) -> None:
    for name in OUTPUTS:
        (tmp_path / name).write_text("of an earlier evaluation")
    (first, second), title = images.classes.names[:2].tolist(), str(images.classes.titles[1])
    findings = Findings(SCORES, {second: 0.5, first: float("nan")}, images, NO_ROWS, [], CLASSES)
    write_findings(tmp_path, "run", findings, {"mean": float("nan")}, {})
    assert json.loads((tmp_path / "metrics.json").read_text()) == {"mean": None, "ap@0.5": {title: 0.5}}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["metrics.json", "report.html"]


def test_of_many_classes_the_best_and_the_worst_are_printed(
    images: DetectionSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [f"/m/{i:02}" for i in range(20)]
    classes = DetectionClasses(np.array(names), np.array([f"class{i:02}" for i in range(20)]))
    images = DetectionSet(images.images, images.boxes, classes)
    findings = Findings(SCORES, {name: i / 20 for i, name in enumerate(names)}, images, NO_ROWS, [], classes)
    write_findings(tmp_path, "run", findings, {}, {})
    printed = capsys.readouterr().out
    assert "0.2500" in printed
    assert all(f"class{i:02}" in printed for i in (0, 5, 14, 19))
    assert "class10" not in printed
