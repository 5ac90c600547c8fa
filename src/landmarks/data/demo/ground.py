"""The ground: paving, grass, asphalt, sand, snow or water, out to the horizon."""

from functools import lru_cache
from typing import Literal

import cv2
import numpy as np

from landmarks.data.demo.canvas import Canvas
from landmarks.data.demo.noise import fractal
from landmarks.data.demo.texture import Bytes

Ground = Literal["paving", "lawn", "asphalt", "sand", "water", "wood"]
TILE = 24.0  # metres of ground in one tile
SIDE = 256  # texels in one tile
FARTHEST = 4000.0  # metres
COLOURS: dict[str, tuple[int, int, int]] = {
    "paving": (168, 158, 142),
    "lawn": (98, 124, 62),
    "asphalt": (108, 106, 106),
    "sand": (204, 182, 138),
    "water": (52, 84, 92),
    "wood": (150, 110, 72),
    "snow": (236, 238, 244),
}


@lru_cache(maxsize=16)
def draw_ground(kind: str) -> Bytes:
    """A tile of ground, uint8 [256, 256, 4], the same for all landmarks."""
    fine, coarse = fractal(40, SIDE, 0.6), fractal(41, SIDE, 2.4)
    amount = {"lawn": 0.55, "sand": 0.2, "water": 0.3, "snow": 0.08}.get(kind, 0.28)
    shade = 1 + amount * (fine - 0.5) + 0.4 * amount * (coarse - 0.5)
    image = np.array(COLOURS[kind]) * shade[..., None]
    if kind in ("paving", "wood"):
        y, x = np.mgrid[:SIDE, :SIDE]
        size = 16 if kind == "paving" else 8
        row = y // size
        cell = (x + (row % 2) * size) // (2 * size if kind == "paving" else 64)
        tones = np.random.default_rng(9).normal(1, 0.07, (64, 64))
        image *= tones[row, cell][..., None]
        image[(y % size == 0) | ((x + (row % 2) * size) % (2 * size) == 0)] *= 0.8
    if kind == "asphalt":
        image[fine > 0.8] *= 1.15
    return np.dstack([np.clip(image, 0, 255), np.full((SIDE, SIDE), 255)]).astype(np.uint8)


def paint_ground(canvas: Canvas, kind: str) -> None:
    """Cover everything below the horizon."""
    camera = canvas.camera
    plane = camera.inverse_depth(np.zeros(3), np.array([0.0, 0.0, 1.0]))
    if plane is None:
        return
    x = ((np.arange(camera.width) + 0.5) * plane[0]).astype(np.float32)
    y = ((np.arange(camera.height) + 0.5) * plane[1] + plane[2]).astype(np.float32)
    below = np.flatnonzero(y + max(x[0], x[-1]) > 1 / FARTHEST)
    if not len(below):
        return
    top, bottom = int(below[0]), int(below[-1]) + 1
    nearness = x[None, :] + y[top:bottom, None]
    tile = draw_ground(kind)
    across, up = np.array([TILE / SIDE, 0, 0]), np.array([0, -TILE / SIDE, 0])
    homography = np.array([[1, 0, 0], [0, 1, -top], [0, 0, 1]]) @ camera.plane_homography(np.zeros(3), across, up)
    size = camera.width, bottom - top
    near = cv2.warpPerspective(tile, homography, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    # Far ground is finer than a pixel: it melts into its mean colour.
    far = np.empty_like(near)
    far[:] = tile.reshape(-1, 4).mean(0).astype(np.uint8)
    share = np.clip(nearness * np.float32(camera.intrinsics[0, 0] / 14), 0, 1)
    colour = cv2.blendLinear(near, far, share, 1 - share)
    light = np.empty_like(colour)
    light[:] = (255, int(np.clip(max(canvas.sun[2], 0) * 179, 0, 255)), 0, 255 if kind == "water" else 0)
    window = slice(top, bottom), slice(0, camera.width)
    canvas.put(window, nearness > 1 / FARTHEST, nearness, colour, light)
