"""Reads boxes and image-level labels of Open Images V4 into arrays sorted by image.

A file that is not a CSV file of boxes or labels is an error that names the line. An implausible row, such as a box
without area, is left out and counted, or also an error (see `Faults`). Columns are found by name, so the files of the
challenges, which have fewer or more columns, can be read as well. Formats:
https://storage.googleapis.com/openimages/web/download_v4.html
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from landmarks.detection.metrics import Ancestors, repeated
from landmarks.detection.openimages.detection_set import BoxFlag
from landmarks.errors import LandmarksError
from landmarks.ids import format_id
from landmarks.recognition import CORNERS, NAMED_COLUMNS
from landmarks.storage import Rows, read_rows

Policy = Literal["error", "skip"]

log = logging.getLogger(__name__)


@dataclass
class Faults:
    """Counts the implausible rows of an annotation file by kind and reports them once, or raises an error at the first.

    A few of millions of boxes drawn by hand are wrong. Leaving them out silently would hide a badly converted file;
    stopping at each would make the others useless. The number of rows of each kind and the first of them are kept.
    """

    path: Path
    policy: Policy
    rows: int = 0
    left_out: dict[str, tuple[int, str]] = field(default_factory=dict)
    mended: dict[str, tuple[int, str]] = field(default_factory=dict)

    def judge(
        self,
        faults: dict[str, NDArray[np.bool_]],
        mended: dict[str, NDArray[np.bool_]],
        name_row: Callable[[int], str],
    ) -> NDArray[np.bool_]:
        """Count some rows, each under its first fault; return which can be used, bool [R]."""
        firsts = [(int(np.argmax(rows)), kind) for kind, rows in (faults | mended).items() if rows.any()]
        if firsts and self.policy == "error":
            row, kind = min(firsts, key=lambda first: first[0])
            raise LandmarksError(
                f"{self.path}, {name_row(row)} is {kind}; correct it, or leave such rows out with "
                "data.source.bad_boxes=skip"
            )
        usable = np.ones(len(next(iter(faults.values()))), np.bool_)
        self.rows += len(usable)
        for kind, rows in faults.items():
            self._count(self.left_out, kind, rows & usable, name_row)
            usable &= ~rows
        for kind, rows in mended.items():
            self._count(self.mended, kind, rows & usable, name_row)
        return usable

    def report(self, what: str) -> None:
        """Log the rows left out and the rows corrected, each in one line, if there are any."""
        for account, verb in ((self.left_out, "left out"), (self.mended, "corrected")):
            if account:
                count = sum(count for count, _ in account.values())
                kinds = "; ".join(f"{count} {kind}, first {first}" for kind, (count, first) in account.items())
                log.warning("%s: %d of %d %s %s: %s", self.path, count, self.rows, what, verb, kinds)

    @staticmethod
    def _count(
        account: dict[str, tuple[int, str]], kind: str, rows: NDArray[np.bool_], name_row: Callable[[int], str]
    ) -> None:
        if rows.any():
            before, first = account.get(kind) or (0, name_row(int(np.argmax(rows))))
            account[kind] = (before + int(np.count_nonzero(rows)), first)


@dataclass(frozen=True, eq=False)
class BoxRows:
    """B boxes within [0, 1], ordered by image id.

    Labels are rows of the given class names, flags are sums of `BoxFlag`, and `doubtful` are the ids, ascending, of
    images of which a row was left out.
    """

    ids: NDArray[np.uint64]
    labels: NDArray[np.int32]
    boxes: NDArray[np.floating]
    flags: NDArray[np.uint8]
    doubtful: NDArray[np.uint64]


@dataclass(frozen=True, eq=False)
class LabelRows:
    """V image-level labels, and whether the class is present in the image."""

    ids: NDArray[np.uint64]
    labels: NDArray[np.int32]
    present: NDArray[np.bool_]


def read_box_rows(
    path: Path, names: NDArray[np.str_], policy: Policy, flags: Sequence[BoxFlag] = (), exact: bool = False
) -> BoxRows:
    """Read boxes of the classes `names` from a file such as `{split}-annotations-bbox.csv`.

    The file must have the columns of the given flags and IsGroupOf; other flags are 0 if their column is missing.
    `exact` is for evaluation: corners are float64, not float32, and duplicates are kept, as in the official evaluation.
    """
    there = _flags_of(path, [BoxFlag.IsGroupOf, *flags])
    faults = Faults(path, policy)
    codes = {name: code for code, name in enumerate(names.tolist())}
    parts, doubtful = [], [np.empty(0, np.uint64)]
    numbers = (*CORNERS, *(str(flag.name) for flag in there))
    for rows in read_rows(path, NAMED_COLUMNS, numbers=numbers):
        ids, labels = rows.ids("ImageID"), rows.codes("LabelName", codes)
        corners = np.stack([rows.numbers(name) for name in CORNERS], axis=1)
        values = _flags(rows, there)
        cut = np.clip(corners, 0, 1)
        low, high, cut_low, cut_high = corners[:, :2], corners[:, 2:], cut[:, :2], cut[:, 2:]
        usable = faults.judge(
            {
                "of an unknown class": labels >= len(names),
                "a box with XMin > XMax or YMin > YMax": np.any(low > high, axis=1),
                "a box without area": np.any(low == high, axis=1),
                "a box outside the image": np.any(cut_low >= cut_high, axis=1),
            },
            {"a box that extends beyond the image": np.any(cut != corners, axis=1)},
            partial(_describe, rows),
        )
        doubtful.append(np.unique(ids[~usable]))
        cut = cut.astype(np.float64 if exact else np.float32)
        parts.append((ids[usable], labels[usable], cut[usable], values[usable]))
    if not parts:
        raise LandmarksError(f"{path}: it contains no boxes; download the file again, or give another")
    ids, labels, boxes, values = (np.concatenate(part) for part in zip(*parts, strict=True))
    del parts
    if (ids[1:] < ids[:-1]).any():
        order = np.argsort(ids, kind="stable")
        ids, labels, boxes, values = ids[order], labels[order], boxes[order], values[order]
    if not exact and (again := repeated_rows(ids, labels, boxes)).any():
        shown = f"of image {format_id(ids[np.argmax(again)])}"
        kept = faults.judge({"a repetition": again}, {}, lambda _: f"a row {shown}")
        faults.rows -= len(again)
        ids, labels, boxes, values = ids[kept], labels[kept], boxes[kept], values[kept]
    faults.report("boxes")
    return BoxRows(ids, labels, boxes, values, np.unique(np.concatenate(doubtful)))


def read_label_rows(path: Path, names: NDArray[np.str_], policy: Policy) -> LabelRows:
    """Read human-verified image-level labels, in the order of the file."""
    faults = Faults(path, policy)
    codes = {name: code for code, name in enumerate(names.tolist())}
    parts = []
    for rows in read_rows(path, NAMED_COLUMNS, numbers=("Confidence",)):
        ids, labels = rows.ids("ImageID"), rows.codes("LabelName", codes)
        confidence = rows.numbers("Confidence")
        neither = ~np.isin(confidence, (0, 1))
        rows.refuse(neither, "Confidence", "is neither 0 nor 1", "give the file of human-verified labels")
        usable = faults.judge({"of an unknown class": labels >= len(names)}, {}, partial(_describe, rows))
        parts.append((ids[usable], labels[usable], confidence[usable] == 1))
    if not parts:
        raise LandmarksError(f"{path}: it contains no labels; download the file again, or give another")
    faults.report("image-level labels")
    return LabelRows(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def expand_rows(rows: BoxRows, names: NDArray[np.str_], ancestors: Ancestors) -> BoxRows:
    """Repeat each box for every ancestor of its class, keeping the order of images.

    Ancestors that are not in `names`, the class names of the labels, are left out.
    """
    place = {name: row for row, name in enumerate(names.tolist())}
    targets = [
        [label, *(place[above] for above in ancestors.get(name, ()) if above in place)] for name, label in place.items()
    ]
    source, labels = repeated(rows.labels, targets)
    return replace(rows, ids=rows.ids[source], labels=labels, boxes=rows.boxes[source], flags=rows.flags[source])


def repeated_rows(ids: NDArray[np.uint64], labels: NDArray[np.int32], boxes: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Return which boxes [B, 4] repeat the image, class and corners of an earlier box: bool [B].

    Rows are compared by hash, and in full only if two hashes are equal.
    """
    table = pl.DataFrame({"id": ids, "label": labels, **dict(zip(CORNERS, boxes.T, strict=True))})
    digest = table.hash_rows().to_numpy()
    ordered = np.sort(digest)
    again = np.isin(digest, ordered[1:][ordered[1:] == ordered[:-1]])
    again[again] = ~table.filter(again).select(pl.struct(pl.all()).is_first_distinct()).to_series().to_numpy()
    return again


