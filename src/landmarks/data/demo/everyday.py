"""Pictures without a landmark, as most of the test pictures are."""

from collections.abc import Callable

import numpy as np

from landmarks.data.demo.indoors import poster, room, table
from landmarks.data.demo.outdoors import beach, portrait, street, traffic, wide_country, woods
from landmarks.data.demo.render import Scene

Everyday = Callable[[np.random.Generator], Scene]


SUBJECTS: tuple[Everyday, ...] = (
    woods, woods, beach, street, street, portrait, traffic, wide_country, room, table, table, poster,
)  # fmt: skip


def everyday(seed: list[int]) -> Scene:
    """A random picture without a landmark; the same seed gives the same scene."""
    rng = np.random.default_rng(seed)
    return SUBJECTS[int(rng.integers(len(SUBJECTS)))](rng)
