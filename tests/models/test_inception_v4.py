import timm
import torch

from landmarks.models import InceptionV4


def test_size_of_the_map_and_number_of_parameters() -> None:
    with torch.device("meta"):
        ours, usual = InceptionV4(), timm.create_model("inception_v4", num_classes=0)
    assert sum(p.numel() for p in ours.parameters()) == sum(p.numel() for p in usual.parameters())
    assert ours.num_features == 1536
    for height, width in ((96, 128), (544, 768)):
        shape = ours(torch.empty(1, 3, height, width, device="meta")).shape
        assert list(shape) == [1, 1536, height // 32 - 2, width // 32 - 2]


def test_starts_trainable() -> None:
    torch.manual_seed(0)
    network = InceptionV4()
    features = network(torch.randn(2, 3, 128, 128))
    assert 0.01 < features.std() < 100
    features.square().mean().backward()
    assert network.stem[0].conv.weight.grad.norm() > 1e-6
