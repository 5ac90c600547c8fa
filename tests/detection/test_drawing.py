"""Drawn pictures: where boxes lie, how large letters are, and that no file is lost."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from landmarks.detection.box_drawing import COLOURS
from landmarks.detection.drawing import draw_objects, make_folder
from landmarks.detection.single_images import PictureObjects
from landmarks.errors import LandmarksError
from landmarks.recognition.detections.classes import DetectionClasses

CLASSES = DetectionClasses(np.array(["/m/a", "/m/b"]), np.array(["Tower", "Boat"]))
SOURCE = Path("album/tower.jpg")


def objects(height: int, width: int, *boxes: list[float]) -> PictureObjects:
    """Boats on grey."""
    picture = np.full((height, width, 3), 128, np.uint8)
    count = len(boxes)
    return PictureObjects(
        np.array(boxes, np.float64).reshape(-1, 4), np.ones(count, np.int32), np.full(count, 0.5), picture
    )


def like_boats(path: Path) -> np.ndarray:
    """Where the colour of boats is, bool [H, W]."""
    return (np.abs(np.asarray(Image.open(path)).astype(int) - COLOURS[1]) < 40).all(axis=2)


@pytest.mark.parametrize("scale", [1, 4])
def test_boxes_lines_and_letters_grow_with_the_picture(scale: int, tmp_path: Path) -> None:
    found = objects(750 * scale, 1000 * scale, [500.0 * scale, 300.0 * scale, 250.0 * scale, 150.0 * scale])
    boats = like_boats(draw_objects(found, CLASSES, SOURCE, tmp_path))
    assert boats.shape == (750 * scale, 1000 * scale)
    rows, columns = np.nonzero(boats)
    ground = (300 - rows.min() / scale, columns.max() / scale)
    assert 15 < ground[0] < 35 and ground[1] == pytest.approx(750, abs=2)  # a label of a line above the box
    line = boats[375 * scale, 490 * scale : 520 * scale].sum() / scale
    assert 2 <= line <= 5
    assert not boats[400 * scale, 550 * scale : 700 * scale].any()


def test_small_pictures_are_enlarged_and_endless_ones_shrunk(tmp_path: Path) -> None:
    small = draw_objects(objects(30, 40, [10, 5, 20, 20]), CLASSES, Path("small.png"), tmp_path)
    assert Image.open(small).size == (800, 600)
    columns = np.nonzero(like_boats(small)[350])[0]
    assert columns.min() == pytest.approx(200, abs=2) and columns.max() == pytest.approx(600, abs=2)
    endless = draw_objects(objects(10, 70_000, [0, 0, 70_000, 10]), CLASSES, Path("endless.png"), tmp_path)
    assert Image.open(endless).size == (8000, 1)


def test_nothing_found_leaves_the_picture_as_it_is(tmp_path: Path) -> None:
    out = draw_objects(objects(700, 900), CLASSES, SOURCE, tmp_path)
    assert np.abs(np.asarray(Image.open(out)).astype(int) - 128).max() <= 1


def test_no_file_is_overwritten(tmp_path: Path) -> None:
    found = objects(20, 20)
    source = tmp_path / "tower_boxes.jpg"
    source.write_bytes(b"a photograph of somebody")
    names = [draw_objects(found, CLASSES, Path(folder) / "tower.png", tmp_path).name for folder in ("a", "b")]
    assert names == ["tower_boxes_2.jpg", "tower_boxes_3.jpg"]
    assert source.read_bytes() == b"a photograph of somebody"


def test_the_longest_names_are_cut_to_what_a_folder_holds(tmp_path: Path) -> None:
    stem = "ü" * 125  # 250 bytes of the 255 that a name may have
    first, second = (draw_objects(objects(9, 9), CLASSES, Path(f"{stem}.jpg"), tmp_path) for _ in range(2))
    assert first != second and first.name.startswith("üüü")


def test_a_folder_that_cannot_be_is_named_before_any_work(tmp_path: Path) -> None:
    make_folder(tmp_path / "new" / "one")
    assert (tmp_path / "new" / "one").is_dir()
    (tmp_path / "file").touch()
    for folder in ("file", "file/below"):
        with pytest.raises(LandmarksError, match=f"--draw .*{folder}: cannot be made a folder"):
            make_folder(tmp_path / folder)


def test_a_failed_write_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Image.Image, file: object, *_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(LandmarksError, match=r"tower_boxes\.jpg: cannot be written \(No space left"):
        draw_objects(objects(9, 9), CLASSES, SOURCE, tmp_path)
    assert not list(tmp_path.iterdir())
