"""Systems that are compared: runs of one configuration, with different seeds; and why runs cannot be compared."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from landmarks.comparison.queries import RunQueries
from landmarks.errors import LandmarksError

# What must agree, of the stamp of an evaluation: otherwise a difference says nothing about the systems.
DATA = {
    "source": "the data set",
    "release": "the version of the ground truth",
    "held_out": "whether landmarks are held out of training",
    "embedded": "the numbers of queries and index images",
}


@dataclass(frozen=True)
class System:
    """Runs that differ in the seed alone.

    Attributes:
        name: Name for people: that of the first run's folder.
        runs: The runs.
    """

    name: str
    runs: tuple[RunQueries, ...]


def grouped(runs: Sequence[RunQueries]) -> list[System]:
    """Group runs of one configuration, in the order of the first of each."""
    groups: dict[str, list[RunQueries]] = {}
    for run in runs:
        groups.setdefault(run.configuration, []).append(run)
    paths = [of[0].folder for of in groups.values()]
    short = len({path.resolve().name for path in paths}) == len(paths)
    return [
        System(path.resolve().name if short else str(path), tuple(of))
        for path, of in zip(paths, groups.values(), strict=True)
    ]


def require_same_queries(runs: Sequence[RunQueries]) -> None:
    """Raise LandmarksError unless all runs were evaluated on the same queries, index and ground truth."""
    first = runs[0]
    for run in runs[1:]:
        for (key, meaning), ours, theirs in (
            ((key, meaning), first.metrics["data"].get(key), run.metrics["data"].get(key))
            for key, meaning in DATA.items()
        ):
            if ours != theirs:
                raise LandmarksError(_differ(first, run, f"{meaning} ({key}: {_shown(ours)} and {_shown(theirs)})"))
        for task in ("retrieval", "recognition"):
            ours, theirs = _truth(first, task), _truth(run, task)
            one, other = getattr(first, task), getattr(run, task)
            if ours and theirs and ours.get("digest") != theirs.get("digest"):
                raise LandmarksError(_differ(first, run, f"the ground truth of {task}"))
            if one is not None and other is not None and not _same_rows(one, other):
                raise LandmarksError(_differ(first, run, f"the queries that {task} scores"))


def _truth(run: RunQueries, task: str) -> dict[str, Any]:
    return (run.metrics["data"].get("truth") or {}).get(task) or {}


def _same_rows(one: pl.DataFrame, other: pl.DataFrame) -> bool:
    truth = [name for name in ("id", "split", "correct_images", "landmarks") if name in one.columns]
    return one.select(truth).equals(other.select(truth))


def _differ(first: RunQueries, run: RunQueries, what: str) -> str:
    return (
        f"{first.folder} and {run.folder} cannot be compared: they differ in {what}. Evaluate both on the same data, "
        "with landmarks evaluate"
    )


def _shown(value: Any) -> str:
    return ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else str(value)
