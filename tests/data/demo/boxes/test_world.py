"""The drawn folder: its bytes, its tables as other code reads them, and what is left when the drawing stops."""

import csv
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from landmarks.data.demo.boxes.classes import CLASSES, ancestors
from landmarks.data.demo.boxes.drawing import Drawn
from landmarks.data.demo.boxes.plan import Picture
from landmarks.data.demo.boxes.world import STAMP, DemoBoxes, write_demo_boxes
from landmarks.data.images.decode import decode
from landmarks.detection.metrics.average_precision import score_detections
from landmarks.detection.metrics.files import read_truth
from landmarks.detection.openimages.detection_set import BoxFlag, DetectionSet
from landmarks.errors import LandmarksError
from landmarks.recognition.detections.boxes import Detections

SMALL = {"seed": 3, "pictures": 12}
cv2.setNumThreads(1)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("boxes") / "set"
    write_demo_boxes(folder, **SMALL, workers=0)
    return folder


def content(root: Path) -> dict[str, str]:
    files = (p for p in root.rglob("*") if p.is_file())
    return {str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_tables_and_pictures_agree(root: Path) -> None:
    names = {name for name, _ in CLASSES.values()}
    for split, count in (("train", 10), ("validation", 2)):
        pictures = {path.stem for path in (root / split).iterdir()}
        assert len(pictures) == count
        boxes = rows(root / f"{split}-annotations-bbox.csv")
        labels = rows(root / f"{split}-annotations-human-imagelabels-boxable.csv")
        assert {row["ImageID"] for row in boxes} <= pictures == {row["ImageID"] for row in labels}
        assert {row["LabelName"] for row in boxes + labels} <= names
        assert [row["ImageID"] for row in boxes] == sorted(row["ImageID"] for row in boxes)
        for row in boxes:
            assert (
                0 <= float(row["XMin"]) < float(row["XMax"]) <= 1 and 0 <= float(row["YMin"]) < float(row["YMax"]) <= 1
            )
        present = {(row["ImageID"], row["LabelName"]) for row in labels if row["Confidence"] == "1"}
        absent = {(row["ImageID"], row["LabelName"]) for row in labels if row["Confidence"] == "0"}
        assert present == {(row["ImageID"], row["LabelName"]) for row in boxes} and absent and not present & absent
        titles = {name: title for title, (name, _) in CLASSES.items()}
        above = {(image, CLASSES[parent][0]) for image, name in present for parent in ancestors(titles[name])}
        assert not above & absent, "where there is a tower there is a building"


def test_source_reads_what_was_drawn(root: Path) -> None:
    before = content(root)
    source = DemoBoxes(root, **SMALL, workers=0)
    source.prepare()
    assert content(root) == before and source.name == "demo_boxes"
    assert source.classes().titles.tolist() == list(CLASSES)
    train, validation = source.train(), source.validation()
    assert isinstance(train, DetectionSet) and (len(train), len(validation)) == (10, 2)
    image = decode(validation.images.read(0))
    assert min(image.shape[:2]) >= 250
    written = rows(root / "train-annotations-bbox.csv")
    assert len(train.boxes.labels) == len(written)
    for flag in ("IsOccluded", "IsTruncated", "IsGroupOf"):
        assert train.boxes.has(BoxFlag[flag]).sum() == sum(row[flag] == "1" for row in written)


def test_truth_written_as_predictions_is_perfect(root: Path) -> None:
    truth = DemoBoxes(root, **SMALL).truth()
    scores = np.ones(len(truth.labels))
    found = Detections(truth.image_ids, truth.labels, scores, truth.boxes, truth.classes)
    figures = score_detections(truth, found)
    assert figures and all(each.mean == 1.0 for each in figures.values())
    plain = read_truth(root / "validation-annotations-bbox.csv",
                       root / "validation-annotations-human-imagelabels-boxable.csv")  # fmt: skip
    assert len(plain.labels) < len(truth.labels), "the source adds the classes above"


def test_prepare_draws_the_same_with_other_workers(tmp_path: Path, root: Path) -> None:
    source = DemoBoxes(tmp_path / "deep" / "set", **SMALL, workers=2)
    source.prepare()
    assert content(source.folder) == content(root)
    assert [p.name for p in source.folder.parent.iterdir()] == ["set"]


@pytest.fixture
def blank(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blank pictures: these tests are about folders."""

    def draw(plan: list[Picture], seed: int, workers: int | None = None) -> Iterator[tuple[Picture, Drawn]]:
        for picture in plan:
            yield picture, Drawn(b"blank", [], ["Tower"])

    monkeypatch.setattr("landmarks.data.demo.boxes.world.draw_pictures", draw)


@pytest.mark.usefixtures("blank")
def test_another_seed_verifies_other_labels_of_other_pictures(tmp_path: Path) -> None:
    write_demo_boxes(tmp_path / "a", **SMALL)
    write_demo_boxes(tmp_path / "b", **(SMALL | {"seed": 4}))
    one, two = (content(tmp_path / name) for name in "ab")
    assert not {p for p in one if p.endswith(".jpg")} & {p for p in two if p.endswith(".jpg")}


@pytest.mark.usefixtures("blank")
def test_error_half_way_leaves_nothing(tmp_path: Path) -> None:
    calls: list[int] = []

    def fail() -> None:
        calls.append(1)
        if len(calls) == 5:
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_demo_boxes(tmp_path / "set", **SMALL, on_picture=fail)
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("blank")
def test_what_a_killed_drawing_left_is_cleared_away(tmp_path: Path) -> None:
    left = tmp_path / ".set.partial" / "train"
    left.mkdir(parents=True)
    (left / "0123456789abcdef.jpg").write_bytes(b"half")
    write_demo_boxes(tmp_path / "set", **SMALL)
    assert [p.name for p in tmp_path.iterdir()] == ["set"]
    assert not (tmp_path / "set" / "train" / "0123456789abcdef.jpg").exists()


@pytest.mark.parametrize("change", [{"seed": 9}, {"pictures": 13}])
def test_another_set_is_never_overwritten(root: Path, change: dict[str, int]) -> None:
    before = content(root)
    with pytest.raises(LandmarksError, match=r"holds the rendered detection set .*remove the folder"):
        DemoBoxes(root, **(SMALL | change), workers=0).prepare()
    assert content(root) == before


def test_foreign_folders_and_damaged_stamps_are_named(tmp_path: Path, root: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(LandmarksError, match="is not a rendered detection set"):
        write_demo_boxes(tmp_path, **SMALL)
    (tmp_path / STAMP).write_text("{")
    with pytest.raises(LandmarksError, match=rf"{STAMP} is damaged: remove the folder"):
        write_demo_boxes(tmp_path, **SMALL)
    stamp = json.loads((root / STAMP).read_text())
    (tmp_path / STAMP).write_text(json.dumps(stamp | {"version": 0}))
    with pytest.raises(LandmarksError, match="'version': 0"):
        write_demo_boxes(tmp_path, **SMALL)


def test_a_picture_that_went_missing_is_named(tmp_path: Path, root: Path) -> None:
    folder = tmp_path / "set"
    for path in root.rglob("*"):
        if path.is_file():
            (folder / path.relative_to(root)).parent.mkdir(parents=True, exist_ok=True)
            (folder / path.relative_to(root)).write_bytes(path.read_bytes())
    gone = sorted((folder / "validation").iterdir())[0]
    gone.unlink()
    source = DemoBoxes(folder, **SMALL)
    source.prepare()
    with pytest.raises(LandmarksError, match=gone.stem):
        source.validation()
