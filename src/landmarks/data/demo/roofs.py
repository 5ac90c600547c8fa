"""Covers of roofs and domes in a building's style."""

from typing import Literal

import numpy as np

from landmarks.data.demo.facades import GLASS
from landmarks.data.demo.relief import Relief, box, opening
from landmarks.data.demo.style import Style, shade
from landmarks.data.demo.texture import Texture


def tiled_roof(rng: np.random.Generator, style: Style, width: float, height: float, dormers: int = 0) -> Texture:
    """Rows of tiles or slates, with dormer windows."""
    roof = Relief(width, height, style.roof, rng, 320)
    roof.stones((0.6, 0.5), 0.08, 0.05)
    roof.weather(0.25)
    for i in range(dormers):
        x = width * (i + 0.5) / dormers
        roof.fill(opening(x, 0.25 * height, 1.8, 2.2, style.head), 0.5, style.trim)
        roof.fill(opening(x, 0.3 * height, 1.1, 1.4, style.head), 0.2, GLASS, 150)
    return roof.texture()


def dome_skin(rng: np.random.Generator, style: Style, around: float, height: float, ribs: int,
              pattern: Literal["ribs", "coffers", "zigzag"]) -> Texture:  # fmt: skip
    """Cover of a dome: raised ribs, sunk coffers, or a painted zigzag."""
    skin = Relief(around, height, style.roof, rng, 400)
    skin.stones((1.6, 0.9), 0.05, 0.03)
    step = around / ribs
    for i in range(ribs):
        x = (i + 0.5) * step
        if pattern == "ribs":
            skin.fill(box(x - 0.1 * step, 0, x + 0.1 * step, height), 0.35, shade(style.roof, 1.15))
        elif pattern == "coffers":
            for y in np.arange(0.08, 0.9, 0.16) * height:
                skin.fill(box(x - 0.32 * step, y, x + 0.32 * step, y + 0.1 * height), -0.3, shade(style.roof, 0.8))
        else:
            for y in np.arange(0, 1, 0.25) * height:
                top = y + 0.18 * height
                skin.fill(
                    np.array([[x - step / 2, y], [x, top], [x + step / 2, y], [x, y + 0.09 * height]]),
                    0.15,
                    style.paint,
                )
    skin.weather(0.2)
    return skin.texture()
