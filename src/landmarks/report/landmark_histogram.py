"""How many landmarks have how many pictures, drawn on logarithmic axes: the long tail of the data set in one figure."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator
from numpy.typing import NDArray

from landmarks.errors import LandmarksError
from landmarks.report.curves import COLOURS, FAINT, INK

WIDTHS = (2.8, 1.7, 1.7)


def octaves(per_landmark: NDArray[np.int64]) -> NDArray[np.int64]:
    """Landmarks with 1, 2-3, 4-7, 8-15, ... pictures.

    Every group spans a factor of two, so that all are equally wide on a logarithmic axis and none looks taller for
    being wider.

    Args:
        per_landmark: int64 [C], pictures of each landmark, at least 1.

    Returns:
        int64 [G].
    """
    return np.bincount(np.log2(per_landmark).astype(np.int64))


def plot_landmark_histogram(splits: Mapping[str, NDArray[np.int64]], out: str | Path) -> Path:
    """Draw the splits over each other.

    Args:
        splits: For each split, the pictures of each of its landmarks, int64 [C].
        out: PNG to write.

    Returns:
        `out`.

    Raises:
        LandmarksError: No split has a landmark, or `out` cannot be written.
    """
    known = {split: images[images > 0] for split, images in splits.items() if images.any()}
    if not known:
        raise LandmarksError("no split has landmarks: there is nothing to draw")
    figure = Figure(figsize=(7.2, 4.2), dpi=150, layout="constrained", facecolor="white")
    _draw(figure.subplots(), known)
    out = Path(out)
    try:
        figure.savefig(out, format="png")
    except OSError as error:
        raise LandmarksError(f"{out}: cannot be written ({error.strerror})") from error
    return out


def _draw(axes: Axes, splits: Mapping[str, NDArray[np.int64]]) -> None:
    groups = max(len(octaves(images)) for images in splits.values())
    edges = 2.0 ** np.arange(groups + 1)
    # The first is the widest, so that it is seen where a later one, part of it, has the same landmarks.
    for colour, width, (split, images) in zip(COLOURS, WIDTHS, splits.items(), strict=False):
        counts = np.zeros(groups)
        counts[: len(octaves(images))] = octaves(images)
        label = f"{split}: {images.sum():,} pictures of {len(images):,} landmarks"
        axes.stairs(counts, edges, baseline=0.5, fill=True, color=colour, alpha=0.12)
        axes.stairs(counts, edges, baseline=0.5, color=colour, linewidth=width, label=label)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(0.5, 3 * axes.get_ylim()[1])
    axes.set_xticks(edges[:-1], [f"{edge:,.0f}" for edge in edges[:-1]])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.set_title("Landmarks by number of pictures", loc="left", fontweight="bold", color=INK)
    axes.set_xlabel("pictures of a landmark, in groups from one number to the next", color=INK)
    axes.set_ylabel("landmarks", color=INK)
    axes.grid(axis="y", color=FAINT, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(FAINT)
    axes.tick_params(colors=INK, length=0)
    axes.legend(edgecolor="none", framealpha=1, fontsize=8, labelcolor=INK, loc="upper right")
