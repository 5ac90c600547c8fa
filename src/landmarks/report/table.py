"""Shows the ablation table in the terminal and writes it as CSV: what each stage of a pipeline gains and costs."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray
from rich import box
from rich.table import Table
from rich.text import Text

from landmarks.errors import LandmarksError
from landmarks.storage import atomic_file

if TYPE_CHECKING:  # imports torch, which takes seconds
    from landmarks.retrieval import StageReport

Precision = NDArray[np.float64]

# Smaller changes are shown as ±0, because four digits are printed.
VISIBLE_CHANGE = 5e-5
MISSING = "\N{EN DASH}"
COSTS = ("seconds", "peak_mb", "rise_mb", "gpu_peak_mb")


def ablation_table(stages: "Sequence[StageReport]", title: str = "Stages") -> Table:
    """Return a table with one row per stage: metrics, their change from the previous stage, seconds, and peak memory.

    The memory columns appear if the system reports memory; the caption says what they count. With two metrics and short
    stage names the table is 80 characters wide; longer names are folded.
    """
    figures = metrics_of(stages)
    has_memory = any(stage.peak_mb is not None for stage in stages)
    has_gpu = any(stage.gpu_peak_mb is not None for stage in stages)
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, caption_justify="left")
    table.add_column("stage", overflow="fold", vertical="middle")
    headings = [heading for name in figures for heading in ("\n".join(reversed(name.split("/"))), "change")]
    headings.append("seconds")
    if has_memory:
        headings += ["peak\nMiB", "rise\nMiB"]
        table.caption = "memory: anonymous pages of this process, sampled; mapped files not counted"
    if has_gpu:
        headings.append("GPU\nMiB")
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    for stage in stages:
        cells: list[str | Text] = [stage.stage]
        for figure in figures:
            cells += [number(stage.scores.get(figure)), signed(change(stage.changes.get(figure)))]
        cells.append(f"{stage.seconds:.2f}")
        if has_memory:
            cells += [number(stage.peak_mb, 0), number(stage.rise_mb, 0)]
        if has_gpu:
            cells.append(number(stage.gpu_peak_mb, 0))
        table.add_row(*cells)
    return table


def write_stages(path: str | Path, stages: "Sequence[StageReport]") -> None:
    """Write the table as CSV with all digits; unknown values stay empty."""
    figures = metrics_of(stages)
    header = ["stage", *(column for name in figures for column in (name, f"change of {name}")), *COSTS]
    try:
        with Path(path).open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(header)
            for stage in stages:
                values = [value for name in figures for value in (stage.scores.get(name), stage.changes.get(name))]
                writer.writerow([stage.stage, *values, *(getattr(stage, cost) for cost in COSTS)])
    except OSError as error:
        raise LandmarksError(f"{path}: could not write the table: {error}") from error


def write_stage_queries(
    path: str | Path, ids: Sequence[str | int], stages: Mapping[str, tuple[Precision, Precision]]
) -> None:
    """Write what each stage did to each query as CSV: `id`, `stage`, `ap_before` and `ap_after`.

    Args:
        path: File to write.
        ids: Ids of S queries, or their rows.
        stages: Average precision of these queries, float64 [S], before and after each stage, by its name.
    """
    parts = [
        pl.DataFrame({"id": ids, "ap_before": before, "ap_after": after}).select(
            "id", pl.lit(stage).alias("stage"), "ap_before", "ap_after"
        )
        for stage, (before, after) in stages.items()
    ]
    try:
        with atomic_file(Path(path)) as file:
            pl.concat(parts).write_csv(file)
    except OSError as error:
        raise LandmarksError(f"{path}: could not write the table: {error}") from error


def metrics_of(stages: "Sequence[StageReport]") -> list[str]:
    """Return the names of all metrics of a pipeline, in order."""
    return list(dict.fromkeys(name for stage in stages for name in stage.scores))


def number(value: float | None, digits: int = 4) -> str:
    """Format a value for tables, an unknown one as a dash."""
    return MISSING if value is None or value != value else f"{value:.{digits}f}"


def change(value: float | None) -> str:
    """Format a change with its sign, an unknown one as an empty text."""
    if value is None or value != value:
        return ""
    return f"{value:+.4f}" if abs(value) >= VISIBLE_CHANGE else "±0"


def signed(text: str) -> Text:
    """Colour a change by its sign, for the terminal."""
    return Text(text, style="green" if text.startswith("+") else "red" if text.startswith("-") else "dim")
