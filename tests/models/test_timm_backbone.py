"""Maps, channels-last maps and tokens become [B, C, H, W]; unsupported networks and missing weights are named."""

from pathlib import Path

import huggingface_hub
import pytest
import timm
import torch
from safetensors.torch import save_file

from landmarks.errors import LandmarksError
from landmarks.models import TimmBackbone, create_pretrained, timm_backbone

NATIVE = 224


@pytest.mark.parametrize(
    ("name", "grid"),
    [
        ("resnet18d", (7, 9)),
        ("mobilenetv3_small_100", (7, 9)),
        ("swin_tiny_patch4_window7_224", (7, 9)),  # [B, H, W, C]
        ("vit_tiny_patch16_224", (14, 18)),  # tokens behind a class token
        ("vit_small_patch14_reg4_dinov2", (16, 21)),  # four registers, and 288 is no multiple of 14
    ],
)
def test_every_kind_of_network_gives_a_map(name: str, grid: tuple[int, int]) -> None:
    backbone = TimmBackbone(name).eval()
    with torch.inference_mode():
        features = backbone(torch.randn(2, 3, 224, 288))
    assert features.shape == (2, backbone.num_features, *grid)


def test_tokens_keep_their_places() -> None:
    torch.manual_seed(0)
    backbone = TimmBackbone("vit_tiny_patch16_224").eval()
    image = torch.zeros(1, 3, 64, 96)
    changed = image.clone()
    changed[:, :, 16:32, 64:80] = 3.0  # the patch in row 1, column 4
    with torch.inference_mode():
        difference = (backbone(changed) - backbone(image)).norm(dim=1)[0]
    assert divmod(int(difference.argmax()), difference.shape[1]) == (1, 4)


def test_channels_last_maps_keep_their_places() -> None:
    backbone = TimmBackbone("mambaout_femto").eval()
    images = torch.randn(1, 3, 96, 160)
    with torch.inference_mode():
        features = backbone.network.forward_features(images)  # [B, H, W, C]
        assert torch.equal(backbone(images)[0, :, 2, 4], features[0, 2, 4])


def test_patches_that_do_not_divide_the_image_are_rounded_up() -> None:
    assert TimmBackbone("levit_128s").eval()(torch.zeros(1, 3, NATIVE, NATIVE)).shape == (1, 384, 4, 4)


@pytest.mark.parametrize("name", ["resnet18d", "convnext_atto", "mobilenetv3_small_100", "eva02_tiny_patch14_224"])
def test_every_trainable_weight_gets_a_gradient(name: str) -> None:
    backbone = TimmBackbone(name)
    assert backbone.training
    backbone(torch.randn(2, 3, 64, 64)).square().mean().backward()
    assert all(p.grad is not None for p in backbone.parameters() if p.requires_grad)
    assert sum(p.requires_grad for p in backbone.parameters()) > 20


def test_weights_made_for_another_input_get_it() -> None:
    images = torch.randn(1, 3, 32, 32)
    backbone = TimmBackbone("vit_tiny_patch16_224").eval()  # mean and std are 0.5
    pixels = images * torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    pixels += torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    expected = backbone.network.forward_features((pixels - 0.5) / 0.5)[:, 1:]
    torch.testing.assert_close(backbone(images).flatten(2).transpose(1, 2), expected, rtol=1e-3, atol=1e-4)
    assert not {"scale", "shift"} & set(backbone.state_dict())


def test_a_fixed_size_is_named() -> None:
    backbone = TimmBackbone("mixer_s16_224").eval()
    assert backbone(torch.zeros(1, 3, NATIVE, NATIVE)).shape == (1, 512, 14, 14)
    with pytest.raises(LandmarksError, match=r"mixer_s16_224 cannot take images of 224 x 288.*224 x 224"):
        backbone(torch.zeros(1, 3, 224, 288))


def test_networks_without_one_map_are_refused_at_once() -> None:
    with pytest.raises(LandmarksError, match=r"crossvit_tiny_240 does not give a single feature map"):
        TimmBackbone("crossvit_tiny_240")


def test_unknown_names_get_suggestions() -> None:
    with pytest.raises(LandmarksError, match=r"resnet19d: .*did you mean resnet18d"):
        TimmBackbone("resnet19d")
    with pytest.raises(LandmarksError, match=r"no such weights for resnet18; it has .*resnet18\.a1_in1k"):
        TimmBackbone("resnet18.zz")
    with pytest.raises(LandmarksError, match="no such network"):
        TimmBackbone("qqqqqqqq")


RESNET = "models--timm--resnet18d.ra2_in1k"


@pytest.fixture
def unreachable_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The hub's address is a closed port of this machine, and its cache is empty."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(timm_backbone, "HfApi", lambda: huggingface_hub.HfApi(endpoint="http://127.0.0.1:9"))
    return tmp_path


@pytest.mark.usefixtures("unreachable_hub")
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
