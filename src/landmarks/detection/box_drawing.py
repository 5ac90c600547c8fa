"""Draws boxes with the names of their classes on one picture, for the sheet of a detector and for single pictures.

Lines and letters are as large as the caller says: on a photograph of 4000 pixels those of a thumbnail cannot be read.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from landmarks.report.tiles import PAPER, font

Colour = tuple[int, int, int]

# Told apart from each other and from most pictures, dark enough for white letters.
COLOURS: tuple[Colour, ...] = (
    (0, 92, 175), (196, 62, 0), (0, 120, 80), (150, 40, 130), (120, 85, 0), (0, 110, 130), (190, 20, 70), (80, 70, 190),
    (70, 100, 20), (130, 60, 50), (60, 60, 70), (170, 70, 0),
)  # fmt: skip
TEXT = 11  # pixels, of letters on a thumbnail
LINE = 2 / TEXT  # these are shares of the letters' height
GROUND, LEFT, TOP = 15 / TEXT, 3 / TEXT, 1 / TEXT
DASH, GAP = 7 / TEXT, 5 / TEXT


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


def draw_on(image: Image.Image, boxes: DrawnBoxes, colours: Mapping[str, Colour], text: int = TEXT) -> None:
    """Draw boxes and their names, the small ones on top.

    Args:
        image: RGB; changed in place.
        boxes: where and what.
        colours: of each title.
        text: height of the letters, pixels; lines go with it.
    """
    pen = ImageDraw.Draw(image)
    line = max(round(LINE * text), 1)
    corners = boxes.corners * np.tile(np.array(image.size) - 1, 2)
    areas = (corners[:, 2:] - corners[:, :2]).prod(axis=1)
    order = np.argsort(-areas, kind="stable").tolist()
    for number in order:
        box, colour = tuple(corners[number].tolist()), colours[str(boxes.titles[number])]
        if boxes.dashed is not None and boxes.dashed[number]:
            _dashed(pen, box, colour, line, text)
        else:
            pen.rectangle(box, outline=colour, width=line)
    # The surest names find a free place first, and lie on top where there is none left.
    places: list[tuple[float, float, float, float]] = []
    named = order if boxes.scores is None else np.argsort(-boxes.scores, kind="stable").tolist()
    for number in named:
        width = font(text).getlength(_words(boxes, number)) + 2 * LEFT * text
        places.append(_place(tuple(corners[number].tolist()), width, image.size, places, text))
    for number, place in reversed(list(zip(named, places, strict=True))):
        pen.rectangle(place, fill=colours[str(boxes.titles[number])])
        pen.text((place[0] + LEFT * text, place[1] + TOP * text), _words(boxes, number), fill=PAPER, font=font(text))


def _words(boxes: DrawnBoxes, number: int) -> str:
    title = str(boxes.titles[number])
    return title if boxes.scores is None else f"{title} {boxes.scores[number]:.2f}"


def _place(
    box: tuple[float, ...],
    width: float,
    size: tuple[int, int],
    taken: list[tuple[float, float, float, float]],
    text: int,
) -> tuple[float, float, float, float]:
    """Where to write a name: over its box, in it or below, where no other name is."""
    height, line = round(GROUND * text), round(LINE * text)
    left = min(max(box[0], 0), max(size[0] - width, 0))
    tops = [box[1] - height, box[1] + line, box[3] - height - line, box[3]]
    tops += [box[1] + line + height * i for i in range(1, 6)]
    tops = [min(max(top, 0), max(size[1] - height, 0)) for top in tops]
    places = [(left, top, left + width, top + height) for top in tops]
    return next((place for place in places if not any(_touch(place, other) for other in taken)), places[0])


def _touch(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _dashed(pen: ImageDraw.ImageDraw, box: tuple[float, ...], colour: Colour, line: int, text: int) -> None:
    left, top, right, bottom = box
    dash, gap = round(DASH * text), round(GAP * text)
    for x in np.arange(left, right, dash + gap):
        end = min(x + dash, right)
        pen.line((x, top, end, top), fill=colour, width=line)
        pen.line((x, bottom, end, bottom), fill=colour, width=line)
    for y in np.arange(top, bottom, dash + gap):
        end = min(y + dash, bottom)
        pen.line((left, y, left, end), fill=colour, width=line)
        pen.line((right, y, right, end), fill=colour, width=line)
