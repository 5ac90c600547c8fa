import timm
import torch

from landmarks.models import resnet152_vd, resnet200_vd, se_resnext152_vd


def blocks(network: torch.nn.Module) -> list[int]:
    return [len(getattr(network, f"layer{i}")) for i in range(1, 5)]


def test_depths_and_widths() -> None:
    with torch.device("meta"):
        networks = resnet152_vd(), resnet200_vd(), se_resnext152_vd()
    assert [blocks(n) for n in networks] == [[3, 8, 36, 3], [3, 12, 48, 3], [3, 8, 36, 3]]
    assert [n.num_features for n in networks] == [2048] * 3
    images = torch.empty(2, 3, 64, 96, device="meta")
    assert [list(n(images).shape) for n in networks] == [[2, 2048, 2, 3]] * 3


def test_the_152_layers_are_those_of_timm() -> None:
    ours, theirs = resnet152_vd().eval(), timm.create_model("resnet152d", num_classes=0, global_pool="").eval()
    ours.load_state_dict(theirs.state_dict())
    images = torch.randn(1, 3, 64, 96)
    with torch.inference_mode():
        assert torch.equal(ours(images), theirs(images))


def test_two_hundred_layers_start_trainable() -> None:
    torch.manual_seed(0)
    network = resnet200_vd()
    features = network(torch.randn(2, 3, 64, 64))
    assert 0.01 < features.std() < 100  # neither vanished nor exploded on the way
    features.square().mean().backward()
    slopes = [network.conv1[0].weight.grad.norm(), network.layer4[2].bn3.weight.grad.norm()]
    assert all(slope.isfinite() and slope > 1e-6 for slope in slopes)
    assert all(not block.bn3.weight.any() for block in network.layer3)
