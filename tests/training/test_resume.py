"""Interrupted and resumed runs see the remaining images and end with bit-identical weights."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig
from torch import Tensor

from landmarks.errors import LandmarksError
from landmarks.models import open_checkpoint
from landmarks.training import (
    BatchSeed,
    ConfiguredOptimizer,
    LandmarkModule,
    LastCheckpoint,
    LastEvaluation,
    WholeFiles,
)

Compose = Callable[..., DictConfig]
Seen = tuple[int, list[int], int]  # epoch, rows, sum over all pixels


class CutOffError(Exception):
    """Stands for a power failure."""


class Watch(pl.Callback):
    """Notes what each batch shows, and cuts the run off after some, or during an evaluation, counted from 1."""

    def __init__(self, batches: int | None = None, evaluation: int | None = None) -> None:
        self.batches = batches
        self.evaluation = evaluation
        self.seen: list[Seen] = []
        self.evaluated: list[int] = []  # after how many steps

    def on_validation_batch_end(self, *args: Any) -> None:
        if self.evaluation == len(self.evaluated) + 1:
            raise CutOffError

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        self.evaluated.append(trainer.global_step)

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.seen.append((trainer.current_epoch, batch["row"].tolist(), int(batch["image"].sum())))
        if len(self.seen) == self.batches:
            raise CutOffError


class Run:
    """Training as `train` does it, without the evaluation."""

    def __init__(self, config: DictConfig, path: Path, minutes: float, **options: Any) -> None:
        self.config, self.path, self.minutes, self.options = config, path, minutes, options

    def fit(self, cut_off: int | None = None, resume: bool = False) -> tuple[list[Seen], dict[str, Tensor]]:
        watch, weights = self.watched(Watch(cut_off), resume)
        return watch.seen, weights

    def watched(self, watch: Watch, resume: bool = False) -> tuple[Watch, dict[str, Tensor]]:
        pl.seed_everything(0, verbose=False)
        make_loss = instantiate(self.config.loss)
        data = instantiate(self.config.data, pairs=make_loss.func.needs_pairs)
        data.setup("fit")
        module = LandmarkModule(
            instantiate(self.config.model, dropout=0.2),
            make_loss(num_landmarks=data.num_landmarks, dim=32),
            instantiate(self.config.optimizer),
            instantiate(self.config.scheduler),
            parameters=instantiate(self.config.parameters),
        )
        trainer = pl.Trainer(
            accelerator="cpu",
            logger=False,
            callbacks=[
                *map(instantiate, self.config.get("levers", {}).values()),
                BatchSeed(0),
                watch,
                *([ConfiguredOptimizer()] if resume else []),
                LastEvaluation(),
                LastCheckpoint(self.path, self.minutes),
            ],
            plugins=[WholeFiles()],
            num_sanity_val_steps=0,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
            **{"limit_val_batches": 1, **self.options},
        )
        with suppress(CutOffError):
            trainer.fit(module, data, ckpt_path=self.path if resume else None, weights_only=True)
        return watch, {name: value.clone() for name, value in module.state_dict().items()}


@pytest.fixture
def make_run(compose_config: Compose, tiny_run: list[str], tmp_path: Path) -> Callable[..., Run]:
    def make(*overrides: str, minutes: float = 0.0, **options: Any) -> Run:
        small = ["data.image_size=32", "data.batch_size=12", "data.eval_batch_size=2", *overrides]
        config = compose_config("train", *tiny_run, *small, run_dir=tmp_path)
        return Run(config, tmp_path / "last.ckpt", minutes, **options)

    return make


@pytest.mark.parametrize(
    ("overrides", "options", "cut_off", "lost"),
    [
        ([], {"max_epochs": 2}, 5, 1),
        (["data.num_workers=2"], {"max_epochs": 2, "limit_val_batches": 0}, 10, 1),
        (["loss=npairs", "data.num_workers=2"], {"max_epochs": 1}, 4, 1),
        (["loss=pml", "loss.loss=ContrastiveLoss", "loss.memory=40"], {"max_epochs": 1}, 4, 1),
        (["sampler=balanced"], {"max_epochs": 2, "check_val_every_n_epoch": 2}, 11, 1),
        ([], {"max_epochs": 2, "accumulate_grad_batches": 3}, 6, 3),
        ([], {"max_epochs": 2, "val_check_interval": 3}, 4, 1),
        ([], {"max_steps": 12, "check_val_every_n_epoch": None, "val_check_interval": 5}, 11, 1),
        ([], {"max_steps": 12, "check_val_every_n_epoch": 2}, 8, 1),  # first batch of the second epoch
        (
            ["levers=[ema,freeze,frozen_norms,mixup]", "levers.freeze.until={backbone: 0.7}", "sampler=balanced"],
            {"max_epochs": 2, "accumulate_grad_batches": 2},
            9,
            2,
        ),
        (
            [
                "levers=[resolution,margin]",
                "levers.resolution.until=1",
                "data.num_workers=2",
                "parameters.head_rate=3",
                "data.image_size=64",
                "scheduler=onecycle",
                "parameters.layer_decay=0.5",
                "parameters.decay_norms=false",
            ],
            {"max_epochs": 2},
            5,  # while images are small
            1,
        ),
    ],
    ids=lambda value: str(value).replace("data.", ""),
)
def test_a_run_cut_off_within_an_epoch(
    make_run: Callable[..., Run], overrides: list[str], options: dict[str, Any], cut_off: int, lost: int
) -> None:
    run = make_run(*overrides, **options)
    whole, weights = run.fit()
    before, _ = run.fit(cut_off=cut_off)
    after, resumed = run.fit(resume=True)
    assert before == whole[:cut_off]
    assert after == whole[cut_off - lost :]
    assert all(torch.equal(weights[name], resumed[name]) for name in weights)


@pytest.mark.parametrize(
    ("options", "number"),
    [
        ({"max_epochs": 2}, 1),
        ({"max_epochs": 2, "val_check_interval": 3}, 1),
        ({"max_epochs": 2, "val_check_interval": 3}, 2),
        ({"max_epochs": 3, "check_val_every_n_epoch": 2}, 2),  # that of the last step, which has no turn
        ({"max_steps": 9, "check_val_every_n_epoch": 2}, 1),
        ({"max_steps": 9, "check_val_every_n_epoch": None, "val_check_interval": 4}, 2),
    ],
    ids=str,
)
def test_an_evaluation_that_was_cut_off_is_repeated_and_nothing_else(
    make_run: Callable[..., Run], options: dict[str, Any], number: int, caplog: pytest.LogCaptureFixture
) -> None:
    run = make_run(minutes=1e9, **options)
    whole, weights = run.watched(Watch())
    before, _ = run.watched(Watch(evaluation=number))
    assert before.evaluated == whole.evaluated[: number - 1]
    again, _ = run.watched(Watch(evaluation=1), resume=True)  # once more, right away
    assert (again.seen, again.evaluated) == ([], [])
    after, resumed = run.watched(Watch(), resume=True)
    assert before.seen + after.seen == whole.seen
    assert before.evaluated + after.evaluated == whole.evaluated
    assert "learning rate" not in caplog.text
    assert all(torch.equal(weights[name], resumed[name]) for name in weights)


def test_a_run_goes_on_from_its_last_evaluation_and_does_not_repeat_it(make_run: Callable[..., Run]) -> None:
    run = make_run(minutes=1e9, max_epochs=2, val_check_interval=3)
    whole, _ = run.fit()
    run.fit(cut_off=6)  # in the last batch before the second evaluation
    after, _ = run.fit(resume=True)
    assert after == whole[3:]


@pytest.mark.parametrize("first", [{"max_epochs": 1}, {"max_steps": 5}, {"max_steps": 7}])
def test_a_finished_run_can_be_made_longer(make_run: Callable[..., Run], first: dict[str, int]) -> None:
    longer = {name: 2 * value for name, value in first.items()}
    whole, _ = make_run("scheduler=step", check_val_every_n_epoch=2, **longer).fit()
    before, _ = make_run("scheduler=step", minutes=1e9, check_val_every_n_epoch=2, **first).fit()
    after, _ = make_run("scheduler=step", check_val_every_n_epoch=2, **longer).fit(resume=True)
    assert before + after == whole


def test_a_schedule_that_a_longer_run_stretches_is_said(
    make_run: Callable[..., Run], caplog: pytest.LogCaptureFixture
) -> None:
    make_run("scheduler.warmup=0", max_steps=3).fit()
    make_run("scheduler.warmup=0", max_steps=6).fit(resume=True)
    assert "The learning rate goes on at 0.5 of its full value, and stood at 0:" in caplog.text
    assert "the whole run, which has now 6 steps" in caplog.text


def test_other_batches_in_the_middle_of_an_epoch_are_refused(make_run: Callable[..., Run]) -> None:
    run = make_run(max_epochs=1)
    run.fit(cut_off=4)
    place = open_checkpoint(run.path)["LandmarkDataModule"]["train_loader"]  # plain values, as everything in it
    assert (place["epoch"], place["batches"]) == (0, 3)
    with pytest.raises(LandmarksError, match=r"data\.batch_size: was 12, is 16"):
        make_run("data.batch_size=16", max_epochs=1).fit(resume=True)
