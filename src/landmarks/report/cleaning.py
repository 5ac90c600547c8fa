"""Draws a sheet of one landmark after cleaning: the kept images above, the removed ones below.

Both are ordered from clear to doubtful decisions, so that borderline images are seen too. The text below an image says
how many images of the landmark agree with it, its similarity to the nearest of them, and the threshold it had to reach.
"""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from landmarks.cleaning import Cleaned, Verdict
from landmarks.errors import LandmarksError, shown
from landmarks.report.palette import INK, PAPER, RIGHT, WRONG
from landmarks.report.tiles import (
    MARGIN,
    SPACE,
    TILE_HEIGHT,
    TILE_WIDTH,
    ReadImage,
    Tile,
    draw_tile,
    font,
    read_or_none,
    save_sheet,
)

COLUMNS, ROWS = 8, 3
HEADER = 36
REASONS = {
    Verdict.DISAGREEING: "too few",
    Verdict.SMALL_GROUP: "small group",
    Verdict.UNVERIFIED: "not verified",
    Verdict.SMALL_LANDMARK: "landmark too small",
}


def sheet_landmark(cleaned: Cleaned, name: str | None = None) -> int:
    """Return the landmark called `name`, by default the one that lost most images among those that keep some."""
    images = cleaned.images
    if name is None:
        kept = np.bincount(images.landmarks[cleaned.kept], minlength=len(images.counts))
        return int(np.argmax(np.where(kept > 0, images.counts - kept, -1)))
    found = np.flatnonzero((images.landmark_names == name) & (images.counts > 0))
    if not len(found):
        raise LandmarksError(f"no embedded image belongs to landmark {name}")
    return int(found[0])


def draw_cleaned(cleaned: Cleaned, landmark: int, read: ReadImage, out: str | Path) -> Path:
    """Draw the sheet of a landmark, an index into `cleaned.images.landmark_names`, as a PNG file."""
    images = cleaned.images
    rows = np.arange(images.starts[landmark], images.starts[landmark + 1])
    margin = cleaned.neighbours.scores[rows, 0] - cleaned.bars.similarities[rows]
    rows = rows[np.argsort(-margin, kind="stable")]
    bands = [("Kept", rows[cleaned.kept[rows]]), ("Removed", rows[~cleaned.kept[rows]])]
    lines = [min(ROWS, max(1, -(-len(band) // COLUMNS))) for _, band in bands]
    width = 2 * MARGIN + COLUMNS * (TILE_WIDTH + SPACE) - SPACE
    height = 2 * MARGIN + len(bands) * HEADER + sum(lines) * (TILE_HEIGHT + SPACE)
    canvas = Image.new("RGB", (width, height), PAPER)
    pen = ImageDraw.Draw(canvas)
    top = MARGIN
    for (title, band), count in zip(bands, lines, strict=True):
        drawn = band[np.linspace(0, len(band) - 1, min(len(band), COLUMNS * ROWS)).round().astype(int)]
        heading = f"{title}: {len(band)} images of landmark {shown(images.landmark_names[landmark])}"
        heading += f", {len(drawn)} of them from clear to doubtful" if len(drawn) < len(band) else ""
        pen.text((MARGIN, top), heading, fill=INK, font=font(17, bold=True))
        top += HEADER
        for place, row in enumerate(drawn.tolist()):
            left = MARGIN + place % COLUMNS * (TILE_WIDTH + SPACE)
            draw_tile(canvas, left, top + place // COLUMNS * (TILE_HEIGHT + SPACE), _tile(cleaned, row, read))
        top += count * (TILE_HEIGHT + SPACE)
    return save_sheet(canvas, out)


def _tile(cleaned: Cleaned, row: int, read: ReadImage) -> Tile:
    verdict = Verdict(int(cleaned.verdicts[row]))
    image = read_or_none(read, int(cleaned.images.ids[row]))
    nearest, bar = float(cleaned.neighbours.scores[row, 0]), float(cleaned.bars.similarities[row])
    note = f"{nearest:.2f}, others {bar:.2f}" if np.isfinite(nearest) else f"alone, others {bar:.2f}"
    agree = int(cleaned.rule.agreeing(cleaned.neighbours, cleaned.bars, slice(row, row + 1)).sum())
    name = ", ".join([f"{agree} agree", *([REASONS[verdict]] if verdict in REASONS else [])])
    kept = verdict is Verdict.KEPT
    return Tile(image, RIGHT if kept else WRONG, name, note, mark="✓" if kept else "✗")
