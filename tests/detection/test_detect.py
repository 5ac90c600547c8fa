import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn

from landmarks.data.images import Preprocessing
from landmarks.detection import Detector, TrainedDetector, find_objects, ids_of
from landmarks.detection import detect as module
from landmarks.detection.openimages import OpenImages
from landmarks.errors import LandmarksError
from landmarks.extraction import TooManyUnreadableError, UnreadableImages
from landmarks.models import plain_network
from landmarks.recognition.detections import DetectionClasses, FoundObjects

Compose = Callable[..., DictConfig]


@pytest.fixture
def trained(compose_config: Compose, small_run: list[str], tmp_path: Path) -> TrainedDetector:
    config = compose_config("train", *small_run, run_dir=tmp_path)
    config.model.score_threshold = 0.0
    config.model.max_boxes = 5
    torch.manual_seed(0)
    classes = DetectionClasses(np.array(["/m/a", "/m/b", "/m/c"]), np.array(["A", "B", "C"]))
    model = instantiate(config.model)(num_classes=3).eval()
    return TrainedDetector(model, "test", classes, Preprocessing("detection", 48, 80), plain_network(config.model), "")


def detector(trained: TrainedDetector, batch_size: int = 4, workers: int = 0) -> Detector:
    data = {"image_size": None, "eval_batch_size": batch_size, "num_workers": workers}
    trainer = {"accelerator": "cpu", "precision": "32-true"}
    settings = {"inference": "eager", "channels_last": True, "data": data, "trainer": trainer}
    return Detector(OmegaConf.create(settings), trained)


def assert_same(one: FoundObjects, other: FoundObjects) -> None:
    assert one.looked_at.tolist() == other.looked_at.tolist()
    assert one.boxes.image_ids.tolist() == other.boxes.image_ids.tolist()
    np.testing.assert_allclose(one.boxes.boxes, other.boxes.boxes, atol=1e-4)


def test_every_image_is_searched_and_workers_change_nothing(
    trained: TrainedDetector, rectangles: Path, tmp_path: Path
) -> None:
    images = OpenImages(rectangles, background=True).train().images
    found = detector(trained).detect(images, tmp_path / "a", "openimages", "train")
    assert found.looked_at.tolist() == images.table.ids.tolist()
    assert (np.unique(found.boxes.image_ids, return_counts=True)[1] == 5).all()
    assert_same(found, detector(trained, workers=1).detect(images, tmp_path / "b", "openimages", "train"))


def test_an_interrupted_detection_goes_on(
    trained: TrainedDetector, rectangles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = OpenImages(rectangles, background=True).train().images
    whole = detector(trained).detect(images, tmp_path / "whole", "openimages", "train")
    seen: list[int] = []
    find = module.find_objects

    def watched(model: object, batch: object, ids: np.ndarray, classes: object) -> object:
        if len(seen) == 8:
            raise KeyboardInterrupt
        seen.extend(ids.tolist())
        return find(model, batch, ids, classes)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(module, "find_objects", watched)
        detector(trained).detect(images, tmp_path / "parts", "openimages", "train")
    assert not (tmp_path / "parts").exists()
    seen = [-1] * 9
    monkeypatch.setattr(module, "find_objects", watched)
    assert_same(detector(trained).detect(images, tmp_path / "parts", "openimages", "train"), whole)
    assert seen[9:] == images.table.ids.tolist()[8:]


def test_detections_are_not_taken_for_those_of_other_files(
    trained: TrainedDetector, rectangles: Path, tmp_path: Path
) -> None:
    root = tmp_path / "set"
    shutil.copytree(rectangles, root)

    def detect(root: Path, folder: Path = tmp_path / "a") -> FoundObjects:
        images = OpenImages(root, background=True).train().images
        return detector(trained).detect(images, folder, "openimages", "train")

    assert_same(detect(root), detect(root))
    with pytest.raises(LandmarksError, match=r"are now other files \(another root, size or time\)"):
        detect(rectangles)
    image = root / "train" / f"{2:016x}.jpg"
    image.write_bytes((root / "train" / f"{3:016x}.jpg").read_bytes())
    with pytest.raises(LandmarksError, match=f"1 of its .* images are now other files.* {2:016x}: remove the detec"):
        detect(root)
    assert (tmp_path / "a" / "stamps.csv").is_file()  # still a finished set
    (tmp_path / "a" / "stamps.csv").unlink()
    with pytest.raises(LandmarksError, match="it does not record the files of its images"):
        detect(root)


def test_unreadable_images_are_named_and_past_the_limit_stop_it(
    trained: TrainedDetector, rectangles: Path, tmp_path: Path
) -> None:
    root = tmp_path / "set"
    shutil.copytree(rectangles, root)
    (root / "train" / f"{2:016x}.jpg").write_bytes(b"")
    images = OpenImages(root, background=True).train().images
    account = UnreadableImages(limit=1)
    found = detector(trained, 1).detect(images, tmp_path / "a", "openimages", "train", unreadable=account)
    assert list(account.reasons) == [f"{2:016x}"]
    assert 2 not in found.looked_at.tolist()
    with pytest.raises(TooManyUnreadableError):
        account = UnreadableImages(limit=0)
        detector(trained, 1).detect(images, tmp_path / "b", "openimages", "train", unreadable=account)


def test_other_rules_are_not_mixed_in(trained: TrainedDetector, rectangles: Path, tmp_path: Path) -> None:
    images = OpenImages(rectangles).validation().images
    detector(trained).detect(images, tmp_path / "a", "openimages", "validation")
    stricter = replace(trained, network={**trained.network, "score_threshold": 0.5})
    with pytest.raises(LandmarksError, match="made with other settings"):
        detector(stricter).detect(images, tmp_path / "a", "openimages", "validation")


NAMES = np.array(["/m/a", "/m/b", "/m/c"])


class Fixed(nn.Module):
    """Finds the same boxes in every image but in small ones none."""

    def forward(self, images: list[Tensor]) -> list[dict[str, Tensor]]:
        boxes = torch.tensor([[10.0, 5.0, 20.0, 40.0], [0.0, 0.0, 40.0, 20.0]])
        found = {"boxes": boxes, "labels": torch.tensor([3, 1]), "scores": torch.tensor([0.75, 0.5])}
        return [{key: value[: 2 * (image.shape[2] > 10)] for key, value in found.items()} for image in images]


def test_boxes_become_shares_of_their_own_image_and_labels_rows_of_classes() -> None:
    images = [torch.zeros(3, 80, 40), torch.zeros(3, 5, 5), torch.zeros(3, 40, 80)]
    found = find_objects(Fixed(), images, np.array([7, 8, 2**64 - 1], np.uint64), NAMES)
    assert found.image_ids.tolist() == [7, 7, 2**64 - 1, 2**64 - 1]
    assert found.labels.tolist() == [2, 0, 2, 0]
    assert found.scores.tolist() == [0.75, 0.5] * 2
    np.testing.assert_allclose(found.boxes[0], [0.25, 0.0625, 0.5, 0.5])
    np.testing.assert_allclose(found.boxes[2], [0.125, 0.125, 0.25, 1.0])


@pytest.mark.parametrize("images", [[], [torch.zeros(3, 5, 5)]])
def test_nothing_found_is_a_set_of_no_boxes(images: list[Tensor]) -> None:
    found = find_objects(Fixed(), images, np.arange(len(images), dtype=np.uint64), NAMES)
    assert found.boxes.shape == (0, 4)
    assert found.labels.dtype == np.int32


def test_large_ids_survive() -> None:
    assert ids_of({"id": [2**64 - 1, 1]}).tolist() == [2**64 - 1, 1]
