"""Every file in `conf/model` and `conf/loss` builds what it says."""

from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from landmarks.errors import LandmarksError
from landmarks.models import AveragePool, DescriptorNet, GeM, released_net

CONF = Path(__file__).resolve().parents[2] / "conf"
MODELS = sorted(path.stem for path in (CONF / "model").glob("*.yaml") if not path.stem.startswith("faster_rcnn"))
LOSSES = sorted(path.stem for path in (CONF / "loss").glob("*.yaml"))


def build(*overrides: str) -> DescriptorNet:
    with initialize_config_dir(str(CONF / "model"), version_base=None):
        group, *options = overrides
        config = compose(group, [o.removeprefix("model.") for o in options])
    net = instantiate(config)
    assert isinstance(net, DescriptorNet)
    return net


def test_the_files() -> None:
    assert MODELS == ["inceptionv4", "res152", "res18", "res200", "se_x152", "timm"]
    assert LOSSES == ["arcmargin", "npairs", "softmax"]


@pytest.mark.parametrize("model", MODELS)
def test_every_model(model: str) -> None:
    name = ["model.name=mobilenetv3_small_050"] if model == "timm" else []
    net = build(model, "model.dim=24", *name).eval()
    assert isinstance(net.pooling, AveragePool)
    with torch.inference_mode():
        assert net(torch.randn(2, 3, 96, 128)).shape == (2, 24)


def test_the_options() -> None:
    net = build("res18", "model.pooling=gem", "model.batch_norm=true", "model.dropout=0.2", "model.dim=null")
    assert isinstance(net.pooling, GeM) and net.dim == 512
    assert isinstance(net.batch_norm, torch.nn.BatchNorm1d) and net.dropout.p == 0.2
    assert build("res18").dim == 512


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss(loss: str) -> None:
    with initialize_config_dir(str(CONF / "loss"), version_base=None):
        module = instantiate(compose(loss))(num_landmarks=10, dim=4)
    assert module.needs_pairs == (loss == "npairs")
    value = module(torch.randn(4, 4), torch.tensor([3, 3, 9, 9]))
    assert value.shape == () and value.isfinite()


@pytest.mark.parametrize("backbone", ["res200", "se_x152", "inceptionv4"])
def test_backbones_without_imagenet_weights_say_so(backbone: str) -> None:
    with pytest.raises(LandmarksError, match=rf"no ImageNet weights for {backbone}.*model\.pretrained=false"):
        released_net(backbone, pretrained=True)


def test_imagenet_weights_of_the_152_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    import timm

    source = timm.create_model("resnet152d", num_classes=0)
    monkeypatch.setattr("landmarks.models.build.create_pretrained", {"resnet152d": source}.__getitem__)
    net = released_net("res152", pretrained=True)
    ours = net.backbone.state_dict()
    assert all(torch.equal(ours[name], value) for name, value in source.state_dict().items())


def test_a_file_fills_the_network(tmp_path: Path) -> None:
    source = build("res18", "model.dim=8")
    path = tmp_path / "net.pt"
    torch.save(source.state_dict(), path)
    net = build("res18", "model.dim=8", f"model.pretrained={path}")
    assert torch.equal(net.fc.weight, source.fc.weight)
