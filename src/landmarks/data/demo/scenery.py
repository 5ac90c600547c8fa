"""What stands around a landmark and in front of it.

All of it comes from one small stock that every picture shares, so it says nothing about which landmark is seen.
"""

from functools import lru_cache

import numpy as np

from landmarks.data.demo.camera import Camera, Floats
from landmarks.data.demo.canvas import Surface
from landmarks.data.demo.facades import house_wall, plain_wall
from landmarks.data.demo.panel import Panel
from landmarks.data.demo.relief import Relief, opening
from landmarks.data.demo.roofs import tiled_roof
from landmarks.data.demo.shapes import box as solid
from landmarks.data.demo.shapes import gable_roof, hip_roof, point
from landmarks.data.demo.sprites import SIZES, STOCK, draw_sprite
from landmarks.data.demo.style import draw_style
from landmarks.data.demo.texture import Texture
from landmarks.data.demo.thing import Thing


def place(kind: str, variant: int, spot: Floats, camera: Camera, scale: float = 1.0) -> Panel:
    """Stand a sprite on a spot [3], upright and turned towards the camera."""
    width, height = (scale * size for size in SIZES[kind])
    right = camera.rotation[0].copy()
    right[2] = 0.0
    right /= np.linalg.norm(right)
    sprite = draw_sprite(kind, variant % STOCK)
    return Panel(spot - right * width / 2, right * width, point(0, 0, height), sprite, two_sided=True,
                 upright_light=True, thing=Thing(kind))  # fmt: skip


@lru_cache(maxsize=64)
def ordinary_house(variant: int) -> tuple[list[Surface], float, float]:
    """A house that could stand anywhere, at the origin, and its width and height in metres."""
    rng = np.random.default_rng([101, variant])
    style = draw_style(rng)
    width, depth, tall = rng.uniform(9, 17), rng.uniform(9, 12), rng.uniform(6, 19)
    front = house_wall(rng, style, width, tall, portal="door", cornice=0.4)
    flank = plain_wall(rng, style, depth, tall, courses=False)
    roof = tiled_roof(rng, style, width, 6, int(rng.integers(0, 4)))
    surfaces = solid(0, depth / 2, 0, width, depth, tall, front, flank)
    if rng.random() < 0.6:
        surfaces += gable_roof(0, depth / 2, tall, width + 0.6, depth + 0.6, rng.uniform(3, 6), roof, flank)
    else:
        surfaces += hip_roof(0, depth / 2, tall, width + 0.6, depth + 0.6, rng.uniform(1, 5), roof)
    return surfaces, float(width), float(tall)


def moved(surfaces: list[Surface], to: Floats, turn: float = 0.0) -> list[Surface]:
    """A house turned about the vertical and carried elsewhere; houses have no surfaces but panels."""
    house = Thing("house")
    cos, sin = np.cos(turn), np.sin(turn)
    rotation = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    return [
        Panel(rotation @ s.origin + to, rotation @ s.across, rotation @ s.up, s.texture, s.outline, thing=house)
        for s in surfaces
        if isinstance(s, Panel)
    ]


def doorway(rng: np.random.Generator) -> Texture:
    """A dark frame through which one looks, as from an arcade."""
    frame = Relief(4, 3, (0.35, 0.31, 0.27), rng, 400, finest=200.0)
    frame.stones((0.6, 0.3), 0.1, 0.05)
    frame.weather(0.2)
    for x in (1.0, 3.0) if rng.random() < 0.5 else (2.0,):
        frame.cut(opening(x, -0.2, 1.7 if x != 2.0 else 3.4, 2.9, "round"))
    return frame.texture()
