"""Given queries are recognised where labelled train images are given too."""

import csv
import json

import numpy as np
import pytest

from described import write_set
from landmarks.data.gldv2 import GLDv2
from landmarks.errors import FormatError, LandmarksError
from landmarks.evaluation.precomputed import evaluate_precomputed_job
from landmarks.metrics import read_recognition_solution, read_recognition_submission, score_recognition


@pytest.fixture
def evaluate(compose_config, tmp_path):
    """`evaluate(override, …, queries="q", …)` -> (figure, metrics); results lie in `tmp_path / "run"`."""

    def made(*overrides, **keys):
        given = [f"descriptors.{key}={value}" for key, value in keys.items()]
        value = evaluate_precomputed_job(compose_config("evaluate", *given, *overrides, run_dir=tmp_path / "run"))
        return value, json.loads((tmp_path / "run" / "metrics.json").read_text())

    return made


@pytest.fixture
def sets(tiny_world, tmp_path):
    """Descriptors of the tiny world's pictures, at random, as sets with ids."""
    world, rng = GLDv2(tiny_world), np.random.default_rng(0)
    tables = {"queries": world.queries().table, "index": world.index().table, "gallery": world.gallery().table}
    for name, table in tables.items():
        write_set(tmp_path / name, table.ids, rng.standard_normal((len(table), 8)).astype(np.float32))
    return {name: tmp_path / name for name in tables}


def test_the_data_set_names_the_landmarks_and_scores_them(tiny_world, tmp_path, sets, evaluate):
    data = ["data=gldv2", f"data.root={tiny_world}"]
    value, metrics = evaluate("monitor=private/gap", *data, **sets, use_data=True)
    run = tmp_path / "run"
    solution = read_recognition_solution(tiny_world / "ground_truth" / "recognition_solution_v2.1.csv")
    submission = read_recognition_submission(run / "submissions" / "recognition.csv", solution)
    assert value == score_recognition(solution, submission)["private"]["gap"] == metrics["scores"]["private"]["gap"]
    assert metrics["recognition_stages"][-1]["scores"]["private/gap"] == value
    assert "map@100" in metrics["scores"]["private"]
    rows = list(csv.DictReader((run / "recognition_stages.csv").open()))
    assert [row["stage"] for row in rows] == ["search", "votes"]

    # the same with labels of a file, which are official numbers, and a solution of a file
    world = GLDv2(tiny_world)
    gallery = world.gallery().table
    numbers = world.submission_landmark(gallery.landmarks, gallery.landmark_names)
    np.save(tmp_path / "labels.npy", numbers)
    again, metrics = evaluate(
        **sets,
        gallery_labels=tmp_path / "labels.npy",
        recognition_solution=tiny_world / "ground_truth" / "recognition_solution_v2.1.csv",
    )
    # nobody knows what retrieval should find here, so that GAP stands for the run
    assert again == value and metrics["monitor"]["name"] == "private/gap"
    repeated = read_recognition_submission(run / "submissions" / "recognition.csv", solution)
    assert repeated.landmarks.tolist() == submission.landmarks.tolist()


def test_without_ids_or_labels_nothing_is_recognised(tmp_path, sets, evaluate):
    for name, folder in sets.items():
        np.save(tmp_path / f"{name}.npy", np.load(folder / "descriptors.npy"))
    _, metrics = evaluate(**{name: f"{folder}.npy" for name, folder in sets.items()})
    assert "recognition_stages" not in metrics
    assert not (tmp_path / "run" / "submissions").exists()


def test_what_is_missing_is_named_before_any_work(tmp_path, sets, evaluate):
    with pytest.raises(LandmarksError, match=r"recognition_solution scores .*also give descriptors\.gallery"):
        evaluate(queries=sets["queries"], index=sets["index"], recognition_solution="none.csv")
    np.save(tmp_path / "labels.npy", np.zeros(len(np.load(sets["gallery"] / "ids.npy")), np.int64))
    labelled = {**sets, "gallery_labels": tmp_path / "labels.npy"}
    with pytest.raises(FormatError, match=r"none\.csv"):
        evaluate(**labelled, recognition_solution=tmp_path / "none.csv")
    with pytest.raises(LandmarksError, match=r"no such figure; there are: .*all/gap"):
        evaluate("monitor=private/gapp", **labelled)
    assert not (tmp_path / "run").exists()
