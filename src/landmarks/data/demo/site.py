"""The place where a landmark stands: its ground, its horizon, the houses and trees about it.

These belong to the place and come back from picture to picture, but they are of the common stock.
"""

from dataclasses import dataclass

import numpy as np

from landmarks.data.demo.camera import Camera, Floats
from landmarks.data.demo.canvas import Surface
from landmarks.data.demo.ground import Ground
from landmarks.data.demo.landmark import Landmark
from landmarks.data.demo.scenery import moved, ordinary_house, place
from landmarks.data.demo.shapes import point
from landmarks.data.demo.sky import Horizon
from landmarks.data.demo.sprites import TREES

HORIZONS: tuple[Horizon, ...] = ("city", "woods", "hills", "mountains")


@dataclass(frozen=True)
class Tree:
    """A tree of the stock and where it stands."""

    kind: str
    variant: int
    spot: Floats
    scale: float


@dataclass(frozen=True)
class Site:
    """Surroundings of one landmark.

    Attributes:
        ground: what lies all around.
        horizon: its kind, variant and turn.
        houses: each with the place of its front.
        trees: about the landmark.
        favourite: direction of the picture that everyone takes, radians to the side of the front.
    """

    ground: Ground
    horizon: tuple[Horizon, int, float]
    houses: list[tuple[Floats, list[Surface]]]
    trees: list[Tree]
    favourite: float

    def seen_by(self, camera: Camera, landmark: Landmark) -> list[Surface]:
        """Houses and trees that do not stand in the photographer's way."""
        surfaces: list[Surface] = []
        for spot, house in self.houses:
            if not _in_the_way(spot, camera, landmark):
                surfaces += house
        for tree in self.trees:
            if not _in_the_way(tree.spot, camera, landmark):
                surfaces.append(place(tree.kind, tree.variant, tree.spot, camera, tree.scale))
        return surfaces


def _in_the_way(spot: Floats, camera: Camera, landmark: Landmark) -> bool:
    away = (camera.position - landmark.centre)[:2]
    off = (spot - landmark.centre)[:2]
    near = float(np.linalg.norm((spot - camera.position)[:2])) < 22.0
    return near or float(away @ off) > 0.35 * float(np.linalg.norm(away) * np.linalg.norm(off))


def draw_site(landmark: Landmark, seed: list[int]) -> Site:
    """The surroundings of a landmark; the same seed gives the same place."""
    rng = np.random.default_rng([*seed, 5])
    horizon = HORIZONS[int(rng.choice(4, p=[0.38, 0.22, 0.28, 0.12]))], int(rng.integers(3)), float(rng.uniform())
    houses: list[tuple[Floats, list[Surface]]] = []
    trees: list[Tree] = []
    if landmark.ground != "water":
        side = landmark.width * 0.62
        for _ in range(int(rng.integers(0, 4))):
            house, wide, _ = ordinary_house(int(rng.integers(16)))
            x = float(rng.choice([-1, 1])) * (side + wide * rng.uniform(0.6, 2.2))
            spot = point(x, landmark.depth + rng.uniform(-4, 26))
            houses.append((spot, moved(house, spot, rng.uniform(-0.3, 0.3))))
        kind = TREES[int(rng.integers(len(TREES)))]
        for _ in range(int(rng.integers(0, 9))):
            x = float(rng.choice([-1, 1])) * (side + rng.uniform(1, 30))
            spot = point(x, landmark.depth + rng.uniform(-12, 24))
            trees.append(Tree(kind, int(rng.integers(8)), spot, float(rng.uniform(0.7, 1.3))))
    favourite = float(rng.uniform(-0.5, 0.5))
    return Site(landmark.ground, horizon, houses, trees, favourite)
