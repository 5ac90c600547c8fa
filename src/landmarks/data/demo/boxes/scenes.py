"""Pictures without a landmark: those of the demo world, and squares on which every cut-out of the stock is met."""

import numpy as np

from landmarks.data.demo.canvas import Surface
from landmarks.data.demo.everyday import Everyday
from landmarks.data.demo.indoors import poster, room, table
from landmarks.data.demo.outdoors import anywhere, beach, portrait, street, traffic, under_the_sky, wide_country, woods
from landmarks.data.demo.render import Scene
from landmarks.data.demo.scenery import place
from landmarks.data.demo.shapes import point
from landmarks.data.demo.sprites import SIZES

ASHORE = tuple(kind for kind in SIZES if kind != "boat")


def square(rng: np.random.Generator) -> Scene:
    """Some of everything that can stand on land, each kind as often as the others."""
    camera = anywhere(rng, aim=2.5, far=20)
    surfaces: list[Surface] = []
    for _ in range(int(rng.integers(4, 11))):
        kind, far = ASHORE[int(rng.integers(len(ASHORE)))], rng.uniform(7, 26)
        surfaces.append(place(kind, int(rng.integers(8)), point(rng.uniform(-0.5, 0.5) * far, far), camera))
    return under_the_sky(rng, surfaces, camera, rng.choice(["paving", "lawn", "sand"]), rng.choice(["hills", "city"]))


TURNS: tuple[Everyday, ...] = (
    beach, street, table, square, room, traffic, poster, woods, beach, square, street, table, portrait, room, poster,
    wide_country,
)  # fmt: skip
