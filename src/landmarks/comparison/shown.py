"""Prints a comparison, writes it as a page, and turns it into plain values."""

import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from landmarks.comparison.compare import Comparison, Difference
from landmarks.comparison.sheets import draw_moved
from landmarks.errors import LandmarksError
from landmarks.metrics import LOWER_IS_BETTER, Interval
from landmarks.report import change, number, write_page
from landmarks.terminal import Console

RULE = (
    "95 %: interval of the change, queries drawn at random, or whole landmarks. p: how often chance alone gives such a "
    "change, corrected for the number of systems (Holm)."
)


def print_comparison(found: Comparison) -> None:
    """Print a table for each system beside the first."""
    console = Console(highlight=False)
    first = found.systems[0]
    for system in found.systems[1:]:
        title = f"{_called(system.name, len(system.runs))} minus {_called(first.name, len(first.runs))}"
        table = Table(title=Text(title), title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, padding=0)
        table.add_column("metric")
        for heading in ("value", "change", "95 % by query", "p", "by landmark", "p", "+ = -"):
            table.add_column(heading, justify="right", no_wrap=True)
        differences = [one for one in found.differences if one.system == system.name]
        for split in dict.fromkeys(one.split for one in differences):
            table.add_row(Text(split, style="bold"))
            for one in differences:
                if one.split == split:
                    table.add_row(one.metric, *_cells(one))
        console.print(table)
    console.print(RULE, style="dim")


def _cells(one: Difference) -> list[str | Text]:
    better = one.difference * (-1 if one.metric in LOWER_IS_BETTER else 1)
    sign = "" if change(one.difference) in ("", "±0") else "green" if better > 0 else "red"
    counts = "" if one.metric == "gap" else f"{one.wins} {one.ties} {one.losses}"
    value, by = number(one.value), Text(change(one.difference), style=sign)
    by_query = [interval_text(one.interval), number(one.p, 3)]
    return [value, by, *by_query, interval_text(one.by_landmark), number(one.p_by_landmark, 3), counts]


def interval_text(interval: Interval) -> str:
    """Format an interval for tables."""
    return f"{interval.low:+.3f} {interval.high:+.3f}"


def _called(name: str, runs: int) -> str:
    return name if runs == 1 else f"{name} ({runs} seeds)"


def write_comparison(out: str | Path, found: Comparison) -> list[str]:
    """Write the page: all values, the queries that moved most, and images of them where the data set is at hand.

    Returns:
        Messages about systems whose images could not be drawn.
    """
    notes, images = [], {}
    with tempfile.TemporaryDirectory() as folder:
        for place, system in enumerate(found.systems[1:]):
            try:
                images[system.name] = draw_moved(found, system.name, Path(folder) / f"{place}.png")
            except (LandmarksError, OSError) as error:
                notes.append(f"{system.name}: no images of queries that moved: {error}")
        write_page(
            out,
            "comparison.html",
            title=f"Runs compared with {found.systems[0].name}",
            found=found,
            rule=RULE,
            images=images,
            notes=notes,
            interval=interval_text,
            lower_is_better=LOWER_IS_BETTER,
        )
    return notes


def as_json(found: Comparison) -> dict[str, Any]:
    """Return all values of a comparison, those that do not exist as None."""
    return {
        "systems": [{"name": one.name, "runs": [str(run.folder) for run in one.runs]} for one in found.systems],
        "differences": [
            asdict(one) | {"difference": one.difference, "ties": one.ties, **_intervals(one)}
            for one in found.differences
        ],
        "moved": [asdict(one) for one in found.moved],
    }


def _intervals(one: Difference) -> dict[str, list[float]]:
    return {"interval": list(one.interval), "by_landmark": list(one.by_landmark)}
