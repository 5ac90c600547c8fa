"""Attention heat maps: what the local branch of a network looks at in images."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from landmarks.local_features import AttentionMap
from landmarks.report.palette import HEAT, INK, PALE, PAPER
from landmarks.report.tiles import MARGIN, SPACE, TILE_HEIGHT, TILE_WIDTH, Tile, draw_tile, font, save_sheet

PAIRS = 3
"""Images in a row of the sheet, each beside its heat map."""
HEADING = 40
FAINT, STRONG = 0.35, 0.85
"""Opacity of the heat where attention is lowest and highest."""
SIDE = 512
"""Long side of a heat map in pixels; more is wasted on a tile."""


@dataclass(frozen=True)
class Attended:
    """An image with the attention of a network: its name, uint8 [H, W, 3] RGB, and the map in its pixels."""

    name: str
    image: NDArray[np.uint8]
    attention: AttentionMap


def heat_overlay(attended: Attended) -> NDArray[np.uint8]:
    """Lay heat over a grey image, uint8 [h, w, 3] of at most 512 pixels a side.

    Colours go from the lowest to the highest attention in this image.
    """
    height, width = attended.image.shape[:2]
    shrink = min(SIDE / max(height, width), 1.0)
    size = max(round(height * shrink), 1), max(round(width * shrink), 1)
    heat = _spread(attended.attention, (height, width), size)
    heat = (heat - heat.min()) / max(float(np.ptp(heat)), 1e-12)
    grey = np.array(Image.fromarray(attended.image).convert("L").resize((size[1], size[0]), Image.Resampling.LANCZOS))
    stops = np.linspace(0, 1, len(HEAT))
    coloured = np.stack([np.interp(heat, stops, channel) for channel in zip(*HEAT, strict=True)], axis=-1)
    opacity = (FAINT + (STRONG - FAINT) * heat)[..., None]
    return np.rint(opacity * coloured + (1 - opacity) * grey[..., None]).astype(np.uint8)


def _spread(attention: AttentionMap, whole: tuple[int, int], size: tuple[int, int]) -> NDArray[np.float64]:
    """Interpolate a map between its centres, for an image of `whole` pixels shown in `size`."""
    rows, columns = ((np.arange(shown) + 0.5) * side / shown - 0.5 for side, shown in zip(whole, size, strict=True))
    across = np.stack([np.interp(columns, attention.columns, row) for row in attention.values])
    return np.stack([np.interp(rows, attention.rows, column) for column in across.T], axis=1)


def draw_attention(images: Sequence[Attended], title: str, out: str | Path) -> Path:
    """Draw images beside their heat maps as a PNG.

    Args:
        images: One or more, in the order of the sheet.
        title: Heading of the sheet.
        out: The file.

    Raises:
        LandmarksError: The file cannot be written.
    """
    pairs = min(PAIRS, len(images))
    step, down = 2 * TILE_WIDTH + SPACE + MARGIN, TILE_HEIGHT + SPACE
    size = MARGIN + pairs * step, MARGIN + HEADING + -(-len(images) // pairs) * down + MARGIN - SPACE
    canvas = Image.new("RGB", size, PAPER)
    ImageDraw.Draw(canvas).text((MARGIN, MARGIN), title, fill=INK, font=font(17, bold=True))
    for number, one in enumerate(images):
        left, top = MARGIN + number % pairs * step, MARGIN + HEADING + number // pairs * down
        height, width = one.image.shape[:2]
        lowest, highest = float(one.attention.values.min()), float(one.attention.values.max())
        draw_tile(canvas, left, top, Tile(one.image, PALE, one.name, f"{width} x {height}"))
        heat = Tile(heat_overlay(one), PALE, "attention", f"{lowest:.3g} to {highest:.3g}")
        draw_tile(canvas, left + TILE_WIDTH + SPACE, top, heat)
    return save_sheet(canvas, out)
