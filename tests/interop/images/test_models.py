"""Which files open as what, and what is said of those of another kind."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from landmarks.detection import single_images
from landmarks.detection.single_images import open_detector
from landmarks.errors import LandmarksError
from landmarks.interop.images import models
from landmarks.interop.images.classification import classify_pictures
from landmarks.interop.images.models import open_classifier, open_describer
from landmarks.interop.images.similarity import describe_pictures
from landmarks.losses.arcmargin import ArcMargin
from landmarks.models.checkpoints import RECORD_VERSION
from picture_models import NETWORK, onnx_file, photograph, tiny_net

OPENERS: dict[str, Callable[..., Any]] = {
    "similarity": open_describer,
    "classify": open_classifier,
    "detect": open_detector,
}


def checkpoint(path: Path, loss: str = "ArcMargin", names: tuple[str, ...] = ("5", "6", "7", "9")) -> Path:
    """As a training run writes it."""
    torch.manual_seed(8)
    head = ArcMargin(len(names), 8).state_dict() if loss == "ArcMargin" else {}
    node = {"_target_": f"landmarks.losses.{loss.lower()}.{loss}", "_partial_": True}
    model = {"_target_": "landmarks.models.build.timm_net", **{k: v for k, v in NETWORK.items() if k != "network"}}
    data = {"image_size": 96, "resize": {"mode": "square"}, "source": {}}
    state = {f"model.{k}": v for k, v in tiny_net().state_dict().items()} | {f"loss.{k}": v for k, v in head.items()}
    record = {
        "record_version": RECORD_VERSION,
        "landmark_names": list(names),
        "config": {"name": "run", "model": model, "loss": node, "data": data},
    }
    torch.save({"state_dict": state, "landmarks": record}, path)
    return path


def test_a_checkpoint_describes_as_its_network(tmp_path: Path) -> None:
    describer = open_describer(checkpoint(tmp_path / "best.ckpt"), "cpu")
    assert (describer.name, describer.resize.mode, describer.resize.short_side) == ("run", "square", 96)
    picture = np.random.default_rng(0).integers(0, 255, (96, 96, 3), np.uint8)
    assert describer.network(picture).shape == (8,)


def test_a_checkpoint_and_a_classifiers_file_do_both(classifier: Path, tmp_path: Path) -> None:
    path = photograph(tmp_path / "a.png")
    for model, classes in ((checkpoint(tmp_path / "best.ckpt"), 4), (classifier, 3)):
        assert describe_pictures(open_describer(model, "cpu"), [path]).shape == (1, 8)
        opened = open_classifier(model, "cpu")
        assert opened.classes == len(opened.labels) == classes
        labels, scores = classify_pictures(opened, [path], 10)
        assert sorted(labels[0].tolist()) == list(range(classes))
        assert scores.sum() == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize(
    ("command", "kind", "message"),
    [
        ("similarity", "detector", "is a detector, which neither describes .* see `landmarks detect`"),
        ("classify", "detector", "is a detector, which neither describes .* see `landmarks detect`"),
        ("classify", "retrieval", "names no landmarks. Models that do: the released res152_softmax_v1"),
        ("detect", "retrieval", "is no detector; .* `landmarks similarity` and `landmarks classify`"),
        ("detect", "classifier", "is no detector"),
    ],
)
def test_the_wrong_kind_is_said_before_weights_are_read(
    command: str, kind: str, message: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = request.getfixturevalue(kind)

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("weights were read")

    monkeypatch.setattr(models, "load_trained", never)
    monkeypatch.setattr(single_images, "load_detector", never)
    with pytest.raises(LandmarksError, match=message) as caught:
        OPENERS[command](path)
    assert str(path) in str(caught.value)


def test_a_run_with_npairs_names_no_landmarks(tmp_path: Path) -> None:
    with pytest.raises(LandmarksError, match="names no landmarks"):
        open_classifier(checkpoint(tmp_path / "best.ckpt", "NPairs"))


@pytest.mark.parametrize("command", OPENERS)
@pytest.mark.parametrize("name", ["gone.safetensors", "gone.ckpt", "gone.onnx"])
def test_missing_and_damaged_models_are_named(command: str, name: str, tmp_path: Path) -> None:
    with pytest.raises(LandmarksError, match=r"gone\."):
        OPENERS[command](tmp_path / name)
    (tmp_path / name).write_bytes(b"\x08\x00 no model at all")
    with pytest.raises(LandmarksError, match=r"gone\."):
        OPENERS[command](tmp_path / name)


def test_formats_of_onnx_are_told_apart(tmp_path: Path) -> None:
    described = onnx_file(tmp_path / "d.onnx", "retrieval")
    named = onnx_file(tmp_path / "c.onnx", "classification")
    assert open_describer(described, "cpu").name == open_classifier(named, "cpu").name == "onnx"
    with pytest.raises(LandmarksError, match=r"c\.onnx: gives scores of classes and no descriptors"):
        open_describer(named)
    with pytest.raises(LandmarksError, match=r"d\.onnx: describes pictures and names no landmarks"):
        open_classifier(described)
    with pytest.raises(LandmarksError, match=r"d\.onnx: detectors run from a \.safetensors"):
        open_detector(described)


@pytest.mark.skipif(torch.cuda.is_available(), reason="for machines without a GPU")
def test_a_gpu_that_is_not_there_is_an_error(retrieval: Path, tmp_path: Path) -> None:
    with pytest.raises(LandmarksError, match="--device cuda: torch sees no GPU"):
        open_describer(retrieval, "cuda")
    with pytest.raises(LandmarksError, match="--device"):
        open_describer(onnx_file(tmp_path / "d.onnx", "retrieval"), "cuda")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gives_what_the_processor_gives(
    retrieval: Path, classifier: Path, detector: Path, tmp_path: Path
) -> None:
    path = photograph(tmp_path / "a.png")
    on_cpu, on_gpu = (describe_pictures(open_describer(retrieval, place), [path]) for place in ("cpu", "cuda"))
    np.testing.assert_allclose(on_cpu, on_gpu, rtol=1e-2, atol=1e-3 * np.abs(on_cpu).max())
    scores = [classify_pictures(open_classifier(classifier, place), [path])[1] for place in ("cpu", "cuda")]
    np.testing.assert_allclose(*scores, rtol=1e-2)
    assert next(open_detector(detector).model.parameters()).is_cuda
