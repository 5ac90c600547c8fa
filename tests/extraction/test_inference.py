"""The engines of extraction give the same sets, and what cannot be done is named."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import DictConfig

from landmarks.detection import Detector
from landmarks.errors import LandmarksError
from landmarks.evaluation import evaluate_job
from landmarks.extraction import Extraction, OnnxInference, extract_job, inference
from landmarks.retrieval.descriptors import DescriptorSet

Compose = Callable[..., DictConfig]


def test_onnx_gives_the_ranking_of_eager(compose_config: Compose, overrides: list[str], tmp_path: Path) -> None:
    found = {}
    for engine in ("eager", "onnx"):
        run_dir = tmp_path / engine
        options = [*overrides, "data.validation.queries=scored", "data.validation.gallery_images=8"]
        evaluate_job(compose_config("evaluate", *options, f"inference={engine}", run_dir=run_dir))
        scores = json.loads((run_dir / "metrics.json").read_text())["scores"]
        with np.load(run_dir / "ranking.npz") as ranking:
            found[engine] = scores["private"]["map@100"], ranking["indices"], ranking["scores"]
    assert found["onnx"][0] == found["eager"][0] and np.array_equal(found["onnx"][1], found["eager"][1])
    np.testing.assert_allclose(found["onnx"][2], found["eager"][2], atol=1e-5)
    sets = [DescriptorSet.open(tmp_path / engine / "descriptors" / "index") for engine in found]
    assert not np.array_equal(sets[0].descriptors, sets[1].descriptors)  # else the engine was not used
    assert sets[0].protocol == sets[1].protocol
    np.testing.assert_allclose(sets[0].descriptors, sets[1].descriptors, atol=1e-5)


def test_a_network_that_cannot_be_exported_is_an_error(
    compose_config: Compose, overrides: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(net: Any, multiple: int) -> None:
        raise LandmarksError("torch.export cannot export this network: a reason")

    monkeypatch.setattr(inference, "onnx_engine", refuse)
    with pytest.raises(LandmarksError, match="a reason"):
        extract_job(compose_config("extract", *overrides, "splits=[queries]", "inference=onnx", run_dir=tmp_path))


def trainer(device: str = "cpu", precision: str = "32-true") -> Any:
    return SimpleNamespace(strategy=SimpleNamespace(root_device=torch.device(device)), precision=precision)


@pytest.mark.parametrize(
    ("how", "extraction", "words"),
    [
        ({"device": "cuda"}, Extraction(), "trainer.accelerator=cpu"),
        ({"precision": "bf16-mixed"}, Extraction(), "in bf16-mixed: set trainer.precision=32-true"),
        ({}, Extraction(regions=2), "extraction.regions=0"),
    ],
)
def test_what_onnx_runtime_cannot_do_is_named_before_any_work(
    how: dict[str, Any], extraction: Extraction, words: str
) -> None:
    module: Any = None
    with pytest.raises(LandmarksError, match=words):
        OnnxInference(extraction).setup(trainer(**how), module, "validate")


def test_results_that_differ_are_no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    net = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(3, 4)).eval()
    assert torch.allclose(inference.onnx_engine(net, 32)(torch.ones(1, 3, 64, 64)), net(torch.ones(1, 3, 64, 64)))
    monkeypatch.setattr(inference, "largest_difference", lambda net, engine, multiple: 0.02)
    with pytest.raises(LandmarksError, match=r"differ by 2\.0e-02 of the spread"):
        inference.onnx_engine(net, 32)


def test_detectors_have_no_onnx() -> None:
    config: Any = SimpleNamespace(inference="onnx")
    with pytest.raises(LandmarksError, match="inference=onnx: detectors run in torch only"):
        Detector(config, None)  # type: ignore[arg-type]
