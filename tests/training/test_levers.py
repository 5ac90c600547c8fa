"""Levers: what each does to a run, and what it refuses."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from omegaconf import DictConfig
from torch import Tensor, nn
from torch.utils.data import DataLoader

from landmarks.config import ConfigError, TrainSettings, check_config
from landmarks.errors import LandmarksError
from landmarks.losses import ArcMargin, NPairs
from landmarks.models import open_checkpoint, open_model
from landmarks.training import (
    BatchSeed,
    Freeze,
    LandmarkModule,
    Mixup,
    ProgressiveMargin,
    ProgressiveResolution,
    WeightAverage,
    cosine,
    train_job,
)
from ranks import run_ranks

Compose = Callable[..., DictConfig]
BATCHES = 6


class Net(nn.Module):
    """A network of two parts, with batch norm and an integer buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.dim = 4
        self.backbone = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
        self.fc = nn.Linear(4, 4)
        self.register_buffer("places", torch.arange(1000))

    def forward(self, images: Tensor) -> Tensor:
        return self.fc(self.backbone(images).mean(dim=(2, 3)))


def batches(rank: int = 0) -> list[dict[str, Any]]:
    random = torch.Generator().manual_seed(rank)
    return [
        {
            "image": torch.randint(0, 256, (8, 3, 8, 8), dtype=torch.uint8, generator=random),
            "landmark": torch.randint(0, 5, (8,), generator=random),
        }
        for _ in range(BATCHES)
    ]


def module(loss: nn.Module | None = None, lr: float = 0.1) -> LandmarkModule:
    torch.manual_seed(0)
    return LandmarkModule(Net(), loss or ArcMargin(5, 4), partial(torch.optim.SGD, lr=lr), cosine)


class Notes(pl.Callback):
    """Keeps what stood in the module at each step and each evaluation."""

    def __init__(self, look: Callable[[LandmarkModule], Any]) -> None:
        self.look = look
        self.seen: list[Any] = []
        self.evaluated: list[Any] = []

    def on_train_batch_end(self, trainer: Any, pl_module: LandmarkModule, *rest: Any) -> None:
        self.seen.append(self.look(pl_module))

    def on_validation_epoch_start(self, trainer: Any, pl_module: LandmarkModule) -> None:
        self.evaluated.append(self.look(pl_module))

    on_validation_epoch_end = on_validation_epoch_start


def fit(
    trained: LandmarkModule, *callbacks: pl.Callback, data: list[dict[str, Any]] | None = None, **options: Any
) -> pl.Trainer:
    trainer = pl.Trainer(
        accelerator="cpu", callbacks=list(callbacks), logger=False, enable_progress_bar=False,
        enable_model_summary=False, enable_checkpointing=False, num_sanity_val_steps=0,
        **{"max_epochs": 2, "use_distributed_sampler": False, **options},
    )  # fmt: skip
    evaluated = [{"groups": [{"images": [batches()[0]["image"]], "row": torch.arange(8)}], "unreadable": []}]
    loaders = (DataLoader(one, batch_size=None) for one in (data or batches(), evaluated))
    trainer.fit(trained, *loaders)
    return trainer


def weights(trained: LandmarkModule) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in trained.state_dict().items()}


def test_the_average_is_what_is_evaluated_and_what_training_ends_with() -> None:
    steps, trained = Notes(weights), module()
    fit(trained, WeightAverage(0.7), steps)
    averages = [steps.seen[0]]
    for number, now in enumerate(steps.seen[1:], 1):
        kept = min(0.7, (1 + number) / (10 + number))
        averages.append({
            name: kept * averages[-1][name] + (1 - kept) * value if value.is_floating_point() else value
            for name, value in now.items()
        })  # fmt: skip
    evaluated = [averages[BATCHES - 1]] * 2 + [averages[-1]] * 2  # before the first image and after the last
    for found, expected in zip([*steps.evaluated, weights(trained)], [*evaluated, averages[-1]], strict=True):
        for name, value in expected.items():
            assert torch.allclose(found[name], value, atol=1e-5), name
    assert trained.model.places.tolist() == list(range(1000))  # integers averaged as floats would be cut off
    assert not torch.allclose(steps.seen[-1]["model.fc.weight"], averages[-1]["model.fc.weight"], atol=1e-4)


