"""Runs land beside their row or apart from all, with the right differences."""

import os
from pathlib import Path
from typing import Any

import pytest

from landmarks.leaderboard import build_board, find_runs, read_rows
from landmarks.report import Board, BoardRow
from stamped import WHOLE, write_run

ROWS = read_rows()
SIX = ROWS["second_place_2019_retrieval"].models


def board_of(folder: Path, only: str | None = None) -> Board:
    return build_board(ROWS, find_runs(folder), ROWS[only] if only else None)


def row_of(board: Board, name: str) -> BoardRow:
    (row,) = [row for row in board.rows if row.name == name]
    return row


def joined(**changes: Any) -> dict[str, Any]:
    sizes = {name: 555 if name == "inceptionv4_arcmargin" else 448 for name in SIX}
    protocol = [{**WHOLE["protocol"][0], "model": name, "input_size": sizes[name]} for name in reversed(SIX)]
    return {"protocol": protocol, **changes}


def test_a_figure_of_the_whole_set_stands_beside_the_published_one(tmp_path: Path) -> None:
    write_run(tmp_path / "run")
    board = board_of(tmp_path)
    (measured,) = row_of(board, "res152_arcmargin").measured
    assert measured.figures == {"public": 0.25, "private": 0.31}
    assert measured.differences == pytest.approx({"public": -0.0176, "private": 0.008})
    assert "448 px" in measured.protocol and "0123456789abcdef" in measured.protocol
    assert not board.apart
    assert sum(len(row.measured) for row in board.rows) == 1


def test_the_newest_run_comes_first_and_none_is_lost(tmp_path: Path) -> None:
    for number, private in enumerate((0.30, 0.32, 0.31)):
        folder = write_run(tmp_path / str(number), {"scores.private.map@100": private})
        os.utime(folder / "metrics.json", (1000 + number, 1000 + number))
    found = row_of(board_of(tmp_path), "res152_arcmargin").measured
    assert [one.figures["private"] for one in found] == [0.31, 0.32, 0.30]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"data.described": {"queries": 416, "index": 405}}, "405 of 761,757"),
        ({"data.source": "demo"}, "another data set"),
        ({"pipeline.retrieval": ["search", "dba", "qe"]}, "another pipeline"),
        ({"protocol.0.model": "mine"}, "no row of mine"),
        ({"protocol": [{}]}, "no row of ?"),
    ],
)
def test_all_else_is_listed_apart_without_a_difference(tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    write_run(tmp_path, changes)
    board = board_of(tmp_path)
    assert not any(row.measured for row in board.rows)
    (apart,) = board.apart
    assert reason in "; ".join(apart.reasons)
    assert apart.figures["map@100"] == {"public": 0.25, "private": 0.31}


def test_a_system_is_all_its_models_in_its_pipeline(tmp_path: Path) -> None:
    stages = list(ROWS["second_place_2019_retrieval"].stages)
    write_run(tmp_path / "system", joined(**{"pipeline.retrieval": stages}))
    write_run(tmp_path / "five", {**joined(**{"pipeline.retrieval": stages}), "protocol": joined()["protocol"][1:]})
    write_run(tmp_path / "small", {**joined(**{"pipeline.retrieval": stages}), "protocol.0.input_size": 224})
    write_run(tmp_path / "plain", joined())
    board = board_of(tmp_path)
    (measured,) = row_of(board, "second_place_2019_retrieval").measured
    assert measured.run.endswith("system") and "6 models" in measured.protocol
    assert {Path(run.run).name for run in board.apart} == {"five", "small", "plain"}


def test_one_run_may_stand_in_two_rows(tmp_path: Path) -> None:
    write_run(tmp_path, {"pipeline.recognition": list(ROWS["second_place_2019_recognition"].stages)})
    board = board_of(tmp_path)
    assert row_of(board, "second_place_2019_recognition").measured[0].figures == {"public": 0.5, "private": 0.52}
    assert row_of(board, "res152_arcmargin").measured[0].figures == {"public": 0.25, "private": 0.31}


def test_a_row_without_published_figures_has_no_difference(tmp_path: Path) -> None:
    changes = {"protocol.0.model": "res152_softmax_v2", "protocol.0.input_size": 224, "protocol.0.resize": "crop"}
    write_run(tmp_path, changes)
    (measured,) = row_of(board_of(tmp_path, "res152_softmax_v2"), "res152_softmax_v2").measured
    assert measured.figures == {"public": 0.4, "private": 0.41}
    assert measured.differences == {"public": None, "private": None}


def test_a_detector_is_listed_apart(tmp_path: Path) -> None:
    protocol = [{"model": "res50_oid_v4_detector", "weights": "a", "input_size": 800}]
    data = {"source": "openimages", "split": "validation", "pictures": 41_620}
    write_run(tmp_path, {"protocol": protocol, "data": data, "scores": {"validation": {"map@0.5": 0.56}}})
    (apart,) = board_of(tmp_path).apart
    assert apart.data == "openimages validation: 41,620 pictures" and "never released" in apart.reasons[0]


def test_one_row_alone(tmp_path: Path) -> None:
    write_run(tmp_path)
    assert [row.name for row in board_of(tmp_path, "res152_npairs").rows] == ["res152_npairs"]
