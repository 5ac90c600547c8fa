"""`landmarks score` as a person and as a program use it."""

import json
from pathlib import Path

import pytest
from click.testing import Result
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


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    for name, text in FILES.items():
        (tmp_path / f"{name}.csv").write_text(text)
    return {name: str(tmp_path / f"{name}.csv") for name in FILES}


def test_retrieval_json(files: dict[str, str]) -> None:
    result = run("retrieval", files["retrieval_solution"], files["retrieval_submission"], "--json")
    assert result.exit_code == 0
    figures = json.loads(result.stdout)
    assert figures.keys() == {"public", "private"}
    assert figures["public"].keys() == figures["private"].keys() == RETRIEVAL_KEYS
    assert figures["public"]["map@100"] == 0.25
    assert figures["public"]["mean_position"] == 2
    assert figures["private"]["map@100"] == 0
    assert figures["private"]["median_position"] == 101


def test_recognition_json_has_null_where_a_split_has_no_landmark(files: dict[str, str]) -> None:
    result = run("recognition", "--json", files["recognition_solution"], files["recognition_submission"])
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {
        "public": {"gap": 0.5, "gap_ignoring_non_landmark": 0.5, "top1": 0.5},
        "private": {"gap": None, "gap_ignoring_non_landmark": None, "top1": None},
    }


def test_tables_for_people(files: dict[str, str]) -> None:
    retrieval = run("retrieval", files["retrieval_solution"], files["retrieval_submission"])
    recognition = run("recognition", files["recognition_solution"], files["recognition_submission"])
    assert retrieval.exit_code == recognition.exit_code == 0
    lines = retrieval.stdout.splitlines()
    assert lines[0].strip() == "Retrieval"
    assert cells(lines, "metric") == ["metric", "public", "private"]
    assert cells(lines, "map@100") == ["map@100", "0.2500", "0.0000"]
    assert cells(lines, "mean_position") == ["mean_position", "2.0", "101.0"]
    assert cells(recognition.stdout.splitlines(), "gap ") == ["gap", "0.5000", "-"]


def cells(lines: list[str], name: str) -> list[str]:
    line = next(line for line in lines if name in line)
    return line.replace("┃", " ").replace("│", " ").split()


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_swapped_files_give_a_one_line_message(files: dict[str, str], options: list[str]) -> None:
    result = run("retrieval", files["recognition_solution"], files["retrieval_submission"], *options)
    assert result.exit_code == 2 and result.stdout == "" and result.stderr.count("\n") == 1
    assert "this is a recognition solution; give a retrieval solution" in result.stderr


def test_a_bad_line_is_named_in_full(files: dict[str, str], tmp_path: Path) -> None:
    bad = tmp_path / ("a [red]long[bold] name " * 6 + ".csv")
    bad.write_text(f"id,landmarks\n{A},7 0.5\n{B},8 much\n")
    result = run("recognition", files["recognition_solution"], str(bad))
    assert result.exit_code == 2
    assert result.stderr == (f"{bad}, line 3, field 'landmarks': 'much' is not a score; write a finite number\n")


def test_a_missing_file_is_named(files: dict[str, str], tmp_path: Path) -> None:
    missing = str(tmp_path / "none.csv")
    result = run("retrieval", files["retrieval_solution"], missing)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"{missing}: cannot be read (No such file or directory)")
    assert "Traceback" not in result.output


BOXES = f"""ImageID,LabelName,XMin,XMax,YMin,YMax,IsGroupOf
{A},/m/castle,0,0.5,0,1,0
{A},/m/house,0.5,1,0,1,1
{B},/m/house,0,1,0,1,0
"""
IMAGE_LABELS = f"ImageID,LabelName,Confidence\n{B},/m/car,0\n"
PREDICTIONS = f"""ImageID,LabelName,Score,XMin,XMax,YMin,YMax
{A},/m/castle,0.9,0,0.5,0,1
{A},/m/castle,0.8,0,0.5,0,1
{B},/m/house,0.7,0,0.9,0,1
{C},/m/house,0.6,0,1,0,1
{A},/m/tree,0.5,0,1,0,1
"""


@pytest.fixture
def detection_files(tmp_path: Path) -> list[str]:
    texts = {"boxes": BOXES, "labels": IMAGE_LABELS, "predictions": PREDICTIONS}
    for name, text in texts.items():
        (tmp_path / f"{name}.csv").write_text(text)
    return [str(tmp_path / f"{name}.csv") for name in texts]


def test_detection_json(detection_files: list[str]) -> None:
    result = run("detection", *detection_files, "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {
        "challenge_2018": {"map@0.5": 0.75, "ap@0.5": {"/m/car": None, "/m/castle": 1.0, "/m/house": 0.5}},
        "open_images_v2": {"map@0.5": 1.0, "ap@0.5": {"/m/car": None, "/m/castle": 1.0, "/m/house": 1.0}},
    }


def test_detection_table(detection_files: list[str]) -> None:
    result = run("detection", *detection_files)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert cells(lines, "class") == ["class", "boxes", "group-of", "challenge_2018", "open_images_v2"]
    assert cells(lines, "mean") == ["mean", "3", "1", "0.7500", "1.0000"]
    names = ("/m/castle", "/m/house", "/m/car")  # best first, what has no boxes last
    rows = [next(row for row, line in enumerate(lines) if name in line) for name in names]
    assert rows == sorted(rows)
    assert cells(lines, "/m/house") == ["/m/house", "2", "1", "0.5000", "1.0000"]
    assert cells(lines, "/m/car") == ["/m/car", "0", "0", "-", "-"]
    caption = " ".join(" ".join(lines).split("Not counted")[1].split())
    assert caption == "of 5 predictions: 1 in images, and 1 of classes, that the truth does not name."


def test_detection_of_some_classes_along_the_hierarchy(detection_files: list[str], tmp_path: Path) -> None:
    hierarchy, classes = tmp_path / "hierarchy.json", tmp_path / "classes.csv"
    kinds = [{"LabelName": "/m/castle"}, {"LabelName": "/m/house"}]
    tree = {"LabelName": "/m/0bl9f", "Subcategory": [{"LabelName": "/m/building", "Subcategory": kinds}]}
    hierarchy.write_text(json.dumps(tree))
    classes.write_text("/m/building,Building\n/m/castle,Castle\n")
    with Path(detection_files[2]).open("a") as file:
        file.write(f"{B},/m/building,0.7,0,0.9,0,1\n")
    options = ["--hierarchy", str(hierarchy), "--classes", str(classes)]
    result = run("detection", *detection_files, *options, "--json")
    assert result.exit_code == 0
    figures = json.loads(result.stdout)
    assert figures["challenge_2018"]["ap@0.5"] == {"/m/building": pytest.approx(1 / 3), "/m/castle": 1.0}
    assert figures["open_images_v2"]["ap@0.5"] == {"/m/building": 0.5, "/m/castle": 1.0}
    table = run("detection", *detection_files, *options).stdout.splitlines()
    assert cells(table, "/m/building")[:4] == ["Building", "(/m/building)", "3", "1"]


@pytest.mark.parametrize("bad", ["boxes", "labels", "predictions", "hierarchy", "classes"])
def test_detection_names_a_bad_file(detection_files: list[str], tmp_path: Path, bad: str) -> None:
    path = tmp_path / f"{bad}.csv"
    path.write_text("nothing of use")
    options = [f"--{bad}", str(path)] if bad in ("hierarchy", "classes") else []
    result = run("detection", *detection_files, *options)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith(str(path))