def test_later_evaluations_of_other_weights_do_not_see_the_average() -> None:
    trained, steps = module(), Notes(weights)
    trainer = fit(trained, WeightAverage(), steps)
    nn.init.zeros_(trained.model.fc.weight)
    steps.evaluated.clear()
    evaluated = {"groups": [{"images": [batches()[0]["image"]], "row": torch.arange(8)}], "unreadable": []}
    trainer.validate(trained, DataLoader([evaluated], batch_size=None), verbose=False)
    assert all(not seen["model.fc.weight"].any() for seen in steps.evaluated)


def test_frozen_parts_are_released_when_they_are_due() -> None:
    watch = Notes(lambda one: (one.model.backbone[0].weight.clone(), one.model.backbone[1].running_mean.clone(),
                               one.model.fc.weight.clone()))  # fmt: skip
    trained = module()
    before = trained.model.backbone[0].weight.clone()
    fit(trained, Freeze({"backbone": 0.5}), watch)
    convolutions, means, layers = zip(*watch.seen, strict=True)
    assert all(torch.equal(one, before) for one in convolutions[:BATCHES])
    assert not any(mean.any() for mean in means[:BATCHES])  # statistics as they were made
    assert all(
        not torch.equal(a, b) for a, b in zip(convolutions[BATCHES - 1 :], convolutions[BATCHES:-1], strict=False)
    )
    assert means[-1].any() and not torch.equal(layers[0], layers[1])
    assert all(parameter.requires_grad for parameter in trained.parameters())


def test_norms_keep_their_statistics_and_learn() -> None:
    trained = module()
    fit(trained, Freeze(norms=True))
    norm = trained.model.backbone[1]
    assert norm.running_mean.tolist() == [0.0] * 4 and norm.running_var.tolist() == [1.0] * 4
    assert not torch.equal(norm.weight, torch.ones(4))


def test_two_processes_train_what_is_released_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def work(rank: int) -> Any:
        from pytorch_lightning.plugins.environments import TorchElasticEnvironment

        for name, value in {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2,
                            "GROUP_RANK": 0, "TORCHELASTIC_RUN_ID": "x"}.items():  # fmt: skip
            monkeypatch.setenv(name, str(value))
        halves = [{name: value[rank::2] for name, value in batch.items()} for batch in batches()]
        trained = module()
        strategy = pl.strategies.DDPStrategy(cluster_environment=TorchElasticEnvironment())
        fit(trained, Freeze({"backbone": 0.5}, norms=True), data=halves, devices=2, strategy=strategy)
        return {name: value.flatten().tolist() for name, value in trained.named_parameters()}

    first, second = run_ranks(work, tmp_path)
    assert first == second
    alone = module()
    fit(alone, Freeze({"backbone": 0.5}, norms=True))
    for name, value in alone.named_parameters():
        assert first[name] == pytest.approx(value.flatten().tolist(), abs=1e-5), name


@pytest.mark.parametrize(
    ("lever", "message"),
    [
        (lambda: Freeze({"backbone": 2.0}), r"levers\.freeze\.until"),
        (lambda: WeightAverage(1.0), r"levers\.ema\.decay"),
        (lambda: Mixup(0, 0.0), r"levers\.mixup\.alpha"),
        (lambda: ProgressiveMargin(until=0.0), r"levers\.margin\.until"),
        (lambda: ProgressiveResolution(start=1.5), r"levers\.resolution\.start"),
    ],
)
def test_values_out_of_range_name_their_key(lever: Callable[[], object], message: str) -> None:
    with pytest.raises(LandmarksError, match=message):
        lever()


@pytest.mark.parametrize(
    ("lever", "loss", "message"),
    [
        (Freeze({"backbon": 0.1}), None, "no part backbon.*backbone, fc"),
        (Freeze({"": 0.1}), NPairs(5, 4), "nothing is left to train"),
        (Mixup(0), NPairs(5, 4), r"levers\.mixup: needs a loss with class weights"),
        (ProgressiveMargin(), NPairs(5, 4), r"levers\.margin: this loss has no single margin"),
        (ProgressiveMargin(start=0.5), None, r"levers\.margin\.start: 0\.5 must lie"),
        (ProgressiveResolution(), None, r"levers\.resolution: a detector"),
    ],
)
def test_what_does_not_fit_is_refused(lever: pl.Callback, loss: nn.Module | None, message: str) -> None:
    with pytest.raises(LandmarksError, match=message):
        fit(module(loss), lever)


