"""Surfaces with relief: colour, glass and openings as drawn, and how the sun falls on them.

A texture carries a height field in metres. From it come sun-lit edges, the shadows that cornices and window frames
cast on the wall, and darkened corners, so that one wall looks different in every light, as a real one does.
"""

from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Float32 = NDArray[np.float32]
Pixels = NDArray[Any]  # what OpenCV hands back: its stubs do not know which type

# Directions from which relief shadows are worked out: the sun's angle across the wall, in degrees.
SUN_ANGLES = (-55.0, -20.0, 20.0, 55.0)
SUN_ELEVATION = 42.0
# Steps along the shadow ray in pixels, growing: sharp near the edge, far enough for a deep cornice.
SHADOW_STEPS = (1, 2, 3, 4, 6, 8, 11, 15, 20)


@dataclass
class Texture:
    """A rectangle of wall, roof or sprite.

    Attributes:
        colour: uint8 [H, W, 4]: RGB as seen in white light (gamma 2) and solidity (0 = opening).
        height: relief in metres, float32 [H, W].
        glass: uint8 [H, W]: 0 none, else how readily the pane is lit at night.
        density: pixels a metre.
    """

    colour: Bytes
    height: Float32
    glass: Bytes
    density: float
    has_openings: bool = field(init=False)
    _colours: dict[int, Bytes] = field(init=False, default_factory=dict, repr=False)
    _lights: dict[tuple[int, int], Bytes] = field(init=False, default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self.has_openings = bool(self.colour[..., 3].min() < 255)

    def level(self, texels_a_pixel: float) -> int:
        """The pyramid level at which about one texel falls on one pixel."""
        top = int(np.log2(max(min(self.colour.shape[:2]) / 4, 1)))
        return int(np.clip(np.log2(max(texels_a_pixel, 1e-3)) + 0.3, 0, top))

    def colours(self, level: int) -> Bytes:
        """Colour and solidity at a pyramid level, uint8 [h, w, 4]."""
        if level == 0:
            return self.colour
        if level not in self._colours:
            self._colours[level] = _halved(self.colours(level - 1))
        return self._colours[level]

    def lights(self, level: int, across: float, outward: float) -> Bytes:
        """How light falls, uint8 [h, w, 4]: openness to the sky, sun (128 = flat and unshaded), glass, unused.

        Args:
            level: pyramid level.
            across: the sun's direction along the wall, to the right.
            outward: the sun's direction away from the wall.
        """
        angle = np.degrees(np.arctan2(across, max(outward, 1e-3)))
        nearest = int(np.argmin([abs(angle - a) for a in SUN_ANGLES]))
        return self._light(level, nearest)

    def _light(self, level: int, nearest: int) -> Bytes:
        key = level, nearest
        if key not in self._lights:
            if level:
                self._lights[key] = _halved(self._light(level - 1, nearest))
            else:
                sun = sunlight(self.height, self.density, SUN_ANGLES[nearest], SUN_ELEVATION)
                channels = [openness(self.height, self.density), sun, self.glass, np.zeros_like(self.glass)]
                self._lights[key] = np.dstack(channels)
        return self._lights[key]


def _halved(image: Bytes) -> Bytes:
    rows, cols = image.shape[:2]
    size = max(cols // 2, 1), max(rows // 2, 1)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def sunlight(height: Float32, density: float, angle: float, elevation: float) -> Bytes:
    """Sun on a relief, relative to a flat wall: 128 is flat, 0 in shadow, above 128 turned to the sun."""
    across, above = np.radians(angle), np.radians(elevation)
    right, up = np.sin(across) * np.cos(above), np.sin(above)
    outward = np.cos(across) * np.cos(above)
    slope_right = cv2.Sobel(height, cv2.CV_32F, 1, 0, ksize=3, scale=density / 8)
    slope_down = cv2.Sobel(height, cv2.CV_32F, 0, 1, ksize=3, scale=density / 8)
    steepness = np.sqrt(1 + slope_right**2 + slope_down**2)
    facing = (outward - right * slope_right + up * slope_down) / (steepness * outward)
    along = np.hypot(right, up)
    lit = np.ones_like(height)
    for step in SHADOW_STEPS:
        shift = np.array([[1, 0, -step * right / along], [0, 1, step * up / along]])
        towards_sun = cv2.warpAffine(
            height, shift, height.shape[::-1], flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE
        )
        lit[towards_sun > height + step / density * outward / along + 0.02] = 0.12
    return np.asarray(np.clip(128 * facing * lit, 0, 255), dtype=np.uint8)


def openness(height: Float32, density: float) -> Bytes:
    """Share of the sky that reaches each point of a relief, 255 = all: corners and recesses are darker."""
    small = cv2.blur(height, (5, 5)) - height
    wide = cv2.blur(height, (2 * int(density) + 1, 2 * int(density) + 1)) - height
    return np.asarray(255 * np.clip(1 - 0.5 * np.maximum(small, 0) - 0.45 * np.maximum(wide, 0), 0.25, 1), np.uint8)
