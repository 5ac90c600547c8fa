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

from landmarks.errors import LandmarksError
from landmarks.report.tiles import GREY, INK, MAT, PAPER, font, shortened

SHOWN_FROM = 0.3  # least score of a box that is drawn
PICTURE = 360  # longer side of a picture
SPACE, MARGIN, HEADER, CAPTION = 14, 24, 40, 30
COLUMNS = 2  # pairs in a row
# Told apart from each other and from most pictures, dark enough for white letters.
COLOURS = (
    (0, 92, 175), (196, 62, 0), (0, 120, 80), (150, 40, 130), (120, 85, 0), (0, 110, 130), (190, 20, 70), (80, 70, 190),
    (70, 100, 20), (130, 60, 50), (60, 60, 70), (170, 70, 0),
)  # fmt: skip
DASH, GAP = 7, 5


@dataclass(frozen=True, eq=False)
class DrawnBoxes:
    """Boxes of one picture.

    Attributes:
        corners: [n, 4], XMin, YMin, XMax, YMax as shares of width and height.
        titles: [n], classes for people.
        scores: [n], or None for what is true.
        dashed: bool [n], boxes of groups; None for none.
    """

    corners: NDArray[np.floating]
    titles: NDArray[np.str_]
    scores: NDArray[np.floating] | None = None
    dashed: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.titles)


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
    boxes = strong(boxes)
    pen = ImageDraw.Draw(image)
    corners = boxes.corners * np.tile(np.array(size) - 1, 2)
    areas = (corners[:, 2:] - corners[:, :2]).prod(axis=1)
    order = np.argsort(-areas, kind="stable").tolist()  # small ones on top
    for number in order:
        box, colour = tuple(corners[number].tolist()), colours[str(boxes.titles[number])]
        if boxes.dashed is not None and boxes.dashed[number]:
            _dashed(pen, box, colour)
        else:
            pen.rectangle(box, outline=colour, width=2)
    taken: list[tuple[float, float, float, float]] = []
    for number in order:
        title = str(boxes.titles[number])
        text = title if boxes.scores is None else f"{title} {boxes.scores[number]:.2f}"
        _label(pen, text, tuple(corners[number].tolist()), size, colours[title], taken)
    return image


def _label(
    pen: ImageDraw.ImageDraw,
    text: str,
    box: tuple[float, ...],
    size: tuple[int, int],
    colour: tuple[int, int, int],
    taken: list[tuple[float, float, float, float]],
) -> None:
    """Write on a ground of the box's colour, over the box, in it or below, where no other label is."""
    face = font(11)
    width, height = face.getlength(text) + 6, 15
    left = min(max(box[0], 0), max(size[0] - width, 0))
    places = [box[1] - height, box[1] + 2, box[3] - height - 2, box[3], *(box[1] + 2 + height * i for i in range(1, 6))]
    places = [min(max(top, 0), size[1] - height) for top in places]
    grounds = [(left, top, left + width, top + height) for top in places]
    free = [ground for ground in grounds if not any(_touch(ground, other) for other in taken)]
    ground = (free or grounds)[0]
    taken.append(ground)
    pen.rectangle(ground, fill=colour)
    pen.text((ground[0] + 3, ground[1] + 1), text, fill=PAPER, font=face)


def _touch(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _dashed(pen: ImageDraw.ImageDraw, box: tuple[float, ...], colour: tuple[int, int, int]) -> None:
    left, top, right, bottom = box
    for x in np.arange(left, right, DASH + GAP):
        end = min(x + DASH, right)
        pen.line((x, top, end, top), fill=colour, width=2)
        pen.line((x, bottom, end, bottom), fill=colour, width=2)
    for y in np.arange(top, bottom, DASH + GAP):
        end = min(y + DASH, bottom)
        pen.line((left, y, left, end), fill=colour, width=2)
        pen.line((right, y, right, end), fill=colour, width=2)
