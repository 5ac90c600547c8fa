"""What an evaluation prints and removes; what it writes is seen where evaluations are run."""

from pathlib import Path

import pytest

from landmarks.evaluation import OUTPUTS, plain, print_scores, remove_outputs
from landmarks.retrieval import StageReport

FOUND = {"Retrieval": (StageReport("search", {"all/map@100": 0.25}, {}, 1.0, None, None, None),)}


def test_one_stage_is_printed_too_and_nothing_twice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    print_scores(tmp_path, {"run": {"all": {"map@100": 0.25}}}, FOUND)
    screen = capsys.readouterr().out
    assert screen.count("0.2500") == 1 and "search" in screen and "report.html" in screen
    print_scores(tmp_path, {"run": {"all": {"map@100": 0.25, "gap": 0.125}}}, FOUND)
    assert "0.1250" in capsys.readouterr().out
    print_scores(tmp_path, {"run": {"all": {"map@100": 0.25}}, "untrained": {"all": {"map@100": 0.0625}}}, FOUND)
    assert "0.0625" in capsys.readouterr().out
    print_scores(tmp_path, {"a\x1b[2J": {"all": {"map@100": 0.25, "gap": 0.125}}}, FOUND)
    screen = capsys.readouterr().out
    assert "\x1b" not in screen and r"a\x1b" in screen
    print_scores(tmp_path, {"run": {}}, FOUND)
    assert "no ground truth" in capsys.readouterr().out


def test_files_of_an_earlier_evaluation_go_and_others_stay(tmp_path: Path) -> None:
    for name in (*OUTPUTS, "stages/1_qe.png", "curves.png", "config.yaml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    remove_outputs(tmp_path)
    remove_outputs(tmp_path)
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == {"curves.png", "config.yaml"}


def test_what_json_cannot_hold_becomes_null() -> None:
    assert plain({1: [float("nan"), (0.5, None)], "a": float("inf")}) == {"1": [None, [0.5, None]], "a": None}
