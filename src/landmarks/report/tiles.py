"""Draws tiles, framed images with two lines of text of which all sheets consist, and saves sheets. Sizes in pixels."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from landmarks.data import ImageSet, decode
from landmarks.errors import LandmarksError, shown
from landmarks.report.palette import GREY, INK, MAT, PAPER, Colour

ReadImage = Callable[[int], NDArray[np.uint8]]
"""Gives an image, uint8 [H, W, 3] RGB, by id; raises LandmarksError for one that cannot be read."""

IMAGE = 168  # side of the image area of a tile
FRAME = 5  # width of the frame
TEXT_HEIGHT = 40
TILE_WIDTH = IMAGE + 2 * FRAME  # with the frame
TILE_HEIGHT = TILE_WIDTH + TEXT_HEIGHT  # with the two lines of text
DASH, GAP = 10, 7
BADGE = 22
MARGIN, SPACE = 24, 12  # margin of a sheet, and space between tiles
SHORT_SIDE = 256  # to which images are decoded: enough for a tile


@dataclass(frozen=True)
class Tile:
    """The contents of one tile."""

    image: NDArray[np.uint8] | None  # uint8 [H, W, 3] RGB; None if it could not be read
    frame: Colour  # colour of the frame
    name: str = ""  # first line, cut to the width
    note: str = ""  # second line
    dashed: bool = False  # dashed instead of solid frame
    mark: str = ""  # sign in the corner of the image, for people who cannot distinguish red and green


def reader(*sets: ImageSet, short_side: int | None = SHORT_SIDE) -> ReadImage:
    """Return a function that reads images by id from the first set that holds them.

    JPEG images are decoded to a fraction of their size whose short side has `short_side` pixels or more; None decodes
    them at their size.
    """

    def read(image_id: int) -> NDArray[np.uint8]:
        for images in sets:
            row = int(images.table.find(np.array([image_id], np.uint64))[0])
            if row >= 0:
                return decode(images.read(row), short_side)
        raise LandmarksError("not there")

    return read


def read_or_none(read: ReadImage, image_id: int) -> NDArray[np.uint8] | None:
    """Read an image for a tile; None if it cannot be read, which the tile then shows."""
    try:
        return read(image_id)
    except LandmarksError:
        return None


def draw_tile(canvas: Image.Image, left: int, top: int, tile: Tile) -> None:
    """Draw `tile` with its upper left corner at (left, top)."""
    pen = ImageDraw.Draw(canvas)
    if tile.dashed:
        _dashed_frame(pen, left, top, tile.frame)
    else:
        pen.rectangle((left, top, left + TILE_WIDTH - 1, top + TILE_WIDTH - 1), fill=tile.frame)
    inner = (left + FRAME, top + FRAME)
    pen.rectangle((*inner, inner[0] + IMAGE - 1, inner[1] + IMAGE - 1), fill=MAT)
    if tile.image is None:
        middle = (inner[0] + IMAGE // 2, inner[1] + IMAGE // 2)
        pen.text(middle, "unreadable", fill=GREY, font=font(13), anchor="mm")
    else:
        image = letterboxed(tile.image)
        canvas.paste(image, (inner[0] + (IMAGE - image.width) // 2, inner[1] + (IMAGE - image.height) // 2))
    if tile.mark:
        corner = (inner[0] + IMAGE - BADGE, inner[1] + IMAGE - BADGE)
        pen.rectangle((*corner, inner[0] + IMAGE - 1, inner[1] + IMAGE - 1), fill=tile.frame)
        pen.text((corner[0] + BADGE // 2, corner[1] + BADGE // 2), tile.mark, fill=PAPER, font=font(15), anchor="mm")
    below = top + TILE_WIDTH + 4
    pen.text((left, below), shortened(shown(tile.name), TILE_WIDTH, font(13)), fill=INK, font=font(13))
    pen.text((left, below + 17), shortened(shown(tile.note), TILE_WIDTH, font(12)), fill=GREY, font=font(12))


def save_sheet(canvas: Image.Image, out: str | Path) -> Path:
    """Write a sheet as a PNG file. Raises LandmarksError if that fails."""
    out = Path(out)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        canvas.save(out, format="PNG", compress_level=4)  # 4 % larger than the smallest file, in a sixth of the time
    except OSError as error:
        raise LandmarksError(f"{out}: cannot be written ({error.strerror or error})") from error
    return out


def letterboxed(pixels: NDArray[np.uint8]) -> Image.Image:
    """Resize an image so that its longer side fills the tile, without cropping."""
    image = Image.fromarray(pixels)
    scale = IMAGE / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.LANCZOS)


def shortened(text: str, width: int, face: ImageFont.FreeTypeFont) -> str:
    """Shorten a text to `width` pixels by an ellipsis in the middle: names of places differ at both ends."""
    if face.getlength(text) <= width:
        return text
    for keep in range(len(text) - 1, 1, -1):
        head = text[: (keep + 1) // 2].rstrip()
        short = head + "…" + text[len(text) - keep // 2 :].lstrip()
        if face.getlength(short) <= width:
            return short
    return "…"


@cache
def font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """Return DejaVu Sans, which comes with matplotlib and has Latin, Greek, Cyrillic and many symbols."""
    import matplotlib  # here, because it takes a second and not every evaluation draws

    file = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / file), size)


def _dashed_frame(pen: ImageDraw.ImageDraw, left: int, top: int, colour: Colour) -> None:
    far_x, far_y = left + TILE_WIDTH - 1, top + TILE_WIDTH - 1
    for start in range(0, TILE_WIDTH, DASH + GAP):
        end = min(start + DASH, TILE_WIDTH) - 1
        pen.rectangle((left + start, top, left + end, top + FRAME - 1), fill=colour)
        pen.rectangle((left + start, far_y - FRAME + 1, left + end, far_y), fill=colour)
        pen.rectangle((left, top + start, left + FRAME - 1, top + end), fill=colour)
        pen.rectangle((far_x - FRAME + 1, top + start, far_x, top + end), fill=colour)
