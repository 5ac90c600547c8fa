"""Draws loss and metrics of a run over its steps, from the ``metrics.csv`` of Lightning's CSV logger.

Lightning writes one row per logging event and leaves the other columns empty; a resumed run adds a file. All files
are joined by step, and the values of a later file replace those of an earlier one at the same step.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator
from numpy.typing import NDArray

from landmarks.errors import LandmarksError
from landmarks.report import palette

Curve = tuple[NDArray[np.int64], NDArray[np.float64]]

SCORES = ("/map@100", "/gap", "/map@0.5")
# A curve with at least this many points is drawn pale with its running mean on top.
SMOOTHED_FROM = 40


def read_curves(files: Sequence[str | Path]) -> dict[str, Curve]:
    """Read every numeric column of the files, oldest first: name -> (steps int64 [n], values float64 [n])."""
    if not files:
        raise LandmarksError("curves: no metrics.csv given; does the run use Lightning's CSV logger?")
    parts = []
    for path in files:
        try:
            table = pl.read_csv(path, infer_schema_length=None)
            if "step" not in table.columns:
                raise LandmarksError(f"{path}: no column step, so Lightning's CSV logger did not write it")
            steps = pl.col("step").cast(pl.Int64)
            numbers = pl.selectors.numeric() - pl.selectors.by_name("step", "epoch", require_all=False)
            parts.append(table.select(steps, numbers.cast(pl.Float64)).unpivot(index="step").drop_nulls())
        except (OSError, pl.exceptions.PolarsError) as error:
            raise LandmarksError(f"{path}: not a readable CSV file: {error}") from error
    points = pl.concat(parts).unique(["variable", "step"], keep="last", maintain_order=True)
    curves = {}
    for name in points["variable"].unique(maintain_order=True):
        curve = points.filter(variable=name).sort("step")
        curves[name] = curve["step"].to_numpy(), curve["value"].to_numpy()
    return curves


def plot_curves(files: Sequence[str | Path], out: str | Path) -> Path:
    """Plot a run's ``metrics.csv`` files, oldest first: losses on the left, mAP@100 and GAP on the right."""
    curves = read_curves(files)
    losses = {name: curve for name, curve in curves.items() if "loss" in name.lower()}
    scores = {name: curve for name, curve in curves.items() if name.endswith(SCORES)}
    panels = [(title, group) for title, group in (("Loss", losses), ("Score", scores)) if group]
    if not panels:
        raise LandmarksError(f"{files[0]}: no column with a loss or a score; found {sorted(curves)}")
    figure = Figure(figsize=(5.6 * len(panels), 3.8), dpi=150, layout="constrained", facecolor="white")
    for axes, (title, group) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        _draw(axes, title, group)
    out = Path(out)
    figure.savefig(out)
    return out


def _draw(axes: Axes, title: str, group: Mapping[str, Curve]) -> None:
    ink, faint = palette.css(palette.INK), palette.css(palette.RULE)
    for number, (name, (steps, values)) in enumerate(group.items()):
        colour = palette.css(palette.CURVES[number % len(palette.CURVES)])
        style = ("-", "--", ":")[number // len(palette.CURVES) % 3]
        if len(steps) >= SMOOTHED_FROM:
            axes.plot(steps, values, color=colour, alpha=0.22, linewidth=0.8)
            axes.plot(steps, _running_mean(values), color=colour, linewidth=1.8, linestyle=style, label=name)
        else:
            marker = "o" if len(steps) <= SMOOTHED_FROM // 2 else None
            axes.plot(
                steps, values, color=colour, linewidth=1.8, linestyle=style, marker=marker, markersize=4, label=name
            )
    axes.set_title(title, loc="left", fontweight="bold", color=ink)
    axes.set_xlabel("step", color=ink)
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.grid(axis="y", color=faint, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(faint)
    axes.tick_params(colors=ink, length=0)
    axes.margins(x=0.02)
    axes.legend(frameon=False, fontsize=8, labelcolor=ink, loc="best")


def _running_mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean over a centred window of a twentieth of the curve; the window shrinks at both ends."""
    half = max(1, len(values) // 40)
    sums = np.concatenate([[0.0], np.cumsum(np.nan_to_num(values))])
    counts = np.concatenate([[0], np.cumsum(~np.isnan(values))])
    start = np.maximum(np.arange(len(values)) - half, 0)
    end = np.minimum(np.arange(len(values)) + half + 1, len(values))
    return (sums[end] - sums[start]) / np.maximum(counts[end] - counts[start], 1)
