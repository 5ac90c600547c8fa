"""Evaluating a checkpoint gives what the run that wrote it found, and refuses what is no checkpoint."""

import json
import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import DictConfig

from landmarks.errors import LandmarksError
from landmarks.evaluation import evaluate_job
from landmarks.leaderboard import find_runs
from landmarks.retrieval.descriptors import DescriptorSet

Compose = Callable[..., DictConfig]
SETS = ("queries", "index", "gallery")


def test_an_evaluation_reproduces_the_metrics_of_the_run(
    compose_config: Compose, tiny_run: list[str], trained_run: Any, tmp_path: Path
) -> None:
    evaluated = tmp_path / "evaluated"
    on_data = [o for o in tiny_run if o.startswith(("data.root", "trainer", "callbacks"))]
    options = [
        *on_data,
        f"checkpoint={trained_run.checkpoint}",
        "data.validation.queries=scored",
        "data.num_workers=0",
        "pipeline=qe",
    ]
    value = evaluate_job(compose_config("evaluate", *options, run_dir=evaluated))
    before = trained_run.metrics
    after = json.loads((evaluated / "metrics.json").read_text())
    assert after["stages"][0]["scores"] == pytest.approx(
        {f"{split}/map@100": before["trained"][split]["map@100"] for split in ("public", "private")}, abs=1e-6
    )
    for split, figures in after["scores"].items():  # the vote and the head of the loss, neither of which re-ranks
        for name in ("gap", "top1", "classifier_gap", "classifier_top1"):
            assert figures[name] == pytest.approx(before["trained"][split][name], abs=1e-6), name
    assert after["stages"][1]["stage"] == "qe"
    stamped = [*find_runs(tmp_path).runs, *find_runs(trained_run.folder).runs]
    assert [run.trained for run in stamped] == [False, True]
    for run in stamped:
        (protocol,) = run.stamp.protocol
        assert protocol is not None and (protocol.model, protocol.input_size) == ("test", 64)
        assert (run.stamp.data.source, run.stamp.data.release) == ("demo", None)
        assert run.stamp.data.embedded["queries"] > 0 and run.stamp.data.truth["retrieval"] is not None
    assert stamped[0].stamp.pipeline.retrieval == ["search", "qe"]
    assert value == after["monitor"]["value"] == after["scores"]["private"]["map@100"]
    assert (evaluated / "submissions" / "recognition.csv").read_text().startswith("id,landmarks\n")

    arrays = [evaluated / "descriptors" / name / "descriptors.npy" for name in SETS]
    with ExitStack() as held:  # else a new file could get the number of a removed one
        made = [os.fstat(held.enter_context(path.open()).fileno()).st_ino for path in arrays]
        assert evaluate_job(compose_config("evaluate", *options, run_dir=evaluated)) == value
        assert [path.stat().st_ino for path in arrays] == made  # the same descriptors again, in the same files
        evaluate_job(compose_config("evaluate", *options, "extraction.flip=true", run_dir=evaluated))
        assert not {path.stat().st_ino for path in arrays} & set(made)
    assert DescriptorSet.open(evaluated / "descriptors" / "index").protocol.flip


@pytest.mark.parametrize("content", [b"not a checkpoint", b""])
def test_other_files_are_refused(compose_config: Compose, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.ckpt"
    path.write_bytes(content)
    with pytest.raises(LandmarksError, match="corrupt, or not a checkpoint"):
        evaluate_job(compose_config("evaluate", f"checkpoint={path}", run_dir=tmp_path / "run"))


def test_code_in_a_checkpoint_is_never_run(compose_config: Compose, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (tmp_path / "sprung",))  # type: ignore[return-value]

    torch.save({"state_dict": {}, "landmarks": Trap()}, tmp_path / "trap.ckpt")
    with pytest.raises(LandmarksError, match="corrupt, or not a checkpoint"):
        evaluate_job(compose_config("evaluate", f"checkpoint={tmp_path / 'trap.ckpt'}", run_dir=tmp_path / "run"))
    assert not (tmp_path / "sprung").exists()


def test_other_data_than_those_of_the_training_are_told(
    compose_config: Compose, trained_run: Any, photos: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    options = [f"checkpoint={trained_run.checkpoint}", "data.num_workers=0", "trainer.accelerator=cpu"]
    quiet = ["callbacks.progress=null", "pipeline=global", "recognition=votes"]
    config = compose_config(
        "evaluate", *options, *quiet, "data=folder", f"data.root={photos}", run_dir=tmp_path / "out"
    )
    evaluate_job(config)
    assert "Trained on demo, evaluated on PhotoFolder" in caplog.text