def test_the_margin_rises_to_that_of_the_loss() -> None:
    watch, trained = Notes(lambda one: one.loss.margin), module(ArcMargin(5, 4, margin=0.3))
    fit(trained, ProgressiveMargin(start=0.06, until=0.5), watch)
    assert watch.seen == pytest.approx([0.06 + 0.04 * step for step in range(6)] + [0.3] * 6)
    assert trained.loss.margin == 0.3


def test_mixup_blends_images_and_losses() -> None:
    batch = {name: value.clone() for name, value in batches()[0].items()}
    before = {name: value.clone() for name, value in batch.items()}
    lever, trainer = Mixup(seed=3, alpha=1.0), pl.Trainer(accelerator="cpu", logger=False)
    trained = module()
    lever.on_train_batch_start(trainer, trained, batch, 2)
    share = batch["share"]
    assert 0 < share < 1 and sorted(batch["mixed_with"].tolist()) == sorted(before["landmark"].tolist())
    partner = [
        next(j for j in range(8) if np.allclose(
            (share * before["image"][i].double() + (1 - share) * before["image"][j].double()).round(),
            batch["image"][i].double(), atol=1))
        for i in range(8)
    ]  # fmt: skip
    assert sorted(partner) == list(range(8)) and before["landmark"][partner].tolist() == batch["mixed_with"].tolist()
    trained.log = lambda *args, **options: None  # type: ignore[method-assign]
    trained.eval()
    descriptors = trained(batch["image"])
    expected = share * trained.loss(descriptors, batch["landmark"]) + (1 - share) * trained.loss(
        descriptors, batch["mixed_with"]
    )
    assert trained.training_step(batch, 0).item() == pytest.approx(expected.item(), rel=1e-5)
    again = {name: value.clone() for name, value in before.items()}
    lever.on_train_batch_start(trainer, trained, again, 2)
    assert torch.equal(again["image"], batch["image"])  # a resumed run mixes alike


@pytest.mark.parametrize(("accumulated", "steps"), [(1, 6), (4, 2), (6, 1)])
def test_schedules_count_steps_of_the_optimizer(accumulated: int, steps: int) -> None:
    """Six batches in groups of four are two steps an epoch, the second of two batches."""
    rates, trained = Notes(lambda one: one.optimizers().param_groups[0]["lr"]), module()
    trainer = fit(trained, rates, accumulate_grad_batches=accumulated)
    assert trainer.global_step == 2 * steps == trainer.estimated_stepping_batches
    expected = cosine(torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1), 2 * steps)
    for _ in range(2 * steps):
        expected.optimizer.step()
        expected.step()
    assert trained.lr_schedulers().last_epoch == 2 * steps
    assert trained.optimizers().param_groups[0]["lr"] == pytest.approx(expected.get_last_lr()[0], abs=1e-12)


def test_a_run_with_levers_leaves_the_average_as_its_checkpoint(
    compose_config: Compose, tiny_run: list[str], tmp_path: Path
) -> None:
    levers = ["levers=[ema,resolution,margin,mixup]", "levers.ema.decay=0.9", "sampler=balanced", "loss.margin=0.2"]
    config = compose_config("train", *tiny_run, *levers, "evaluate_untrained=false", run_dir=tmp_path)
    check_config(config, TrainSettings)
    value = train_job(config)
    found = open_checkpoint(tmp_path / "checkpoints" / "best.ckpt")
    assert found["averaging_state"]["n_averaged"] > 5 and value is not None
    opened = open_model(tmp_path / "checkpoints" / "best.ckpt").network.state_dict()
    name = next(name for name, one in opened.items() if one.is_floating_point() and one.ndim > 1)
    assert torch.equal(opened[name], found["state_dict"][f"model.{name}"])
    assert not torch.equal(opened[name], found["current_model_state"][f"model.{name}"])


def test_a_misspelt_key_of_a_lever_is_an_error(compose_config: Compose, tmp_path: Path) -> None:
    config = compose_config("train", "levers=[ema]", "+levers.ema.decai=0.9", run_dir=tmp_path)
    with pytest.raises(ConfigError, match=r"levers\.ema\.decai: WeightAverage has no such key; did you mean 'decay'"):
        check_config(config, TrainSettings)


def test_seeds_of_batches_do_not_depend_on_levers() -> None:
    draws = []
    for levers in ([], [Mixup(0)]):
        watch = Notes(lambda one: torch.rand(1).item())
        fit(module(), *levers, BatchSeed(0), watch)
        draws.append(watch.seen)
    assert draws[0] == draws[1]
