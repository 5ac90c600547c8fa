"""Reads boxes and image-level labels of Open Images V4 into arrays that are sorted by image.

A file that is no CSV of boxes or labels is an error with its line. A row that is one but cannot be right, such as a
box without area, is left out and counted, or an error too (see `Faults`). Columns are found by name, so the files of
the challenges, which have fewer or more, are read as well. Formats:
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
    """What cannot be right in an annotation file: counted by kind and told once, or the first of it an error.

    Among millions of boxes drawn by hand a few are wrong. To leave them out unsaid would hide that a file was converted
    badly; to stop at each would make the others useless. Kept of each kind: how many rows have it, and the first of
    them.
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
        """Account for some rows, each under its first fault; tell which can be used, bool [R]."""
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
        """Log what was left out and what was mended, each in one line, if anything was."""
        for account, verb in ((self.left_out, "left out"), (self.mended, "mended")):
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
    """B boxes within [0, 1], those of an image side by side and images by rising id.

    Labels are rows of the names that were asked for, flags sums of `BoxFlag`; doubtful are the ids, ascending, of
    images of which a row was left out.
    """

    ids: NDArray[np.uint64]
    labels: NDArray[np.int32]
    boxes: NDArray[np.floating]
    flags: NDArray[np.uint8]
    doubtful: NDArray[np.uint64]


@dataclass(frozen=True, eq=False)
class LabelRows:
    """V image-level labels, and whether the image shows them."""

    ids: NDArray[np.uint64]
    labels: NDArray[np.int32]
    present: NDArray[np.bool_]


def read_box_rows(
    path: Path, names: NDArray[np.str_], policy: Policy, flags: Sequence[BoxFlag] = (), exact: bool = False
) -> BoxRows:
    """Read boxes, of the classes `names`, from a file such as `{split}-annotations-bbox.csv`.

    The columns of the given flags must be there besides IsGroupOf; other flags count as 0 where their column is
    missing. `exact` is for scoring: corners in float64, not in half the memory, and repetitions stay, as in the
    official evaluation.
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
            {"a box that stands out of the image": np.any(cut != corners, axis=1)},
            partial(_describe, rows),
        )
        doubtful.append(np.unique(ids[~usable]))
        cut = cut.astype(np.float64 if exact else np.float32)
        parts.append((ids[usable], labels[usable], cut[usable], values[usable]))
    if not parts:
        raise LandmarksError(f"{path}: there is no box in it; fetch the file again, or give another")
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
    """Read image-level labels that people verified, in the order of the file."""
    faults = Faults(path, policy)
    codes = {name: code for code, name in enumerate(names.tolist())}
    parts = []
    for rows in read_rows(path, NAMED_COLUMNS, numbers=("Confidence",)):
        ids, labels = rows.ids("ImageID"), rows.codes("LabelName", codes)
        confidence = rows.numbers("Confidence")
        neither = ~np.isin(confidence, (0, 1))
        rows.refuse(neither, "Confidence", "is neither 0 nor 1", "give labels that people verified")
        usable = faults.judge({"of an unknown class": labels >= len(names)}, {}, partial(_describe, rows))
        parts.append((ids[usable], labels[usable], confidence[usable] == 1))
    if not parts:
        raise LandmarksError(f"{path}: there is no label in it; fetch the file again, or give another")
    faults.report("image-level labels")
    return LabelRows(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def expand_rows(rows: BoxRows, names: NDArray[np.str_], ancestors: Ancestors) -> BoxRows:
    """Repeat each box for every ancestor of its class; those of an image stay side by side.

    Ancestors that are not among `names`, which the labels mean, are left out.
    """
    place = {name: row for row, name in enumerate(names.tolist())}
    targets = [
        [label, *(place[above] for above in ancestors.get(name, ()) if above in place)] for name, label in place.items()
    ]
    source, labels = repeated(rows.labels, targets)
    return replace(rows, ids=rows.ids[source], labels=labels, boxes=rows.boxes[source], flags=rows.flags[source])


def repeated_rows(ids: NDArray[np.uint64], labels: NDArray[np.int32], boxes: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Tell which boxes [B, 4] have the image, the class and the corners of a box before them: bool [B].

    Rows are compared by a hash, and in full only where two share one.
    """
    table = pl.DataFrame({"id": ids, "label": labels, **dict(zip(CORNERS, boxes.T, strict=True))})
    digest = table.hash_rows().to_numpy()
    ordered = np.sort(digest)
    again = np.isin(digest, ordered[1:][ordered[1:] == ordered[:-1]])
    again[again] = ~table.filter(again).select(pl.struct(pl.all()).is_first_distinct()).to_series().to_numpy()
    return again


def _flags_of(path: Path, needed: Sequence[BoxFlag]) -> list[BoxFlag]:
    """The flags to read: those needed, and others of which the file has a column."""
    try:
        with path.open("rb") as file:
            header = file.readline(1 << 16).decode("utf-8", "replace").replace('"', "").strip().split(",")
    except OSError as error:
        raise LandmarksError(f"{path}: cannot be read ({error.strerror})") from error
    return [flag for flag in BoxFlag if flag in needed or flag.name in header]


def _flags(rows: Rows, there: Sequence[BoxFlag]) -> NDArray[np.uint8]:
    """Sums of flags, uint8 [R]; -1 stands for unknown and counts as 0. Raises FormatError."""
    sums = np.zeros(len(rows.lines), np.uint8)
    for flag in there:
        values = rows.numbers(str(flag.name))
        rows.refuse(~np.isin(values, (0, 1, -1)), str(flag.name), "is no flag", "write 0, 1, or -1 for unknown")
        sums |= np.where(values == 1, np.uint8(flag), np.uint8(0))
    return sums


def _describe(rows: Rows, row: int) -> str:
    fields = ",".join(str(values[row]) for name, values in rows.fields.items() if not name.startswith("Is"))
    return f"line {rows.lines[row]} ({fields})"
