"""The three commands on single images: what they print, and how they end where something is wrong."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from commands import as_json, run
from image_models import (
    broken_images,
    classifier_file,
    detector_file,
    onnx_file,
    photograph,
    retrieval_file,
    turned,
)
from images import scene
from landmarks.detection import detect as detectors
from landmarks.models import opened

COMMANDS = ("similarity", "classify", "detect")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model for each command and three images; do not write into it."""
    folder = tmp_path_factory.mktemp("images")
    retrieval_file(folder / "similarity.safetensors")
    classifier_file(folder / "classify.safetensors", ("1501", "42", "Dom"), ("Old bridge", "", ""))
    classifier_file(folder / "nameless.safetensors")
    detector_file(folder / "detect.safetensors")
    for number, size in enumerate([(120, 160), (300, 200), (90, 90)]):
        photograph(folder / f"{number}.jpg", number, *size)
    (folder / "categories.csv").write_text("landmark_id,category\n42,Category:West_gate\n")
    return folder


@pytest.fixture
def here(made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(made)
    return made


def test_similarity_puts_the_most_alike_first(here: Path) -> None:
    found = as_json("similarity", "similarity.safetensors", "0.jpg", "2.jpg", "1.jpg", "0.jpg")
    assert list(found) == ["model", "name", "task", "first", "results"]
    assert (found["model"], found["name"], found["task"]) == ("similarity.safetensors", "net", "similarity")
    size = {"width": 160, "height": 120, "embedded_width": 128, "embedded_height": 96}
    assert found["first"] == {"image": "0.jpg", **size}
    order = [one["image"] for one in found["results"]]
    assert sorted(order) == ["0.jpg", "1.jpg", "2.jpg"] and order[0] == "0.jpg"
    assert found["results"][0] == {"image": "0.jpg", **size, "cosine": pytest.approx(1.0, abs=1e-9)}
    assert found["results"][1]["cosine"] >= found["results"][2]["cosine"]
    cosines = {one["image"]: one["cosine"] for one in found["results"]}
    first, second = order[1:]
    printed = run("similarity", "similarity.safetensors", "0.jpg", second, first).stdout
    for name in ("2.jpg", "1.jpg"):
        assert re.search(rf"{cosines[name]:.4f} +\d+ x \d+ +\d+ x \d+ +{re.escape(name)}", printed)
    assert "300" in printed and printed.index(first) < printed.index(second)


def test_similarity_reads_folders_and_skips_bad_files(here: Path, tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    photograph(tmp_path / "a" / "x.jpg", 5)
    photograph(tmp_path / "a" / "b" / "y.jpg", 6)
    (tmp_path / "a" / "bad.jpg").write_bytes(b"no image")
    done = run("similarity", "similarity.safetensors", "0.jpg", tmp_path / "a", "1.jpg", "gone.jpg", "--json", code=1)
    found = [Path(one["image"]).name for one in json.loads(done.stdout)["results"]]
    assert sorted(found) == ["1.jpg", "x.jpg", "y.jpg"]
    assert "2 of 5 other images cannot be used" in done.stderr
    assert "bad.jpg: cannot be read as an image" in done.stderr and "gone.jpg: there is no such file" in done.stderr
    done = run("similarity", "similarity.safetensors", "0.jpg", "gone.jpg", code=2)
    assert "no image to compare it with can be used:\n  gone.jpg: there is no such file" in done.stderr
    (tmp_path / "empty").mkdir()
    done = run("similarity", "similarity.safetensors", "0.jpg", tmp_path / "empty", code=2)
    assert "empty: holds no image of a known format" in done.stderr


def test_classify_names_the_top(here: Path) -> None:
    found = as_json("classify", "classify.safetensors", "0.jpg", "1.jpg", "--categories", "categories.csv")
    assert list(found) == ["model", "name", "task", "results"] and found["task"] == "classification"
    assert [one["image"] for one in found["results"]] == ["0.jpg", "1.jpg"]
    for one in found["results"]:
        assert list(one) == ["image", "width", "height", "classes"]
        assert [entry["rank"] for entry in one["classes"]] == [1, 2, 3]
        assert sum(entry["score"] for entry in one["classes"]) == pytest.approx(1, abs=1e-6)
        by_label = {entry["label"]: (entry["landmark_id"], entry["category"]) for entry in one["classes"]}
        assert by_label == {0: (1501, "Old bridge"), 1: (42, "West gate"), 2: (None, "Dom")}
    printed = run("classify", "classify.safetensors", "0.jpg", "--top", "1").stdout
    assert "0.jpg" in printed and len(re.findall(r"0\.\d{4}", printed)) == 1


def test_control_characters_in_names_are_escaped(here: Path, tmp_path: Path) -> None:
    model = classifier_file(tmp_path / "classify.safetensors", ("1", "2", "3"), ("\x1b[2Ja", "", ""))
    screen = run("classify", model, "0.jpg").stdout
    assert "\x1b" not in screen and r"\x1b[2Ja" in screen


def test_classes_without_names(here: Path) -> None:
    (one,) = as_json("classify", "nameless.safetensors", "0.jpg", "--top", "2")["results"]
    assert [(entry["landmark_id"], entry["category"]) for entry in one["classes"]] == [(None, None)] * 2
    done = run("classify", "nameless.safetensors", "0.jpg", "--categories", "categories.csv", code=2)
    assert "--categories: nameless.safetensors does not hold the landmark ids" in done.stderr and not done.stdout


def test_detect_gives_boxes_as_coco_does_and_draws_them(here: Path, tmp_path: Path) -> None:
    image = scene(9, 60, 90)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    Image.fromarray(image).save(tmp_path / "a" / "x.png")
    paths = [tmp_path / "a" / "x.png", turned(tmp_path / "b" / "x.png", image)]
    sources = [path.read_bytes() for path in paths]
    found = as_json("detect", "detect.safetensors", *paths, "--draw", tmp_path / "a", "--min-score", "0.2")
    assert (found["name"], found["task"]) == ("finder", "detection")
    plain, side = found["results"]
    assert list(plain) == ["image", "width", "height", "drawn", "boxes"]
    assert plain["boxes"] == side["boxes"] and (side["width"], side["height"]) == (90, 60)
    assert [Path(one["drawn"]).name for one in (plain, side)] == ["x_boxes.jpg", "x_boxes_2.jpg"]
    drawn = [np.asarray(Image.open(one["drawn"])) for one in (plain, side)]
    assert drawn[0].shape == (533, 800, 3) and np.array_equal(*drawn)
    assert [path.read_bytes() for path in paths] == sources
    for box in plain["boxes"]:
        assert list(box) == ["class", "title", "score", "bbox"] and box["score"] >= 0.2
        assert (box["class"], box["title"]) in {("/m/a", "Tower"), ("/m/b", "Boat")}
        x, y, width, height = box["bbox"]
        assert 0 <= x < x + width <= 90 + 1e-3 and 0 <= y < y + height <= 60 + 1e-3
    printed = run("detect", "detect.safetensors", paths[0], "--min-score", "0.2").stdout
    assert len(re.findall(r"Tower|Boat", printed)) == len(plain["boxes"]) > 0
    nothing = run("detect", "detect.safetensors", "0.jpg", "--min-score", "1").stdout
    assert "nothing found" in nothing


@pytest.mark.parametrize("command", ["classify", "detect"])
def test_bad_images_are_all_named_before_the_model_is_opened(
    command: str, here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = broken_images(tmp_path)

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("the model was opened")

    for where, name in ((opened, "open_model"), (detectors, "load_detector")):
        monkeypatch.setattr(where, name, never)
    more = ["--draw", tmp_path / "drawn"] if command == "detect" else []
    done = run(command, f"{command}.safetensors", "0.jpg", *broken.values(), *more, "--json", code=2)
    assert done.stdout == "" and not (tmp_path / "drawn").exists()
    assert "7 of 8 images cannot be used" in done.stderr
    for reason, path in broken.items():
        assert re.search(rf"{re.escape(str(path))}: .*{re.escape(reason)}", done.stderr)


@pytest.mark.parametrize("command", COMMANDS)
def test_mistakes_about_the_model_end_with_status_2(command: str, here: Path, tmp_path: Path) -> None:
    images = ["0.jpg", "1.jpg"]
    assert "gone.ckpt: there is no such file" in run(command, tmp_path / "gone.ckpt", *images, code=2).stderr
    assert "there is no such file" in run(command, *images, "-", code=2).stderr
    (tmp_path / "bad.safetensors").write_bytes(b"x" * 100)
    assert "bad.safetensors: corrupt" in run(command, tmp_path / "bad.safetensors", *images, code=2).stderr
    other = "detect" if command != "detect" else "similarity"
    done = run(command, f"{other}.safetensors", *images, code=2)
    assert f"landmarks {other}" in done.stderr and not done.stdout


def test_files_for_onnx_runtime(here: Path, tmp_path: Path) -> None:
    embedded, named = onnx_file(tmp_path / "d.onnx", "retrieval"), onnx_file(tmp_path / "c.onnx", "classification")
    assert as_json("similarity", embedded, "0.jpg", "0.jpg")["results"][0]["cosine"] == pytest.approx(1)
    (one,) = as_json("classify", named, "0.jpg", "--top", "9")["results"]
    assert {entry["landmark_id"] for entry in one["classes"]} == {7, 8, 9}


def test_long_and_odd_names_break_no_column(here: Path, tmp_path: Path) -> None:
    odd = photograph(tmp_path / ("[bold]" + "long name " * 15 + "é.png"))
    lines = run("similarity", "similarity.safetensors", odd, "0.jpg", columns=80).stdout.splitlines()
    assert max(map(len, lines)) <= 80
    (row,) = [line for line in lines if "0.jpg" in line]
    assert re.match(r" +-?\d\.\d{4} +160 x 120 +128 x 96 +0\.jpg *$", row)
    for command in ("classify", "detect"):
        assert str(odd) in run(command, f"{command}.safetensors", odd, columns=80).stdout


def test_options_out_of_range_are_refused(here: Path) -> None:
    run("classify", "classify.safetensors", "0.jpg", "--top", "0", code=2)
    run("detect", "detect.safetensors", "0.jpg", "--min-score", "1.2", code=2)
    run("similarity", "similarity.safetensors", "0.jpg", code=2)
    (here / "taken").touch()
    done = run("detect", "detect.safetensors", "0.jpg", "--draw", "taken", code=2)
    assert "--draw taken: the folder cannot be created" in done.stderr
    assert "gone.csv" in run("classify", "classify.safetensors", "0.jpg", "--categories", "gone.csv", code=2).stderr
