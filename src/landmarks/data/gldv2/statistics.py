"""How large the splits of Google Landmarks v2 are, and how its pictures spread over its landmarks.

The spread decides much of training: most landmarks have few pictures and a few have thousands.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landmarks.data.gldv2.checks.findings import FOLDER, SPLITS, Split
from landmarks.data.gldv2.layout import GLDv2Layout
from landmarks.data.gldv2.tables import read_clean, read_ids, read_labels
from landmarks.data.images.read_size import read_size
from landmarks.data.roots import Root
from landmarks.data.source import ImageSet
from landmarks.data.table import ImageTable
from landmarks.errors import LandmarksError
from landmarks.metrics.solution_files import read_recognition_solution, read_retrieval_solution

# Fewest pictures of each group of landmarks; the last has no upper end.
GROUPS = (1, 2, 5, 20, 100, 500, 2000)
MEASURED = 1000  # pictures of a split whose size is read, evenly over its table
LONG = 2.0  # long side / short side of what counts as long


@dataclass(frozen=True, eq=False)
class SplitStatistics:
    """Sizes of one split.

    Attributes:
        pictures: In its table.
        per_landmark: int64 [C], pictures of each landmark.
        tars: How many are there; 0 where the split is extracted.
        tar_bytes: Of all of them.
        sizes: [n, 2], height and width in pixels of some pictures; none at an address, where each is a request.
    """

    pictures: int
    per_landmark: NDArray[np.int64]
    tars: int
    tar_bytes: int
    sizes: NDArray[np.int64]

    @property
    def short_sides(self) -> NDArray[np.int64]:
        """Of the measured pictures, [n]."""
        return self.sizes.min(axis=1)

    @property
    def long_sides(self) -> NDArray[np.int64]:
        """Of the measured pictures, [n]."""
        return self.sizes.max(axis=1)

    @property
    def long_share(self) -> float:
        """Which part of the measured pictures is longer than `LONG` to 1."""
        return float(np.mean(self.long_sides > LONG * self.short_sides))

    @property
    def groups(self) -> NDArray[np.int64]:
        """Landmarks in each of `GROUPS`, int64 [7]."""
        place = np.searchsorted(GROUPS, self.per_landmark, side="right") - 1
        return np.bincount(place, minlength=len(GROUPS))


@dataclass(frozen=True)
class SolutionStatistics:
    """Queries of one ground truth."""

    public: int
    private: int
    ignored: int


@dataclass(frozen=True)
class Statistics:
    """Of a whole folder; splits and ground truth that it lacks are left out."""

    root: str
    splits: dict[Split, SplitStatistics]
    solutions: dict[str, SolutionStatistics]

    def as_json(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "root": self.root,
            "splits": {split: _split_json(figures) for split, figures in self.splits.items()},
            "queries": {
                task: {"public": one.public, "private": one.private, "ignored": one.ignored}
                for task, one in self.solutions.items()
            },
        }


def read_statistics(root: Root) -> Statistics:
    """Read the tables and ground truth of a folder or address, the sizes of its tars, and those of some pictures.

    Raises:
        LandmarksError: A table, a tar or a solution is wrong, or there is no table at all.
    """
    layout = GLDv2Layout(root)
    splits = {split: _split(layout, split) for split in SPLITS if layout.has_table(split)}
    if not splits:
        raise LandmarksError(
            f"{root}: there is no metadata/train.csv, train_clean.csv, index.csv or test.csv; give the folder that "
            f"holds metadata, or fetch it: `landmarks data download --root {root} --split metadata`"
        )
    return Statistics(str(root), splits, _solutions(layout))


def group_name(number: int) -> str:
    """Of `GROUPS`, such as "5-19"."""
    first, last = GROUPS[number], GROUPS[number + 1] - 1 if number + 1 < len(GROUPS) else None
    if last is None:
        return f"{first}+"
    return str(first) if first == last else f"{first}-{last}"


def _split(layout: GLDv2Layout, split: Split) -> SplitStatistics:
    path = layout.table(split)
    if split in ("train", "train_clean"):
        table = read_labels(path) if split == "train" else read_clean(path)
        ids, per_landmark = table.ids, table.counts()
    else:
        ids, per_landmark = read_ids(path), np.empty(0, np.int64)
    if split == "index" and layout.has_table("index_image_to_landmark"):
        per_landmark = read_labels(layout.table("index_image_to_landmark")).counts()
    files = layout.tars(FOLDER[split])
    names = files.names()
    try:
        tar_bytes = sum(files.stamp(name).size for name in names)
    except OSError as error:
        raise LandmarksError(f"{layout.root / FOLDER[split]}: a tar cannot be read ({error})") from error
    sizes = _measure(layout, split, ids) if isinstance(layout.root, Path) else np.empty((0, 2), np.int64)
    return SplitStatistics(len(ids), per_landmark, len(names), tar_bytes, sizes)


def _measure(layout: GLDv2Layout, split: Split, ids: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Sizes of up to `MEASURED` pictures that are there and readable."""
    store = layout.open_store(FOLDER[split])
    there = np.flatnonzero(store.locate(ids) >= 0)
    rows = there[np.linspace(0, len(there) - 1, min(MEASURED, len(there))).astype(np.int64)]
    images = ImageSet(ImageTable.unlabelled(ids[rows]), store)
    sizes = np.array([read_size(images, row) for row in range(len(images))], np.int64).reshape(-1, 2)
    return sizes[sizes.all(axis=1)]


def _solutions(layout: GLDv2Layout) -> dict[str, SolutionStatistics]:
    found = {}
    if layout.has_solution("retrieval"):
        retrieval = read_retrieval_solution(layout.solution("retrieval"))
        found["retrieval"] = _queries(retrieval.public, retrieval.ignored_ids)
    if layout.has_solution("recognition"):
        recognition = read_recognition_solution(layout.solution("recognition"))
        found["recognition"] = _queries(recognition.public, recognition.ignored_ids)
    return found


def _queries(public: NDArray[np.bool_], ignored: NDArray[np.uint64]) -> SolutionStatistics:
    return SolutionStatistics(int(public.sum()), int((~public).sum()), len(ignored))


def _split_json(figures: SplitStatistics) -> dict[str, Any]:
    images = figures.per_landmark
    spread = None
    if len(images):
        spread = {
            "min": int(images.min()),
            "median": float(np.median(images)),
            "mean": float(images.mean()),
            "max": int(images.max()),
            "groups": [
                {"pictures": group_name(number), "landmarks": int(count), "share": float(count / len(images))}
                for number, count in enumerate(figures.groups)
            ],
        }
    return {
        "pictures": figures.pictures,
        "without_landmark": figures.pictures - int(images.sum()),
        "landmarks": len(images),
        "pictures_per_landmark": spread,
        "tars": figures.tars,
        "tar_bytes": figures.tar_bytes,
        "picture_sizes": _sizes_json(figures) if len(figures.sizes) else None,
    }


def _sizes_json(figures: SplitStatistics) -> dict[str, Any]:
    sides = {"short_side": figures.short_sides, "long_side": figures.long_sides}
    return {
        "measured": len(figures.sizes),
        **{
            name: {f"p{percent}": float(np.percentile(side, percent)) for percent in (5, 50, 95)}
            for name, side in sides.items()
        },
        "longer_than_2_to_1": figures.long_share,
    }
