"""The demo data that come with the package: whole, small, free, and read like the real sets."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hydra.utils import instantiate
from omegaconf import DictConfig
from typer.testing import CliRunner

from landmarks.cli.main import app
from landmarks.config import demo_data
from landmarks.data.gldv2 import GLDv2
from landmarks.data.images import decode
from landmarks.detection.metrics import score_detections
from landmarks.detection.openimages import OpenImages
from landmarks.recognition.detections import Detections
from landmarks.storage import derived_folder

DEMO = Path(demo_data("world")).parent
LIMIT = 20_000_000  # bytes

Compose = Callable[..., DictConfig]


@pytest.fixture(scope="module")
def files() -> list[Path]:
    return [path for path in DEMO.rglob("*") if path.is_file()]


def test_every_file_is_the_one_that_its_checksum_names(files: list[Path]) -> None:
    lines = (DEMO / "SHA256SUMS").read_text().splitlines()
    expected = {name: digest for digest, name in (line.split("  ") for line in lines)}
    found = {path.relative_to(DEMO).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    assert found.keys() == expected.keys() | {"README.md", "SHA256SUMS"}
    assert found.items() >= expected.items()


def test_it_is_small_and_says_where_it_comes_from_and_what_is_allowed(files: list[Path]) -> None:
    assert sum(path.stat().st_size for path in files) <= LIMIT
    note = (DEMO / "README.md").read_text()
    assert "Apache License 2.0" in note and "renderer" in note and "de34844" in note


def test_tables_and_tars_of_the_world_agree() -> None:
    done = CliRunner().invoke(app, ["data", "verify", "--root", str(DEMO / "world"), "--deep"])
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[-1] == "Training can start with train_clean, index, test."


def test_the_world_opens_as_google_landmarks_do(compose_config: Compose) -> None:
    data = compose_config("train").data
    source: GLDv2 = instantiate(data.source)(data.root)
    assert type(source) is GLDv2 and (source.name, source.release) == ("demo", None)
    source.prepare()
    assert (len(source.train()), len(source.gallery()), len(source.index()), len(source.queries())) == (
        685, 685, 240, 240
    )  # fmt: skip
    assert source.train().table.num_landmarks == 34
    truth = source.truth()
    assert truth.retrieval is not None and truth.recognition is not None
    assert {True, False} == set(truth.retrieval.public.tolist()) == set(truth.recognition.public.tolist())
    for images in (source.train(), source.index(), source.queries()):
        assert max(decode(images.read(0)).shape[:2]) == 224


def test_the_boxes_open_as_open_images_do(compose_config: Compose) -> None:
    data = compose_config("train", "experiments=demo_detector").data
    source: OpenImages = instantiate(data.source)(data.root)
    assert type(source) is OpenImages and source.name == "demo_boxes"
    source.prepare()
    train, validation, truth = source.train(), source.validation(), source.truth()
    assert (len(train), len(validation), len(source.classes())) == (800, 160, 24)
    assert len(np.intersect1d(train.images.table.ids, validation.images.table.ids)) == 0
    height, width = decode(train.images.read(0)).shape[:2]
    assert min(height, width) == data.image_size or max(height, width) == data.max_size
    found = Detections(truth.image_ids, truth.labels, np.ones(len(truth.labels)), truth.boxes, truth.classes)
    assert all(figures.mean == 1.0 for figures in score_detections(truth, found).values())


@pytest.mark.parametrize("name", ["world", "boxes"])
def test_nothing_is_written_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.delenv("LANDMARKS_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert derived_folder(Path(demo_data(name))).parent == tmp_path / "landmarks"
