"""Runs are shown beside their row or apart from all rows, and the printed commands work."""

import os
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig

from landmarks.config import DetectorSettings, TrainSettings, check_config
from landmarks.leaderboard import FROM_TRAINING, FROM_WEIGHTS, Row, build_board, commands, find_runs, read_rows
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
        ({"data.embedded": {"queries": 416, "index": 405}}, "405 of 761,757"),
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
    data = {"source": "openimages", "split": "validation", "images": 41_620}
    write_run(tmp_path, {"protocol": protocol, "data": data, "scores": {"validation": {"map@0.5": 0.56}}})
    (apart,) = board_of(tmp_path).apart
    assert apart.data == "openimages validation: 41,620 images" and "never published" in apart.reasons[0]


def test_one_row_alone(tmp_path: Path) -> None:
    write_run(tmp_path)
    assert [row.name for row in board_of(tmp_path, "res152_npairs").rows] == ["res152_npairs"]


Compose = Callable[..., DictConfig]
SINGLE = ("res152_npairs", "res152_softmax_v1", "res50_oid_v4_detector")  # that all compose is tested in tests/conf


@pytest.mark.parametrize("name", SINGLE)
def test_training_commands_compose(compose_config: Compose, tmp_path: Path, name: str) -> None:
    row = ROWS[name]
    train, run = map(shlex.split, commands(row, ROWS)[FROM_TRAINING])
    assert train[:2] == ["python", "train.py"] and train[-1] == f"hydra.run.dir=runs/{row.name}"
    config = compose_config("train", *train[2:-1], run_dir=tmp_path)
    check_config(config, DetectorSettings if config.task == "detection" else TrainSettings)
    assert config.published.source == row.source
    assert run[-1] == f"runs/{row.name}/checkpoints/best.ckpt"


def test_fine_tuning_begins_where_the_other_row_ended() -> None:
    first, second = (commands(ROWS[name], ROWS)[FROM_TRAINING] for name in ("res152_arcmargin", "res152_npairs"))
    assert f"model.pretrained={shlex.split(first[1])[-1]}" in shlex.split(second[0])


def test_every_row_that_can_be_run_has_a_command_that_names_all_its_weights() -> None:
    for row in ROWS.values():
        lines = [line for of_kind in commands(row, ROWS).values() for line in of_kind]
        runs = [shlex.split(line) for line in lines if " --run " in line]
        assert bool(runs) == bool(row.models)
        for words in runs:
            given = [words[place + 1] for place, word in enumerate(words) if word == "--weights"]
            assert words[:4] == ["landmarks", "leaderboard", "--run", row.name]
            assert len(given) == len(row.parts)
            if len(row.parts) > 1:
                assert [one.partition("=")[0] for one in given] == list(row.parts)


def test_classifiers_are_imported_with_labels_and_nothing_was_published_for_own_rows() -> None:
    (imported, run) = commands(ROWS["res152_softmax_v1"], ROWS)[FROM_WEIGHTS]
    assert "--labels" in imported and shlex.split(run)[-1] == shlex.split(imported)[4]
    own = Row("mine", "map@100", 0.1, 0.1, "me", models=("mine",), experiment="mine")
    assert list(commands(own, {"mine": own})) == [FROM_TRAINING]
