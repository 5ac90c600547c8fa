"""Boxes in pixels of the upright image, and which of them are given."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from image_models import detector_file, photograph, turned
from images import scene
from landmarks.detection import ImageObjects, detect_objects, load_detector
from landmarks.detection.openimages import DetectionResize
from landmarks.errors import LandmarksError
from landmarks.models import load_model


@pytest.fixture(scope="session")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return detector_file(tmp_path_factory.mktemp("models") / "finder.safetensors")


def found_in(detector: Path, *paths: Path, min_score: float = 0.1) -> list[ImageObjects]:
    return list(detect_objects(load_detector(detector, "cpu"), paths, min_score))


def test_boxes_are_the_networks_in_pixels_of_the_image(detector: Path, tmp_path: Path) -> None:
    path = photograph(tmp_path / "a.png", 1, 32, 40)  # the network sees it at 64 x 80: twice its size
    (found,) = found_in(detector, path, min_score=0.0)
    resized = DetectionResize.of(load_detector(detector).preprocessing)(np.array(Image.open(path)))
    with torch.inference_mode():
        expected = load_model(detector)([torch.from_numpy(resized).permute(2, 0, 1)])[0]
    corners = expected["boxes"].numpy() / 2
    assert resized.shape == (64, 80, 3) and len(corners) > 3
    np.testing.assert_allclose(found.boxes[:, :2], corners[:, :2], atol=1e-4)
    np.testing.assert_allclose(found.boxes[:, 2:], corners[:, 2:] - corners[:, :2], atol=1e-4)
    assert found.labels.tolist() == (expected["labels"] - 1).tolist()
    assert found.scores.tolist() == expected["scores"].tolist() == sorted(found.scores, reverse=True)
    assert found.image.shape == (32, 40, 3)


def test_an_image_on_its_side_has_the_boxes_of_the_upright_one(detector: Path, tmp_path: Path) -> None:
    image = scene(2, 50, 70)
    Image.fromarray(image).save(tmp_path / "plain.png")
    plain, side = found_in(detector, tmp_path / "plain.png", turned(tmp_path / "side.png", image))
    assert np.array_equal(plain.boxes, side.boxes) and np.array_equal(plain.image, side.image)
    assert (plain.boxes[:, 0] + plain.boxes[:, 2] <= 70 + 1e-4).all()
    assert (plain.boxes[:, 1] + plain.boxes[:, 3] <= 50 + 1e-4).all()


def test_the_least_score_is_kept_in_both_directions(detector: Path, tmp_path: Path) -> None:
    path = photograph(tmp_path / "a.png")
    (everything,) = found_in(detector, path, min_score=0.0)
    least = float(everything.scores[len(everything.scores) // 2])
    (some,) = found_in(detector, path, min_score=least)
    assert 0 < len(some.scores) < len(everything.scores)
    assert some.scores.tolist() == [score for score in everything.scores if score >= least]
    (none,) = found_in(detector, path, min_score=1.0)
    assert none.boxes.shape == (0, 4)
    with pytest.raises(LandmarksError, match=r"--min-score 1\.5"):
        found_in(detector, path, min_score=1.5)


def test_long_and_tiny_images_are_searched(detector: Path, tmp_path: Path) -> None:
    paths = [photograph(tmp_path / f"{i}.png", i, *size) for i, size in enumerate([(10, 400), (400, 10), (8, 8)])]
    for found, (height, width) in zip(found_in(detector, *paths), [(10, 400), (400, 10), (8, 8)], strict=True):
        assert found.image.shape == (height, width, 3)
        assert (found.boxes[:, 2] <= width + 1e-3).all() and (found.boxes[:, 3] <= height + 1e-3).all()


def test_images_are_read_when_they_are_asked_for(detector: Path, tmp_path: Path) -> None:
    found = detect_objects(load_detector(detector), [photograph(tmp_path / "a.png"), tmp_path / "gone.png"])
    next(found)
    with pytest.raises(LandmarksError, match=r"gone\.png: there is no such file"):
        next(found)
