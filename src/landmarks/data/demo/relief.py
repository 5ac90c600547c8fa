"""A wall to carve: drawing in metres on colour, height, glass and openings at once.

x runs to the right and y upwards from the wall's lower left corner, heights are metres out of the wall.
"""

from collections.abc import Sequence
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from landmarks.data.demo.noise import patch
from landmarks.data.demo.texture import Bytes, Float32, Texture

Colour = tuple[float, float, float]  # RGB in 0..1 as seen, gamma 2
Head = Literal["flat", "round", "pointed", "segmental", "horseshoe"]
Points = NDArray[np.float64]
MAX_SIDE = 540  # texels along the longer side of a texture


def box(x0: float, y0: float, x1: float, y1: float) -> Points:
    """A rectangle as a polygon [4, 2]."""
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])


def disc(x: float, y: float, radius: float, points: int = 32, start: float = 0.0) -> Points:
    """A regular polygon [points, 2]; with the default a circle."""
    turn = start + np.arange(points) * 2 * np.pi / points
    return np.stack([x + radius * np.cos(turn), y + radius * np.sin(turn)], axis=1)


def opening(x: float, y: float, width: float, height: float, head: Head) -> Points:
    """Outline [N, 2] of a window or portal centred at x, standing on y, with the given kind of head."""
    half = width / 2
    if head == "flat":
        return box(x - half, y, x + half, y + height)
    turn = np.linspace(0, np.pi, 13)
    if head == "pointed":  # two arcs, each about the other side's springing
        turn = np.linspace(0, np.pi / 3, 8)
        right = np.stack([-half + width * np.cos(turn), width * np.sin(turn)], axis=1)
        arc = np.concatenate([right, right[-2::-1] * [-1, 1]])
    elif head == "segmental":
        arc = np.stack([half * np.cos(turn), 0.3 * half * np.sin(turn)], axis=1)
    elif head == "horseshoe":
        turn = np.linspace(-0.45, np.pi + 0.45, 15)
        arc = np.stack([1.1 * half * np.cos(turn), 1.1 * half * np.sin(turn)], axis=1)
    else:
        arc = np.stack([half * np.cos(turn), half * np.sin(turn)], axis=1)
    spring = max(height - float(arc[:, 1].max()), 0.1 * height)
    return np.concatenate([[[x - half, y], [x + half, y]], arc + np.array([x, y + spring])])


