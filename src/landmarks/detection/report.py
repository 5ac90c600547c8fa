"""Pictures with boxes drawn on them, what is true beside what was found: whether the boxes of a detector look right.

A class has one colour on the whole sheet and its name beside every box, for those who do not see colours apart. Boxes
of groups are dashed. Weak boxes are left out: a detector gives up to a hundred of them, and a figure counts them all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from landmarks.detection.box_drawing import COLOURS, DrawnBoxes, draw_on
from landmarks.errors import LandmarksError
from landmarks.report.tiles import GREY, INK, MAT, PAPER, font, shortened

SHOWN_FROM = 0.3  # least score of a box that is drawn
PICTURE = 360  # longer side of a picture
SPACE, MARGIN, HEADER, CAPTION = 14, 24, 40, 30
COLUMNS = 2  # pairs in a row


@dataclass(frozen=True, eq=False)
class BoxedPicture:
    """A picture of the sheet.

    Attributes:
        image: uint8 [H, W, 3] RGB, or None where it could not be read.
        name: below it.
        true: what it shows; None where nobody knows.
        found: what a detector found.
    """

    image: NDArray[np.uint8] | None
    name: str
    true: DrawnBoxes | None
    found: DrawnBoxes


def draw_boxes(pictures: Sequence[BoxedPicture], out: str | Path) -> Path:
    """Draw each picture twice, with its true and with its found boxes; once where no truth is known.

    Args:
        pictures: in order.
        out: PNG to write.

    Returns:
        `out`.

    Raises:
        LandmarksError: there is no picture.
    """
    if not pictures:
        raise LandmarksError("boxes: nothing to draw; needs at least one picture")
    titles = sorted({title for p in pictures for one in (p.true, p.found) if one for title in one.titles.tolist()})
    colours = {title: COLOURS[number % len(COLOURS)] for number, title in enumerate(titles)}
    sides = 1 + any(picture.true is not None for picture in pictures)
    columns = min(COLUMNS * (3 - sides), len(pictures))
    block = sides * (PICTURE + SPACE) - SPACE
    heights = [
        max(_size(picture)[1] for picture in pictures[start : start + columns])
        for start in range(0, len(pictures), columns)
    ]
    width = 2 * MARGIN + columns * (block + 2 * SPACE) - 2 * SPACE
    canvas = Image.new("RGB", (width, 2 * MARGIN + HEADER + sum(heights) + len(heights) * CAPTION), PAPER)
    pen = ImageDraw.Draw(canvas)
    top = MARGIN + HEADER
    for number, picture in enumerate(pictures):
        row, column = divmod(number, columns)
        left = MARGIN + column * (block + 2 * SPACE)
        if row == 0:
            heads = ([] if sides == 1 else ["True"]) + [f"Found, score from {SHOWN_FROM}"]
            for side, head in enumerate(heads):
                pen.text((left + side * (PICTURE + SPACE), MARGIN), head, fill=INK, font=font(17, bold=True))
        for side, boxes in enumerate((picture.found,) if sides == 1 else (picture.true, picture.found)):
            canvas.paste(_drawn(picture, boxes, colours), (left + side * (PICTURE + SPACE), top))
        pen.text((left, top + _size(picture)[1] + 5), shortened(picture.name, block, font(13)), GREY, font(13))
        if column == columns - 1:
            top += heights[row] + CAPTION
    out = Path(out)
    canvas.save(out)
    return out


def strong(boxes: DrawnBoxes) -> DrawnBoxes:
    """The found boxes that are drawn."""
    if boxes.scores is None:
        return boxes
    kept = boxes.scores >= SHOWN_FROM
    return DrawnBoxes(boxes.corners[kept], boxes.titles[kept], boxes.scores[kept])


def _size(picture: BoxedPicture) -> tuple[int, int]:
    if picture.image is None:
        return PICTURE, PICTURE // 2
    height, width = picture.image.shape[:2]
    scale = PICTURE / max(height, width)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _drawn(picture: BoxedPicture, boxes: DrawnBoxes | None, colours: dict[str, tuple[int, int, int]]) -> Image.Image:
    size = _size(picture)
    if picture.image is None:
        blank = Image.new("RGB", size, MAT)
        ImageDraw.Draw(blank).text((size[0] // 2, size[1] // 2), "unreadable", GREY, font(13), anchor="mm")
        return blank
    image = Image.fromarray(picture.image).resize(size, Image.Resampling.LANCZOS)
    if boxes is None:
        return image
    draw_on(image, strong(boxes), colours)
    return image
