"""What a landmark is: solids with a style, a front, and the places from which people photograph it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from landmarks.data.demo.camera import Floats
from landmarks.data.demo.canvas import Surface
from landmarks.data.demo.ground import Ground
from landmarks.data.demo.panel import Panel
from landmarks.data.demo.relief import Relief
from landmarks.data.demo.style import Style, draw_style
from landmarks.data.demo.texture import Texture


@dataclass
class Landmark:
    """A building that stands at the origin with its front to the south.

    Attributes:
        kind: what it is, such as "cathedral".
        surfaces: all its solids.
        width, height: extent across and upwards, metres; they set how far away photographs are taken.
        depth: centre of the building behind the front, metres north.
        ground: what it stands on.
        spread: how far to the side of the front pictures are taken, radians; π = from all around.
    """

    kind: str
    surfaces: list[Surface]
    width: float
    height: float
    depth: float = 0.0
    ground: Ground = "paving"
    spread: float = 0.9

    @property
    def centre(self) -> Floats:
        """Middle of the building [3]."""
        return np.array([0.0, self.depth, self.height * 0.45])

    @property
    def radius(self) -> float:
        """A sphere about the centre of this radius holds the building, metres."""
        return 0.62 * float(np.hypot(self.width, self.height))

    @property
    def facade(self) -> Panel:
        """The largest upright wall that faces the front."""
        fronts = [
            s for s in self.surfaces
            if isinstance(s, Panel) and s.up[2] > 0 and np.cross(s.across, s.up)[1] < 0 and s.outline is None
        ]  # fmt: skip
        if not fronts:
            raise LookupError(f"a {self.kind} has no flat front")
        return max(fronts, key=lambda s: float(np.linalg.norm(np.cross(s.across, s.up))))


@dataclass
class Architect:
    """What a builder of landmarks works with: chance and a style.

    Attributes:
        rng: source of chance of this one landmark.
        style: of this one landmark.
    """

    rng: np.random.Generator
    style: Style

    @classmethod
    def of(cls, seed: int, number: int) -> "Architect":
        """The architect of one landmark of a world."""
        rng = np.random.default_rng([seed, number, 1])
        return cls(rng, draw_style(rng))

    def between(self, low: float, high: float) -> float:
        """A length between two bounds, metres."""
        return float(self.rng.uniform(low, high))

    def whole(self, low: int, high: int) -> int:
        """A whole number, both bounds included."""
        return int(self.rng.integers(low, high + 1))

    def plain(self, colour: tuple[float, float, float], width: float = 8, height: float = 8) -> Texture:
        """A weathered surface without parts."""
        wall = Relief(width, height, colour, self.rng, 128)
        wall.weather(0.25)
        return wall.texture()


Builder = Callable[[Architect], Landmark]