class Relief:
    """A wall being made; `texture()` gives the finished surface.

    Args:
        width, height: metres.
        colour: of the bare wall.
        rng: for weathering and the variation from stone to stone.
        max_side: texels along the longer side at most.
        finest: texels a metre at most; small things seen close need more than walls.
    """

    def __init__(
        self,
        width: float,
        height: float,
        colour: Colour,
        rng: np.random.Generator,
        max_side: int = MAX_SIDE,
        finest: float = 16.0,
    ) -> None:
        self.width, self.tall, self.rng = width, height, rng
        self.density = min(finest, max_side / max(width, height))
        self.rows = max(round(height * self.density), 8)
        self.cols = max(round(width * self.density), 8)
        self.colour = np.empty((self.rows, self.cols, 3), np.float32)
        self.colour[:] = colour
        self.height: Float32 = np.zeros((self.rows, self.cols), np.float32)
        self.glass: Bytes = np.zeros((self.rows, self.cols), np.uint8)
        self.solid: Bytes = np.full((self.rows, self.cols), 255, np.uint8)

    def pixels(self, points: Points) -> NDArray[np.int32]:
        """Polygon in metres to 1/16 pixels for OpenCV."""
        flipped = (points * [1, -1] + [0, self.tall]) * self.density - 0.5
        return np.asarray(np.round(np.clip(flipped, -2000, 4000) * 16), dtype=np.int32)

    def fill(
        self,
        outline: Points,
        height: float | None = None,
        colour: Colour | None = None,
        glass: int | None = 0,
    ) -> None:
        """Set what lies inside an outline [N, 2]; None leaves it as it was."""
        shape = [self.pixels(outline)]
        if height is not None:
            cv2.fillPoly(self.height, shape, height, shift=4)
        if colour is not None:
            cv2.fillPoly(self.colour, shape, colour, cv2.LINE_8, 4)
        if glass is not None:
            cv2.fillPoly(self.glass, shape, glass, shift=4)

    def cut(self, outline: Points) -> None:
        """Make an opening that one sees through."""
        cv2.fillPoly(self.solid, [self.pixels(outline)], 0, cv2.LINE_AA, 4)

    def close(self, outline: Points) -> None:
        """Make a piece solid again."""
        cv2.fillPoly(self.solid, [self.pixels(outline)], 255, cv2.LINE_AA, 4)

    def clear(self) -> None:
        """Start from nothing: only what is drawn with `bar` stands."""
        self.solid[:] = 0

    def bar(self, points: Points, width: float, height: float, colour: Colour) -> None:
        """A beam or cable along a polyline [N, 2], solid even on a cleared wall."""
        shape, thickness = [self.pixels(points)], max(round(width * self.density), 1)
        cv2.polylines(self.solid, shape, False, 255, thickness, cv2.LINE_AA, 4)
        cv2.polylines(self.colour, shape, False, colour, thickness + 2, cv2.LINE_8, 4)
        cv2.polylines(self.height, shape, False, height, thickness, cv2.LINE_8, 4)

    def shaft(self, x: float, y0: float, y1: float, radius: float, colour: Colour | None = None) -> None:
        """A half-round column against the wall, standing out by its radius."""
        left, right = (round((x + side * radius) * self.density) for side in (-1, 1))
        left, right = max(left, 0), min(max(right, left + 1), self.cols)
        top, bottom = round((self.tall - y1) * self.density), round((self.tall - y0) * self.density)
        across = (np.arange(left, right) + 0.5) / self.density - x
        swell = np.sqrt(np.maximum(radius**2 - across**2, 0)).astype(np.float32)
        part = slice(max(top, 0), bottom), slice(left, right)
        self.height[part] = np.maximum(self.height[part], swell)
        self.glass[part] = 0
        if colour is not None:
            self.colour[part] = colour

    def stones(self, size: tuple[float, float], contrast: float, joint: float = 0.03) -> None:
        """Courses of stones or bricks of `size` (length, height) metres, each of its own shade."""
        length, course = size[0] * self.density, max(size[1] * self.density, 2.0)
        y = np.arange(self.rows)
        line = (y / course).astype(int)
        x = np.arange(self.cols)[None, :] + (line % 2)[:, None] * (length / 2)
        column = (x / length).astype(int)
        shades = self.rng.normal(1, contrast, (line.max() + 1, column.max() + 1)).astype(np.float32)
        self.colour *= shades[line[:, None], column][..., None]
        in_joint = ((y % course) < 1)[:, None] | ((x % length) < 1)
        self.height[in_joint] -= joint
        self.colour[in_joint] *= 0.86

    def weather(self, amount: float = 0.16) -> None:
        """Stains, and streaks that run down from ledges: no two walls age alike."""
        coarse = patch(self.rng, self.rows, self.cols, 2.2) - 0.5
        fine = patch(self.rng, self.rows, self.cols, 0.8) - 0.5
        streaks = cv2.blur(patch(self.rng, self.rows, self.cols, 1.0), (1, max(self.rows // 8, 3))) - 0.5
        shade = 1 + amount * (1.1 * coarse + 0.9 * fine + 1.8 * streaks)
        self.colour *= shade[..., None].astype(np.float32)
        self.height += 0.02 * fine

    def glyph(self, motif: NDArray[np.bool_], x: float, y: float, size: float, height: float,
              colour: Colour | None) -> None:  # fmt: skip
        """A square ornament [n, n] with its lower left corner at (x, y)."""
        left, right = (int(np.clip(round(v * self.density), 0, self.cols)) for v in (x, x + size))
        top, bottom = (int(np.clip(round((self.tall - v) * self.density), 0, self.rows)) for v in (y + size, y))
        if right - left < 2 or bottom - top < 2:
            return
        mask = cv2.resize(motif.astype(np.uint8), (right - left, bottom - top), interpolation=cv2.INTER_NEAREST) > 0
        self.height[top:bottom, left:right][mask] += height
        if colour is not None:
            self.colour[top:bottom, left:right][mask] = colour

    def texture(self) -> Texture:
        """The finished surface."""
        rgb = np.clip(self.colour * 255, 0, 255).astype(np.uint8)
        return Texture(np.dstack([rgb, self.solid]), self.height, self.glass, self.density)


def polyline(points: Sequence[tuple[float, float]]) -> Points:
    """Points [N, 2] from pairs."""
    return np.array(points, dtype=np.float64)
