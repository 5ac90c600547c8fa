"""What is wrong with the tables of Google Landmarks v2, each by itself and against the others."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from landmarks.data.gldv2.checks.findings import Fault, FileProblem, Split
from landmarks.data.gldv2.checks.tables import TableCheck, check_table, no_ids
from landmarks.data.gldv2.layout import GLDv2Layout
from landmarks.errors import FormatError
from landmarks.ids import find_sorted
from landmarks.metrics.solution_files import read_recognition_solution, read_retrieval_solution

LABELS = "index_image_to_landmark"
# Where pictures of a split must not be as well: among what is searched, or among the queries.
LEAKS: dict[Split, tuple[Split, ...]] = {
    "train": ("index", "test"),
    "train_clean": ("index", "test"),
    "index": (),
    "test": ("index",),
}


class Tables:
    """The tables of a folder, read when they are first asked for."""

    def __init__(self, layout: GLDv2Layout) -> None:
        self.layout = layout
        self._checks: dict[str, TableCheck | None] = {}
        self._ids: dict[str, NDArray[np.uint64]] = {}

    def check(self, name: str) -> TableCheck | None:
        """A table and what is wrong with it; None if there is no such file."""
        if name not in self._checks:
            there = self.layout.has_table(name)
            self._checks[name] = check_table(name, self.layout.table(name)) if there else None
        return self._checks[name]

    def ids(self, split: str) -> NDArray[np.uint64]:
        """The images that a split lists, as far as its table can be read: uint64 [N], ascending."""
        if split not in self._ids:
            check = self.check(split)
            self._ids[split] = no_ids() if check is None else np.sort(check.table.ids)
        return self._ids[split]

    def images_a_landmark(self, split: Split) -> NDArray[np.int64]:
        """int64 [C]; of the index according to its table of landmarks."""
        check = self.check(LABELS if split == "index" else split)
        return np.empty(0, np.int64) if check is None else check.table.counts()


def table_findings(tables: Tables, split: Split) -> Iterator[Fault | FileProblem]:
    """All that the tables of a split and the ground truth show, without a look at the pictures."""
    yield from _files(tables, split)
    for other in LEAKS[split]:
        ids = tables.ids(split)
        both = ids[find_sorted(tables.ids(other), ids) >= 0]
        yield Fault("leaked", split, both, [f"also in metadata/{other}.csv"] * len(both))
    if split == "train_clean":
        yield from _unknown(tables, tables.ids(split), "train", "metadata/train_clean.csv")
    if split == "index" and (labels := tables.check(LABELS)):
        yield from _unknown(tables, np.sort(labels.table.ids), "index", f"metadata/{LABELS}.csv", split)
    if split == "test":
        yield from _solution_findings(tables)


def _files(tables: Tables, split: Split) -> Iterator[Fault | FileProblem]:
    for name in (split, LABELS) if split == "index" else (split,):
        check, path = tables.check(name), tables.layout.table(name)
        if check is None:
            if name != LABELS:  # an index without landmarks can be searched all the same
                fetch = f"`landmarks data download --root {tables.layout.root} --split metadata` fetches it"
                yield FileProblem(f"{path} is not there: {fetch}", frozenset([split]))
            continue
        if check.problem is not None:
            yield FileProblem(check.problem, frozenset([split]))
        elif len(check.table) == 0 and name != LABELS:
            yield FileProblem(f"{path}: lists no image; download it again", frozenset([split]))
        place = [f"metadata/{name}.csv"]
        yield Fault("listed_twice", split, check.repeated, place * len(check.repeated))
        yield Fault("unlabelled", split, check.unlabelled, place * len(check.unlabelled))


def _solution_findings(tables: Tables) -> Iterator[Fault | FileProblem]:
    """Ground truth that cannot be read or names other images than the tables keeps every run from starting."""
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
    """Images that a file names and the table of `split` does not list."""
    check = tables.check(split)
    if check is not None and check.is_known:
        unknown = ids[find_sorted(tables.ids(split), ids) < 0]
        yield Fault("unknown", split, unknown, [named_in] * len(unknown), frozenset(blocks))
