"""Every file in `conf/model` and `conf/loss` builds its class, also from plain values; invalid values are named."""

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from landmarks.errors import LandmarksError
from landmarks.losses import ClassHead
from landmarks.models import (
    AveragePool,
    DescriptorNet,
    GeM,
    build_loss,
    build_network,
    plain_loss,
    plain_network,
    published_net,
)

CONF = Path(__file__).resolve().parents[2] / "conf"
MODELS, LOSSES = (sorted(path.stem for path in (CONF / group).glob("*.yaml")) for group in ("model", "loss"))


def node(model: str, *options: str) -> DictConfig:
    with initialize_config_dir(str(CONF / "model"), version_base=None):
        return compose(model, [f"++{o}" for o in (*(["name=test_resnet"] if model == "timm" else []), *options)])


def build(model: str, *options: str) -> DescriptorNet:
    net = instantiate(node(model, *options))
    assert isinstance(net, DescriptorNet)
    return net


def test_the_files() -> None:
    own = ["inceptionv4", "res152", "res18", "res200", "res50_local", "se_x152", "timm"]
    assert ["faster_rcnn_resnet50", "faster_rcnn_small", *own] == MODELS
    assert {"arcmargin", "npairs", "softmax"} < set(LOSSES)


@pytest.mark.parametrize("model", MODELS)
def test_every_model_is_plain_and_can_be_built(model: str) -> None:
    plain = plain_network(node(model))
    assert not any(key.startswith("_") for key in plain) and "checkpointing" not in plain
    detects = model.startswith("faster_rcnn")
    with torch.device("meta"):
        net = build_network(plain, **({"num_classes": 2} if detects else {}))
        assert not net.training and next(net.parameters()).is_meta
        if not detects:
            gem = model == "res50_local"  # which the meta device cannot compute
            net = build(model, "dim=24", *(["pooling=average"] if gem else [])).eval()
            assert isinstance(build(model, "dim=24").pooling, GeM if gem else AveragePool)
            assert net(torch.empty(2, 3, 96, 128)).shape == (2, 24)


def test_the_options() -> None:
    net = build("res18", "pooling=gem", "batch_norm=true", "dropout=0.2", "dim=null")
    assert isinstance(net.pooling, GeM) and net.dim == 512
    assert isinstance(net.batch_norm, torch.nn.BatchNorm1d) and net.dropout.p == 0.2
    assert build("res18").dim == 512


@pytest.mark.parametrize("loss", [one for one in LOSSES if one != "pml"])  # no file builds that again
def test_every_loss_is_plain_and_can_be_built(loss: str) -> None:
    config = OmegaConf.load(CONF / "loss" / f"{loss}.yaml")
    module = instantiate(config)(num_landmarks=10, dim=4)
    assert module.needs_pairs == (loss == "npairs")
    if isinstance(module, ClassHead):
        module.set_class_sizes(torch.arange(1, 11))
    value = module(torch.randn(4, 4), torch.tensor([3, 3, 9, 9]))
    assert value.shape == () and value.isfinite()
    plain = plain_loss(config)
    assert type(build_loss(plain, 5, 4)) is type(module)


@pytest.mark.parametrize("backbone", ["res200", "se_x152", "inceptionv4"])
def test_backbones_without_imagenet_weights_say_so(backbone: str) -> None:
    with pytest.raises(LandmarksError, match=rf"no ImageNet weights for {backbone}.*model\.pretrained=false"):
        published_net(backbone, pretrained=True)


def test_imagenet_weights_of_the_152_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    source = timm.create_model("resnet152d", num_classes=0)
    monkeypatch.setattr("landmarks.models.build.create_pretrained", {"resnet152d": source}.__getitem__)
    net = published_net("res152", pretrained=True)
    ours = net.backbone.state_dict()
    assert all(torch.equal(ours[name], value) for name, value in source.state_dict().items())


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
        ({"network": "os.system"}, r"asks to call os\.system, which is none .*published_net"),
        ({}, "asks to call None"),
        ({"network": "published_net", "backbone": "res18"}, "backbone: 'res18' is invalid: it should be 'res152'"),
        ({"network": "published_net"}, "backbone: missing"),
        ({"network": "published_net", "backbone": "res152", "depth": 3}, "depth: published_net has no such key"),
        ({"network": "timm_net", "name": "test_resnet", "dim": "wide"}, "dim: .*integer"),
        ({"network": "timm_net", "name": "test_resnet", "dim": 0}, "dim is the length of the descriptor"),
        ({"network": "timm_net", "name": "hf-hub:somebody/net"}, "timm has no such network"),
    ],
)
def test_invalid_architectures_are_named(plain: dict[str, Any], message: str) -> None:
    with pytest.raises(LandmarksError, match=message):
        build_network(plain)


def test_weights_are_never_fetched_for_a_file() -> None:
    plain = {"network": "timm_net", "name": "test_resnet", "pretrained": "somewhere.safetensors", "dim": 8}
    assert build_network(plain).dim == 8


def test_an_invalid_loss_is_named() -> None:
    with pytest.raises(LandmarksError, match="scale must be above 0"):
        build_loss({"loss": "ArcMargin", "scale": -1.0}, 3, 2)
    with pytest.raises(LandmarksError, match="asks to call Hinge"):
        build_loss({"loss": "Hinge"}, 3, 2)
