"""Makes the terminal tables of the commands on a data set: downloads, indexes, statistics and cleaning."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Group
from rich.filesize import decimal
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from landmarks.data import IndexedSplit, Outcome

FAILURES_SHOWN = 20  # most failed downloads that are named
NONE = "\N{EN DASH}"  # shown for missing values
REASONS = {
    "no_descriptor": "no descriptor",
    "disagreeing": "too few agree",
    "small_group": "in a small group",
    "unverified": "not verified",
    "small_landmark": "landmark too small",
}


def download_table(outcomes: Sequence["Outcome"]) -> Table:
    """Count the files of each folder that were downloaded, skipped or failed."""
    table = data_table("Download", "folder", "done", "skipped", "failed", "on disk")
    for folder in dict.fromkeys(outcome.path.split("/")[0] for outcome in outcomes):
        ours = [outcome for outcome in outcomes if outcome.path.startswith(f"{folder}/")]
        counts = [str(sum(outcome.state == state for outcome in ours)) for state in ("done", "skipped", "failed")]
        table.add_row(folder, *counts, decimal(sum(outcome.size for outcome in ours)))
    return table


def download_messages(outcomes: Sequence["Outcome"]) -> list[str]:
    """Name the files that are missing, and why."""
    absent = [outcome for outcome in outcomes if outcome.state == "skipped" and outcome.size == 0]
    failed = [outcome for outcome in outcomes if outcome.state == "failed"]
    messages = [f"{one.state}: {one.path}: {one.reason}" for one in (*absent, *failed[:FAILURES_SHOWN])]
    more = len(failed) - FAILURES_SHOWN
    return [*messages, f"and {more} more failed; --json lists all"] if more > 0 else messages


def index_table(done: Sequence["IndexedSplit"]) -> Table:
    """Count tars and images of each split, and the tars that have changed."""
    columns = ("tars", "images", "on disk", "new", "changed", "gone", "refused", "seconds")
    table = data_table("Index", "split", *columns)
    for each in done:
        update = each.update
        table.add_row(
            each.split,
            f"{len(update.offsets.tars):,}",
            f"{len(update.offsets):,}",
            decimal(each.size),
            *(f"{len(names):,}" for names in (update.new, update.changed, update.gone, update.refused)),
            f"{each.seconds:.2f}",
        )
    return table


def statistics_tables(statistics: dict[str, Any]) -> Group:
    """Show the statistics of `landmarks.data.gldv2.statistics`, a column per split, and the ground truth's queries."""
    splits = statistics["splits"]
    table = data_table(f"Google Landmarks v2 in {statistics['root']}", "", *splits)
    for key in ("images", "without_landmark", "landmarks"):
        table.add_row(key.replace("_", " "), *(f"{one[key]:,}" for one in splits.values()))
    for group in ("images_per_landmark", "image_sizes"):
        names = dict.fromkeys(name for one in splits.values() for name in one[group] or ())
        if names:
            table.add_section()
            table.add_row(group.replace("_", " "))
        for name in names:
            cells = (NONE if one[group] is None else _number(one[group][name]) for one in splits.values())
            table.add_row(f"  {name.replace('_', ' ')}", *cells)
    table.add_section()
    table.add_row("tars", *(f"{one['tars']:,}" if one["tars"] else NONE for one in splits.values()))
    table.add_row("  size", *(decimal(one["tar_bytes"]) if one["tars"] else NONE for one in splits.values()))
    queries = data_table("Queries of the ground truth", "task", "public", "private", "ignored")
    for task, counts in statistics["queries"].items():
        queries.add_row(task, *(f"{count:,}" for count in counts.values()))
    return Group(table, *([queries] if statistics["queries"] else []))


def cleaned_table(report: dict[str, Any]) -> Table:
    """Count images and landmarks before and after `landmarks data clean`, and removed images by reason."""
    table = data_table("Cleaned", "", "before", "kept", "share")
    for what in ("images", "landmarks"):
        before, kept = report[what]["before"], report[what]["kept"]
        table.add_row(what, f"{before:,}", f"{kept:,}", f"{kept / before:.1%}")
    table.add_section()
    for reason, text in REASONS.items():
        if fell := report["fell"][reason]:
            table.add_row(f"removed: {text}", f"{fell:,}", "", f"{fell / report['images']['before']:.1%}")
    return table


def data_table(title: str, first: str, *columns: str) -> Table:
    """Return an empty table with numbers in all columns but the first."""
    table = Table(
        title=escape(title), title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, caption_justify="left"
    )
    table.add_column(first, no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _number(value: float) -> str:
    """Format whole numbers without decimals, others with one, and with three below 1."""
    if value == int(value):
        return f"{value:,.0f}"
    return f"{value:,.1f}" if value >= 1 else f"{value:.3f}"
