"""Training, evaluation and extraction in Python do what the commands do, and return the files of the run."""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig

import landmarks
from landmarks.api import runs
from landmarks.config import overrides_of, run_composed

SMALL: dict[str, Any] = {
    "data__num_workers": 0,
    "data__image_size": 32,
    "data__eval_batch_size": 4,
    "trainer__devices": 1,
    "trainer__accelerator": "cpu",
    "trainer__enable_progress_bar": False,
    "callbacks__progress": None,
}


@pytest.fixture(scope="module")
def trained(tiny_world: Path, tmp_path_factory: pytest.TempPathFactory) -> landmarks.Run:
    return landmarks.train(
        data={"root": tiny_world, "batch_size": 4, "num_workers": 0, "image_size": 32, "eval_batch_size": 4},
        model="timm",
        model__name="test_resnet",
        model__dim=8,
        loss="arcmargin",
        **{"loss.margin": 0.3},
        trainer={"max_steps": 1, "max_epochs": -1, "devices": 1, "accelerator": "cpu", "enable_progress_bar": False},
        callbacks__progress=None,
        evaluate_untrained=False,
        run_dir=tmp_path_factory.mktemp("trained") / "it's a run",
    )


def test_a_run_equals_that_of_the_command(trained: landmarks.Run) -> None:
    assert set(trained.scores) == {"public", "private"}
    assert trained.checkpoint.name == "best.ckpt" and trained.value == trained.metrics["monitor"]["value"]
    config = yaml.safe_load((trained.folder / "config.yaml").read_text())
    assert config["loss"]["margin"] == 0.3 and config["run_dir"] == str(trained.folder) and "hydra" not in config
    said = json.loads((trained.folder / "run.json").read_text())
    assert (said["job"], said["task"]) == ("train", "landmarks") and "loss.margin=0.3" in said["command"]
    assert "Training on" in (trained.folder / "run.log").read_text()
    assert trained.model("cpu").embed(np.zeros((40, 40, 3), np.uint8)).shape == (1, 8)
    assert trained.ranking.num_queries == len(trained.descriptors["queries"])
    assert not HydraConfig.initialized() and not GlobalHydra.instance().is_initialized()
    assert not [one for one in logging.getLogger("landmarks").handlers if isinstance(one, logging.FileHandler)]


def test_evaluation_and_extraction(trained: landmarks.Run, tiny_world: Path, tmp_path: Path) -> None:
    found = landmarks.evaluate(
        checkpoint=trained.checkpoint, data__root=tiny_world, pipeline="qe", run_dir=tmp_path / "evaluated", **SMALL
    )
    assert found.metrics["job"] == "evaluate" and found.scores == found.metrics["scores"]
    assert np.array_equal(landmarks.Run(found.folder).ranking.indices, found.ranking.indices)
    with pytest.raises(landmarks.LandmarksError, match="has no checkpoint"):
        _ = found.checkpoint
    sets = landmarks.extract(
        "data=gldv2",
        checkpoint=trained.checkpoint,
        data__root=tiny_world,
        splits=["queries"],
        predictions=3,
        run_dir=tmp_path / "extracted",
        **SMALL,
    )
    assert list(sets.descriptors) == ["queries"] and sets.descriptors["queries"].dim == 8
    assert sets.predictions["queries"].probabilities.shape == (len(sets.descriptors["queries"]), 3)
    assert np.array_equal(sets.descriptors["queries"].ids, found.descriptors["queries"].ids)


def test_precomputed_descriptors(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for name, rows in (("q", 3), ("i", 9)):
        np.save(tmp_path / f"{name}.npy", random.normal(size=(rows, 4)).astype(np.float32))
        np.save(tmp_path / f"{name}l.npy", np.arange(rows) % 3)
    run = landmarks.evaluate(
        descriptors={
            "queries": tmp_path / "q.npy",
            "index": tmp_path / "i.npy",
            "query_labels": tmp_path / "ql.npy",
            "index_labels": tmp_path / "il.npy",
        },
        run_dir=tmp_path / "run",
    )
    expected = landmarks.mean_average_precision(
        run.ranking, query_labels=np.arange(3) % 3, index_labels=np.arange(9) % 3
    )
    assert run.metrics["scores"]["all"]["map@100"] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"loss__margn": 0.3}, "loss.margn: no such key; did you mean 'margin'"),
        ({"model": "res19"}, "There is no model=res19"),
        ({"optimizer__lr": "fast"}, "optimizer.lr"),
        ({"data": "folder", "data__root": "nowhere"}, "nowhere"),
        ({"seed": object()}, "a object cannot be set"),
    ],
)
def test_mistakes_are_raised_and_leave_no_folder(
    settings: dict[str, Any], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(landmarks.LandmarksError, match=said):
        landmarks.train(**settings)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_folder_that_holds_a_run_is_refused(trained: landmarks.Run) -> None:
    with pytest.raises(landmarks.LandmarksError, match="holds a run"):
        landmarks.train(run_dir=trained.folder)
    with pytest.raises(landmarks.LandmarksError, match="is not a run folder"):
        landmarks.Run(trained.folder.parent)


def test_python_values_survive_as_overrides(monkeypatch: pytest.MonkeyPatch) -> None:
    values: dict[str, Any] = {
        "text": "it's", "path": "C:\\a b\\", "number": 1e-5, "none": None, "yes": True, "digits": "123",
        "list": [1, "a,b", [None]], "nested": {"x": "y z"},
    }  # fmt: skip
    seen: dict[str, Any] = {}

    def compose(name: str, words: list[str], work: Any) -> Any:
        from hydra.core.override_parser.overrides_parser import OverridesParser

        seen.update({one.key_or_group: one.value() for one in OverridesParser.create().parse_overrides(words)})
        raise landmarks.LandmarksError("seen")

    monkeypatch.setattr(runs, "run_composed", compose)
    with pytest.raises(landmarks.LandmarksError, match="seen"):
        landmarks.train(**{f"a__{key}": value for key, value in values.items()}, run_dir="x")
    nested = values.pop("nested")
    assert seen == {f"a.{key}": value for key, value in values.items()} | {
        "a.nested.x": nested["x"],
        "hydra.run.dir": "x",
    }
    assert overrides_of({"n": np.float32(0.5), "m": np.int64(3)}) == ["n=0.5", "m=3"]


def test_ranks_of_a_launcher_share_the_folder_of_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under torchrun or Slurm every rank calls the function; only the first claims the folder."""
    asked = [f"hydra.run.dir={tmp_path / 'run'}"]

    def as_second_rank(config: Any) -> str:
        monkeypatch.setenv("RANK", "1")
        folder, value = run_composed("train", asked, lambda _: "done")
        assert folder == tmp_path / "run"
        monkeypatch.setenv("RANK", "0")
        return value

    assert run_composed("train", asked, as_second_rank) == (tmp_path / "run", "done")
