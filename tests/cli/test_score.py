"""`landmarks score` as a person and as a program use it."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from landmarks.cli.score import app

A, B, C, D = (f"{value:016x}" for value in (0xA, 0xB, 0xC, 0xD))
FILES = {
    "retrieval_solution": f"id,images,Usage\n{A},{C} {D},Public\n{B},{C},Private\n",
    "retrieval_submission": f"id,images\n{A},{B} {C}\n",
    "recognition_solution": f"id,landmarks,Usage\n{A},7,Public\n{B},8,Public\n{C},None,Ignored\n",
    "recognition_submission": f"id,landmarks\n{A},7 0.5\n{C},7 0.9\n",
}
RETRIEVAL_KEYS = {
    *("map@100", "map@10", "precision@1", "precision@5", "precision@10", "precision@50", "precision@100"),
    *("mean_position", "median_position"),
}


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    for name, text in FILES.items():
        (tmp_path / f"{name}.csv").write_text(text)
    return {name: str(tmp_path / f"{name}.csv") for name in FILES}


def test_retrieval_json(files: dict[str, str]) -> None:
    result = CliRunner().invoke(
        app, ["retrieval", files["retrieval_solution"], files["retrieval_submission"], "--json"]
    )
    assert result.exit_code == 0
    figures = json.loads(result.stdout)
    assert figures.keys() == {"public", "private"}
    assert figures["public"].keys() == figures["private"].keys() == RETRIEVAL_KEYS
    assert figures["public"]["map@100"] == 0.25
    assert figures["public"]["mean_position"] == 2
    assert figures["private"]["map@100"] == 0
    assert figures["private"]["median_position"] == 101


def test_recognition_json_has_null_where_a_split_has_no_landmark(files: dict[str, str]) -> None:
    result = CliRunner().invoke(
        app, ["recognition", "--json", files["recognition_solution"], files["recognition_submission"]]
    )
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {
        "public": {"gap": 0.5, "gap_ignoring_non_landmark": 0.5, "top1": 0.5},
        "private": {"gap": None, "gap_ignoring_non_landmark": None, "top1": None},
    }


def test_tables_for_people(files: dict[str, str]) -> None:
    retrieval = CliRunner().invoke(app, ["retrieval", files["retrieval_solution"], files["retrieval_submission"]])
    recognition = CliRunner().invoke(
        app, ["recognition", files["recognition_solution"], files["recognition_submission"]]
    )
    assert retrieval.exit_code == recognition.exit_code == 0
    lines = retrieval.stdout.splitlines()
    assert lines[0].strip() == "Retrieval"
    assert cells(lines, "figure") == ["figure", "public", "private"]
    assert cells(lines, "map@100") == ["map@100", "0.2500", "0.0000"]
    assert cells(lines, "mean_position") == ["mean_position", "2.0", "101.0"]
    assert cells(recognition.stdout.splitlines(), "gap ") == ["gap", "0.5000", "-"]


def cells(lines: list[str], name: str) -> list[str]:
    line = next(line for line in lines if name in line)
    return line.replace("┃", " ").replace("│", " ").split()


@pytest.mark.parametrize(
    ("command", "solution", "submission", "message"),
    [
        ("retrieval", "recognition_solution", "retrieval_submission", "this is a recognition solution; give a retr"),
        ("retrieval", "retrieval_solution", "recognition_submission", "this is a recognition submission; give a r"),
        ("retrieval", "retrieval_submission", "retrieval_solution", "this is a retrieval submission; give a retri"),
        ("recognition", "retrieval_solution", "retrieval_submission", "this is a retrieval solution; give a recog"),
        ("recognition", "recognition_solution", "retrieval_submission", "give a recognition submission"),
    ],
)
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_mixed_up_files(
    files: dict[str, str], command: str, solution: str, submission: str, message: str, options: list[str]
) -> None:
    result = CliRunner().invoke(app, [command, files[solution], files[submission], *options])
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert message in result.stderr


def test_a_bad_line_is_named_in_full(files: dict[str, str], tmp_path: Path) -> None:
    bad = tmp_path / ("a [red]long[bold] name " * 6 + ".csv")
    bad.write_text(f"id,landmarks\n{A},7 0.5\n{B},8 much\n")
    result = CliRunner().invoke(app, ["recognition", files["recognition_solution"], str(bad)])
    assert result.exit_code == 2
    assert result.stderr == (f"{bad}, line 3, field 'landmarks': 'much' is not a score; write a finite number\n")


def test_a_missing_file_is_named(files: dict[str, str], tmp_path: Path) -> None:
    missing = str(tmp_path / "none.csv")
    result = CliRunner().invoke(app, ["retrieval", files["retrieval_solution"], missing])
    assert result.exit_code == 2
    assert result.stderr.startswith(f"{missing}: cannot be read (No such file or directory)")
    assert "Traceback" not in result.output
