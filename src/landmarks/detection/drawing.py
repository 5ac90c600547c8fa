"""Draws boxes with the names of their classes: on any image, and on the contact sheet of an evaluation.

A class has one colour, and its name is written at every box for readers who cannot distinguish colours. Boxes with low
scores are left out of the sheet, since a detector gives up to a hundred of them; metrics count all boxes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from landmarks.errors import shown
from landmarks.report import CLASS_COLOURS, GREY, INK, MAT, PAPER, Colour, font, save_sheet, shortened

TEXT = 11  # height of letters on the sheet, pixels
LINE, GROUND = 2 / TEXT, 15 / TEXT  # line width and height of the ground of names, in units of the letters' height

SHOWN_FROM = 0.3  # minimal score of a box on the sheet
SIDE = 360  # longer side of an image on the sheet, pixels
SPACE, MARGIN, HEADER, CAPTION = 14, 24, 40, 30  # distances and heights on the sheet, pixels
COLUMNS = 2  # pairs in a row


@dataclass(frozen=True, eq=False)
class DrawnBoxes:
    """Boxes to draw on one image.

    Attributes:
        corners: Left, top, right, bottom as shares of the image sides, [n, 4].
        titles: Names of the classes, str [n].
        scores: Scores, [n]; None for true boxes.
    """

    corners: NDArray[np.floating]
    titles: NDArray[np.str_]
    scores: NDArray[np.floating] | None = None


@dataclass(frozen=True, eq=False)
class BoxedImage:
    """An image of the sheet.

    Attributes:
        image: RGB, uint8 [H, W, 3]; None if it could not be read.
        name: Its caption.
        true: Its true boxes.
        found: Its detected boxes.
    """

    image: NDArray[np.uint8] | None
    name: str
    true: DrawnBoxes
    found: DrawnBoxes


def draw_on(image: Image.Image, boxes: DrawnBoxes, colours: Mapping[str, Colour], text: int = TEXT) -> None:
    """Draw boxes and their names on an image, those with the highest score on top, without scores the smallest.

    A name is written above its box, or inside if there is no room, and never outside the image. The line width is
    proportional to the letters.

    Args:
        image: RGB; it is changed in place.
        boxes: The boxes.
        colours: A colour for each title.
        text: Height of the letters, pixels.
    """
    pen, face, line = ImageDraw.Draw(image), font(text), max(round(LINE * text), 1)
    corners = boxes.corners.clip(0, 1) * np.tile(np.array(image.size) - 1, 2)
    areas = (corners[:, 2:] - corners[:, :2]).prod(axis=1)
    order = np.argsort(-areas if boxes.scores is None else boxes.scores, kind="stable").tolist()
    for number in order:
        pen.rectangle(corners[number].tolist(), outline=colours[str(boxes.titles[number])], width=line)
    for number in order:
        title = str(boxes.titles[number])
        words = shown(title) if boxes.scores is None else f"{shown(title)} {boxes.scores[number]:.2f}"
        width, height = face.getlength(words) + 3 * line, round(GROUND * text)
        left = max(min(corners[number, 0], image.width - width), 0)
        top = max(corners[number, 1] - height, 0)
        pen.rectangle((left, top, left + width, top + height), fill=colours[title])
        pen.text((left + 1.5 * line, top + line / 2), words, fill=PAPER, font=face)


def draw_sheet(images: Sequence[BoxedImage], out: Path) -> None:
    """Draw a sheet that shows each image twice, with its true and with its detected boxes.

    Args:
        images: The images, at least one.
        out: The PNG file to write.
    """
    titles = sorted({title for one in images for boxes in (one.true, one.found) for title in boxes.titles.tolist()})
    colours = {title: CLASS_COLOURS[number % len(CLASS_COLOURS)] for number, title in enumerate(titles)}
    columns = min(COLUMNS, len(images))
    block = 2 * SIDE + SPACE
    heights = [max(_size(one)[1] for one in images[i : i + columns]) for i in range(0, len(images), columns)]
    width = 2 * MARGIN + columns * (block + 2 * SPACE) - 2 * SPACE
    canvas = Image.new("RGB", (width, 2 * MARGIN + HEADER + sum(heights) + len(heights) * CAPTION), PAPER)
    pen = ImageDraw.Draw(canvas)
    top = MARGIN + HEADER
    for number, one in enumerate(images):
        row, column = divmod(number, columns)
        left = MARGIN + column * (block + 2 * SPACE)
        sides = (("True", one.true), (f"Found, score from {SHOWN_FROM}", _strong(one.found)))
        for side, (head, boxes) in enumerate(sides):
            place = left + side * (SIDE + SPACE)
            canvas.paste(_drawn(one, boxes, colours), (place, top))
            if row == 0:
                pen.text((place, MARGIN), head, fill=INK, font=font(17, bold=True))
        pen.text((left, top + _size(one)[1] + 5), shortened(shown(one.name), block, font(13)), GREY, font(13))
        if column == columns - 1:
            top += heights[row] + CAPTION
    save_sheet(canvas, out)


def _strong(boxes: DrawnBoxes) -> DrawnBoxes:
    assert boxes.scores is not None
    kept = boxes.scores >= SHOWN_FROM
    return DrawnBoxes(boxes.corners[kept], boxes.titles[kept], boxes.scores[kept])


def _size(one: BoxedImage) -> tuple[int, int]:
    if one.image is None:
        return SIDE, SIDE // 2
    height, width = one.image.shape[:2]
    scale = SIDE / max(height, width)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _drawn(one: BoxedImage, boxes: DrawnBoxes, colours: Mapping[str, Colour]) -> Image.Image:
    size = _size(one)
    if one.image is None:
        blank = Image.new("RGB", size, MAT)
        ImageDraw.Draw(blank).text((size[0] // 2, size[1] // 2), "unreadable", GREY, font(13), anchor="mm")
        return blank
    image = Image.fromarray(one.image).resize(size, Image.Resampling.LANCZOS)
    draw_on(image, boxes, colours)
    return image
