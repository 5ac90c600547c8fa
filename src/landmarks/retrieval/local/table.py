"""The local features of a set of images: rows of large columns on disk, never all of them in memory.

A table holds the location of each image's features, 48 bytes per image, and the memory-mapped columns. When it is sent
to another process, only paths and locations are pickled, and the columns are mapped there.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from landmarks.local_features import FeatureKind, LocalFeatures

KEY_BYTES = 16
FILES = ("points", "scales", "scores", "descriptors")


@dataclass(frozen=True)
class FeatureColumns:
    """The features of all images; those of an image are adjacent."""

    points: NDArray[np.float32]  # float32 [R, 2]
    scales: NDArray[np.float32]  # float32 [R]
    scores: NDArray[np.float32]  # float32 [R]
    descriptors: NDArray[Any]  # [R, W], as `kind` stores them
    kind: FeatureKind
    folder: Path | None = None  # folder of the mapped files; None for columns in memory

    @staticmethod
    def open(folder: Path, kind: FeatureKind, rows: int) -> "FeatureColumns":
        """Map the first `rows` rows of the files in `folder`; raise ValueError if a file is shorter."""
        arrays: list[NDArray[Any]] = []
        for name, (dtype, shape) in column_types(kind).items():
            if rows == 0:  # an empty file cannot be mapped
                arrays.append(np.empty((0, *shape), dtype))
            else:
                arrays.append(np.memmap(column_file(folder, name), dtype, "r", shape=(rows, *shape)))
        return FeatureColumns(arrays[0], arrays[1], arrays[2], arrays[3], kind, folder)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the path of mapped columns, or the values of those in memory."""
        if self.folder is None:
            return FeatureColumns, (self.points, self.scales, self.scores, self.descriptors, self.kind)
        return FeatureColumns.open, (self.folder, self.kind, len(self.points))


def column_types(kind: FeatureKind) -> dict[str, tuple[DTypeLike, tuple[int, ...]]]:
    """Return type and shape of one row of each column, in the order of the fields."""
    return dict(zip(FILES, (("<f4", (2,)), ("<f4", ()), ("<f4", ()), (kind.dtype, (kind.width,))), strict=True))


def column_file(folder: Path, name: str) -> Path:
    """Return the file of a column."""
    return folder / f"{name}.bin"


class FeatureRows:
    """One column [M, …] in the order of a table's images, read on demand by slices and arrays of row numbers.

    A slice is a view of the file if the images are in the same order there, as after a first extraction.
    """

    def __init__(self, column: NDArray[Any], firsts: NDArray[np.int64], starts: NDArray[np.int64]) -> None:
        self._column = column
        self._firsts = firsts
        self._starts = starts
        shifts = (firsts - starts[:-1])[np.diff(starts) > 0]
        self._shift = (int(shifts[0]) if len(shifts) else 0) if (shifts == shifts[:1]).all() else None
        self.shape = (int(starts[-1]), *column.shape[1:])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice | NDArray[np.integer]) -> NDArray[Any]:
        """Return the rows of a slice or of an array of row numbers >= 0 in any order."""
        if isinstance(rows, slice):
            start, stop, step = rows.indices(len(self))
            if self._shift is not None and step == 1:
                return self._column[self._shift + start : self._shift + max(start, stop)]
            rows = np.arange(start, stop, step)
        if len(rows) and (rows.min() < 0 or rows.max() >= len(self)):
            raise IndexError(f"row {rows.min()} or {rows.max()} of {len(self)}")
        images = np.searchsorted(self._starts, rows, side="right") - 1
        return np.asarray(self._column[self._firsts[images] + rows - self._starts[images]])


@dataclass(frozen=True)
class LocalFeatureTable:
    """The M local features of n images.

    Attributes:
        columns: the features.
        firsts: int64 [n], row of each image's first feature in `columns`.
        counts: int64 [n], number of features of each image.
        sizes: int32 [n, 2], height and width of the images; 0 for one that could not be read.
        keys: uint8 [n, 16], hash of the encoded image and the extractor, which identifies the features in cache keys;
            zeros if the file is missing.
    """

    columns: FeatureColumns
    firsts: NDArray[np.int64]
    counts: NDArray[np.int64]
    sizes: NDArray[np.int32]
    keys: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.firsts)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the fields without cached properties, which would include the features."""
        return LocalFeatureTable, (self.columns, self.firsts, self.counts, self.sizes, self.keys)

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """Boundaries of images in `descriptors`, int64 [n + 1]: image i has rows `starts[i]` to `starts[i + 1]`."""
        return np.concatenate([np.zeros(1, np.int64), np.cumsum(self.counts)])

    @property
    def kind(self) -> FeatureKind:
        """What the descriptors are."""
        return self.columns.kind

    @cached_property
    def descriptors(self) -> FeatureRows:
        """Descriptors of all images in order, as they are stored, [M, W]."""
        return FeatureRows(self.columns.descriptors, self.firsts, self.starts)

    def of(self, image: int) -> LocalFeatures:
        """Return the features of one image as views of the columns."""
        first, count = int(self.firsts[image]), int(self.counts[image])
        rows = slice(first, first + count)
        height, width = self.sizes[image].tolist()
        return LocalFeatures(
            self.columns.points[rows],
            self.columns.scales[rows],
            self.columns.scores[rows],
            self.columns.descriptors[rows],
            (height, width),
            self.columns.kind,
        )

    def take(self, images: NDArray[np.integer]) -> "LocalFeatureTable":
        """Return a table of some of the images, integers [m], in the given order, without copying features."""
        return LocalFeatureTable(
            self.columns, self.firsts[images], self.counts[images], self.sizes[images], self.keys[images]
        )

    def strongest(self, limit: int) -> "LocalFeatureTable":
        """Return a table with at most the `limit` strongest features per image; extractors return these first."""
        return LocalFeatureTable(self.columns, self.firsts, np.minimum(self.counts, limit), self.sizes, self.keys)

    def images(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the image of each feature row, in the shape of `rows`."""
        return np.searchsorted(self.starts, rows, side="right") - 1
