"""Only figures of the whole GLDv2 test set, made as the row's, stand beside published ones."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from landmarks.leaderboard import Evaluated, Run, Solution, find_runs, obstacles, other_data, read_rows
from stamped import write_run

ROWS = read_rows()
SOLUTION = {"public": 379, "private": 750, "ignored": 116_448}


def run_of(folder: Path, changes: dict[str, Any] | None = None) -> Run:
    (run,) = find_runs(write_run(folder, changes)).runs
    return run


def solved(**counts: int) -> Solution:
    return Solution(**{"from": "gldv2", **SOLUTION, **counts})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"data.embedded": {"queries": 117_500, "index": 761_000}},  # a few could not be read
        {"data.truth.retrieval.public": 380, "data.truth.retrieval.private": 749},
        {"data.truth.retrieval.ignored": 0},  # nobody knows whether the file lists them
        {"protocol.0.precision": "bf16-mixed"},
        {"pipeline.choices": {"index": "torch"}},
        {"pipeline.recognition": []},
        {"data.truth.recognition": None},
    ],
)
def test_the_whole_test_set_is_comparable(tmp_path: Path, changes: dict[str, Any]) -> None:
    assert obstacles(run_of(tmp_path, changes), ROWS["res152_arcmargin"]) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"data.source": "demo"}, "another data set: demo"),
        ({"data.source": "gldv2 held out: 5 landmarks, seed 0"}, "another data set: gldv2 held out"),
        ({"data.source": None}, "the data set is not recorded"),
        ({"data.release": None}, "a ground truth other"),
        ({"data.release": "v2.0"}, "a ground truth other"),
        ({"data.truth.retrieval.from": "mine.csv"}, "mine.csv"),
        ({"data.truth.retrieval": None}, "no ground truth"),
        ({"data.held_out": True}, "held out"),
        ({"data.truth.retrieval.public": 378}, "1,128 queries instead of 1,129"),
        ({"data.truth.retrieval.public": 0, "data.truth.retrieval.private": 1129}, "no public or no private"),
        ({"data.embedded.index": 51_129}, "51,129 of 761,757 index images"),
        ({"data.embedded.index": 761_758}, "761,758 instead of 761,757"),
        ({"data.embedded.queries": 1_129}, "1,129 of 117,577 queries"),
        ({"data.embedded": {}}, "0 of 117,577"),
        ({"protocol.0.input_size": 224}, "224 px instead of 448"),
        ({"protocol.0.flip": True}, "several views"),
        ({"protocol.0.scales": [1.0, 1.41]}, "several views"),
        ({"protocol.0.resize": "square"}, "resized as 'square'"),
        ({"pipeline.retrieval": ["search", "qe"]}, "another pipeline: search, qe"),
        ({"pipeline.retrieval": []}, "another pipeline: none"),
        ({"pipeline.choices": {"index": "hnsw"}}, "approximately"),
    ],
)
def test_everything_else_is_not(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    assert words in "; ".join(obstacles(run_of(tmp_path, changes), ROWS["res152_arcmargin"]))


def test_recognition_asks_for_every_query_and_for_no_index(tmp_path: Path) -> None:
    row = ROWS["res152_softmax_v1"]
    as_published = {"protocol.0.input_size": 224, "protocol.0.resize": "crop"}
    assert obstacles(run_of(tmp_path, {**as_published, "data.embedded.index": 500}), row) == []
    for changes in ({"data.truth.recognition.ignored": 0}, {"data.embedded.queries": 100_000}):
        assert obstacles(run_of(tmp_path, {**as_published, **changes}), row)


def test_no_figure_of_a_detector_is_comparable() -> None:
    assert "never published" in other_data(Evaluated(source="openimages", split="validation"), "map@0.5")[0]


@given(
    queries=st.integers(0, 200_000),
    index=st.integers(0, 1_000_000),
    public=st.integers(0, 1_200),
    private=st.integers(0, 1_200),
)
def test_no_smaller_data_set_ever_passes(queries: int, index: int, public: int, private: int) -> None:
    data = Evaluated(
        source="gldv2",
        release="v2.1",
        embedded={"queries": queries, "index": index},
        truth={"retrieval": solved(public=public, private=private)},
    )
    whole = (
        117_460 <= queries <= 117_577
        and 760_996 <= index <= 761_757
        and public + private == 1_129
        and min(public, private) > 0
    )
    assert (other_data(data, "map@100") == []) == whole
