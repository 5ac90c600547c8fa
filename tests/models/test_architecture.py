"""Networks as plain values: what can be asked for, and what is refused."""

from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

from landmarks.errors import LandmarksError
from landmarks.losses import ClassHead
from landmarks.models import build_head, build_loss, build_network, plain_loss, plain_network

CONF = Path(__file__).resolve().parents[2] / "conf"


@pytest.mark.parametrize("path", sorted((CONF / "model").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_model_is_plain_and_can_be_built(path: Path) -> None:
    node = OmegaConf.load(path)
    if OmegaConf.is_missing(node, "name"):
        node.name = "test_resnet"
    plain = plain_network(node)
    assert plain is not None and not any(key.startswith("_") for key in plain) and "checkpointing" not in plain
    more = {"num_classes": 2} if plain["network"] == "faster_rcnn" else {}
    with torch.device("meta"):
        net = build_network(plain, **more)
    assert not net.training and next(net.parameters()).is_meta


@pytest.mark.parametrize("path", sorted((CONF / "loss").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_loss_is_plain_and_can_be_built(path: Path) -> None:
    plain = plain_loss(OmegaConf.load(path))
    assert plain is not None
    loss = build_loss(plain, 5, 4)
    assert (build_head(plain, 5, 4) is None) == (not isinstance(loss, ClassHead))


def test_a_detector_on_pretrained_weights_keeps_its_batch_norm_without_looking_for_the_file() -> None:
    node = OmegaConf.load(CONF / "model" / "faster_rcnn_small.yaml")
    node.pretrained = "gone.pth"
    plain = plain_network(node)
    assert plain is not None and plain["pretrained"] is True
    names = {type(module).__name__ for module in build_network(plain, num_classes=1).modules()}
    assert "FrozenBatchNorm2d" in names


def test_networks_of_others_are_not_plain() -> None:
    for node in ({"_target_": "os.system", "command": "true"}, {}, {"_target_": "landmarks.models.build.Path"}):
        with pytest.raises(LandmarksError, match="which is none of our networks"):
            plain_network(node)
    with pytest.raises(LandmarksError, match=r"asks to call torch\.nn\.CrossEntropyLoss"):
        plain_loss({"_target_": "torch.nn.CrossEntropyLoss"})


@pytest.mark.parametrize(
    ("plain", "message"),
    [
        ({"network": "os.system"}, r"asks to call os\.system, which is none .*released_net"),
        ({}, "asks to call None"),
        ({"network": "released_net", "backbone": "res18"}, "backbone: 'res18' will not do: it should be 'res152'"),
        ({"network": "released_net"}, "backbone: missing"),
        ({"network": "released_net", "backbone": "res152", "depth": 3}, "depth: released_net has no such key"),
        ({"network": "timm_net", "name": "test_resnet", "dim": "wide"}, "dim: .*integer"),
        ({"network": "timm_net", "name": "test_resnet", "dim": 0}, "dim is the length of the descriptor"),
        ({"network": "timm_net", "name": "hf-hub:somebody/net"}, "timm has no such network"),
    ],
)
def test_what_cannot_be_is_named(plain: dict[str, Any], message: str) -> None:
    with pytest.raises(LandmarksError, match=message):
        build_network(plain)


def test_weights_are_never_fetched_for_a_file() -> None:
    plain = {"network": "timm_net", "name": "test_resnet", "pretrained": "somewhere.safetensors", "dim": 8}
    assert build_network(plain).dim == 8


def test_a_loss_that_cannot_be_is_named() -> None:
    with pytest.raises(LandmarksError, match="scale is above 0"):
        build_loss({"loss": "ArcMargin", "scale": -1.0}, 3, 2)
    with pytest.raises(LandmarksError, match="asks to call Hinge"):
        build_head({"loss": "Hinge"}, 3, 2)
