"""Draws two images side by side with lines between the local features that match."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from landmarks.report.palette import BOX, GREY, INK, PAPER, RIGHT, WRONG, Colour
from landmarks.report.tiles import BADGE, FRAME, MARGIN, TEXT_HEIGHT, font, save_sheet, shortened
from landmarks.retrieval import LocalFeatureStore, verify_pair

WIDTH, HEIGHT = 850, 420  # largest size of a pair on a sheet, in pixels
HEADER = 30
EXPLAINED = "Left the query, right the image that rose. Bright lines: inliers. Faint lines: rejected pairs."
COLUMNS, GAP = 2, 24  # pairs beside each other, and the space between them
SEAM = 4  # between the two images
FINE = 2  # drawn larger by this and shrunk, so that lines are smooth
INLIER, REJECTED = 230, 70  # opacity of lines, of 255
# Beyond these, lines of inliers become fainter, so that the images are seen behind them, but no fainter than FAINTEST.
MANY, FAINTEST = 60, 90
DOT = 2  # radius of the end of an inlier's line, pixels


@dataclass(frozen=True)
class MatchedPair:
    """Two images with their tentative pairs of local features."""

    images: tuple[NDArray[np.uint8], NDArray[np.uint8]]  # uint8 [H, W, 3] RGB each
    points: tuple[NDArray[np.float32], NDArray[np.float32]]  # [m, 2] each, x and y in pixels of the images
    inliers: NDArray[np.bool_]  # bool [m], pairs that agree on one motion; the others are rejected

    @property
    def summary(self) -> str:
        """How many pairs there are, and how many are inliers."""
        return f"{int(self.inliers.sum())} inliers of {len(self.inliers)} pairs"


def match_images(
    first: NDArray[np.uint8], second: NDArray[np.uint8], features: LocalFeatureStore, seed: int = 0
) -> MatchedPair:
    """Extract, match and verify the local features of two images, uint8 [H, W, 3] RGB, as spatial verification does.

    Nothing is stored.

    Args:
        first: The first image, at its full size.
        second: The second image.
        features: Says how features are extracted, matched and verified.
        seed: Seed of the geometry.
    """
    one, other = features.extractor(first), features.extractor(second)
    matches, verdict = verify_pair(one, other, features.matcher, features.geometry, seed)
    return MatchedPair((first, second), (one.points[matches.first], other.points[matches.second]), verdict.inliers)


def draw_matches(pair: MatchedPair, width: int = WIDTH, height: int = HEIGHT) -> Image.Image:
    """Draw two images side by side, equally high, with lines between inliers and faint ones between rejected pairs.

    Args:
        pair: The images and their pairs.
        width: Largest width in pixels.
        height: Largest height in pixels.
    """
    aspects = [image.shape[1] / image.shape[0] for image in pair.images]
    tall = max(1, int(min(height, (width - SEAM) / sum(aspects))))
    wide = [max(1, round(tall * aspect)) for aspect in aspects]
    canvas = Image.new("RGBA", (FINE * (sum(wide) + SEAM), FINE * tall), (*PAPER, 255))
    lefts = (0, FINE * (wide[0] + SEAM))
    ends = []
    for pixels, points, across, left in zip(pair.images, pair.points, wide, lefts, strict=True):
        size = (FINE * across, FINE * tall)
        canvas.paste(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS, reducing_gap=2), (left, 0))
        scale = np.array([size[0] / pixels.shape[1], size[1] / pixels.shape[0]])
        ends.append((points + 0.5) * scale + (left, 0))  # centres of pixels are integers
    lines = np.concatenate(ends, axis=1)
    lines = np.concatenate([lines[~pair.inliers], lines[pair.inliers]])  # inliers lie above
    rejected = len(lines) - int(pair.inliers.sum())
    overlay = Image.new("RGBA", canvas.size)
    pen = ImageDraw.Draw(overlay)
    radius = FINE * DOT
    opacity = max(FAINTEST, INLIER * MANY // max(MANY, len(lines) - rejected))
    for number, (x, y, u, v) in enumerate(lines.tolist()):
        if number < rejected:
            pen.line((x, y, u, v), fill=(*PAPER, REJECTED), width=FINE // 2)
            continue
        pen.line((x, y, u, v), fill=(*BOX, opacity), width=FINE)
        for a, b in ((x, y), (u, v)):
            box = (a - radius, b - radius, a + radius, b + radius)
            pen.ellipse(box, fill=(*BOX, 255), outline=(*INK, 255))
    canvas.alpha_composite(overlay)
    return canvas.convert("RGB").resize((canvas.width // FINE, canvas.height // FINE), Image.Resampling.BOX)


@dataclass(frozen=True)
class DrawnPair:
    """A pair on a sheet; the images themselves are no longer needed."""

    drawing: Image.Image
    name: str  # first line below
    note: str  # second line
    correct: bool  # whether both show the same landmark

    @classmethod
    def of(cls, pair: MatchedPair, name: str, note: str, correct: bool) -> Self:
        """Draw the pair; the second line also tells its numbers of pairs."""
        return cls(draw_matches(pair), name, f"{note}; {pair.summary}", correct)


def draw_pairs(pairs: Sequence[DrawnPair], out: str | Path) -> Path:
    """Draw the pairs as a PNG file, two beside each other, with frames and marks as correct and wrong results have."""
    rows = [pairs[start : start + COLUMNS] for start in range(0, len(pairs), COLUMNS)]
    top = MARGIN + HEADER
    heights = [max(pair.drawing.height for pair in row) + 2 * FRAME + TEXT_HEIGHT + GAP for row in rows]
    across = WIDTH + 2 * FRAME
    columns = min(COLUMNS, len(pairs))
    size = (2 * MARGIN + columns * (across + GAP) - GAP, top + sum(heights) - GAP + MARGIN)
    canvas = Image.new("RGB", size, PAPER)
    ImageDraw.Draw(canvas).text((MARGIN, MARGIN), EXPLAINED, fill=GREY, font=font(13))
    for row, height in zip(rows, heights, strict=True):
        for column, pair in enumerate(row):
            _draw_pair(canvas, MARGIN + column * (across + GAP), top, across, pair)
        top += height
    return save_sheet(canvas, out)


def _draw_pair(canvas: Image.Image, left: int, top: int, across: int, pair: DrawnPair) -> None:
    pen = ImageDraw.Draw(canvas)
    colour: Colour = RIGHT if pair.correct else WRONG
    wide, tall = pair.drawing.size
    right, bottom = left + wide + 2 * FRAME, top + tall + 2 * FRAME
    pen.rectangle((left, top, right - 1, bottom - 1), fill=colour)
    canvas.paste(pair.drawing, (left + FRAME, top + FRAME))
    corner = (right - FRAME - BADGE, bottom - FRAME - BADGE)
    pen.rectangle((*corner, right - 1, bottom - 1), fill=colour)
    middle = (corner[0] + BADGE // 2, corner[1] + BADGE // 2)
    pen.text(middle, "✓" if pair.correct else "✗", fill=PAPER, font=font(15), anchor="mm")
    for line, (text, fill, face) in enumerate(((pair.name, INK, font(13)), (pair.note, GREY, font(12)))):
        pen.text((left, bottom + 4 + 17 * line), shortened(text, across, face), fill=fill, font=face)
