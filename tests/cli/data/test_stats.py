"""`landmarks data stats` as a person and as a program use it."""

import json
from pathlib import Path

import typer
from PIL import Image
from typer.testing import CliRunner

from landmarks.cli.data.stats import stats
from tiny_world import IMAGES

app = typer.Typer()
app.command()(stats)


def test_tables_and_a_figure(tiny_world: Path, tmp_path: Path) -> None:
    figure = tmp_path / "figure.png"
    result = CliRunner().invoke(app, ["--root", str(tiny_world), "--plot", str(figure)])
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].startswith("Google Landmarks v2 in")
    assert sum(line.strip().startswith(("pictures", "Landmarks by", "recognition", "retrieval")) for line in lines) >= 4
    assert Image.open(figure).format == "PNG"
    assert str(figure) in result.stderr.replace("\n", "")


def test_json(tiny_world: Path) -> None:
    result = CliRunner().invoke(app, ["--root", str(tiny_world), "--json"])
    assert result.exit_code == 0
    report = json.loads(result.stdout)
    assert report.keys() == {"root", "splits", "queries"}
    assert {split: report["splits"][split]["pictures"] for split in IMAGES} == IMAGES
    keys = {"pictures", "without_landmark", "landmarks", "pictures_per_landmark", "tars", "tar_bytes", "picture_sizes"}
    assert all(split.keys() == keys for split in report["splits"].values())


def test_mistakes_are_one_line(tmp_path: Path, tiny_world: Path) -> None:
    result = CliRunner().invoke(app, ["--root", str(tmp_path)])
    assert result.exit_code == 2 and "landmarks data download" in result.stderr and result.stdout == ""
    result = CliRunner().invoke(app, ["--root", str(tiny_world), "--plot", str(tmp_path / "none" / "figure.png")])
    assert result.exit_code == 2 and "cannot be written" in result.stderr and result.stdout == ""
