"""Runs on the same queries are compared, those on others refused; what is printed and written says the same."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from landmarks import compare
from landmarks.cli.main import app
from landmarks.errors import LandmarksError


def copied(run: Path, to: Path, **config: object) -> Path:
    """A copy of a run, with other values in its recorded configuration."""
    shutil.copytree(run, to)
    path = to / "metrics.json"
    metrics = json.loads(path.read_text().replace(str(run), str(to)))
    metrics["config"] |= config
    path.write_text(json.dumps(metrics))
    return to


def values(run: Path, split: str) -> dict[str, float]:
    metrics = json.loads((run / "metrics.json").read_text())
    found: dict[str, float] = (metrics.get("trained") or metrics["scores"])[split]
    return found


def test_values_are_those_of_the_evaluation(finished_run: Path, reranked_run: Path) -> None:
    found = compare(finished_run, reranked_run)
    assert [one.name for one in found.systems] == [finished_run.name, reranked_run.name]
    assert {(one.split, one.metric) for one in found.differences} >= {("public", "map@100"), ("private", "gap")}
    for one in found.differences:
        assert one.first == pytest.approx(values(finished_run, one.split)[one.metric], abs=1e-12)
        assert one.value == pytest.approx(values(reranked_run, one.split)[one.metric], abs=1e-12)
        assert not one.interval.low - 1e-12 > one.difference and not one.difference > one.interval.high + 1e-12
        assert 0 < one.p <= 1 and 0 < one.p_by_landmark <= 1
    by_query = pl.read_csv(finished_run / "queries/retrieval.csv").join(
        pl.read_csv(reranked_run / "queries/retrieval.csv"), on="id", suffix="_after"
    )
    change = by_query.filter(pl.col("split") == "private").select(pl.col("ap@100_after") - pl.col("ap@100"))
    of_map = next(one for one in found.differences if (one.split, one.metric) == ("private", "map@100"))
    assert (of_map.wins, of_map.losses) == (int((change > 0).sum().item()), int((change < 0).sum().item()))
    assert found.moved and all(one.before != one.after for one in found.moved)


def test_seeds_of_one_configuration_are_one_system(finished_run: Path, reranked_run: Path, tmp_path: Path) -> None:
    seed = copied(finished_run, tmp_path / "seed", seed=7)
    other = copied(reranked_run, tmp_path / "other", name="another")
    found = compare(finished_run, reranked_run, seed, other)
    assert [len(one.runs) for one in found.systems] == [2, 1, 1]
    of_map = [one for one in found.differences if (one.split, one.metric) == ("private", "map@100")]
    alone = compare(finished_run, reranked_run)
    p = next(one.p for one in alone.differences if (one.split, one.metric) == ("private", "map@100"))
    assert [one.p for one in of_map] == [min(1, 2 * p)] * 2
    gaps = [one.p for one in found.differences if one.metric == "gap"]
    assert gaps == [None] * len(gaps)  # two seeds beside one
    with pytest.raises(LandmarksError, match="differ in the seed alone"):
        compare(finished_run, seed)


def edit(path: Path, column: str, value: str | int) -> None:
    table = pl.read_csv(path, infer_schema=False)
    table.with_columns(pl.lit(str(value)).alias(column)).write_csv(path)


def other_index(run: Path) -> None:
    path = run / "metrics.json"
    metrics = json.loads(path.read_text())
    metrics["data"]["embedded"]["index"] += 1
    path.write_text(json.dumps(metrics))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda run: (run / "metrics.json").unlink(), r"metrics\.json: does not exist"),
        (lambda run: (run / "metrics.json").write_text("{"), "not readable as the metrics"),
        (lambda run: shutil.rmtree(run / "queries"), "no results by query"),
        (lambda run: (run / "queries/retrieval.csv").write_text("id\n1\n"), "retrieval.csv: is not a table"),
        (lambda run: edit(run / "queries/retrieval.csv", "ap@100", ""), "lacks values"),
        (lambda run: edit(run / "queries/retrieval.csv", "correct_images", 99), "queries that retrieval scores"),
        (lambda run: edit(run / "queries/recognition.csv", "landmarks", 5), "queries that recognition scores"),
        (other_index, "differ in the numbers of queries and index images"),
    ],
)
def test_runs_that_cannot_be_compared(
    finished_run: Path, reranked_run: Path, tmp_path: Path, damage: Callable[[Path], None], message: str
) -> None:
    run = copied(reranked_run, tmp_path / "run")
    damage(run)
    with pytest.raises(LandmarksError, match=message):
        compare(finished_run, run)


def test_the_command_prints_and_writes(finished_run: Path, reranked_run: Path, tmp_path: Path) -> None:
    page = tmp_path / "comparison.html"
    words = ["compare", str(finished_run), str(reranked_run)]
    said = CliRunner().invoke(app, [*words, "--html", str(page)])
    assert said.exit_code == 0 and "map@100" in said.stdout and "by landmark" in said.stdout
    text = page.read_text()
    assert "data:image/png" in text and "Queries that moved most" in text
    shown = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    expected = compare(finished_run, reranked_run)
    assert [one["difference"] for one in shown["differences"]] == [one.difference for one in expected.differences]
    assert shown["differences"][0]["interval"] == list(expected.differences[0].interval)
    alone = CliRunner().invoke(app, words[:2])
    assert alone.exit_code == 2 and "two runs or more" in alone.stderr
