"""Random numbers depend on the position in the run, images are counted, and evidence is checked before any step."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from omegaconf import DictConfig

from landmarks.errors import LandmarksError
from landmarks.report import read_curves
from landmarks.training import BatchSeed, Throughput, callbacks, train


def draw(seed: int = 0, epoch: int = 0, batch: int = 0, rank: int = 0) -> float:
    trainer: Any = SimpleNamespace(current_epoch=epoch, global_rank=rank)
    BatchSeed(seed).on_train_batch_start(trainer, None, None, batch)  # type: ignore[arg-type]
    return torch.rand(()).item()


def test_random_numbers_depend_on_seed_epoch_batch_and_rank() -> None:
    torch.manual_seed(99)
    places = [{}, {"seed": 1}, {"epoch": 1}, {"batch": 1}, {"rank": 1}]
    drawn = [draw(**place) for place in places]
    assert len(set(drawn)) == len(places)
    assert drawn == [draw(**place) for place in places]


@pytest.mark.parametrize("seed", [0, 2**32 + 1])
def test_any_seed_is_accepted(seed: int) -> None:
    assert draw(seed) == draw(seed)


@pytest.mark.parametrize("accumulated", [1, 2])
def test_throughput_is_logged_once_per_interval_over_all_ranks(
    monkeypatch: pytest.MonkeyPatch, accumulated: int
) -> None:
    clock = iter([0.0, 100.0, 102.0])
    monkeypatch.setattr(callbacks.time, "perf_counter", lambda: next(clock))
    logged: list[tuple[str, float]] = []
    module: Any = SimpleNamespace(log=lambda name, value, **_: logged.append((name, value)))
    trainer: Any = SimpleNamespace(
        world_size=2, log_every_n_steps=3, global_step=0, accumulate_grad_batches=accumulated, is_last_batch=False
    )
    meter = Throughput()
    meter.on_train_epoch_start(trainer, module)
    for batch in range(3 * accumulated):
        trainer.global_step = (batch + 1) // accumulated  # as Lightning counts before it calls
        meter.on_train_batch_end(trainer, module, None, {"image": [0] * 10}, batch)
    assert logged == [("train/images_per_second", 2 * 30 * accumulated / 2.0)]


Compose = Callable[..., DictConfig]


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["loss=npairs", "monitor=public/classifier_gap"], "monitor=public/classifier_gap: there is no classifier"),
        (["loss=softmax", "extraction.flip=true", "monitor=public/classifier_top1"], "there is no classifier"),
        (["predictions=nowhere"], "nowhere: there is no folder of predictions"),
        (["detections=nowhere"], "nowhere: there is no folder of detections"),
        (["recognition=classifier", "loss=npairs"], "needs predictions of a classifier"),
    ],
)
def test_missing_evidence_is_refused_before_any_work(
    compose_config: Compose, tiny_run: list[str], tmp_path: Path, overrides: list[str], words: str
) -> None:
    config = compose_config("train", *tiny_run, *overrides, "evaluate_untrained=false", run_dir=tmp_path)
    with pytest.raises(LandmarksError, match=words):
        train(config, tmp_path)
    assert not (tmp_path / "checkpoints").exists() and not (tmp_path / "descriptors").exists()


OWN = "+callbacks.evaluation.metrics={misses:{_target_:own_metric.misses,_partial_:true,k:3}}"


def test_a_metric_of_ones_own_chooses_the_best_checkpoint(
    compose_config: Compose, tiny_run: list[str], tmp_path: Path
) -> None:
    overrides = [*tiny_run, OWN, "monitor=all/misses", "callbacks.checkpoint.mode=min", "evaluate_untrained=false"]
    value = train(compose_config("train", *overrides, "trainer.max_epochs=2", run_dir=tmp_path), tmp_path)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    evaluated = read_curves([tmp_path / "logs" / "metrics.csv"])["all/misses"][1]
    assert metrics["monitor"] == {"name": "all/misses", "value": value} and value == min(evaluated)
    assert metrics["trained"]["all"]["misses"] == value and "map@100" in metrics["trained"]["public"]


def test_a_split_that_ones_own_metric_lacks_is_refused_before_training(
    compose_config: Compose, tiny_run: list[str], tmp_path: Path
) -> None:
    config = compose_config("train", *tiny_run, OWN, "monitor=private/misses", run_dir=tmp_path)
    with pytest.raises(LandmarksError, match=r"monitor=private/misses: .*all/misses, queries/misses"):
        train(config, tmp_path)
    assert not (tmp_path / "checkpoints").exists()
    config = compose_config("train", *tiny_run, OWN, "monitor=public/recall", run_dir=tmp_path / "other")
    with pytest.raises(LandmarksError, match="monitor=public/recall: there is no such metric; there are: "):
        train(config, tmp_path / "other")
