"""`landmarks data verify` as a person and as a program use it."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from landmarks.cli.data import app
from landmarks.data.gldv2 import GLDv2


@pytest.fixture
def world(tiny_world: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_world, tmp_path / "world", ignore=shutil.ignore_patterns(".landmarks")))


def run(root: Path, *options: str) -> Result:
    return CliRunner().invoke(app, ["verify", "--root", str(root), *options])


def test_a_sound_world_can_be_trained_on(world: Path) -> None:
    result = run(world)
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1] == "Training can start with train_clean, index, test."
    assert run(world, "--split", "train,test").stdout.splitlines()[-1] == "Training can start with train, test."


def test_missing_files_are_reported_as_table_and_json(world: Path) -> None:
    tar = sorted((world / "index").glob("*.tar"))[0]
    tar.unlink()
    result = run(world)
    assert result.exit_code == 1
    last = result.stdout.splitlines()[-1]
    assert last.startswith("Training cannot start: images are missing, ")
    assert f"`landmarks data download --root {world} --split index` downloads them" in last
    report = run(world, "--json")
    assert report.exit_code == 1 and json.loads(report.stdout)["can_train"] is False
    assert json.loads(report.stdout)["reasons"] == [last.removeprefix("Training cannot start: ")]


def test_a_list_of_bad_images_keeps_them_out_of_training(world: Path, tmp_path: Path) -> None:
    tar = sorted((world / "train").glob("*.tar"))[0]
    data = bytearray(tar.read_bytes())
    data[512 + 300 : 512 + 900] = bytes(600)  # inside the first image
    tar.write_bytes(data)
    (world / "md5sum" / "train" / f"md5.{tar.stem}.txt").unlink()
    listed = tmp_path / "bad.csv"
    result = run(world, "--deep", "--workers", "1", "--list", str(listed), "--json")
    assert result.exit_code == 0
    report = json.loads(result.stdout)
    assert report["deep"] and report["splits"]["train"]["faults"]["unreadable"]["count"] == 1
    assert "listed in" in result.stderr
    whole, rest = GLDv2(world, train_split="train"), GLDv2(world, train_split="train", exclude=listed)
    assert len(whole.train()) - len(rest.train()) == len(listed.read_text().splitlines()) - 1 >= 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--split", "train,validation"],
            "--split train,validation: 'validation' is not one of train, train_clean, index",
        ),
        (["--list", "/dev/null/bad.csv"], "/dev/null/bad.csv: the list cannot be written"),
    ],
)
def test_wrong_usage_is_one_line(world: Path, options: list[str], message: str) -> None:
    result = run(world, *options)
    assert result.exit_code == 2 and result.stdout == ""
    assert message in result.stderr and result.stderr.count("\n") == 1


def test_no_folder_is_wrong_usage(tmp_path: Path) -> None:
    result = run(tmp_path / "nowhere")
    assert result.exit_code == 2 and "there is no such folder" in result.stderr
