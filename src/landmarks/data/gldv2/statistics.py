"""How large the splits of Google Landmarks v2 are, and how its pictures spread over its landmarks.

The spread decides much of training: most landmarks have few pictures and a few have thousands.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landmarks.data.gldv2.checks.findings import FOLDER, SPLITS, Split
from landmarks.data.gldv2.layout import GLDv2Layout
from landmarks.data.gldv2.tables import read_clean, read_ids, read_labels
from landmarks.data.roots import Root
from landmarks.errors import LandmarksError
from landmarks.metrics.errors import FormatError
from landmarks.metrics.solution_files import read_recognition_solution, read_retrieval_solution

# Fewest pictures of each group of landmarks; the last has no upper end.
GROUPS = (1, 2, 5, 20, 100, 500, 2000)


@dataclass(frozen=True, eq=False)
class SplitStatistics:
    """Sizes of one split.

    Attributes:
        pictures: In its table.
        per_landmark: int64 [C], pictures of each landmark.
        tars: How many are there; 0 where the split is extracted.
        tar_bytes: Of all of them.
    """

    pictures: int
    per_landmark: NDArray[np.int64]
    tars: int
    tar_bytes: int

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
    """Read the tables and ground truth of a folder or address, and ask for the sizes of its tars.

    Raises:
        LandmarksError: A table or a solution is wrong, or there is no table at all.
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
        pictures, per_landmark = len(table), table.counts()
    else:
        pictures, per_landmark = len(read_ids(path)), np.empty(0, np.int64)
    if split == "index" and layout.has_table("index_image_to_landmark"):
        per_landmark = read_labels(layout.table("index_image_to_landmark")).counts()
    files = layout.tars(FOLDER[split])
    names = files.names()
    try:
        tar_bytes = sum(files.stamp(name).size for name in names)
    except OSError as error:
        raise LandmarksError(f"{layout.root / FOLDER[split]}: a tar cannot be read ({error})") from error
    return SplitStatistics(pictures, per_landmark, len(names), tar_bytes)


def _solutions(layout: GLDv2Layout) -> dict[str, SolutionStatistics]:
    found = {}
    try:
        if layout.has_solution("retrieval"):
            retrieval = read_retrieval_solution(layout.solution("retrieval"))
            found["retrieval"] = _queries(retrieval.public, retrieval.ignored_ids)
        if layout.has_solution("recognition"):
            recognition = read_recognition_solution(layout.solution("recognition"))
            found["recognition"] = _queries(recognition.public, recognition.ignored_ids)
    except FormatError as error:
        raise LandmarksError(str(error)) from error
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
    }
