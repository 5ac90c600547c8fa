"""Settings of resumed runs: some may change, others are refused by name; a moved run keeps its best checkpoint."""

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import DictConfig

from landmarks.errors import LandmarksError
from landmarks.report import read_curves
from landmarks.training import BestCheckpoint, train

Compose = Callable[..., DictConfig]
SGD = ["optimizer=sgd", "scheduler=step", "scheduler.milestones=[]", "trainer.log_every_n_steps=1"]


@pytest.fixture(scope="module")
def moved(compose_config: Compose, tiny_run: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one epoch whose folder was moved since; its evaluation would fall on every second epoch."""
    folder = tmp_path_factory.mktemp("moved")
    overrides = [*tiny_run, *SGD, "optimizer.lr=0.001", "trainer.check_val_every_n_epoch=2"]
    train(compose_config("train", *overrides, run_dir=folder / "first"), folder / "first")
    return (folder / "first").rename(folder / "second")


def test_the_last_evaluation_counts_whatever_the_interval(moved: Path) -> None:
    best = torch.load(moved / "checkpoints" / "best.ckpt", weights_only=True)
    assert best["global_step"] == json.loads((moved / "metrics.json").read_text())["training"]["steps"]


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("model.dim=16", r"model\.dim: was 32, is 16"),
        ("optimizer=adamw", r"optimizer\._target_: was torch\.optim\.SGD"),
        ("loss=softmax", r"loss\._target_: was .*ArcMargin"),
        ("monitor=public/gap", r"monitor: was public/map@100, is public/gap"),
        ("data.source.train_split=train+index", "the landmark names to learn: were"),
        ("optimizer.lr=0.5", r"nothing is left to train: trainer\.max_epochs is 1, and the run has done 1"),
    ],
)
def test_what_cannot_change_is_refused_by_name_and_nothing_is_written(
    compose_config: Compose, tiny_run: list[str], moved: Path, override: str, words: str
) -> None:
    before = {path: path.stat().st_mtime_ns for path in moved.rglob("*")}
    with pytest.raises(LandmarksError, match=words):
        train(compose_config("train", *tiny_run, *SGD, "resume=last", override, run_dir=moved), moved)
    assert {path: path.stat().st_mtime_ns for path in moved.rglob("*")} == before


def test_batches_of_an_epoch_that_was_begun_with_others_are_refused_before_anything_is_written(
    compose_config: Compose, tiny_run: list[str], tmp_path: Path
) -> None:
    first = [*tiny_run, *SGD, "evaluate_untrained=false", "trainer.max_epochs=9"]
    train(compose_config("train", *first, "trainer.max_steps=3", run_dir=tmp_path), tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    with pytest.raises(LandmarksError, match=r"nothing is left to train: trainer\.max_steps is 3"):
        train(compose_config("train", *first, "resume=last", "trainer.max_steps=3", run_dir=tmp_path), tmp_path)
    with pytest.raises(LandmarksError, match=r"data\.batch_size: was 8, is 12"):
        train(compose_config("train", *first, "resume=last", "data.batch_size=12", run_dir=tmp_path), tmp_path)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_between_two_epochs_the_batches_may_change(
    compose_config: Compose, tiny_run: list[str], moved: Path, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(moved, tmp_path / "run"))
    steps = json.loads((run / "metrics.json").read_text())["training"]["steps"]
    longer = ["trainer.max_epochs=2", "resume=last", "data.batch_size=4", "seed=5"]
    train(compose_config("train", *tiny_run, *SGD, *longer, run_dir=run), run)
    now = json.loads((run / "metrics.json").read_text())
    assert now["training"]["steps"] == steps + now["data"]["train"] // 4


def test_checkpoints_do_not_resolve_environment_variables(
    compose_config: Compose, tiny_run: list[str], moved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_TOKEN", "hunter2")
    found = torch.load(moved / "checkpoints" / "last.ckpt", weights_only=True)
    found["landmarks"]["config"]["monitor"] = "${oc.env:MY_TOKEN}"
    torch.save(found, tmp_path / "last.ckpt")
    config = compose_config("train", *tiny_run, *SGD, f"resume={tmp_path / 'last.ckpt'}", run_dir=tmp_path / "run")
    with pytest.raises(LandmarksError, match=r"monitor: was \$\{oc\.env:MY_TOKEN\}, is public/map@100"):
        train(config, tmp_path / "run")


def test_a_moved_run_takes_the_new_rate_and_keeps_its_best_and_its_beginning(
    compose_config: Compose, tiny_run: list[str], moved: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = json.loads((moved / "metrics.json").read_text())
    longer = ["trainer.max_epochs=2", "resume=last", "optimizer.lr=100", "optimizer.weight_decay=0"]
    with caplog.at_level(logging.INFO):
        train(compose_config("train", *tiny_run, *SGD, *longer, run_dir=moved), moved)
    steps = before["training"]["steps"]
    assert f"last.ckpt, where 1 whole epochs and {steps} steps are done" in caplog.text
    after = json.loads((moved / "metrics.json").read_text())
    assert after["untrained"] == before["untrained"]
    logs = [moved / "logs" / name for name in ("metrics.1.csv", "metrics.csv")]
    evaluated = read_curves(logs)["public/map@100"][1][1:]  # the first is of the untrained network
    assert after["monitor"]["value"] == pytest.approx(max(evaluated), abs=1e-6)
    assert after["training"]["seconds"] > before["training"]["seconds"]
    rates = read_curves([moved / "logs" / "metrics.csv"])["lr-SGD"][1]
    assert set(rates) == {100.0}
    last = torch.load(moved / "checkpoints" / "last.ckpt", weights_only=True)
    (group,) = last["optimizer_states"][0]["param_groups"]
    assert (group["lr"], group["initial_lr"], group["weight_decay"]) == (100.0, 100.0, 0.0)
    assert str(moved.parent) not in str(last["callbacks"]), "a checkpoint knows no folder"


def test_what_cannot_be_compared_with_before_is_measured_anew(
    compose_config: Compose, tiny_run: list[str], moved: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = Path(shutil.copytree(moved, tmp_path / "run"))
    other = ["pipeline=qe", "data.image_size=48", "optimizer.lr=100", "trainer.max_epochs=3", "resume=last"]
    train(compose_config("train", *tiny_run, *SGD, *other, run_dir=run), run)
    (said,) = (record.message for record in caplog.records if "cannot be compared" in record.message)
    assert ": data.image_size or data.resize, pipeline.stages.qe changed." in said
    after = json.loads((run / "metrics.json").read_text())
    evaluated = read_curves([run / "logs" / "metrics.csv"])["public/map@100"][1]
    assert "untrained" not in after and after["monitor"]["value"] == pytest.approx(max(evaluated), abs=1e-6)


def test_another_runs_checkpoint_brings_its_best_along(moved: Path, tmp_path: Path) -> None:
    callback = BestCheckpoint(dirpath=tmp_path / "checkpoints", filename="best", monitor="public/map@100", mode="max")
    callback.bring(moved / "checkpoints" / "last.ckpt")
    state: dict[str, Any] = torch.load(moved / "checkpoints" / "last.ckpt", weights_only=True)["callbacks"]
    callback.load_state_dict(state[callback.state_key])
    assert Path(callback.best_model_path) == tmp_path / "checkpoints" / "best.ckpt"
    Path(callback.best_model_path).unlink()
    fresh = BestCheckpoint(dirpath=tmp_path / "checkpoints", filename="best", monitor="public/map@100", mode="max")
    fresh.load_state_dict(state[callback.state_key])
    assert fresh.best_model_score is None and not fresh.best_model_path
