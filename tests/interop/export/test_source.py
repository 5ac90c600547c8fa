"""Records of exported files, from checkpoints and model files."""

import importlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from landmarks.errors import LandmarksError
from landmarks.interop import open_source, write_file
from landmarks.models import Classifier, load_model, open_model, weights_hash, write_model

Checkpoints = Callable[[str], Path]


def test_a_checkpoint_says_what_it_says_when_opened_and_which_weights_it_has(checkpoints: Checkpoints) -> None:
    path = checkpoints("Softmax")
    record = open_source(path).record
    trained = open_model(path)
    assert record.origin == {**trained.record.origin, "weights": weights_hash(trained.network)}
    assert record == replace(trained.record, origin=record.origin)


def test_a_model_of_the_demo_does_not_pass_for_one_of_the_real_set(checkpoints: Checkpoints) -> None:
    path = checkpoints("Softmax")
    content = torch.load(path, weights_only=True)
    content["landmarks"]["config"]["data"]["source"]["name"] = "demo"
    torch.save(content, path)
    assert open_source(path).record.origin["trained_on"] == "demo, train_split=train_clean"


@pytest.mark.parametrize(
    ("loss", "asked", "task"),
    [
        ("Softmax", None, "classification"),
        ("Softmax", "retrieval", "retrieval"),
        ("ArcMargin", None, "retrieval"),
        ("ArcMargin", "classification", "classification"),
        ("NPairs", None, "retrieval"),
    ],
)
def test_the_task_decides_about_the_head(checkpoints: Checkpoints, loss: str, asked: str | None, task: str) -> None:
    found = open_source(checkpoints(loss), asked)  # type: ignore[arg-type]
    assert found.record.task == task
    classifies = task == "classification"
    assert isinstance(found.whole, Classifier) == classifies == (found.head is not None)
    images = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        assert found.whole(images).shape == (2, 4 if classifies else 8)


def test_a_model_without_head_classifies_nothing(checkpoints: Checkpoints) -> None:
    with pytest.raises(LandmarksError, match=r"best\.ckpt has no classifier \(loss: npairs\)"):
        open_source(checkpoints("NPairs"), "classification")


def test_a_model_file_keeps_what_it_says(checkpoints: Checkpoints, tmp_path: Path) -> None:
    categories = tmp_path / "categories.csv"
    categories.write_text("landmark_id,category\n0,Category:Null_Island\n1501,Category:Tower\n3,Category:Else\n")
    made = open_source(checkpoints("Softmax"), name="towers", categories=categories)
    assert made.record.titles == ("Tower", "Null Island", "", "")
    assert made.head is not None
    write_model(tmp_path / "a.safetensors", made.record, made.network.state_dict(), made.head.state_dict())
    assert open_source(tmp_path / "a.safetensors").record == made.record
    plain = open_source(tmp_path / "a.safetensors", "retrieval").record
    assert (plain.classes, plain.labels, plain.titles, plain.origin) == (0, (), (), made.record.origin)


def test_categories_that_name_nothing(checkpoints: Checkpoints, tmp_path: Path) -> None:
    categories = tmp_path / "categories.csv"
    categories.write_text("landmark_id,category\n77,Category:Else\n")
    with pytest.raises(LandmarksError, match="has a name for none of the 4 classes"):
        open_source(checkpoints("Softmax"), categories=categories)
    with pytest.raises(LandmarksError, match="is exported for retrieval"):
        open_source(checkpoints("ArcMargin"), categories=categories)


def test_a_network_of_ones_own_is_exported_when_it_is_trusted(
    checkpoints: Checkpoints, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_nets.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    net = importlib.import_module("own_nets").Own(6)
    found = torch.load(checkpoints("NPairs"), weights_only=True)
    found["landmarks"]["config"]["model"] = {"_target_": "own_nets.Own", "dim": 6}
    found["state_dict"] = {f"model.{name}": value for name, value in net.state_dict().items()}
    torch.save(found, tmp_path / "own.ckpt")
    with pytest.raises(LandmarksError, match=r"own\.ckpt: asks to call own_nets\.Own, which is none of our"):
        open_source(tmp_path / "own.ckpt")
    made = open_source(tmp_path / "own.ckpt", trust=["own_nets.Own"])
    assert made.record.architecture == {"network": "own_nets.Own", "dim": 6}
    for kind in ("safetensors", "onnx"):
        write_file(made, tmp_path / f"own.{kind}", kind)
    images = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        assert torch.equal(load_model(tmp_path / "own.safetensors", ["own_nets.Own"])(images), net(images))
    with pytest.raises(LandmarksError, match=r"own\.safetensors: asks to call own_nets\.Own"):
        load_model(tmp_path / "own.safetensors")


OWN = """
import torch

class Own(torch.nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.dim = dim
        self.linear = torch.nn.Linear(3, dim)

    def forward(self, images):
        return self.linear(images.mean((2, 3)))
"""
