"""`landmarks data stats` as a person and as a program use it."""

import json
from pathlib import Path

from typer.testing import CliRunner

from landmarks.cli.data import app
from tiny_world import IMAGES


def test_tables_for_people(tiny_world: Path) -> None:
    result = CliRunner().invoke(app, ["stats", "--root", str(tiny_world)])
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].startswith("Google Landmarks v2 in")
    rows = {line.strip().split("  ")[0]: line.split()[-4:] for line in lines}
    counts = [sum(int(rows[name][split]) for split in (0, 2, 3)) for name in ("images",)]
    assert counts == [165] and rows["landmarks"][3] == "0"
    assert rows["median"][3] == rows["mean"][3] == "\N{EN DASH}" and float(rows["mean"][0]) > 1
    assert {"without landmark", "tars", "retrieval", "recognition", "short side median"} <= rows.keys()


def test_json(tiny_world: Path) -> None:
    result = CliRunner().invoke(app, ["stats", "--root", str(tiny_world), "--json"])
    assert result.exit_code == 0
    report = json.loads(result.stdout)
    assert report.keys() == {"root", "splits", "queries"}
    assert {split: report["splits"][split]["images"] for split in IMAGES} == IMAGES
    keys = {"images", "without_landmark", "landmarks", "images_per_landmark", "tars", "tar_bytes", "image_sizes"}
    assert all(split.keys() == keys for split in report["splits"].values())


def test_mistakes_are_one_line(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["stats", "--root", str(tmp_path)])
    assert result.exit_code == 2 and "landmarks data download" in result.stderr and result.stdout == ""
