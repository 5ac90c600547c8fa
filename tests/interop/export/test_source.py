"""What a file will say of a model, taken from checkpoints and model files."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from landmarks.data.images.preprocessing import Preprocessing
from landmarks.errors import LandmarksError
from landmarks.interop.export.source import open_source
from landmarks.models.checkpoints import load_trained, weights_hash
from landmarks.models.classifier import Classifier
from landmarks.models.model_file import write_model

Checkpoints = Callable[[str], Path]


def test_a_checkpoint_in_full(checkpoints: Checkpoints) -> None:
    path = checkpoints("Softmax")
    record = open_source(path).record
    trained = load_trained(path)
    assert (record.name, record.task, record.preprocessing) == (
        "tower run/1",
        "classification",
        Preprocessing("square", 96),
    )
    assert record.head == {"loss": "Softmax"} and record.architecture["network"] == "timm_net"
    assert (record.classes, record.labels, record.titles) == (4, trained.landmark_names, ())
    assert record.origin == {
        "source": "trained with landmarks",
        "trained_on": "GLDv2, train_split=train_clean",
        "weights": weights_hash(trained.model),
        "loss": "softmax",
    }


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
    assert isinstance(found.net, Classifier) == classifies == (found.head_weights is not None)
    images = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        assert found.net(images).shape == (2, 4 if classifies else 8)


def test_a_model_without_head_classifies_nothing(checkpoints: Checkpoints) -> None:
    with pytest.raises(LandmarksError, match=r"best\.ckpt has no classifier \(loss: npairs\)"):
        open_source(checkpoints("NPairs"), "classification")


def test_a_model_file_keeps_what_it_says(checkpoints: Checkpoints, tmp_path: Path) -> None:
    categories = tmp_path / "categories.csv"
    categories.write_text("landmark_id,category\n0,Category:Null_Island\n1501,Category:Tower\n3,Category:Else\n")
    made = open_source(checkpoints("Softmax"), name="towers", categories=categories)
    assert made.record.titles == ("Tower", "Null Island", "", "")
    write_model(tmp_path / "a.safetensors", made.record, made.weights, made.head_weights)
    assert open_source(tmp_path / "a.safetensors").record == made.record
    plain = open_source(tmp_path / "a.safetensors", "retrieval").record
    assert (plain.classes, plain.labels, plain.titles, plain.origin) == (0, (), (), made.record.origin)


def test_categories_that_name_nothing(checkpoints: Checkpoints, tmp_path: Path) -> None:
    categories = tmp_path / "categories.csv"
    categories.write_text("landmark_id,category\n77,Category:Else\n")
    with pytest.raises(LandmarksError, match="names none of the 4 classes"):
        open_source(checkpoints("Softmax"), categories=categories)
    with pytest.raises(LandmarksError, match="is exported for retrieval"):
        open_source(checkpoints("ArcMargin"), categories=categories)


class Own(nn.Module):
    """Somebody's network."""

    def __init__(self, pretrained: bool = False) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.dim = 8


def test_a_network_of_ones_own_is_refused(
    checkpoints: Checkpoints, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = torch.load(checkpoints("Softmax"), weights_only=True)
    target = f"{Own.__module__}.{Own.__qualname__}"
    found["landmarks"]["config"]["model"] = {"_target_": target}
    loss = {name: value for name, value in found["state_dict"].items() if name.startswith("loss.")}
    found["state_dict"] = loss | {f"model.{name}": value for name, value in Own().state_dict().items()}
    torch.save(found, tmp_path / "own.ckpt")
    (tmp_path / "conf" / "model").mkdir(parents=True)
    (tmp_path / "conf" / "model" / "own.yaml").write_text(f"_target_: {target}\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("landmarks.models.checkpoints.instantiate", lambda node, **_: _made(node))
    with pytest.raises(LandmarksError, match=r"own\.ckpt: its network is your own \(Own\)"):
        open_source(tmp_path / "own.ckpt")


def _made(node: object) -> object:
    """pytest imports this file under a name that Hydra cannot import again."""
    from landmarks.losses.softmax import Softmax

    return Own() if "Own" in str(node) else Softmax
