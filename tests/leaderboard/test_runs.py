"""Runs are found and read; whatever else bears their name is named and stops nothing."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from landmarks.errors import LandmarksError
from landmarks.leaderboard import find_runs, runs
from stamped import WHOLE, changed, write_run

SETTINGS = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda one: st.lists(one, max_size=3) | st.dictionaries(st.text(max_size=5), one, max_size=3),
    max_leaves=8,
)
PLACES = [
    *WHOLE,
    "scores.public",
    "scores.public.map@100",
    "protocol.0",
    "protocol.0.model",
    "protocol.0.scales",
    "pipeline.retrieval",
    "pipeline.choices",
    "data.embedded",
    "data.embedded.index",
    "data.truth",
    "data.truth.retrieval",
    "data.truth.retrieval.public",
]


def test_runs_at_any_depth_are_found(tmp_path: Path) -> None:
    write_run(tmp_path / "a")
    write_run(tmp_path / "b" / "c" / "d", {"protocol": [{}, WHOLE["protocol"][0]]})
    trained = {name: value for name, value in changed().items() if name != "scores"}
    (tmp_path / "e").mkdir()
    (tmp_path / "e" / "metrics.json").write_text(json.dumps({**trained, "job": "train", "trained": WHOLE["scores"]}))
    found = find_runs(tmp_path)
    assert [run.folder.name for run in found.runs] == ["a", "d", "e"]
    assert [run.models for run in found.runs] == [["res152_arcmargin"], ["?", "res152_arcmargin"], ["res152_arcmargin"]]
    assert [run.trained for run in found.runs] == [False, False, True]
    assert all(run.scores["private"]["map@100"] == 0.31 for run in found.runs)
    assert not found.notes and not found.unstamped


def test_runs_of_older_versions_have_no_stamp(tmp_path: Path) -> None:
    unnamed = {name: value for name, value in WHOLE.items() if name not in ("job", "scores")}
    for old in ({"scores": WHOLE["scores"], "data": {"source": "gldv2"}}, {**unnamed, "trained": WHOLE["scores"]}):
        (tmp_path / "metrics.json").write_text(json.dumps(old))
        found = find_runs(tmp_path)
        assert found.unstamped == [tmp_path] and not found.runs and not found.notes


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not readable"),
        (b"{", "not readable"),
        (b"\xff\xfe", "not readable"),
        (b"[" * 100_000, "not readable"),
        (b'{"scores": {"public": {"map@100": NaN}}}', "NaN is not valid JSON"),
        (b"[1]", "not the metrics of a run"),
        (b'{"accuracy": 1}', "not the metrics of a run"),
        (b'{"scores": {"public": "high"}}', "not the metrics of a run"),
        (b'{"job": "evaluate", "scores": {}, "protocol": {"model": "x"}}', "is invalid"),
        (b'{"job": "evaluate", "scores": {}, "protocol": [{"model": "x"}], "data": {}}', "protocol.0.weights"),
    ],
)
def test_other_files_are_named(tmp_path: Path, content: bytes, words: str) -> None:
    write_run(tmp_path / "good")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "metrics.json").write_bytes(content)
    found = find_runs(tmp_path)
    assert [run.folder.name for run in found.runs] == ["good"]
    (note,) = found.notes
    assert words in note and str(tmp_path / "bad" / "metrics.json") in note


def test_files_beyond_any_size_of_ours_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_run(tmp_path)
    monkeypatch.setattr(runs, "MAX_BYTES", 100)
    (note,) = find_runs(tmp_path).notes
    assert "not the metrics of a run" in note


def test_a_folder_of_that_name_and_a_missing_folder(tmp_path: Path) -> None:
    (tmp_path / "metrics.json").mkdir()
    assert find_runs(tmp_path).runs == []
    with pytest.raises(LandmarksError, match="no such folder"):
        find_runs(tmp_path / "nowhere")


@given(place=st.sampled_from(PLACES), value=ANYTHING)
@SETTINGS
def test_any_value_anywhere_is_read_or_named(tmp_path: Path, place: str, value: object) -> None:
    write_run(tmp_path, {place: value})
    found = find_runs(tmp_path)
    assert len(found.runs) + len(found.notes) == 1
    for run in found.runs:  # what cannot be a figure is none
        assert all(0 <= number <= 1 for figures in run.scores.values() for number in figures.values())


@given(content=st.binary(max_size=200))
@SETTINGS
def test_any_bytes_are_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "metrics.json").write_bytes(content)
    assert len(find_runs(tmp_path).notes) == 1


@pytest.mark.parametrize("value", [-0.1, 1.5, 26.76])
def test_numbers_that_are_no_figures_are_left_out(tmp_path: Path, value: float) -> None:
    write_run(tmp_path, {"scores.public.map@100": value})
    (run,) = find_runs(tmp_path).runs
    assert "map@100" not in run.scores["public"] and run.scores["private"]["map@100"] == 0.31
