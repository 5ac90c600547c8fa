"""Reads a table as training does, and where training would refuse it, finds everything that is wrong with it.

Training stops at the first wrong line and needs no more. Whoever mends a table wants all of them.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from landmarks.data.gldv2.tables import INDEX_PREFIX, read_clean, read_ids, read_labels
from landmarks.data.table import NO_NAMES, ImageTable
from landmarks.errors import LandmarksError
from landmarks.ids import parse_ids

ID_PATTERN = "^[0-9a-f]{16}$"
NUMBER_PATTERN = "^[0-9]{1,9}$"
FIRST_LINE = 2  # the header is line 1
SHOWN_LINES = 5

READERS: dict[str, Callable[[Path], ImageTable]] = {
    "train": read_labels,
    "train_clean": read_clean,
    "index": lambda path: ImageTable.unlabelled(read_ids(path)),
    "index_image_to_landmark": lambda path: read_labels(path, INDEX_PREFIX),
    "test": lambda path: ImageTable.unlabelled(read_ids(path)),
}


def no_ids() -> NDArray[np.uint64]:
    """No images: uint64 [0]."""
    return np.empty(0, dtype=np.uint64)


@dataclass(frozen=True)
class TableCheck:
    """A table, as much of it as can be read.

    Attributes:
        table: Each image once, those with a wrong id left out.
        problem: What training would say and which lines are wrong; None if it would read the table.
        repeated: uint64, ids on more than one line, each once.
        unlabelled: uint64, ids without a landmark where every line should have one.
    """

    table: ImageTable
    problem: str | None = None
    repeated: NDArray[np.uint64] = field(default_factory=no_ids)
    unlabelled: NDArray[np.uint64] = field(default_factory=no_ids)

    @property
    def is_known(self) -> bool:
        """Whether the table says which images there are, so that others can be compared with it."""
        return self.problem is None or len(self.table) > 0


def check_table(name: str, path: Path) -> TableCheck:
    """Read one of the tables in `READERS`; nothing that may be wrong with it raises."""
    try:
        return TableCheck(READERS[name](path))
    except LandmarksError as error:
        message = str(error)
        return _look_closer(name, path, message if message.startswith(str(path)) else f"{path}: {message}")


def _look_closer(name: str, path: Path, problem: str) -> TableCheck:
    nothing = TableCheck(ImageTable.unlabelled(no_ids()), problem)
    try:
        frame = pl.read_csv(path, infer_schema=False, encoding="utf8-lossy", truncate_ragged_lines=True)
    except (OSError, pl.exceptions.PolarsError):
        return nothing
    ids = "images" if name == "train_clean" else "id"
    labelled = name not in ("index", "test")
    if not {ids, *(["landmark_id"] if labelled else [])} <= set(frame.columns):
        return nothing
    number = pl.col("landmark_id") if labelled else pl.lit(None, pl.String)
    frame = frame.with_row_index("line", offset=FIRST_LINE).select("line", id=ids, number=number)
    if name == "train_clean":
        frame = frame.with_columns(pl.col("id").fill_null("").str.split(" ")).explode("id").filter(pl.col("id") != "")
    frame = frame.with_columns(
        good=pl.col("id").str.contains(ID_PATTERN).fill_null(False),
        numbered=pl.col("number").str.contains(NUMBER_PATTERN).fill_null(False),
    )
    wrong = frame.filter(~pl.col("good") | (~pl.col("numbered") if labelled else False))["line"]
    if len(wrong := wrong.unique(maintain_order=True)) > 1:  # a single one is the one that training names
        shown = ", ".join(str(line) for line in wrong[:SHOWN_LINES])
        more = ", …" if len(wrong) > SHOWN_LINES else ""
        problem += f"; {len(wrong)} lines have a wrong id or landmark: {shown}{more}"
    good = frame.filter("good")
    listed, first, count = np.unique(parse_ids(good["id"].to_list()), return_index=True, return_counts=True)
    numbers = good.select(pl.when("numbered").then("number"))["number"].gather(first)
    no_number = good.filter(pl.col("number").fill_null("") == "") if labelled else good.clear()
    return TableCheck(
        _table(listed, numbers, INDEX_PREFIX if name == "index_image_to_landmark" else ""),
        problem,
        repeated=listed[count > 1],
        unlabelled=np.unique(parse_ids(no_number["id"].to_list())),
    )


def _table(ids: NDArray[np.uint64], numbers: pl.Series, prefix: str) -> ImageTable:
    known = numbers.is_not_null().to_numpy()
    distinct, place = np.unique(numbers.drop_nulls().cast(pl.Int64).to_numpy(), return_inverse=True)
    landmarks = np.full(len(ids), -1, dtype=np.int32)
    landmarks[known] = place
    names = np.array([f"{prefix}{number}" for number in distinct], dtype=np.str_) if len(distinct) else NO_NAMES
    return ImageTable(ids, landmarks, names)
