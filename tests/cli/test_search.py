"""`landmarks search`: what it prints, writes and keeps, and how it ends where something is wrong."""

import csv
import io
import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from commands import as_json, run
from image_models import classifier_file, photograph, retrieval_file


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, two queries, and a folder with a copy of each among others; do not write into it."""
    folder = tmp_path_factory.mktemp("search")
    retrieval_file(folder / "model.safetensors")
    (folder / "photos" / "sub").mkdir(parents=True)
    for number in range(4):
        photograph(folder / "photos" / f"{number}.png", number, 100 + 20 * number, 160)
        photograph(folder / "photos" / "sub" / f"{number}.png", 10 + number, 160, 100)
    (folder / "photos" / "bad.jpg").write_bytes(b"no image")
    for name in ("q.png", "r.png"):
        shutil.copy(folder / "photos" / ("2.png" if name == "q.png" else "sub/1.png"), folder / name)
    return folder


@pytest.fixture
def here(made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(made)
    return made


def test_results_are_sorted_with_paths_and_scores(here: Path) -> None:
    done = run("search", "model.safetensors", "q.png", "r.png", "--in", "photos", "--top", "3", "--json")
    found = json.loads(done.stdout)
    assert list(found) == ["model", "name", "task", "in", "pipeline", "images", "unreadable", "results"]
    assert (found["name"], found["task"], found["in"], found["images"]) == ("net", "search", "photos", 8)
    assert [Path(one["path"]).name for one in found["unreadable"]] == ["bad.jpg"]
    assert (
        "1 of 9 searched images cannot be used" in done.stderr and "bad.jpg: cannot be read as an image" in done.stderr
    )
    first, second = found["results"]
    assert (first["image"], first["width"], first["height"]) == ("q.png", 160, 140)
    assert [one["found"][0]["path"] for one in (first, second)] == ["2.png", "sub/1.png"]
    for one in (first, second):
        scores = [hit["score"] for hit in one["found"]]
        assert len(scores) == 3 and scores == sorted(scores, reverse=True) and scores[0] == pytest.approx(1, abs=1e-5)
    printed = run("search", "model.safetensors", "q.png", "--in", "photos", "--top", "2").stdout
    assert re.search(r"q\.png, in 8 images of photos\n", printed) and re.search(r"1 +1\.0000 +2\.png", printed)
    assert not re.search(r"Embedding", printed)
    rows = list(
        csv.DictReader(io.StringIO(run("search", "model.safetensors", "q.png", "--in", "photos", "--csv").stdout))
    )
    assert len(rows) == 8 and rows[0] == {"query": "q.png", "rank": "1", "path": "2.png", "score": "1.000000"}


def test_an_image_of_the_folder_does_not_find_itself(here: Path) -> None:
    (found,) = as_json("search", "model.safetensors", "photos/2.png", "--in", "photos", "--top", "20")["results"]
    assert len(found["found"]) == 7 and "2.png" not in [hit["path"] for hit in found["found"]]


def test_descriptors_are_kept_and_renewed(here: Path, tmp_path: Path) -> None:
    shutil.copytree("photos", tmp_path / "photos")
    words = ["search", "model.safetensors", "q.png", "--in", tmp_path / "photos", "--keep", tmp_path / "kept"]
    assert "Embedding 9 new or changed images" in run(*words).stderr
    again = run(*words).stderr
    assert "Embedding" not in again  # the corrupt one is known
    assert "1 of 9 searched images cannot be used" in again and "bad.jpg: cannot be read" in again
    photograph(tmp_path / "photos" / "new.png", 30)
    assert "Embedding 1 new or changed images" in run(*words).stderr
    (kept,) = [path for path in (tmp_path / "kept").iterdir() if path.is_dir()]
    assert np.load(kept / "descriptors.npy").shape == (9, 8)


def test_a_set_of_descriptors_is_searched_by_the_model_that_made_it(here: Path, tmp_path: Path) -> None:
    run("search", "model.safetensors", "q.png", "--in", "photos", "--keep", tmp_path / "kept")
    (kept,) = [path for path in (tmp_path / "kept").iterdir() if path.is_dir()]
    (found,) = as_json("search", "model.safetensors", "q.png", "--in", kept, "--top", "1")["results"]
    assert re.fullmatch(r"[0-9a-f]{16}", found["found"][0]["path"])
    assert found["found"][0]["score"] == pytest.approx(1, abs=1e-5)
    retrieval_file(tmp_path / "other.safetensors", side=64)
    done = run("search", tmp_path / "other.safetensors", "q.png", "--in", kept, code=2)
    assert ": the set was made with other settings (input_size: 64 != 96)" in done.stderr
    done = run("search", "model.safetensors", "q.png", "--in", kept, "--pipeline", "verification", code=2)
    assert "needs image files" in done.stderr


def test_pipelines_rerank_and_the_page_shows_images(here: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    words = ["--in", "photos", "--top", "3", "--pipeline", "verification", "--html", page]
    found = as_json("search", "model.safetensors", "q.png", *words)
    assert found["pipeline"] == "verification" and found["results"][0]["found"][0]["path"] == "2.png"
    assert found["results"][0]["found"][0]["score"] > 1
    text = page.read_text()
    assert text.count("data:image/jpeg;base64,") == 4 and "2.png" in text and "bad.jpg" in text
    assert "no such file" not in text and "<script" not in text
    done = run("search", "model.safetensors", "q.png", "--in", "photos", "--pipeline", "verifcation", code=2)
    assert "no stage or pipeline 'verifcation'; did you mean 'verification'" in done.stderr
    assert "Embedding" not in done.stderr


def test_names_with_anything_in_them_are_printed(here: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    shutil.copy("q.png", tmp_path / "photos" / os.fsdecode(b"a\xff\n\x1b.png"))
    words = ["search", "model.safetensors", "q.png", "--in", tmp_path / "photos", "--html", tmp_path / "page.html"]
    (row,) = csv.DictReader(io.StringIO(run(*words, "--csv").stdout))
    assert row["path"] == r"a\udcff\n\x1b.png" and row["path"] in (tmp_path / "page.html").read_text()
    (found,) = as_json(*words)["results"]
    assert found["found"][0]["path"] == os.fsdecode(b"a\xff\n\x1b.png")


def test_bad_queries_are_passed_over_and_named(here: Path, tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("no image")
    done = run(
        "search", "model.safetensors", tmp_path / "text.jpg", "q.png", "gone.jpg", "--in", "photos", "--csv", code=1
    )
    assert {row["query"] for row in csv.DictReader(io.StringIO(done.stdout))} == {"q.png"}
    assert "2 of 3 query images cannot be used" in done.stderr and "gone.jpg: there is no such file" in done.stderr
    done = run("search", "model.safetensors", "gone.jpg", "--in", "photos", code=2)
    assert "no query image can be used:\n  gone.jpg: there is no such file" in done.stderr and not done.stdout


def test_mistakes_end_with_2(here: Path, tmp_path: Path) -> None:
    assert "no such folder" in run("search", "model.safetensors", "q.png", "--in", "nowhere", code=2).stderr
    assert "no such file" in run("search", "gone.safetensors", "q.png", "--in", "photos", code=2).stderr
    assert (
        "exclude each other"
        in run("search", "model.safetensors", "q.png", "--in", "photos", "--json", "--csv", code=2).stderr
    )
    assert (
        "--html"
        in run(
            "search", "model.safetensors", "q.png", "--in", "photos", "--html", tmp_path / "no" / "page.html", code=2
        ).stderr
    )
    (tmp_path / "empty").mkdir()
    assert "holds no image" in run("search", "model.safetensors", "q.png", "--in", tmp_path / "empty", code=2).stderr
    classes = classifier_file(tmp_path / "c.safetensors")
    assert run("search", classes, "q.png", "--in", "photos").stdout  # its descriptors serve as well
    run("search", "model.safetensors", "q.png", code=2)
