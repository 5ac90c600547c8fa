"""`landmarks data clean` as a person and as a program use it."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from embedded import write_set
from http_server import HttpServer
from landmarks.cli.data import app
from landmarks.data.gldv2 import GLDv2, read_clean, read_labels


@pytest.fixture(scope="module")
def embedded(tiny_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Descriptors of the world's train images, but for the first one: a direction for each landmark, and noise."""
    table = read_labels(tiny_world / "metadata" / "train.csv")
    rng = np.random.default_rng(0)
    looks = rng.standard_normal((table.num_landmarks, 16))[table.landmarks]
    looks += 0.4 * rng.standard_normal(looks.shape)
    folder = tmp_path_factory.mktemp("sets") / "train"
    write_set(folder, table.ids[1:], looks[1:].astype(np.float32))
    return folder


def run(root: Path | str, embedded: Path, out: Path, *options: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(
        app, ["clean", "--root", str(root), "--descriptors", str(embedded), "--out", str(out), *options]
    )
    return result.exit_code, result.stdout, result.stderr.replace("\n", "")


def test_a_list_a_table_and_a_sheet(tiny_world: Path, embedded: Path, tmp_path: Path) -> None:
    out, sheet = tmp_path / "clean.csv", tmp_path / "sheet.png"
    code, stdout, stderr = run(tiny_world, embedded, out, "--sheet", str(sheet))
    assert code == 0, stderr
    assert stdout.startswith("Cleaned") and "images" in stdout and "removed: no descriptor" in stdout
    assert Image.open(sheet).format == "PNG" and str(sheet) in stderr
    table, clean = read_labels(tiny_world / "metadata" / "train.csv"), read_clean(out)
    assert 0 < len(clean) < len(table)
    rows = table.find(clean.ids)
    assert (table.landmark_names[table.landmarks[rows]] == clean.landmark_names[clean.landmarks]).all()
    assert clean.counts().min() >= 2
    again = tmp_path / "again.csv"
    assert run(tiny_world, embedded, again)[0] == 0 and again.read_bytes() == out.read_bytes()
    trained_on = GLDv2(tiny_world, train_split="train", include=out).train().table
    assert set(trained_on.ids.tolist()) == set(clean.ids.tolist())


def test_json(tiny_world: Path, embedded: Path, tmp_path: Path) -> None:
    out = tmp_path / "clean.csv"
    code, stdout, stderr = run(tiny_world, embedded, out, "--json", "--min-images", "3")
    assert code == 0, stderr
    report = json.loads(stdout)
    assert report.keys() == {"out", "images", "landmarks", "fell", "seconds"}
    clean = read_clean(out)
    assert (report["images"]["kept"], report["landmarks"]["kept"]) == (len(clean), clean.num_landmarks)
    assert report["fell"]["no_descriptor"] == 1 and clean.counts().min() >= 3


def test_the_table_of_an_address(
    tiny_world: Path, embedded: Path, tmp_path: Path, http_server: Callable[[Path], HttpServer]
) -> None:
    here, there = tmp_path / "here.csv", tmp_path / "there.csv"
    assert run(tiny_world, embedded, here)[0] == 0
    assert run(http_server(tiny_world).url, embedded, there)[0] == 0
    assert here.read_bytes() == there.read_bytes()


def test_existing_files_are_replaced_only_if_asked(tiny_world: Path, embedded: Path, tmp_path: Path) -> None:
    out = tmp_path / "clean.csv"
    out.write_text("mine")
    code, _, stderr = run(tiny_world, embedded, out)
    assert code == 2 and "exists already" in stderr and out.read_text() == "mine"
    assert run(tiny_world, embedded, out, "--force")[0] == 0 and out.read_text().startswith("landmark_id,images\n")
    assert "is a folder" in run(tiny_world, embedded, tmp_path)[2]


def test_mistakes_are_named_and_nothing_is_written(tiny_world: Path, embedded: Path, tmp_path: Path) -> None:
    out = tmp_path / "clean.csv"
    for root, descriptors, options, message in (
        (tmp_path, embedded, (), "train.csv is missing"),
        (tiny_world, tmp_path / "none", (), "no descriptor set here"),
        (tiny_world, embedded, ("--min-images", "1000"), "images is kept"),
        (tiny_world, embedded, ("--other-class", "1000"), "with only"),
        (tiny_world, embedded, ("--chance", "0"), "chance (0.0) must be above 0"),
        (tiny_world, embedded, ("--sheet", str(tmp_path / "s.png"), "--sheet-landmark", "x"), "belongs to landmark x"),
    ):
        code, stdout, stderr = run(root, descriptors, out, *options)
        assert code == 2 and message in stderr and stdout == "", (options, stderr)
    table = tmp_path / "metadata" / "train.csv"
    table.parent.mkdir()
    table.write_text("id,url\n000000000000000a,\n")
    assert "column 'landmark_id' is missing" in run(tmp_path, embedded, out)[2]
    table.write_text("id,url,landmark_id\n000000000000000a,,1\n000000000000000b,,1\n")
    assert "are not in the table of train images" in run(tmp_path, embedded, out)[2]
    assert not out.exists()


def test_an_interruption_says_how_to_go_on(
    tiny_world: Path, embedded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("landmarks.cleaning.clean.other_class_bars", interrupted)
    code, _, stderr = run(tiny_world, embedded, tmp_path / "clean.csv")
    assert code == 130 and "run the same command again to resume" in stderr and not list(tmp_path.iterdir())
