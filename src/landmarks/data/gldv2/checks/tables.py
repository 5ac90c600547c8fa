"""Finds all errors in the tables of Google Landmarks v2, in each table and between tables.

A table is read as training reads it. Training stops at the first wrong line; this check reports all of them, so that
they can be repaired together.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from landmarks.data.gldv2.checks.findings import Fault, FileProblem, Split
from landmarks.data.gldv2.layout import GLDv2Layout
from landmarks.data.gldv2.tables import LANDMARK_DIGITS, read_clean, read_ids, read_labels
from landmarks.data.table import INDEX_PREFIX, NO_NAMES, ImageTable
from landmarks.errors import FormatError, LandmarksError
from landmarks.ids import ID_PATTERN, find_sorted, parse_ids
from landmarks.metrics import read_recognition_solution, read_retrieval_solution

LABELS = "index_image_to_landmark"
# The splits that must not contain images of a split: the index images and the queries.
LEAKS: dict[Split, tuple[Split, ...]] = {
    "train": ("index", "test"),
    "train_clean": ("index", "test"),
    "index": (),
    "test": ("index",),
}
NUMBER_PATTERN = f"^[0-9]{{1,{LANDMARK_DIGITS}}}$"
FIRST_LINE = 2  # the header is line 1
SHOWN_LINES = 5

READERS: dict[str, Callable[[Path], ImageTable]] = {
    "train": read_labels,
    "train_clean": read_clean,
    "index": lambda path: ImageTable.unlabelled(read_ids(path)),
    LABELS: lambda path: read_labels(path, INDEX_PREFIX),
    "test": lambda path: ImageTable.unlabelled(read_ids(path)),
}

NO_IDS = np.empty(0, dtype=np.uint64)
NO_TABLE = ImageTable.unlabelled(NO_IDS)


@dataclass(frozen=True, eq=False)
class TableCheck:
    """A table, as far as it can be read: each image once, without those that have an invalid id.

    `problem` is the error that training would raise and the wrong lines, None if training would read the table;
    `repeated` are ids on more than one line, `unlabelled` ids without a landmark in a table that needs one per line.
    """

    table: ImageTable
    problem: str | None = None
    repeated: NDArray[np.uint64] = field(default_factory=lambda: NO_IDS)
    unlabelled: NDArray[np.uint64] = field(default_factory=lambda: NO_IDS)

    @property
    def is_known(self) -> bool:
        """Whether the images of the table are known, so that other tables can be compared with it."""
        return self.problem is None or len(self.table) > 0


class Tables:
    """The tables of a folder, read when they are first used."""

    def __init__(self, layout: GLDv2Layout) -> None:
        self.layout = layout
        self.check = cache(self._check)
        self.ids = cache(self._ids)

    def _check(self, name: str) -> TableCheck:
        """Return a table and what is wrong with it."""
        path = self.layout.table(name)
        if self.layout.has_table(name):
            return check_table(name, path)
        if name == LABELS:  # an index without landmarks can still be searched
            return TableCheck(NO_TABLE)
        fetch = f"`landmarks data download --root {self.layout.root} --split metadata` downloads it"
        return TableCheck(NO_TABLE, f"{path} is missing: {fetch}")

    def _ids(self, split: str) -> NDArray[np.uint64]:
        """Return the images that a split lists, as far as its table can be read: uint64 [N], ascending."""
        return np.sort(self.check(split).table.ids)

    def images_a_landmark(self, split: Split) -> NDArray[np.int64]:
        """Return the number of images of each landmark, int64 [C]; for the index from its table of landmarks."""
        return self.check(LABELS if split == "index" else split).table.counts()


def table_findings(tables: Tables, split: Split) -> Iterator[Fault | FileProblem]:
    """Find all errors in the tables of a split and in the ground truth, without reading images."""
    yield from _file_findings(tables, split)
    for other in LEAKS[split]:
        ids = tables.ids(split)
        both = ids[find_sorted(tables.ids(other), ids) >= 0]
        yield Fault("leaked", split, both, [f"also in metadata/{other}.csv"] * len(both))
    if split == "train_clean":
        yield from _unknown(tables, tables.ids(split), "train", "metadata/train_clean.csv")
    if split == "index":
        yield from _unknown(tables, tables.ids(LABELS), "index", f"metadata/{LABELS}.csv", split)
    if split == "test":
        yield from _solution_findings(tables)


def _file_findings(tables: Tables, split: Split) -> Iterator[Fault | FileProblem]:
    for name in (split, LABELS) if split == "index" else (split,):
        check = tables.check(name)
        if check.problem is not None:
            yield FileProblem(check.problem, frozenset([split]))
        elif len(check.table) == 0 and name != LABELS:
            yield FileProblem(f"{tables.layout.table(name)}: lists no image; download it again", frozenset([split]))
        place = [f"metadata/{name}.csv"]
        yield Fault("listed_twice", split, check.repeated, place * len(check.repeated))
        yield Fault("unlabelled", split, check.unlabelled, place * len(check.unlabelled))


def _solution_findings(tables: Tables) -> Iterator[Fault | FileProblem]:
    """Find ground truth that is invalid or names images that are not in the tables; no run would start with it."""
    for task in ("retrieval", "recognition"):
        if not tables.layout.has_solution(task):
            continue
        path = tables.layout.solution(task)
        place = f"ground_truth/{path.name}"
        try:
            if task == "retrieval":
                retrieval = read_retrieval_solution(path)
                yield from _unknown(tables, retrieval.query_ids, "test", place, "test")
                yield from _unknown(tables, np.unique(retrieval.positives), "index", place)
            else:
                yield from _unknown(tables, read_recognition_solution(path).image_ids, "test", place, "test")
        except FormatError as error:
            yield FileProblem(str(error), frozenset(["test"]))


def _unknown(tables: Tables, ids: NDArray[np.uint64], split: Split, named_in: str, *blocks: Split) -> Iterator[Fault]:
    """Find images that a file names and the table of `split` does not list."""
    if tables.check(split).is_known:
        unknown = ids[find_sorted(tables.ids(split), ids) < 0]
        yield Fault("unknown", split, unknown, [named_in] * len(unknown), frozenset(blocks))


def check_table(name: str, path: Path) -> TableCheck:
    """Read one of the tables in `READERS`; errors in it are returned, not raised."""
    try:
        return TableCheck(READERS[name](path))
    except LandmarksError as error:
        message = str(error)
        return _look_closer(name, path, message if message.startswith(str(path)) else f"{path}: {message}")


def _look_closer(name: str, path: Path, problem: str) -> TableCheck:
    nothing = TableCheck(NO_TABLE, problem)
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
    if len(wrong := wrong.unique(maintain_order=True)) > 1:  # a single wrong line is already named by training's error
        shown = ", ".join(str(line) for line in wrong[:SHOWN_LINES])
        more = ", …" if len(wrong) > SHOWN_LINES else ""
        problem += f"; {len(wrong)} lines have a wrong id or landmark: {shown}{more}"
    good = frame.filter("good")
    listed, first, count = np.unique(parse_ids(good["id"].to_list()), return_index=True, return_counts=True)
    numbers = good.select(pl.when("numbered").then("number"))["number"].gather(first)
    no_number = good.filter(pl.col("number").fill_null("") == "") if labelled else good.clear()
    return TableCheck(
        _table(listed, numbers, INDEX_PREFIX if name == LABELS else ""),
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
