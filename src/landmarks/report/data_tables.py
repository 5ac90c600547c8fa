"""Tables of the commands on a data set for the terminal: what was downloaded, indexed and kept."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.filesize import decimal
from rich.table import Table

if TYPE_CHECKING:
    from landmarks.data.gldv2.download import Outcome
    from landmarks.data.gldv2.indexing import IndexedSplit

FAILURES_SHOWN = 20


def download_table(outcomes: Sequence["Outcome"]) -> Table:
    """Count the files of each folder by what became of them."""
    table = data_table("Download", "folder", "done", "skipped", "failed", "on disk")
    for folder in dict.fromkeys(outcome.path.split("/")[0] for outcome in outcomes):
        ours = [outcome for outcome in outcomes if outcome.path.startswith(f"{folder}/")]
        counts = [str(sum(outcome.state == state for outcome in ours)) for state in ("done", "skipped", "failed")]
        table.add_row(folder, *counts, decimal(sum(outcome.size for outcome in ours)))
    return table


def download_messages(outcomes: Sequence["Outcome"]) -> list[str]:
    """Name the files that are not there, and why."""
    absent = [outcome for outcome in outcomes if outcome.state == "skipped" and outcome.size == 0]
    failed = [outcome for outcome in outcomes if outcome.state == "failed"]
    messages = [f"{one.state}: {one.path}: {one.reason}" for one in (*absent, *failed[:FAILURES_SHOWN])]
    more = len(failed) - FAILURES_SHOWN
    return [*messages, f"and {more} more failed; --json lists all"] if more > 0 else messages


def index_table(done: Sequence["IndexedSplit"]) -> Table:
    """Count tars and images of each split, and what has changed."""
    columns = ("tars", "pictures", "on disk", "new", "changed", "gone", "refused", "seconds")
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


def data_table(title: str, first: str, *columns: str) -> Table:
    """Return an empty table with numbers in all columns but the first."""
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, caption_justify="left")
    table.add_column(first, no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table
