"""`landmarks leaderboard`: tables, JSON, page; `--run` with a tiny network, killed in the middle and resumed."""

import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from commands import as_json, run
from landmarks.data.images import Preprocessing
from landmarks.extraction import DescriptorExtraction
from landmarks.leaderboard import Row, find_runs, read_rows
from landmarks.models import ModelRecord, build_network, write_model
from stamped import write_run

NETWORK = {"network": "timm_net", "name": "test_resnet", "dim": 32}
ROW = """# @package _global_
defaults:
  - override /data: gldv2
  - override /model: timm
name: {name}
published: {{metric: map@100, public: 0.5, private: 0.6, source: made up}}
model: {{name: test_resnet, dim: 32}}
data: {{image_size: 64}}
"""
TINY = ["data.num_workers=0", "data.eval_batch_size=8", "trainer.accelerator=cpu", "trainer.devices=1"]
QUIET = ["trainer.enable_progress_bar=false", "callbacks.progress=null"]


@pytest.fixture(scope="module")
def two_rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two rows of its own and their weights."""
    folder = tmp_path_factory.mktemp("rows") / "rows"
    (folder / "experiments").mkdir(parents=True)
    for name in ("tiny", "other"):
        (folder / "experiments" / f"{name}.yaml").write_text(ROW.format(name=name))
        record = ModelRecord(name, "retrieval", NETWORK, Preprocessing("aspect", 64))
        write_model(folder / f"{name}.safetensors", record, build_network(NETWORK).state_dict())
    return folder


@pytest.fixture
def elsewhere(two_rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it to run in."""
    shutil.copytree(two_rows, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["landmarks"])
    return tmp_path


call = partial(run, "leaderboard", columns=80)
of_json = partial(as_json, "leaderboard")


def test_figures_stand_beside_each_other(elsewhere: Path) -> None:
    write_run(elsewhere / "runs" / "whole")
    write_run(elsewhere / "runs" / "part", {"data.embedded.index": 405})
    (elsewhere / "runs" / "metrics.json").write_text("{")
    done = call("--html", "board.html")
    lines = done.output.splitlines()
    (public,) = [line for line in lines if line.split()[:2] == ["res152_arcmargin", "public"]]
    (private,) = [line for line in lines if line.split()[:2] == ["map@100", "private"] and "0.3020" in line]
    assert public.split()[2:5] == ["0.2676", "0.2500", "-1.76"]
    assert private.split()[2:5] == ["0.3020", "0.3100", "+0.80"]
    assert max(map(len, lines[: lines.index(public) + 2])) <= 80
    assert "a part of the data: 405 of 761,757" in " ".join(done.output.split())
    assert "runs/metrics.json: not readable" in done.output
    assert "--run res200_arcmargin --root GLDV2" in done.output
    assert "--run res152_arcmargin --root" not in done.output  # which is measured
    assert "runs/whole" in (elsewhere / "board.html").read_text()
    found = of_json()
    (row,) = [row for row in found["rows"] if row["name"] == "res152_arcmargin"]
    assert row["measured"][0]["differences"]["private"] == pytest.approx(0.008)
    assert row["commands"] and len(found["apart"]) == len(found["notes"]) == 1


def test_without_any_run_everything_is_missing(elsewhere: Path) -> None:
    assert not any(row["measured"] for row in of_json()["rows"])
    call("--runs", "nowhere", code=2)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--run", "tinny"], "did you mean 'tiny'?"),
        (["--run", "tiny"], "--root GLDV2"),
        (["--run", "tiny", "--root", "nowhere"], "nowhere: there is no such folder"),
        (["--run", "tiny", "--root", "."], "needs --weights"),
        (["--run", "tiny", "--root", ".", "--weights", "tiny.safetensors", "--", "data.image_sice=3"], "image_size"),
        (["--run", "best_ensemble", "--root", "."], "was only published"),
        (["--root", "."], "--run ROW"),
    ],
)
def test_mistakes_are_named_before_any_work(elsewhere: Path, words: list[str], message: str) -> None:
    done = call(*words, code=2)
    assert message in done.stderr
    assert not (elsewhere / "runs").exists()


