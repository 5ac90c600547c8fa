"""No network is used here: the hub's address is a closed port of this machine, and a cache is made by hand."""

from pathlib import Path

import huggingface_hub
import pytest
import timm
import torch
from safetensors.torch import save_file

from landmarks.errors import LandmarksError
from landmarks.models import create_pretrained, downloads

RESNET = "models--timm--resnet18d.ra2_in1k"


@pytest.fixture(autouse=True)
def unreachable_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(downloads, "HfApi", lambda: huggingface_hub.HfApi(endpoint="http://127.0.0.1:9"))
    return tmp_path


def test_without_a_network_the_error_says_how_to_go_on() -> None:
    with pytest.raises(LandmarksError) as caught:
        create_pretrained("resnet18d")
    message = str(caught.value)
    for part in ("resnet18d.ra2_in1k", "model.pretrained=false", "model.pretrained=PATH", "HF_HOME"):
        assert part in message
    assert "\n" not in message


def test_weights_in_the_cache_need_no_network(unreachable_hub: Path) -> None:
    torch.manual_seed(1)
    weights = timm.create_model("resnet18d").state_dict()
    folder = unreachable_hub / RESNET / "snapshots" / "abc"
    folder.mkdir(parents=True)
    save_file(weights, folder / "model.safetensors")
    refs = unreachable_hub / RESNET / "refs"
    refs.mkdir()
    (refs / "main").write_text("abc")
    network = create_pretrained("resnet18d").state_dict()
    assert set(weights) - set(network) == {"fc.weight", "fc.bias"}
    assert all(torch.equal(value, weights[name]) for name, value in network.items())


def test_networks_without_weights_are_named() -> None:
    with pytest.raises(LandmarksError, match=r"no pretrained weights for resnet200\..*model\.pretrained=false"):
        create_pretrained("resnet200")
