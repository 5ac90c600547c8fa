"""Which pictures a rendered detection set holds.

Landmarks as people photograph them, with whatever stands about, and pictures without one, in the shares of the demo
world's test set. No landmark is in both splits, and none is one of the demo world's: a detector that works there has
not seen its landmarks before.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from landmarks.data.demo import strongholds, towers
from landmarks.data.demo.catalogue import BUILDERS
from landmarks.data.demo.landmark import Architect, Builder, Landmark
from landmarks.data.demo.modern import lattice_tower, skyscraper, television_tower
from landmarks.data.demo.plan import NOTHING
from landmarks.errors import LandmarksError

Split = Literal["train", "validation"]
SPLITS: tuple[Split, ...] = ("train", "validation")
VALIDATION = 1 / 6  # of all pictures
EVERYDAY = 0.36  # of the pictures of a split show no landmark
SHOTS: dict[Split, int] = {"train": 4, "validation": 2}  # pictures of one landmark
SMALLEST = 12  # pictures
ELSEWHERE = 1 << 40  # added to the seed: no demo world that anyone asks for has these landmarks

# Most kinds of landmarks are plain Buildings: those that have a class of their own are built more often.
_MORE: dict[Builder, int] = {
    strongholds.castle: 3, strongholds.town_gate: 2, towers.lighthouse: 4, skyscraper: 4,
    towers.campanile: 2, towers.column: 2, lattice_tower: 2, television_tower: 2,
}  # fmt: skip
_CYCLE = [builder for builder in BUILDERS for _ in range(_MORE.get(builder, 1))]


@dataclass(frozen=True)
class Picture:
    """One picture to be drawn.

    Attributes:
        image_id: 16 hex digits.
        split: where it belongs.
        subject: number of the landmark that it shows, or NOTHING.
        shot: which of the endless pictures of this subject.
    """

    image_id: str
    split: Split
    subject: int
    shot: int


def draw_plan(seed: int, pictures: int) -> list[Picture]:
    """Share out pictures over splits and landmarks.

    Args:
        seed: fixes everything.
        pictures: how many in all.

    Returns:
        The pictures of one landmark together, those without a landmark at the end.

    Raises:
        LandmarksError: these are too few pictures.
    """
    if pictures < SMALLEST:
        raise LandmarksError(f"a detection set of {pictures} pictures is too small: it needs at least {SMALLEST}")
    validation = round(VALIDATION * pictures)
    shown: list[tuple[Split, int, int]] = []
    landmark = everyday = 0
    nothing: list[tuple[Split, int, int]] = []
    totals: dict[Split, int] = {"train": pictures - validation, "validation": validation}
    for split, total in totals.items():
        empty = round(EVERYDAY * total)
        nothing += [(split, NOTHING, everyday + i) for i in range(empty)]
        everyday += empty
        shown += [(split, landmark + i // SHOTS[split], i % SHOTS[split]) for i in range(total - empty)]
        landmark = shown[-1][1] + 1
    ids = _draw_ids(np.random.default_rng([seed, 7]), pictures)
    return [Picture(image_id, *rest) for image_id, rest in zip(ids, shown + nothing, strict=True)]


def _draw_ids(rng: np.random.Generator, count: int) -> list[str]:
    ids: dict[str, None] = {}
    while len(ids) < count:
        ids[rng.bytes(8).hex()] = None
    return list(ids)


def world_of(seed: int) -> int:
    """The seed of the world that the landmarks of a detection set stand in."""
    return ELSEWHERE + seed


def build_subject(seed: int, number: int) -> Landmark:
    """The landmark with this number of the detection set of this seed; kinds come around again, styles do not."""
    return builder_of(seed, number)(Architect.of(world_of(seed), number))


def builder_of(seed: int, number: int) -> Builder:
    """Who builds the landmark with this number."""
    order = np.random.default_rng([world_of(seed), 2]).permutation(len(_CYCLE))
    return _CYCLE[order[number % len(_CYCLE)]]
