from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from landmarks.detection.box_drawing import COLOURS, DrawnBoxes
from landmarks.detection.report import HEADER, MARGIN, PICTURE, SPACE, BoxedPicture, draw_boxes
from landmarks.errors import LandmarksError


def boxes(*rows: tuple[str, list[float], float], scored: bool = True) -> DrawnBoxes:
    return DrawnBoxes(
        np.array([corners for _, corners, _ in rows]).reshape(-1, 4),
        np.array([title for title, _, _ in rows], dtype=np.str_),
        np.array([score for _, _, score in rows]) if scored else None,
    )


GREY = np.full((90, 120, 3), 128, np.uint8)
TRUE = boxes(("Tower", [0.25, 0.4, 0.75, 0.9], 1.0), scored=False)
LEFT, TOP = MARGIN, MARGIN + HEADER


def pixel(path: Path, side: int, x: float, y: float) -> tuple[int, ...]:
    image = Image.open(path)
    found = image.getpixel((LEFT + side * (PICTURE + SPACE) + round(x * 359), TOP + round(y * 269)))
    assert isinstance(found, tuple)
    return found


def test_boxes_are_drawn_where_they_are_on_both_sides_in_the_colour_of_their_class(tmp_path: Path) -> None:
    found = boxes(("Castle", [0.1, 0.5, 0.4, 0.95], 0.9), ("Tower", [0.5, 0.5, 0.9, 0.95], 0.8))
    out = draw_boxes([BoxedPicture(GREY, "0123", TRUE, found)], tmp_path / "boxes.png")
    assert pixel(out, 0, 0.5, 0.9) == COLOURS[1]  # Castle comes before Tower
    assert pixel(out, 0, 0.75, 0.6) == COLOURS[1]
    assert pixel(out, 1, 0.1, 0.7) == COLOURS[0]
    assert pixel(out, 1, 0.9, 0.7) == COLOURS[1]
    for side, x, y in ((0, 0.5, 0.6), (1, 0.45, 0.7), (0, 0.1, 0.7)):
        assert pixel(out, side, x, y) == (128, 128, 128)


def test_weak_boxes_are_left_out_and_those_of_groups_dashed(tmp_path: Path) -> None:
    weak = boxes(("Tower", [0.1, 0.5, 0.9, 0.95], 0.29))
    group = DrawnBoxes(TRUE.corners, TRUE.titles, dashed=np.array([True]))
    out = draw_boxes([BoxedPicture(GREY, "0123", group, weak)], tmp_path / "boxes.png")
    assert pixel(out, 1, 0.5, 0.95) == (128, 128, 128)
    edge = {pixel(out, 0, 0.25 + 0.5 * step / 60, 0.9) for step in range(60)}
    assert edge == {COLOURS[0], (128, 128, 128)}


def test_a_picture_without_truth_is_drawn_once_and_an_unreadable_one_says_so(tmp_path: Path) -> None:
    nothing = boxes()
    once = Image.open(draw_boxes([BoxedPicture(GREY, "1", None, nothing)] * 3, tmp_path / "a.png"))
    twice = Image.open(draw_boxes([BoxedPicture(None, "1", nothing, nothing)] * 3, tmp_path / "b.png"))
    assert once.size != twice.size
    assert np.asarray(twice)[TOP : TOP + PICTURE // 2, LEFT : LEFT + PICTURE].std() > 1


def test_narrow_pictures_and_many_labels_in_one_place_are_drawn(tmp_path: Path) -> None:
    crowd = boxes(*(("A very long name of a class", [0.0, 0.0, 1.0, 1.0], 0.5 + i / 100) for i in range(30)))
    sliver = np.zeros((400, 3, 3), np.uint8)
    out = draw_boxes(
        [BoxedPicture(sliver, "f" * 16, crowd, crowd), BoxedPicture(GREY, "2", crowd, crowd)], tmp_path / "x.png"
    )
    assert Image.open(out).height > PICTURE


def test_nothing_to_draw_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LandmarksError, match="nothing to draw"):
        draw_boxes([], tmp_path / "boxes.png")
