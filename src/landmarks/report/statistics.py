"""The sizes of a data set as tables for the terminal."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from rich import box
from rich.console import Group, RenderableType
from rich.filesize import decimal
from rich.table import Table

from landmarks.data.gldv2.statistics import GROUPS, LONG, SplitStatistics, Statistics, group_name

NONE = "\N{EN DASH}"
BAR = 7  # characters: three of them fit into 80
EIGHTHS = " ▏▎▍▌▋▊▉█"


def statistics_tables(statistics: Statistics) -> RenderableType:
    """Sizes of each split, a histogram of pictures per landmark, and the queries of the ground truth."""
    parts: list[RenderableType] = [_sizes(statistics)]
    if any(len(split.per_landmark) for split in statistics.splits.values()):
        parts.append(_histogram(statistics))
    if statistics.solutions:
        parts.append(_queries(statistics))
    return Group(*parts)


def _sizes(statistics: Statistics) -> Table:
    table = _table(f"Google Landmarks v2 in {statistics.root}", "")
    splits = statistics.splits.values()
    for split in statistics.splits:
        table.add_column(split, justify="right", no_wrap=True)
    table.add_row("pictures", *(f"{one.pictures:,}" for one in splits))
    table.add_row("landmarks", *(f"{len(one.per_landmark):,}" if len(one.per_landmark) else NONE for one in splits))
    rows: list[tuple[str, Callable[[SplitStatistics], str]]] = [
        ("fewest", lambda one: f"{one.per_landmark.min():,}"),
        ("median", lambda one: f"{np.median(one.per_landmark):,.0f}"),
        ("mean", lambda one: f"{one.per_landmark.mean():,.1f}"),
        ("most", lambda one: f"{one.per_landmark.max():,}"),
    ]
    for name, figure in rows:
        label = f"  pictures of one, {name}"
        table.add_row(label, *(figure(one) if len(one.per_landmark) else NONE for one in splits))
    table.add_row("tars", *(f"{one.tars:,}" if one.tars else NONE for one in splits))
    table.add_row("  size", *(decimal(one.tar_bytes) if one.tars else NONE for one in splits))
    if any(len(one.sizes) for one in splits):
        table.add_row("pictures measured", *(f"{len(one.sizes):,}" for one in splits))
        sizes: list[tuple[str, Callable[[SplitStatistics], str]]] = [
            ("short side, 5 to 95 %", lambda one: _range(one.short_sides)),
            ("long side, 5 to 95 %", lambda one: _range(one.long_sides)),
            (f"longer than {LONG:.0f}:1", lambda one: f"{one.long_share:.1%}"),
        ]
        for name, figure in sizes:
            table.add_row(f"  {name}", *(figure(one) if len(one.sizes) else NONE for one in splits))
    return table


def _range(pixels: NDArray[np.int64]) -> str:
    low, high = np.percentile(pixels, (5, 95))
    return f"{low:.0f}-{high:.0f}"


def _histogram(statistics: Statistics) -> Table:
    labelled = {name: split for name, split in statistics.splits.items() if len(split.per_landmark)}
    table = _table("Landmarks by number of pictures", "pictures")
    for split in labelled:
        table.add_column(split, no_wrap=True)
    for number in range(len(GROUPS)):
        cells = []
        for one in labelled.values():
            share = one.groups[number] / len(one.per_landmark)
            cells.append(f"{one.groups[number]:>6,} {share:>4.0%} {_bar(share)}")
        table.add_row(group_name(number), *cells)
    return table


def _bar(share: float) -> str:
    """A bar of up to `BAR` characters, to an eighth of one; what is not nothing shows."""
    length = max(round(share * BAR * 8), 1 if share else 0)
    return "█" * (length // 8) + EIGHTHS[length % 8].strip()


def _queries(statistics: Statistics) -> Table:
    table = _table("Queries of the ground truth", "task")
    for name in ("public", "private", "ignored"):
        table.add_column(name, justify="right")
    for task, one in statistics.solutions.items():
        table.add_row(task, f"{one.public:,}", f"{one.private:,}", f"{one.ignored:,}")
    return table


def _table(title: str, first: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    table.add_column(first, no_wrap=True)
    return table
