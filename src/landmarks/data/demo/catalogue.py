"""Every kind of landmark, and made-up names for them."""

import numpy as np

from landmarks.data.demo import ancient, bridges, churches, modern, palaces, strongholds, towers
from landmarks.data.demo.landmark import Architect, Builder, Landmark

BUILDERS: tuple[Builder, ...] = (
    churches.cathedral, bridges.suspension_bridge, strongholds.castle, towers.campanile, churches.basilica,
    strongholds.gatehouse, modern.lattice_tower, ancient.temple, palaces.palace, towers.lighthouse, churches.mosque,
    bridges.stone_bridge, modern.skyscraper, ancient.pagoda, palaces.town_hall, ancient.pyramid, modern.great_wheel,
    palaces.capitol, bridges.cable_stayed_bridge, churches.onion_church, towers.column, ancient.arena, towers.windmill,
    strongholds.town_gate, bridges.tower_bridge, modern.opera, modern.television_tower,
)  # fmt: skip
STEMS = ("Oster", "Var", "Lind", "Carra", "Mon", "Bel", "Thorn", "Sel", "Ash", "Kor", "Quill", "Nor", "Ald", "Fen")
ENDINGS = ("moor", "haven", "burg", "dale", "mere", "ona", "ville", "stead", "mark", "aro", "ford", "wick")


def build_landmark(seed: int, number: int) -> Landmark:
    """The landmark with this number in the world of this seed; kinds come around again, styles do not."""
    return builder_of(seed, number)(Architect.of(seed, number))


def builder_of(seed: int, number: int) -> Builder:
    """Who builds the landmark with this number."""
    kinds = np.random.default_rng([seed, 2]).permutation(len(BUILDERS))
    return BUILDERS[kinds[number % len(BUILDERS)]]


def kind_of(seed: int, number: int) -> str:
    """What kind of landmark a number is, such as "stone bridge", without building it."""
    return builder_of(seed, number).__name__.replace("_", " ")


def name_landmark(seed: int, number: int, kind: str) -> str:
    """A made-up name, such as "Cathedral of Ostermoor", unlike that of any other number."""
    places = np.random.default_rng([seed, 3]).permutation(len(STEMS) * len(ENDINGS))
    place = int(places[number % len(places)])
    town = STEMS[place // len(ENDINGS)] + ENDINGS[place % len(ENDINGS)]
    again = number // len(places)
    return f"{kind.capitalize()} of {town}" + (f" {again + 1}" if again else "")
