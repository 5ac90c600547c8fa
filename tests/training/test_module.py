"""The Lightning module: shapes, names in checkpoints, and what is optimised."""

from functools import partial

import torch
from torch import nn

from landmarks.losses.arcmargin import ArcMargin
from landmarks.models.normalize import normalize
from landmarks.training.module import DescriptorModule, LandmarkModule
from landmarks.training.schedules import cosine


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3)
        self.dim = 6

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.conv(images).mean(dim=(2, 3))


def module() -> LandmarkModule:
    return LandmarkModule(
        Net(), ArcMargin(num_landmarks=5, dim=6), partial(torch.optim.SGD, lr=0.1), cosine, record={"a": 1}
    )


def test_pictures_are_normalised_before_the_network() -> None:
    images = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8)
    net = Net()
    assert torch.allclose(DescriptorModule(net)(images), net(normalize(images)), atol=1e-6)


def test_validation_gives_rows_beside_descriptors_for_each_shape() -> None:
    groups = [
        {"image": torch.zeros(2, 3, 8, 8, dtype=torch.uint8), "row": torch.tensor([4, 7])},
        {"image": torch.zeros(1, 3, 16, 8, dtype=torch.uint8), "row": torch.tensor([5])},
    ]
    described = DescriptorModule(Net()).validation_step({"groups": groups, "unreadable": []}, 0)["described"]
    assert [rows.tolist() for rows, _ in described] == [[4, 7], [5]]
    assert [tuple(found.shape) for _, found in described] == [(2, 6), (1, 6)]


def test_head_and_network_are_optimised_and_named_apart() -> None:
    names = set(module().state_dict())
    assert {"model.conv.weight", "model.conv.bias"} < names
    assert any(name.startswith("loss.") for name in names)


def test_compiling_changes_no_name() -> None:
    plain = DescriptorModule(Net())
    compiled = DescriptorModule(Net(), compile=True)
    assert list(plain.state_dict()) == list(compiled.state_dict())


def test_the_record_goes_into_checkpoints() -> None:
    checkpoint: dict[str, object] = {}
    module().on_save_checkpoint(checkpoint)
    assert checkpoint["landmarks"] == {"a": 1}
