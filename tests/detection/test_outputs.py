import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from landmarks.detection.openimages.source import OpenImages
from landmarks.detection.outputs import draw_sample, print_results, remove_outputs, write_figures
from landmarks.recognition.detections.boxes import Detections
from landmarks.recognition.detections.classes import DetectionClasses

CLASSES = DetectionClasses(np.array(["/m/a", "/m/b"]), np.array(["A", "B"]))


def test_classes_without_true_boxes_are_left_out_and_a_mean_that_is_none_is_null(tmp_path: Path) -> None:
    write_figures(tmp_path, {"mean": float("nan")}, {"/m/b": 0.5, "/m/a": float("nan")}, CLASSES)
    assert json.loads((tmp_path / "metrics.json").read_text()) == {"mean": None, "ap@0.5": {"B": 0.5}}
    remove_outputs(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_sample_is_drawn_even_where_a_picture_is_gone(rectangles: Path, tmp_path: Path) -> None:
    pictures = OpenImages(rectangles).validation()
    ids = pictures.images.table.ids[[1, 1]]
    boxes = np.array([[0.1, 0.1, 0.5, 0.5], [0.0, 0.0, 1.0, 1.0]])
    found = Detections(ids, np.array([1, 0], np.int32), np.array([0.9, 0.2]), boxes, CLASSES.names)
    draw_sample(tmp_path / "boxes.png", pictures, np.array([0, 1]), [found], CLASSES)
    assert Image.open(tmp_path / "boxes.png").height > 200
    draw_sample(tmp_path / "none.png", pictures, np.empty(0, np.int64), [], CLASSES)
    assert not (tmp_path / "none.png").exists()


def test_of_many_classes_the_best_and_the_worst_are_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = [f"/m/{i:02}" for i in range(20)]
    classes = DetectionClasses(np.array(names), np.array([f"class{i:02}" for i in range(20)]))
    scores = {"trained": {"validation": {"map@0.5": 0.25, "v2_map@0.5": 0.125}}}
    print_results(tmp_path, scores, {name: i / 20 for i, name in enumerate(names)}, classes)
    printed = capsys.readouterr().out
    assert "0.2500" in printed
    assert all(f"class{i:02}" in printed for i in (0, 5, 14, 19))
    assert "class10" not in printed