def _flags_of(path: Path, needed: Sequence[BoxFlag]) -> list[BoxFlag]:
    """Return the flags to read: those needed, and others that have a column in the file."""
    try:
        with path.open("rb") as file:
            header = file.readline(1 << 16).decode("utf-8", "replace").replace('"', "").strip().split(",")
    except OSError as error:
        raise LandmarksError(f"{path}: cannot be read ({error.strerror})") from error
    return [flag for flag in BoxFlag if flag in needed or flag.name in header]


def _flags(rows: Rows, there: Sequence[BoxFlag]) -> NDArray[np.uint8]:
    """Return sums of flags, uint8 [R]; -1 means unknown and counts as 0. Raises FormatError."""
    sums = np.zeros(len(rows.lines), np.uint8)
    for flag in there:
        values = rows.numbers(str(flag.name))
        rows.refuse(~np.isin(values, (0, 1, -1)), str(flag.name), "is not a flag", "write 0, 1, or -1 for unknown")
        sums |= np.where(values == 1, np.uint8(flag), np.uint8(0))
    return sums


def _describe(rows: Rows, row: int) -> str:
    fields = ",".join(str(values[row]) for name, values in rows.fields.items() if not name.startswith("Is"))
    return f"line {rows.lines[row]} ({fields})"