def test_a_killed_run_goes_on_and_the_miniature_is_never_compared(
    elsewhere: Path, tiny_world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["--run", "tiny", "--root", str(tiny_world), "--weights", "tiny.safetensors"]
    options = ["--", *TINY, *QUIET]
    call(*words, "--out", "whole", *options)

    written: list[int] = []
    write = DescriptorExtraction.on_validation_batch_end

    def interrupted(self: DescriptorExtraction, *batch: Any) -> None:
        if len(written) == 2:
            raise KeyboardInterrupt
        write(self, *batch)
        written.append(sum(len(rows) for rows, _ in batch[2]["embedded"]))

    with monkeypatch.context() as patched:
        patched.setattr(DescriptorExtraction, "on_validation_batch_end", interrupted)
        call(*words, *options, code=1)  # Lightning's, for Ctrl-C
    assert len(written) == 2
    seen: list[int] = []

    def counted(self: DescriptorExtraction, *batch: Any) -> None:
        write(self, *batch)
        seen.append(sum(len(rows) for rows, _ in batch[2]["embedded"]))

    with monkeypatch.context() as patched:
        patched.setattr(DescriptorExtraction, "on_validation_batch_end", counted)
        done = call(*words, *options)
    sets = [np.load(elsewhere / f"whole/tiny/descriptors/{split}/ids.npy") for split in ("queries", "index")]
    assert sum(written) + sum(seen) == sum(map(len, sets))  # no image was embedded twice

    folder, uninterrupted = elsewhere / "runs/leaderboard/tiny", elsewhere / "whole/tiny"
    found, expected = (json.loads((one / "metrics.json").read_text()) for one in (folder, uninterrupted))
    assert found["scores"] == expected["scores"]
    rankings = [np.load(one / "ranking.npz") for one in (folder, uninterrupted)]
    ids = [np.load(one / "descriptors/index/ids.npy") for one in (folder, uninterrupted)]
    named = [one[ranking["indices"]] for one, ranking in zip(ids, rankings, strict=True)]
    assert np.array_equal(*named)

    board = of_json()
    assert not any(row["measured"] for row in board["rows"])
    (apart,) = board["apart"]
    assert apart["figures"]["map@100"] == {split: figures["map@100"] for split, figures in found["scores"].items()}
    assert any("a part of the data" in reason for reason in apart["reasons"])
    assert "not compared" not in done.output and "a part of the data" in " ".join(done.output.split())


def test_a_system_takes_descriptors_that_are_there_and_makes_the_rest(
    elsewhere: Path, tiny_world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = read_rows()
    stages = ("search", "recognition")
    models = ("tiny", "other")
    rows["both"] = Row("both", "map@100", 0.5, 0.6, "us", models=models, pipeline="first_place_2019", stages=stages)
    monkeypatch.setattr("landmarks.leaderboard.read_rows", lambda: rows)
    words = ["--run", "both", "--root", str(tiny_world)]
    options = ["--", *TINY, *QUIET]
    done = call(*words, "--weights", "tiny=tiny.safetensors", *options, code=2)
    assert done.stderr.strip().endswith("Make them with --weights other=PATH")
    assert not (elsewhere / "runs").exists()
    given = ["--weights", "tiny=tiny.safetensors", "--weights", "other=other.safetensors"]
    call(*words, *given, *options)
    before = json.loads((elsewhere / "runs/leaderboard/both/metrics.json").read_text())
    again = call(*words, *options)  # now the descriptors are there
    assert "landmarks extract" not in again.stderr
    (run,) = find_runs(elsewhere / "runs").runs
    assert run.models == ["tiny", "other"] and run.stamp.pipeline.retrieval == list(stages)
    assert run.scores["private"]["map@100"] == before["scores"]["private"]["map@100"]
