"""Labels, landmark ids and names; scores of a softmax over all classes."""

from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from PIL import Image

from image_models import classifier_file, photograph
from landmarks.errors import LandmarksError
from landmarks.interop import LandmarkClass, classify_images, landmark_class
from landmarks.models import OpenedModel, load_model, normalize, open_model


def open_classifier(path: Path, device: Literal["cpu"] = "cpu") -> OpenedModel:
    return open_model(path, "classes", device)


def test_a_square_from_the_middle_is_classified_as_published(classifier: Path, tmp_path: Path) -> None:
    paths = [photograph(tmp_path / f"{i}.png", i, 100, 150 + 50 * i) for i in range(3)]
    labels, scores = classify_images(open_classifier(classifier, "cpu"), paths, 2)
    assert labels.shape == scores.shape == (3, 2)
    for path, row, row_scores in zip(paths, labels, scores, strict=True):
        image = Image.open(path)
        resized = image.resize((round(image.width * 0.64) // 32 * 32, 64), Image.Resampling.BILINEAR)
        left = (resized.width - 64) // 2
        pixels = torch.from_numpy(np.array(resized.crop((left, 0, left + 64, 64)))).permute(2, 0, 1)[None].contiguous()
        with torch.inference_mode():
            expected = load_model(classifier)(normalize(pixels))[0].softmax(0).sort(descending=True)
        assert row.tolist() == expected.indices[:2].tolist()
        np.testing.assert_allclose(row_scores, expected.values[:2].numpy(), rtol=1e-5)


def test_more_than_all_classes_gives_all(classifier: Path, tmp_path: Path) -> None:
    opened = open_classifier(classifier, "cpu")
    labels, scores = classify_images(opened, [photograph(tmp_path / "a.png")], 100)
    assert sorted(labels[0].tolist()) == [0, 1, 2]
    assert scores[0].sum() == pytest.approx(1.0, abs=1e-6) and (np.diff(scores[0]) <= 0).all()
    assert [one.shape for one in classify_images(opened, [])] == [(0, 3), (0, 3)]
    with pytest.raises(LandmarksError, match=r"^top 0"):
        classify_images(opened, [], 0)


def test_names_come_from_the_file_of_categories_then_from_the_model(classifier: Path) -> None:
    opened = open_classifier(classifier, "cpu")
    assert [landmark_class(opened, label) for label in range(3)] == [
        LandmarkClass(0, 1501, "Old bridge"),
        LandmarkClass(1, 42, None),
        LandmarkClass(2, None, "The tower"),
    ]
    assert landmark_class(opened, 1, {42: "Gate"}) == LandmarkClass(1, 42, "Gate")
    assert landmark_class(opened, 0, {1501: "Pont"}) == LandmarkClass(0, 1501, "Pont")
    assert landmark_class(opened, 0, {7: "Gate"}) == LandmarkClass(0, 1501, "Old bridge")


def test_unknown_labels_stay_unknown_and_names_of_folders_are_names(tmp_path: Path) -> None:
    unknown = open_classifier(classifier_file(tmp_path / "a.safetensors"), "cpu")
    assert landmark_class(unknown, 2, {2: "wrong"}) == LandmarkClass(2, None, None)
    folders = open_classifier(classifier_file(tmp_path / "b.safetensors", ("Dom", "index:7", "9" * 30)), "cpu")
    assert [landmark_class(folders, label).category for label in range(3)] == ["Dom", "index:7", "9" * 30]
    assert [landmark_class(folders, label).landmark_id for label in range(3)] == [None] * 3
