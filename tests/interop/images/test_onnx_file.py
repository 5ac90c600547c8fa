"""Files for ONNX Runtime: what they give, and what is no file of ours."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import helper

from landmarks.errors import LandmarksError
from landmarks.interop.images.onnx_file import OnnxFile
from landmarks.models.normalize import normalize
from picture_models import onnx_file

PICTURE = np.random.default_rng(1).integers(0, 255, (64, 96, 3), np.uint8)
MEANS = normalize(torch.from_numpy(PICTURE).permute(2, 0, 1)[None]).mean(dim=(2, 3))[0]


def test_it_is_fed_normalised_pixels_and_gives_the_networks_values(tmp_path: Path) -> None:
    found = OnnxFile(onnx_file(tmp_path / "d.onnx", "retrieval"))(PICTURE)
    np.testing.assert_allclose(found, MEANS.numpy(), atol=1e-5)


def test_probabilities_are_those_of_a_softmax_over_all_classes(tmp_path: Path) -> None:
    classes, scores = OnnxFile(onnx_file(tmp_path / "c.onnx", "classification")).likeliest([PICTURE, PICTURE], 2)
    expected = MEANS.softmax(0).sort(descending=True)
    assert classes.dtype == np.int32 and scores.dtype == np.float32
    assert classes.tolist() == [expected.indices[:2].tolist()] * 2
    np.testing.assert_allclose(scores[1], expected.values[:2].numpy(), rtol=1e-5)
    network = OnnxFile(tmp_path / "c.onnx")
    assert [one.shape for one in network.likeliest([], 5)] == [(0, 3), (0, 3)]
    grey = np.full((64, 64, 3), 128, np.uint8)
    assert network.likeliest([grey], 9)[0].shape == (1, 3)


def test_files_of_others_are_refused(tmp_path: Path) -> None:
    path = onnx_file(tmp_path / "d.onnx", "retrieval")
    with pytest.raises(LandmarksError, match=r"e\.onnx: from \['images'\] it makes \['embedding'\]"):
        OnnxFile(onnx_file(tmp_path / "e.onnx", "retrieval", "embedding"))
    model = onnx.load(path)
    helper.set_model_props(model, {"landmarks": '{"format": 1, "landmarks_version": "0", "name": 3}'})
    onnx.save(model, path)
    with pytest.raises(LandmarksError, match=r"d\.onnx: its description of itself is wrong"):
        OnnxFile(path)
    del model.metadata_props[:]
    onnx.save(model, path)
    with pytest.raises(LandmarksError, match=r"d\.onnx: it does not say which network"):
        OnnxFile(path)
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(LandmarksError, match=r"d\.onnx: damaged"):
        OnnxFile(path)


def test_scores_that_are_not_finite_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = OnnxFile(onnx_file(tmp_path / "c.onnx", "classification"))
    monkeypatch.setattr(OnnxFile, "__call__", lambda self, image: np.array([1, np.nan, 0], np.float32))
    with pytest.raises(LandmarksError, match="not finite"):
        network.likeliest([PICTURE], 1)
