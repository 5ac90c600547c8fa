"""Drawn images: where boxes lie, how large letters are, and that no file is lost."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from landmarks.detection import (
    HEADER,
    MARGIN,
    SIDE,
    SPACE,
    BoxedImage,
    DrawnBoxes,
    ImageObjects,
    draw_objects,
    draw_on,
    draw_sheet,
    make_folder,
)
from landmarks.errors import LandmarksError
from landmarks.recognition.detections import DetectionClasses
from landmarks.report import CLASS_COLOURS

CLASSES = DetectionClasses(np.array(["/m/a", "/m/b"]), np.array(["Tower", "Boat"]))
SOURCE = Path("album/tower.jpg")


def objects(height: int, width: int, *boxes: list[float]) -> ImageObjects:
    """Boats on grey."""
    image = np.full((height, width, 3), 128, np.uint8)
    count = len(boxes)
    return ImageObjects(
        np.array(boxes, np.float64).reshape(-1, 4), np.ones(count, np.int32), np.full(count, 0.5), image
    )


def like_boats(path: Path) -> np.ndarray:
    """Where the colour of boats is, bool [H, W]."""
    return (np.abs(np.asarray(Image.open(path)).astype(int) - CLASS_COLOURS[1]) < 40).all(axis=2)


@pytest.mark.parametrize("scale", [1, 4])
def test_boxes_lines_and_letters_grow_with_the_image(scale: int, tmp_path: Path) -> None:
    found = objects(750 * scale, 1000 * scale, [500.0 * scale, 300.0 * scale, 250.0 * scale, 150.0 * scale])
    boats = like_boats(draw_objects(found, CLASSES, SOURCE, tmp_path))
    assert boats.shape == (750 * scale, 1000 * scale)
    rows, columns = np.nonzero(boats)
    ground = (300 - rows.min() / scale, columns.max() / scale)
    assert 15 < ground[0] < 35 and ground[1] == pytest.approx(750, abs=2)  # a label of a line above the box
    line = boats[375 * scale, 490 * scale : 520 * scale].sum() / scale
    assert 2 <= line <= 5
    assert not boats[400 * scale, 550 * scale : 700 * scale].any()


def test_small_images_are_enlarged_and_endless_ones_shrunk(tmp_path: Path) -> None:
    small = draw_objects(objects(30, 40, [10, 5, 20, 20]), CLASSES, Path("small.png"), tmp_path)
    assert Image.open(small).size == (800, 600)
    columns = np.nonzero(like_boats(small)[350])[0]
    assert columns.min() == pytest.approx(200, abs=2) and columns.max() == pytest.approx(600, abs=2)
    endless = draw_objects(objects(10, 70_000, [0, 0, 70_000, 10]), CLASSES, Path("endless.png"), tmp_path)
    assert Image.open(endless).size == (8000, 1)


def test_nothing_found_leaves_the_image_as_it_is(tmp_path: Path) -> None:
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


def test_an_impossible_folder_is_named_before_any_work(tmp_path: Path) -> None:
    make_folder(tmp_path / "new" / "one")
    assert (tmp_path / "new" / "one").is_dir()
    (tmp_path / "file").touch()
    for folder in ("file", "file/below"):
        with pytest.raises(LandmarksError, match=f"--draw .*{folder}: the folder cannot be created"):
            make_folder(tmp_path / folder)


def test_a_failed_write_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Image.Image, file: object, *_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(LandmarksError, match=r"tower_boxes\.jpg: cannot be written \(No space left"):
        draw_objects(objects(9, 9), CLASSES, SOURCE, tmp_path)
    assert not list(tmp_path.iterdir())


def boxes(*rows: tuple[str, list[float], float], scored: bool = True) -> DrawnBoxes:
    return DrawnBoxes(
        np.array([corners for _, corners, _ in rows]).reshape(-1, 4),
        np.array([title for title, _, _ in rows], dtype=np.str_),
        np.array([score for _, _, score in rows]) if scored else None,
    )


RED, BLUE = (200, 0, 0), (0, 0, 200)
GREY = np.full((90, 120, 3), 128, np.uint8)
TRUE = boxes(("Tower", [0.25, 0.4, 0.75, 0.9], 1.0), scored=False)
LEFT, TOP = MARGIN, MARGIN + HEADER


def pixel(path: Path, side: int, x: float, y: float) -> tuple[int, ...]:
    image = Image.open(path)
    return image.getpixel((LEFT + side * (SIDE + SPACE) + round(x * 359), TOP + round(y * 269)))


def test_boxes_are_drawn_where_they_are_on_both_sides_in_the_colour_of_their_class(tmp_path: Path) -> None:
    found = boxes(("Castle", [0.1, 0.5, 0.4, 0.95], 0.9), ("Tower", [0.5, 0.5, 0.9, 0.95], 0.8))
    draw_sheet([BoxedImage(GREY, "0123", TRUE, found)], out := tmp_path / "boxes.png")
    assert pixel(out, 0, 0.5, 0.9) == CLASS_COLOURS[1]  # Castle comes before Tower
    assert pixel(out, 0, 0.75, 0.6) == CLASS_COLOURS[1]
    assert pixel(out, 1, 0.1, 0.7) == CLASS_COLOURS[0]
    assert pixel(out, 1, 0.9, 0.7) == CLASS_COLOURS[1]
    for side, x, y in ((0, 0.5, 0.6), (1, 0.45, 0.7), (0, 0.1, 0.7)):
        assert pixel(out, side, x, y) == (128, 128, 128)


def test_weak_boxes_are_left_out_and_an_unreadable_image_says_so(tmp_path: Path) -> None:
    weak = boxes(("Tower", [0.1, 0.5, 0.9, 0.95], 0.29))
    draw_sheet([BoxedImage(GREY, "1", TRUE, weak), BoxedImage(None, "2", TRUE, weak)], out := tmp_path / "a.png")
    assert pixel(out, 1, 0.5, 0.95) == (128, 128, 128)
    second = LEFT + 2 * (SIDE + SPACE) + SPACE
    assert np.asarray(Image.open(out))[TOP : TOP + SIDE // 2, second : second + SIDE].std() > 1


def test_narrow_images_and_many_labels_in_one_place_are_drawn(tmp_path: Path) -> None:
    crowd = boxes(*(("A very long name of a class", [0.0, 0.0, 1.0, 1.0], 0.5 + i / 100) for i in range(30)))
    sliver = np.zeros((400, 3, 3), np.uint8)
    images = [BoxedImage(sliver, "f" * 16, crowd, crowd), *[BoxedImage(GREY, "2", crowd, crowd)] * 2]
    draw_sheet(images, tmp_path / "x.png")
    assert Image.open(tmp_path / "x.png").height > 2 * 270


@pytest.mark.parametrize("surest_first", [True, False])
def test_the_surest_name_lies_on_top_of_weak_ones(surest_first: bool) -> None:
    rows = [("Tower", [0.3, 0.4, 0.6, 0.8], 0.9), *[("Car", [0.3, 0.4, 0.6, 0.8], 0.2)] * 40]
    image = Image.new("RGB", (300, 200), (128, 128, 128))
    draw_on(image, boxes(*(rows if surest_first else rows[::-1])), {"Tower": RED, "Car": BLUE})
    above = np.asarray(image)[80 - 14 : 80 - 1, 92:140].reshape(-1, 3)
    assert (above == RED).all(axis=1).mean() > 0.4 and not (above == BLUE).all(axis=1).any()


def test_names_stay_in_the_image() -> None:
    image = Image.new("RGB", (300, 200))
    draw_on(image, boxes(("A long name of a class", [0.95, 0.0, 1.5, 0.5], 0.9)), {"A long name of a class": RED})
    drawn = (np.asarray(image) == RED).all(axis=2)
    assert drawn[1, 299] and not drawn[1, :100].any() and drawn[1, 150:].all()
