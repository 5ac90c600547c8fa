"""The Lightning module: shapes, names in checkpoints, and what is optimised."""

from functools import partial

import pytest
import pytorch_lightning as pl
import torch
import torch.nn.functional as F  # noqa: N812 - the name its users know
from torch import nn

from landmarks.errors import LandmarksError
from landmarks.extraction import DescriptorModule, Extraction
from landmarks.losses import ArcMargin
from landmarks.models import DescriptorNet, normalize
from landmarks.training import LandmarkModule, TrainedModule, cosine


class Grid(nn.Module):
    """A backbone that averages patches of 32 x 32 pixels."""

    num_features = 4

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Conv2d(3, 4, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.mix(F.avg_pool2d(images, 32))


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


def test_images_are_normalised_before_the_network() -> None:
    images = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8)
    net = Net()
    assert torch.allclose(DescriptorModule(net)(images), net(normalize(images)), atol=1e-6)


def images(*shape: int) -> torch.Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(sum(shape)))


def test_validation_gives_rows_beside_descriptors_for_each_shape() -> None:
    groups = [
        {"images": [images(2, 3, 8, 8)], "row": torch.tensor([4, 7])},
        {"images": [images(1, 3, 16, 8)], "row": torch.tensor([5])},
    ]
    module = DescriptorModule(Net())
    embedded = module.validation_step({"groups": groups, "unreadable": []}, 0)["embedded"]
    assert [rows.tolist() for rows, _ in embedded] == [[4, 7], [5]]
    for group, (_, found) in zip(groups, embedded, strict=True):  # one view: bit by bit what the network gives
        assert len(found) == 1 and torch.equal(found[0], module.model(normalize(group["images"][0])))


def test_several_views_are_a_sum_of_directions() -> None:
    module = DescriptorModule(Net())
    small, large = images(2, 3, 8, 8), images(2, 3, 12, 16)
    (found,) = module.embed([small, large], Extraction(scales=(0.5, 1.0), flip=True))
    views = [module(view) for view in (small, small.flip(-1), large, large.flip(-1))]
    assert torch.allclose(found, sum(view / view.norm(dim=1, keepdim=True) for view in views), atol=1e-6)
    assert found.dtype == torch.float32
    (again,) = module.embed([small.flip(-1), large.flip(-1)], Extraction(scales=(0.5, 1.0), flip=True))
    assert torch.allclose(found, again, atol=1e-6)


def test_each_loader_has_its_own_extraction() -> None:
    net = DescriptorNet(Grid(), nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), dim=5)
    module = DescriptorModule(net).eval()
    module.extractions = [Extraction(regions=2), Extraction()]
    batch = {"groups": [{"images": [images(3, 3, 64, 96)], "row": torch.arange(3)}], "unreadable": []}
    (with_regions,), (without,) = (module.validation_step(batch, 0, i)["embedded"] for i in (0, 1))
    assert [tuple(found.shape) for found in with_regions[1]] == [(3, 5), (3, 5, 5)]
    assert torch.equal(with_regions[1][0], without[1][0]) and len(without[1]) == 1


def test_regions_of_a_mirrored_view_go_back_into_their_places() -> None:
    net = DescriptorNet(Grid(), nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), dim=5)
    module = DescriptorModule(net).eval()
    batch = images(2, 3, 96, 128)
    _, plain = module.embed([batch], Extraction(regions=2))
    _, both = module.embed([batch], Extraction(regions=2, flip=True))
    # this network sees no direction, so the mirrored view adds the same again
    assert torch.allclose(both, 2 * F.normalize(plain, dim=-1), atol=1e-5)


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


class Frozen(TrainedModule):
    def __init__(self) -> None:
        super().__init__(partial(torch.optim.SGD, lr=0.5), cosine)
        self.trained = torch.nn.Linear(2, 2)
        self.frozen = torch.nn.Linear(2, 2).requires_grad_(False)

    def training_step(self, batch: torch.Tensor, batch_idx: int) -> torch.Tensor:
        return self.trained(batch).sum()

    def configure_optimizers(self) -> object:
        self.built = super().configure_optimizers()
        return self.built


def fit(**options: object) -> Frozen:
    module = Frozen()
    trainer = pl.Trainer(accelerator="cpu", logger=False, enable_progress_bar=False, enable_checkpointing=False,
                         enable_model_summary=False, **options)  # fmt: skip
    trainer.fit(module, torch.utils.data.DataLoader(torch.ones(8, 2), batch_size=2))
    return module


def test_what_is_frozen_stays_out_and_the_schedule_spans_the_run() -> None:
    built = fit(max_epochs=3).built
    assert [len(group["params"]) for group in built["optimizer"].param_groups] == [2]
    assert built["lr_scheduler"]["interval"] == "step"
    assert built["optimizer"].param_groups[0]["lr"] == pytest.approx(0.0, abs=1e-9)  # at the end of 12 steps


def test_a_run_without_an_end_is_refused() -> None:
    with pytest.raises(LandmarksError, match=r"set trainer\.max_epochs or trainer\.max_steps"):
        fit(max_epochs=-1)
