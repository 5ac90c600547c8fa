"""What `landmarks data tidy` shows while it works and when it is done."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console

REASONS = {
    "no_descriptor": "no descriptor",
    "disagreeing": "too few agree",
    "small_group": "in a small group",
    "unverified": "not verified",
    "small_landmark": "landmark too small",
}


@contextmanager
def progress_told() -> Iterator[None]:
    """Around the work: on stderr it says how far it is, now and then."""
    logger, handler = logging.getLogger("landmarks"), logging.StreamHandler()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def print_tidied(report: dict[str, Any]) -> None:
    """Print pictures and landmarks before and after, and why pictures fell."""
    from rich import box
    from rich.table import Table

    table = Table(title="Tidied", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("", "before", "kept", "share"):
        table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    for what in ("pictures", "landmarks"):
        before, kept = report[what]["before"], report[what]["kept"]
        table.add_row(what, f"{before:,}", f"{kept:,}", f"{kept / before:.1%}")
    table.add_section()
    for reason, text in REASONS.items():
        if fell := report["fell"][reason]:
            table.add_row(f"fell: {text}", f"{fell:,}", "", f"{fell / report['pictures']['before']:.1%}")
    console = Console(highlight=False)
    console.print(table)
    console.print(f"The list is {report['out']}", soft_wrap=True, markup=False)
