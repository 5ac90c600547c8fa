"""Opening every kind of model file, and messages for files of the wrong kind."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from image_models import checkpoint_file, onnx_file, photograph
from landmarks.errors import LandmarksError
from landmarks.interop import classify_images, embed_images
from landmarks.models import Device, OpenedModel, Use, open_model
from landmarks.models import opened as module

USES: dict[str, Use] = {"similarity": "descriptors", "classify": "classes", "detect": "boxes"}


def open_for(path: Path, command: str, device: Device = "cpu") -> OpenedModel:
    """As the command does."""
    return open_model(path, USES[command], device, onnx=command != "detect")


@pytest.mark.parametrize(
    ("command", "kind", "message"),
    [
        ("similarity", "detector", "is a detector, which neither embeds .* see `landmarks detect`"),
        ("classify", "detector", "is a detector, which neither embeds .* see `landmarks detect`"),
        ("classify", "retrieval", "cannot classify them. Models that can: the published res152_softmax_v1"),
        ("detect", "retrieval", "is not a detector; .* `landmarks similarity` and `landmarks classify`"),
        ("detect", "classifier", "is not a detector"),
    ],
)
def test_the_wrong_kind_is_named_before_weights_are_read(
    command: str, kind: str, message: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = request.getfixturevalue(kind)

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("weights were read")

    monkeypatch.setattr(module, "open_parts", never)
    monkeypatch.setattr(module, "open_weights", never)
    with pytest.raises(LandmarksError, match=message) as caught:
        open_for(path, command)
    assert str(path) in str(caught.value)


def test_a_run_with_npairs_names_no_landmarks(tmp_path: Path) -> None:
    path = checkpoint_file(tmp_path / "best.ckpt", "NPairs")
    assert open_model(path).head is None
    with pytest.raises(LandmarksError, match="cannot classify them"):
        open_for(path, "classify")


@pytest.mark.parametrize("command", USES)
@pytest.mark.parametrize("name", ["gone.safetensors", "gone.ckpt", "gone.onnx"])
def test_missing_and_corrupt_models_are_named(command: str, name: str, tmp_path: Path) -> None:
    with pytest.raises(LandmarksError, match=r"gone\."):
        open_for(tmp_path / name, command)
    (tmp_path / name).write_bytes(b"\x08\x00 no model at all")
    with pytest.raises(LandmarksError, match=r"gone\."):
        open_for(tmp_path / name, command)


def test_formats_of_onnx_are_told_apart(tmp_path: Path) -> None:
    embedded = onnx_file(tmp_path / "d.onnx", "retrieval")
    named = onnx_file(tmp_path / "c.onnx", "classification")
    assert open_for(embedded, "similarity").name == open_for(named, "classify").name == "onnx"
    with pytest.raises(LandmarksError, match=r"c\.onnx: gives class scores and no descriptors"):
        open_for(named, "similarity")
    with pytest.raises(LandmarksError, match=r"d\.onnx: embeds images and cannot classify them"):
        open_for(embedded, "classify")
    with pytest.raises(LandmarksError, match=r"d\.onnx: detectors run from a \.safetensors"):
        open_for(embedded, "detect")


def test_logits_of_an_onnx_file_keep_their_type(tmp_path: Path) -> None:
    head = open_for(onnx_file(tmp_path / "c.onnx", "classification"), "classify").head
    logits = torch.randn(2, 3, dtype=torch.float64)
    assert head is not None and torch.equal(head.class_scores(logits, 1), logits[:, 1:])


@pytest.mark.skipif(torch.cuda.is_available(), reason="for machines without a GPU")
def test_a_gpu_that_is_not_there_is_an_error(retrieval: Path, tmp_path: Path) -> None:
    with pytest.raises(LandmarksError, match=r"^device cuda: torch sees no GPU"):
        open_for(retrieval, "similarity", "cuda")
    with pytest.raises(LandmarksError, match="choose the device cpu"):
        open_for(onnx_file(tmp_path / "d.onnx", "retrieval"), "similarity", "cuda")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gives_what_the_processor_gives(
    retrieval: Path, classifier: Path, detector: Path, tmp_path: Path
) -> None:
    path = photograph(tmp_path / "a.png")
    on_cpu, on_gpu = (embed_images(open_for(retrieval, "similarity", place), [path]) for place in ("cpu", "cuda"))
    np.testing.assert_allclose(on_cpu, on_gpu, rtol=1e-2, atol=1e-3 * np.abs(on_cpu).max())
    scores = [classify_images(open_for(classifier, "classify", place), [path])[1] for place in ("cpu", "cuda")]
    np.testing.assert_allclose(*scores, rtol=1e-2)
    assert next(open_for(detector, "detect", "cuda").network.parameters()).is_cuda
