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
from landmarks.training import BatchSeed, LandmarkModule, LastCheckpoint, WholeFiles

Compose = Callable[..., DictConfig]
Seen = tuple[int, list[int], int]  # epoch, rows, sum over all pixels


class CutOffError(Exception):
    """Stands for a power failure."""


class Watch(pl.Callback):
    """Notes what each batch shows, and cuts the run off after some."""

    def __init__(self, batches: int | None = None) -> None:
        self.batches = batches
        self.seen: list[Seen] = []

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.seen.append((trainer.current_epoch, batch["row"].tolist(), int(batch["image"].sum())))
        if len(self.seen) == self.batches:
            raise CutOffError


class Run:
    """Training as `train` does it, without the evaluation."""

    def __init__(self, config: DictConfig, path: Path, minutes: float, **options: Any) -> None:
        self.config, self.path, self.minutes, self.options = config, path, minutes, options

    def fit(self, cut_off: int | None = None, resume: bool = False) -> tuple[list[Seen], dict[str, Tensor]]:
        pl.seed_everything(0, verbose=False)
        make_loss = instantiate(self.config.loss)
        data = instantiate(self.config.data, pairs=make_loss.func.needs_pairs)
        data.setup("fit")
        module = LandmarkModule(
            instantiate(self.config.model, dropout=0.2),
            make_loss(num_landmarks=data.num_landmarks, dim=32),
            instantiate(self.config.optimizer),
            instantiate(self.config.scheduler),
        )
        watch = Watch(cut_off)
        trainer = pl.Trainer(
            accelerator="cpu",
            logger=False,
            callbacks=[BatchSeed(0), watch, LastCheckpoint(self.path, self.minutes)],
            plugins=[WholeFiles()],
            num_sanity_val_steps=0,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
            **{"limit_val_batches": 1, **self.options},
        )
        with suppress(CutOffError):
            trainer.fit(module, data, ckpt_path=self.path if resume else None, weights_only=True)
        return watch.seen, {name: value.clone() for name, value in module.state_dict().items()}


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
        (["sampler=balanced"], {"max_epochs": 2, "check_val_every_n_epoch": 2}, 11, 1),
        ([], {"max_epochs": 2, "accumulate_grad_batches": 3}, 6, 3),
        ([], {"max_epochs": 2, "val_check_interval": 3}, 4, 1),
        ([], {"max_steps": 12, "check_val_every_n_epoch": None, "val_check_interval": 5}, 11, 1),
        ([], {"max_steps": 12, "check_val_every_n_epoch": 2}, 8, 1),  # first batch of the second epoch
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


def test_other_batches_in_the_middle_of_an_epoch_are_refused(make_run: Callable[..., Run]) -> None:
    run = make_run(max_epochs=1)
    run.fit(cut_off=4)
    place = open_checkpoint(run.path)["LandmarkDataModule"]["train_loader"]  # plain values, as everything in it
    assert (place["epoch"], place["batches"]) == (0, 3)
    with pytest.raises(LandmarksError, match=r"data\.batch_size: was 12, is 16"):
        make_run("data.batch_size=16", max_epochs=1).fit(resume=True)
