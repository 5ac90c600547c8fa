import dataclasses
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from found import found_objects
from landmarks.errors import LandmarksError
from landmarks.metrics import RecognitionSolution, RecognitionSubmission
from landmarks.report import (
    BOX,
    FRAME,
    HEADING,
    IMAGE,
    MARGIN,
    RIGHT,
    ROW_HEIGHT,
    TILE_WIDTH,
    WRONG,
    RecognitionSheet,
    choose_sections,
    draw_recognition,
)

IDS = np.arange(8, dtype=np.uint64)
#                       right  wrong sure        none  filtered right, wrong   not scored, unreadable
LANDMARKS = np.array([5, 6, 6, 5, -1, -1, -1, 5])
SCORES = np.array([0.9, 0.2, 0.8, 0.7, 0, 0, 0, 0.95])
FILTERED = np.array([False] * 5 + [True, True, False])
SOLUTION = RecognitionSolution(
    IDS[:7],
    np.ones(7, bool),
    np.array([0, 1, 2, 3, 3, 4, 4, 5]),  # query 3 and 5 show no landmark
    np.array([5, 5, 5, 5, 5]),
    IDS[7:],
)
NAMES = np.array(["", "Tower Bridge"])[(LANDMARKS >= 0).astype(int)]
WHY = np.array(["Person 0.97 and 12 more boxes cover 61%, nothing at all speaks for a landmark"] * 8)
FOUND = found_objects(
    [(5, "Person", 0.9, (0.25, 0.25, 0.75, 0.75)), (5, "Dog", 0.2, (0.0, 0.0, 1.0, 1.0))], IDS.tolist()
)


def sheet(solution: RecognitionSolution | None = SOLUTION) -> RecognitionSheet:
    submission = RecognitionSubmission(IDS, LANDMARKS, SCORES)
    return RecognitionSheet.of(submission, NAMES, FILTERED, WHY, solution, FOUND)


def read(image_id: int) -> NDArray[np.uint8]:
    if image_id == 2:
        raise LandmarksError("unreadable")
    return np.full((60, 60, 3), (0, 0, 200), np.uint8)


def test_every_kind_has_its_section_and_the_surest_failures_come_first() -> None:
    sections = {section.heading: section for section in choose_sections(sheet(), 5)}
    assert {name: section.rows.tolist() for name, section in sections.items()} == {
        "Filtered: no landmark": [5],
        "Filtered, but there is a landmark": [6],
        "Kept without a landmark, the surest predictions": [3],
        "Another landmark predicted, the surest": [2, 1],
        "Recognised": [0],
    }
    assert choose_sections(sheet(), 1)[3].rows.tolist() == [2]
    assert choose_sections(sheet(), 1)[3].total == 2
    unknown = choose_sections(sheet(None), 3)
    assert [section.rows.tolist() for section in unknown] == [[5, 6], [7, 0, 2]]


def test_the_image(tmp_path: Path) -> None:
    image = Image.open(draw_recognition(sheet(), read, tmp_path / "r.png"))
    assert image.height == 2 * MARGIN + 5 * (HEADING + ROW_HEIGHT)
    for section, colour in enumerate([RIGHT, WRONG, WRONG, WRONG, RIGHT]):
        top = MARGIN + HEADING + section * (HEADING + ROW_HEIGHT)
        assert image.getpixel((MARGIN + 2, top + TILE_WIDTH // 2)) == colour
    left, top = MARGIN + FRAME, MARGIN + HEADING + FRAME
    assert image.getpixel((left + IMAGE // 4 + 1, top + IMAGE // 2)) == BOX  # the person's left edge
    assert image.getpixel((left + 1, top + IMAGE // 2)) == (0, 0, 200)  # the dog is too faint to be drawn


def test_nothing_to_draw(tmp_path: Path) -> None:
    nobody = dataclasses.replace(sheet(None), names=np.full(8, ""), filtered=np.zeros(8, bool), right=np.zeros(8, bool))
    with pytest.raises(LandmarksError, match="nothing to draw"):
        draw_recognition(nobody, read, tmp_path / "r.png")
