"""Results of ONNX files of `landmarks export`, and refusal of other ONNX files."""

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import helper
from PIL import Image

from image_models import onnx_file
from landmarks.errors import LandmarksError
from landmarks.interop import classify_images, embed_images
from landmarks.models import OpenedModel, normalize, open_model

IMAGE = np.random.default_rng(1).integers(0, 255, (64, 96, 3), np.uint8)
MEANS = normalize(torch.from_numpy(IMAGE).permute(2, 0, 1)[None]).mean(dim=(2, 3))[0]


def opened(path: Path) -> OpenedModel:
    return open_model(path, onnx=True)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    Image.fromarray(IMAGE).save(tmp_path / "a.png")
    return tmp_path / "a.png"


def test_it_is_fed_normalised_pixels_and_gives_the_networks_values(tmp_path: Path, image: Path) -> None:
    (found,) = embed_images(opened(onnx_file(tmp_path / "d.onnx", "retrieval")), [image])
    np.testing.assert_allclose(found, MEANS.numpy(), atol=1e-5)


def test_probabilities_are_those_of_a_softmax_over_all_classes(tmp_path: Path, image: Path) -> None:
    model = opened(onnx_file(tmp_path / "c.onnx", "classification"))
    classes, scores = classify_images(model, [image, image], 2)
    expected = MEANS.softmax(0).sort(descending=True)
    assert classes.dtype == np.int32 and scores.dtype == np.float32
    assert classes.tolist() == [expected.indices[:2].tolist()] * 2
    np.testing.assert_allclose(scores[1], expected.values[:2].numpy(), rtol=1e-5)
    assert [one.shape for one in classify_images(model, [], 5)] == [(0, 3), (0, 3)]
    assert classify_images(model, [image], 9)[0].shape == (1, 3)


def test_files_of_others_are_refused(tmp_path: Path) -> None:
    path = onnx_file(tmp_path / "d.onnx", "retrieval")
    with pytest.raises(LandmarksError, match=r"e\.onnx: its inputs are \['images'\] and its outputs \['embedding'\]"):
        opened(onnx_file(tmp_path / "e.onnx", "retrieval", "embedding"))
    model = onnx.load(path)
    helper.set_model_props(model, {"landmarks": '{"format": 1, "landmarks_version": "0", "name": 3}'})
    onnx.save(model, path)
    with pytest.raises(LandmarksError, match=r"d\.onnx: its record is invalid"):
        opened(path)
    del model.metadata_props[:]
    onnx.save(model, path)
    with pytest.raises(LandmarksError, match=r"d\.onnx: it has no record of its network"):
        opened(path)
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(LandmarksError, match=r"d\.onnx: corrupt"):
        opened(path)


def test_scores_that_are_not_finite_are_an_error(tmp_path: Path, image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = opened(onnx_file(tmp_path / "c.onnx", "classification"))
    monkeypatch.setattr(model.network, "forward", lambda images: torch.tensor([[1, torch.nan, 0]]))
    with pytest.raises(LandmarksError, match="not finite"):
        classify_images(model, [image], 1)


def test_nothing_but_single_images_runs_from_onnx(tmp_path: Path) -> None:
    with pytest.raises(LandmarksError, match=r"d\.onnx: an ONNX file runs in `landmarks search`"):
        open_model(onnx_file(tmp_path / "d.onnx", "retrieval"), "descriptors")


def test_a_missing_library_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(LandmarksError, match=r"d\.onnx: .*pip install 'landmarks\[export\]'"):
        opened(onnx_file(tmp_path / "d.onnx", "retrieval"))
