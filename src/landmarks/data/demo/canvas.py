"""What the camera sees before it is lit: colour, light factors and depth of every pixel.

What is nearest stays. Partly open texels are kept or dropped against a fixed pattern of thresholds, which after
downsampling looks like transparency (Wyman and McGuire, Hashed Alpha Testing, 2017).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from landmarks.data.demo.camera import Camera, Floats
from landmarks.data.demo.texture import Bytes, Float32, Pixels
from landmarks.data.demo.thing import Thing

THRESHOLDS = np.random.default_rng(7).integers(1, 255, (1024, 1024), dtype=np.uint8)


@dataclass
class Canvas:
    """What the camera sees before light: colour, light factors and inverse depth (0 = sky).

    Attributes:
        camera: the view.
        sun: unit vector towards the sun [3].
        depth_only: leave colour and light alone, as for a shadow map.
        colour: uint8 [H, W, 4].
        light: uint8 [H, W, 4]: openness, sun, glass, 255 where water lies.
        nearness: 1/depth, float32 [H, W].
    """

    camera: Camera
    sun: Floats
    depth_only: bool = False
    colour: Bytes = field(init=False)
    light: Bytes = field(init=False)
    nearness: Float32 = field(init=False)

    def __post_init__(self) -> None:
        shape = self.camera.height, self.camera.width
        self.colour = np.zeros((*shape, 4), np.uint8)
        self.light = np.zeros((*shape, 4), np.uint8)
        self.nearness = np.zeros(shape, np.float32)

    def window(self, pixels: Floats) -> tuple[slice, slice] | None:
        """Rows and columns of the picture that hold these pixels [N, 2]; None outside."""
        (x0, y0), (x1, y1) = pixels.min(0).tolist(), pixels.max(0).tolist()
        left, right = max(math.floor(x0), 0), math.ceil(min(x1, self.camera.width - 1)) + 1
        top, bottom = max(math.floor(y0), 0), math.ceil(min(y1, self.camera.height - 1)) + 1
        if right <= left or bottom <= top:
            return None
        return slice(top, bottom), slice(left, right)

    def put(self, window: tuple[slice, slice], mask: NDArray[np.bool_], nearness: Float32,
            colour: Pixels | None, light: Pixels | None) -> None:  # fmt: skip
        """Keep what is nearest inside a window; None leaves colour or light as they are."""
        visible = (mask & (nearness > self.nearness[window])).view(np.uint8)
        cv2.copyTo(nearness, visible, self.nearness[window])
        if colour is not None:
            cv2.copyTo(colour, visible, self.colour[window])
        if light is not None:
            cv2.copyTo(light, visible, self.light[window])


def thresholds(level: int, window: tuple[slice, slice]) -> Bytes | int:
    """What solidity must exceed to be seen: a sharp edge close by, a dither where many texels share a pixel."""
    return 127 if level == 0 else THRESHOLDS[window]


class Surface(Protocol):
    """Anything solid that can be drawn."""

    @property
    def corners(self) -> Floats:
        """World points [N, 3] whose hull holds it."""
        ...

    @property
    def thing(self) -> Thing | None:
        """What it is a part of, if that has a name."""
        ...

    def part_of(self, thing: Thing) -> "Surface":
        """The same surface as a part of a thing."""
        ...

    def paint(self, canvas: Canvas) -> None:
        """Draw what the camera sees of it."""


def named(kind: str, surfaces: Sequence[Surface]) -> list[Surface]:
    """The same surfaces as the parts of one new thing."""
    thing = Thing(kind)
    return [surface.part_of(thing) for surface in surfaces]


def paint_all(canvas: Canvas, surfaces: Sequence[Surface]) -> None:
    """Draw surfaces, the nearer first: those hidden behind them cost little then."""
    centres = np.array([surface.corners.mean(axis=0) for surface in surfaces]).reshape(-1, 3)
    for i in np.argsort(np.linalg.norm(centres - canvas.camera.position, axis=1), kind="stable"):
        surfaces[i].paint(canvas)
