"""The main job on a tiny world: it trains, evaluates, writes everything, resumes, and repeats exactly."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import DictConfig
from PIL import Image

from landmarks.errors import LandmarksError
from landmarks.models import open_model
from landmarks.report import read_curves
from landmarks.training import LOG, log_files, set_log_aside, train

Compose = Callable[..., DictConfig]


def test_a_run_leaves_everything_behind(trained_run: Any) -> None:
    run_dir, found = trained_run.folder, trained_run.metrics
    assert trained_run.value == found["monitor"]["value"] == found["trained"]["public"]["map@100"]
    assert set(found["untrained"]) == set(found["trained"]) == {"public", "private"}
    assert {"map@100", "gap", "top1"} <= set(found["trained"]["private"])
    assert found["training"]["epochs"] == 1
    assert (found["job"], found["task"], found["config"]["data"]["batch_size"], found["seed"]) == (
        "train", "landmarks", 8, 0
    )  # fmt: skip
    for name in (
        "config.yaml",
        "run.json",
        "ranking.npz",
        "curves.png",
        "logs/metrics.csv",
        "checkpoints/best.ckpt",
        "checkpoints/last.ckpt",
        "submissions/retrieval.csv",
        "submissions/recognition.csv",
        "recognition_evidence.csv",
        "descriptors/index/descriptors.npy",
    ):
        assert (run_dir / name).is_file(), name
    assert not (run_dir / "recognition.csv").exists()
    assert Image.open(run_dir / "neighbours.png").width > 500


def test_a_run_with_any_loss_of_the_library_leaves_a_checkpoint_that_opens(
    compose_config: Compose, tiny_run: list[str], tmp_path: Path
) -> None:
    short = ["trainer.max_epochs=null", "trainer.max_steps=2", "evaluate_untrained=false"]
    library = "pytorch_metric_learning"
    chosen = [
        "loss=pml",
        "loss.loss=TripletMarginLoss",
        f"loss.options={{distance:{{_target_:{library}.distances.LpDistance,p:1}}}}",
        "loss.miner=TripletMarginMiner",
    ]
    config = compose_config("train", *tiny_run, *short, *chosen, run_dir=tmp_path)
    assert config.sampler._target_ == "landmarks.data.balanced"
    train(config, tmp_path)
    trained = open_model(tmp_path / "checkpoints/best.ckpt")
    assert (trained.loss, trained.head, trained.record.task) == ("pml", None, "retrieval")
    config.sampler = compose_config("train", "sampler=default", *tiny_run, run_dir=tmp_path).sampler
    config.data.batch_size = 1
    with pytest.raises(LandmarksError, match=r"loss: no two of the 1 images .* use sampler=balanced"):
        train(config, tmp_path / "alone")


@pytest.mark.parametrize(
    ("loss", "metric"), [("arcmargin", "classifier_top1"), ("npairs", "gap"), ("softmax", "classifier_gap")]
)
def test_each_loss_trains_towards_its_metric(
    compose_config: Compose, tiny_run: list[str], tmp_path: Path, loss: str, metric: str
) -> None:
    overrides = [
        *tiny_run,
        f"loss={loss}",
        "trainer.max_epochs=null",
        "trainer.max_steps=2",
        "evaluate_untrained=false",
        f"monitor=public/{metric}",
    ]
    value = train(compose_config("train", *overrides, run_dir=tmp_path), tmp_path)
    assert value == json.loads((tmp_path / "metrics.json").read_text())["trained"]["public"][metric]
    checkpoint = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    assert checkpoint["global_step"] == 2
    assert len(checkpoint["landmarks"]["landmark_names"]) > 2


def test_the_same_seed_gives_the_same_weights_with_any_number_of_workers(
    compose_config: Compose, tiny_run: list[str], tmp_path: Path
) -> None:
    weights = []
    for workers in (0, 2):
        run_dir = tmp_path / str(workers)
        overrides = [*tiny_run, f"data.num_workers={workers}", "trainer.max_steps=4", "evaluate_untrained=false"]
        train(compose_config("train", *overrides, run_dir=run_dir), run_dir)
        weights.append(torch.load(run_dir / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"])
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_a_resumed_run_equals_an_uninterrupted_one(
    compose_config: Compose, tiny_run: list[str], tmp_path: Path
) -> None:
    def run(name: str, *overrides: str) -> dict[str, torch.Tensor]:
        run_dir = tmp_path / name
        short = ["scheduler=step", "trainer.log_every_n_steps=1", "evaluate_untrained=false"]
        train(compose_config("train", *tiny_run, *short, *overrides, run_dir=run_dir), run_dir)
        state: dict[str, torch.Tensor] = torch.load(run_dir / "checkpoints" / "last.ckpt", weights_only=True)[
            "state_dict"
        ]
        return state

    whole = run("whole", "trainer.max_epochs=2", "scheduler.milestones=[]")
    run("parts", "trainer.max_epochs=1", "scheduler.milestones=[]")
    parts = run("parts", "trainer.max_epochs=2", "scheduler.milestones=[]", "resume=last")
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    logs = [tmp_path / "parts" / "logs" / name for name in ("metrics.1.csv", "metrics.csv")]
    both, alone = read_curves(logs), read_curves([tmp_path / "whole" / "logs" / "metrics.csv"])
    assert both["train/loss"][0].tolist() == alone["train/loss"][0].tolist()
    assert set(alone["public/map@100"][0].tolist()) <= set(both["public/map@100"][0].tolist())


def test_resuming_needs_a_checkpoint(compose_config: Compose, tiny_run: list[str], tmp_path: Path) -> None:
    with pytest.raises(LandmarksError, match="resume=last: there is no checkpoint"):
        train(compose_config("train", *tiny_run, "resume=last", run_dir=tmp_path), tmp_path)


def test_wandb_gets_everything_and_a_resumed_run_goes_on_in_it(
    compose_config: Compose, tiny_run: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: Any
) -> None:
    import wandb

    overrides = [*tiny_run, "logger=wandb", "evaluate_untrained=false", "logger.wandb.tags=[quick]"]
    with caplog.at_level("INFO"):
        for more in (["trainer.max_steps=1"], ["trainer.max_steps=2", "resume=last"]):
            train(compose_config("train", *overrides, *more, run_dir=tmp_path), tmp_path)
            assert wandb.run is None  # else the next job of a sweep would go on in this run
    wandb.teardown()  # until all is on the disk
    folders = sorted((tmp_path / "wandb").glob("offline-run-*"))
    assert len(folders) == 2 and len({folder.name.rpartition("-")[2] for folder in folders}) == 1
    assert f"wandb sync {folders[-1]}" in caplog.text and "wandb:" not in "".join(capfd.readouterr())
    for folder in folders:
        kept = next(folder.glob("*.wandb")).read_bytes()  # records of protobuf, not compressed
        for words in (tmp_path.name, "quick", "cosine", "public/map@100"):
            assert words.encode() in kept, words
        media = {path.name.rpartition("_")[0].rpartition("_")[0] for path in (folder / "files" / "media").rglob("*.*")}
        assert media >= {"neighbours", "recognition", "curves", "stages", "recognition_stages", "report"}


def test_logs_of_interrupted_runs_are_kept_in_order(tmp_path: Path) -> None:
    assert log_files(tmp_path) == []
    set_log_aside(tmp_path)  # nothing to keep yet
    path = tmp_path / LOG
    path.parent.mkdir()
    for number in range(11):
        path.write_text(str(number))
        set_log_aside(tmp_path)
        assert not path.exists()
    path.write_text("11")
    assert [file.read_text() for file in log_files(tmp_path)] == [str(number) for number in range(12)]
