"""What makes one building's walls its own: stone, windows, masonry, ornament.

Stones come from a short list that many landmarks share, so colour alone tells none of them apart.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from landmarks.data.demo.relief import Colour, Head

Masonry = Literal["ashlar", "brick", "plaster", "banded", "rubble"]
STONES: dict[str, Colour] = {
    "limestone": (0.80, 0.74, 0.62),
    "granite": (0.60, 0.60, 0.60),
    "brick": (0.62, 0.36, 0.28),
    "marble": (0.86, 0.85, 0.82),
    "sandstone": (0.76, 0.60, 0.42),
}
ROOFS: tuple[Colour, ...] = ((0.36, 0.40, 0.44), (0.55, 0.29, 0.20), (0.42, 0.60, 0.54), (0.30, 0.27, 0.25))
PAINTS: tuple[Colour, ...] = (
    (0.72, 0.20, 0.16), (0.18, 0.36, 0.58), (0.22, 0.46, 0.34), (0.82, 0.64, 0.22), (0.90, 0.88, 0.82),
)  # fmt: skip


@dataclass(frozen=True)
class Style:
    """Choices that hold over all walls of one building.

    Attributes:
        wall, trim, roof, paint: colours.
        masonry: how the wall is laid.
        head: shape of the window heads.
        bay, storey: spacing of windows in metres.
        window: width and height of a window as shares of bay and storey.
        panes: panes across and up.
        surround: raised frame around a window, metres; 0 none.
        hood: what stands over a window.
        motif: ornament, bool [n, n].
        order: half columns between the bays, flat pilasters, or neither.
    """

    wall: Colour
    trim: Colour
    roof: Colour
    paint: Colour
    masonry: Masonry
    head: Head
    bay: float
    storey: float
    window: tuple[float, float]
    panes: tuple[int, int]
    surround: float
    hood: Literal["none", "ledge", "gable", "arc"]
    motif: NDArray[np.bool_]
    order: Literal["none", "pilaster", "column"]


def shade(colour: Colour, factor: float) -> Colour:
    """A lighter or darker colour."""
    red, green, blue = (min(max(c * factor, 0.0), 1.0) for c in colour)
    return red, green, blue


def draw_motif(rng: np.random.Generator, size: int = 9) -> NDArray[np.bool_]:
    """A random ornament with mirror symmetry, as carved friezes have."""
    half = (size + 1) // 2
    left = rng.random((size, half)) < 0.5
    if rng.random() < 0.5:  # symmetric top to bottom as well
        left[half:] = left[: size - half][::-1]
    full = np.concatenate([left, left[:, : size - half][:, ::-1]], axis=1)
    full[0, :] = full[-1, :] = False
    return full


def draw_style(rng: np.random.Generator) -> Style:
    """A random but consistent style."""
    stone = list(STONES)[int(rng.integers(len(STONES)))]
    wall = shade(STONES[stone], rng.uniform(0.94, 1.05))
    masonry: Masonry = "brick"
    if stone != "brick":
        masonry = rng.choice(["ashlar", "plaster", "banded", "rubble"], p=[0.45, 0.2, 0.2, 0.15])
    trims = [STONES["marble"], STONES["limestone"], shade(wall, 1.18), shade(wall, 0.7), STONES["sandstone"]]
    return Style(
        wall=wall,
        trim=trims[int(rng.integers(len(trims)))],
        roof=ROOFS[int(rng.integers(len(ROOFS)))],
        paint=PAINTS[int(rng.integers(len(PAINTS)))],
        masonry=masonry,
        head=rng.choice(["flat", "round", "pointed", "segmental"], p=[0.35, 0.3, 0.2, 0.15]),
        bay=float(rng.uniform(2.6, 5.2)),
        storey=float(rng.uniform(3.2, 5.6)),
        window=(float(rng.uniform(0.3, 0.56)), float(rng.uniform(0.45, 0.7))),
        panes=(int(rng.integers(1, 4)), int(rng.integers(1, 5))),
        surround=float(rng.choice([0.0, 0.18, 0.3])),
        hood=rng.choice(["none", "ledge", "gable", "arc"]),
        motif=draw_motif(rng),
        order=rng.choice(["none", "pilaster", "column"]),
    )
