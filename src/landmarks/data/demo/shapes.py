"""Solids put together from panels: boxes, roofs, tapering towers, vaulted passages."""

import numpy as np

from landmarks.data.demo.camera import Floats
from landmarks.data.demo.canvas import Surface
from landmarks.data.demo.panel import Panel
from landmarks.data.demo.texture import Texture

TRIANGLE = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, 1.0]])


def point(x: float, y: float, z: float = 0.0) -> Floats:
    """A world point [3]."""
    return np.array([x, y, z], dtype=np.float64)


def wall(start: Floats, end: Floats, height: float, texture: Texture, outline: Floats | None = None) -> Panel:
    """An upright wall; seen from outside it runs from `start` on the left to `end` on the right."""
    return Panel(start, end - start, point(0, 0, height), texture, outline)


def floor(x: float, y: float, z: float, width: float, depth: float, texture: Texture) -> Panel:
    """A level rectangle centred at (x, y), seen from above."""
    return Panel(point(x - width / 2, y - depth / 2, z), point(width, 0, 0), point(0, depth, 0), texture)


def box(x: float, y: float, z: float, width: float, depth: float, height: float, front: Texture,
        side: Texture | None = None, top: Texture | None = None) -> list[Surface]:  # fmt: skip
    """Four walls about (x, y) standing on z, the front to the south, and a flat top if it has a texture."""
    side = front if side is None else side
    left, right, south, north = x - width / 2, x + width / 2, y - depth / 2, y + depth / 2
    ring = [point(left, south, z), point(right, south, z), point(right, north, z), point(left, north, z)]
    faces: list[Surface] = [wall(ring[i], ring[(i + 1) % 4], height, front if i % 2 == 0 else side) for i in range(4)]
    if top is not None:
        faces.append(floor(x, y, z + height, width, depth, top))
    return faces


def prism(x: float, y: float, z: float, radius: float, height: float, sides: int, texture: Texture,
          top: float | None = None, turn: float = 0.0) -> list[Surface]:  # fmt: skip
    """A regular prism, or with `top` (the radius above; 0 for a spire) a frustum."""
    top = radius if top is None else top
    angles = turn - np.pi / 2 + (np.arange(sides + 1) - 0.5) * 2 * np.pi / sides
    ring = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    faces: list[Surface] = []
    share = (1 - top / radius) / 2
    outline = np.array([[0, 0], [1, 0], [1 - share, 1], [share, 1]]) if share > 0 else None
    if share >= 0.499:
        outline = TRIANGLE
    for i in range(sides):
        start, end = (point(x + radius * ring[k, 0], y + radius * ring[k, 1], z) for k in (i, i + 1))
        middle = (ring[i] + ring[i + 1]) / 2
        lean = np.array([*(middle * (top - radius)), height])
        faces.append(Panel(start, end - start, lean, texture, outline))
    return faces


def gable_roof(x: float, y: float, z: float, width: float, depth: float, rise: float, slope: Texture,
               gable: Texture, along: str = "x") -> list[Surface]:  # fmt: skip
    """A saddle roof whose ridge runs along x (slopes to the front) or y (gable to the front)."""
    left, right, south, north = x - width / 2, x + width / 2, y - depth / 2, y + depth / 2
    if along == "x":
        corners = [point(left, south, z), point(right, south, z), point(right, north, z), point(left, north, z)]
        lean = depth / 2
    else:
        corners = [point(right, south, z), point(right, north, z), point(left, north, z), point(left, south, z)]
        lean = width / 2
    a, b, c, d = corners
    inward = np.cross(point(0, 0, 1), (b - a) / np.linalg.norm(b - a))
    return [
        Panel(a, b - a, inward * lean + point(0, 0, rise), slope),
        Panel(c, d - c, -inward * lean + point(0, 0, rise), slope),
        wall(b, c, rise, gable, TRIANGLE),
        wall(d, a, rise, gable, TRIANGLE),
    ]


def hip_roof(x: float, y: float, z: float, width: float, depth: float, rise: float, slope: Texture,
             flat: float = 0.0) -> list[Surface]:  # fmt: skip
    """Four slopes that meet in a ridge (or, with `flat` > 0, stop at that share of the plan)."""
    inset = min(width, depth) / 2 * (1 - flat)
    left, right, south, north = x - width / 2, x + width / 2, y - depth / 2, y + depth / 2
    ring = [point(left, south, z), point(right, south, z), point(right, north, z), point(left, north, z)]
    faces: list[Surface] = []
    for i in range(4):
        a, b = ring[i], ring[(i + 1) % 4]
        length = float(np.linalg.norm(b - a))
        inward = np.cross(point(0, 0, 1), (b - a) / length)
        share = min(inset / length, 0.5)
        outline = np.array([[0, 0], [1, 0], [1 - share, 1], [share, 1]])
        if share > 0.499:
            outline = TRIANGLE
        faces.append(Panel(a, b - a, inward * inset + point(0, 0, rise), slope, outline))
    if flat:
        faces.append(floor(x, y, z + rise, width - 2 * inset, depth - 2 * inset, slope))
    return faces


def passage(x: float, south: float, width: float, height: float, depth: float, lining: Texture) -> list[Surface]:
    """The inside of an arched way through a wall: two sides and a round vault of flat strips."""
    half = width / 2
    spring = height - half
    turn = np.linspace(0, np.pi, 7)
    across = [-half, *(-half * np.cos(turn)), half]
    above = [0.0, *(spring + half * np.sin(turn)), 0.0]
    strips: list[Surface] = []
    for i in range(len(across) - 1):
        a, b = point(x + across[i], south, above[i]), point(x + across[i + 1], south, above[i + 1])
        if np.linalg.norm(b - a) > 1e-6:  # wound so that the vault is seen from inside
            strips.append(Panel(a, point(0, depth, 0), b - a, lining, two_sided=True))
    return strips
