"""Which sizes networks take is known before any work, and the nearest are named."""

import pytest
import torch

from landmarks.errors import LandmarksError
from landmarks.models import DescriptorNet, published_net, require_size, timm_net


@pytest.fixture(scope="module")
def networks() -> dict[str, DescriptorNet]:
    names = ("resnet18", "vit_tiny_patch16_224", "eva02_tiny_patch14_224", "mixer_s16_224", "maxvit_pico_rw_256")
    return {name: timm_net(name, dim=8) for name in names} | {"inceptionv4": published_net("inceptionv4", dim=8)}


@pytest.mark.parametrize(
    ("name", "shape", "near"),
    [
        ("resnet18", (500, 500), None),
        ("resnet18", (72, 97), None),
        ("inceptionv4", (500, 500), None),
        ("inceptionv4", (64, 64), "96 x 96"),
        ("vit_tiny_patch16_224", (496, 512), None),
        ("vit_tiny_patch16_224", (500, 500), "multiples of 16.*: 496 x 496 or 512 x 512"),
        ("eva02_tiny_patch14_224", (500, 500), "multiples of 14.*: 490 x 490 or 504 x 504"),
        ("eva02_tiny_patch14_224", (5, 5), "multiples of 14.*: 14 x 14"),
        ("mixer_s16_224", (224, 224), None),
        ("mixer_s16_224", (500, 500), "takes: 224 x 224"),
        ("mixer_s16_224", (224, 288), "takes: 224 x 224 .*mode=square"),
        ("maxvit_pico_rw_256", (500, 500), "256 x 256 or 512 x 512"),
    ],
)
def test_sizes_are_taken_or_the_nearest_are_named(
    networks: dict[str, DescriptorNet], name: str, shape: tuple[int, int], near: str | None
) -> None:
    net = networks[name].train()
    if near is None:
        require_size(net, "data.image_size=0", shape)
        with torch.inference_mode():
            assert net.eval()(torch.zeros(1, 3, *shape)).shape == (1, 8), "it does take them"
    else:
        with pytest.raises(LandmarksError, match=rf"data\.image_size=0: .* {shape[0]} x {shape[1]} pixels.*{near}"):
            require_size(net, "data.image_size=0", shape)
        assert net.training


def test_a_network_that_cannot_be_run_without_data_is_left_alone() -> None:
    class Odd(torch.nn.Module):
        num_features = 3

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images * float(images.sum())

    require_size(DescriptorNet(Odd(), torch.nn.Flatten(), None), "data.image_size=9", (9, 9))
    require_size(torch.nn.Identity(), "data.image_size=9", (9, 9))
