"""Draws a sheet of recognition's decisions and their reasons: predictions with confidence, and filtered queries.

Each kind of success and failure has its own rows, so that a filter is also judged by what it removes wrongly. Failures
with the highest confidence come first, because they cost most GAP.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from landmarks.errors import LandmarksError, shown
from landmarks.metrics import RecognitionSolution, RecognitionSubmission, correctness
from landmarks.recognition import FoundObjects
from landmarks.report.palette import BOX, GREY, INK, NEUTRAL, PAPER, RIGHT, WRONG, Colour
from landmarks.report.tiles import (
    MARGIN,
    SPACE,
    TILE_HEIGHT,
    TILE_WIDTH,
    ReadImage,
    Tile,
    draw_tile,
    font,
    letterboxed,
    read_or_none,
    save_sheet,
)

COLUMNS = 7  # most tiles of each kind
HEADING = 34  # height of a section's heading, pixels
WHY_LINES, LINE = 3, 15  # most lines of reasons under a tile, and their height in pixels
ROW_HEIGHT = TILE_HEIGHT + WHY_LINES * LINE + 16  # height of a row of tiles with its reasons, pixels
NOTE = 18  # pixels by which the reasons move up under a tile without prediction
LEAST_DRAWN_SCORE = 0.3
MOST_DRAWN = 4  # boxes per image, those of the largest score x area


@dataclass(frozen=True, eq=False)
class RecognitionSheet:
    """The data that the sheet is drawn from, one entry per query."""

    ids: NDArray[np.uint64]  # uint64 [Q]
    names: NDArray[np.str_]  # str [Q], name of the predicted landmark; empty for no prediction
    confidence: NDArray[np.floating]  # float [Q]
    filtered: NDArray[np.bool_]  # bool [Q], removed as showing no landmark
    why: NDArray[np.str_]  # str [Q], the evidence as text; empty for none
    right: NDArray[np.bool_]  # bool [Q], the prediction is correct
    # bool [Q], the query shows a landmark; None if unknown, and then `right` is not used
    has_landmark: NDArray[np.bool_] | None
    found: FoundObjects | None = None  # boxes to draw; None for none

    @staticmethod
    def of(
        submission: RecognitionSubmission,
        names: NDArray[np.str_],
        filtered: NDArray[np.bool_],
        why: NDArray[np.str_],
        solution: RecognitionSolution | None = None,
        found: FoundObjects | None = None,
    ) -> "RecognitionSheet":
        """Compare predictions with the solution, if given; queries that it ignores are left out."""
        rows = np.arange(len(submission.image_ids))
        right, has_landmark = np.zeros(len(rows), np.bool_), None
        if solution is not None:
            right = correctness(solution, submission.image_ids, submission.landmarks)
            rows = np.flatnonzero(~np.isin(submission.image_ids, solution.ignored_ids))
            has_landmark = np.isin(submission.image_ids[rows], solution.image_ids[solution.has_landmark])
        return RecognitionSheet(
            submission.image_ids[rows], names[rows], submission.scores[rows], filtered[rows], why[rows], right[rows],
            has_landmark, found,
        )  # fmt: skip


@dataclass(frozen=True)
class Section:
    """Queries with the same kind of outcome."""

    heading: str  # name of the outcome
    frame: Colour  # colour of the tiles' frames
    mark: str  # sign in their corners
    rows: NDArray[np.intp]  # int [n], the drawn rows of the sheet
    total: int  # number of all queries with this outcome


def choose_sections(sheet: RecognitionSheet, count: int) -> list[Section]:
    """Choose at most `count` queries of every outcome; outcomes without queries are left out."""
    random = np.random.default_rng(0)
    gone, answered, has = sheet.filtered, sheet.names != "", sheet.has_landmark

    def drawn(rows: NDArray[np.intp]) -> NDArray[np.intp]:
        return np.sort(random.choice(rows, min(count, len(rows)), replace=False)) if len(rows) else rows

    def surest(rows: NDArray[np.intp]) -> NDArray[np.intp]:
        return rows[np.argsort(-sheet.confidence[rows], kind="stable")][:count]

    Kind = tuple[str, Colour, str, NDArray[np.bool_], Callable[[NDArray[np.intp]], NDArray[np.intp]]]
    kinds: list[Kind]
    if has is None:
        kinds = [
            ("Filtered", NEUTRAL, "", gone, drawn),
            ("Predicted, the surest", NEUTRAL, "", ~gone & answered, surest),
        ]
    else:
        wrong = answered & ~gone & ~sheet.right
        kinds = [
            ("Filtered: no landmark", RIGHT, "✓", gone & ~has, drawn),
            ("Filtered, but there is a landmark", WRONG, "✗", gone & has, drawn),
            ("Kept without a landmark, the surest predictions", WRONG, "✗", wrong & ~has, surest),
            ("Another landmark predicted, the surest", WRONG, "✗", wrong & has, surest),
            ("Recognised", RIGHT, "✓", ~gone & sheet.right, drawn),
        ]
    sections = []
    for heading, frame, mark, chosen, pick in kinds:
        rows = np.flatnonzero(chosen)
        if len(rows):
            sections.append(Section(heading, frame, mark, pick(rows), len(rows)))
    return sections


def draw_recognition(sheet: RecognitionSheet, read: ReadImage, out: str | Path) -> Path:
    """Draw the sections below each other as a PNG file, one row of tiles per section."""
    sections = choose_sections(sheet, COLUMNS)
    if not sections:
        raise LandmarksError("recognition sheet: nothing to draw: there is neither a prediction nor a filtered query")
    width = 2 * MARGIN + COLUMNS * (TILE_WIDTH + SPACE) - SPACE
    canvas = Image.new("RGB", (width, 2 * MARGIN + len(sections) * (HEADING + ROW_HEIGHT)), PAPER)
    pen, top = ImageDraw.Draw(canvas), MARGIN
    for section in sections:
        pen.text((MARGIN, top), section.heading, fill=INK, font=font(17, bold=True))
        beside = MARGIN + font(17, bold=True).getlength(section.heading) + 12
        pen.text((beside, top + 3), f"{len(section.rows)} of {section.total}", fill=GREY, font=font(13))
        top += HEADING
        for place, row in enumerate(section.rows.tolist()):
            _draw_query(canvas, MARGIN + place * (TILE_WIDTH + SPACE), top, sheet, row, section, read)
        top += ROW_HEIGHT
    return save_sheet(canvas, out)


def _draw_query(
    canvas: Image.Image, left: int, top: int, sheet: RecognitionSheet, row: int, section: Section, read: ReadImage
) -> None:
    pixels = read_or_none(read, int(sheet.ids[row]))
    if pixels is not None:
        image = letterboxed(pixels)
        _draw_boxes(image, sheet, row)
        pixels = np.asarray(image)
    name = str(sheet.names[row])
    note = f"{sheet.confidence[row]:.3f}" if name else ""
    draw_tile(canvas, left, top, Tile(pixels, section.frame, name or "no prediction", note, mark=section.mark))
    below = top + TILE_HEIGHT - (0 if name else NOTE)
    for number, line in enumerate(_wrapped(str(sheet.why[row]), TILE_WIDTH)[:WHY_LINES]):
        ImageDraw.Draw(canvas).text((left, below + number * LINE), line, fill=GREY, font=font(11))


def _draw_boxes(image: Image.Image, sheet: RecognitionSheet, row: int) -> None:
    """Draw the most important boxes with their titles, small ones on top; those with low scores are left out."""
    if sheet.found is None:
        return
    boxes, titles = sheet.found.boxes, sheet.found.classes.titles
    drawn = np.flatnonzero((boxes.image_ids == sheet.ids[row]) & (boxes.scores >= LEAST_DRAWN_SCORE))
    weight = boxes.scores[drawn] * (boxes.boxes[drawn, 2:] - boxes.boxes[drawn, :2]).prod(axis=1)
    pen = ImageDraw.Draw(image)
    for box in drawn[np.argsort(-weight, kind="stable")][:MOST_DRAWN].tolist():
        corners = np.clip(boxes.boxes[box], 0, 1) * np.tile(image.size, 2)
        corners = np.minimum(corners, np.tile(image.size, 2) - 1)
        pen.rectangle(tuple(corners.tolist()), outline=BOX, width=2)
        title = f"{shown(titles[boxes.labels[box]])} {boxes.scores[box]:.2f}"
        place = (corners[0] + 2, corners[1] + 1)
        pen.rectangle(pen.textbbox(place, title, font=font(10)), fill=BOX)
        pen.text(place, title, fill=INK, font=font(10))


def _wrapped(text: str, width: int) -> Sequence[str]:
    lines = [""]
    for word in map(shown, text.split()):
        longer = f"{lines[-1]} {word}".strip()
        if font(11).getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines
