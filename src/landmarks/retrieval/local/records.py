"""Local features on disk: append-only columns, and a record of each image with the location of its features.

They are the files of an append log (see `landmarks.storage.AppendLog`), of which a killed run loses one chunk at most.
Opening it does not read everything, which may be 107 GB; instead each record has its own checksum and that of its
features. So a corrupt record counts as missing, and corrupt features are detected when they are checked.
"""

import math
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landmarks.ids import find_sorted
from landmarks.local_features import FeatureKind, LocalFeatures
from landmarks.retrieval.local.table import FILES, KEY_BYTES, FeatureColumns, column_file, column_types
from landmarks.storage import AppendLog

RECORDS_FILE = "records.bin"
RECORD = np.dtype(
    [
        ("key", f"S{KEY_BYTES}"),
        ("first", "<i8"),
        ("count", "<u4"),
        ("height", "<u4"),
        ("width", "<u4"),
        ("readable", "<u4"),
        ("features_sum", "<u4"),
        ("sum", "<u4"),
    ]
)
STAMPS_FILE = "stamps.bin"
STAMP = np.dtype([("stamp", "<u8"), ("key", f"S{KEY_BYTES}"), ("sum", "<u4")])

Records = NDArray[np.void]


class FeatureFiles:
    """The files in one folder, opened for appending; waits for another process that has them open.

    Creates the folder if it is missing. Raises OSError for files that cannot be opened, truncated or written.
    """

    def __init__(self, folder: Path, kind: FeatureKind) -> None:
        self.folder = folder
        self.kind = kind
        self._types = column_types(kind)
        names = [column_file(folder, name).name for name in self._types]
        self._log = AppendLog(folder, dict.fromkeys([*names, RECORDS_FILE, STAMPS_FILE], b""), wait=True, check=False)
        first, (dtype, shape) = next(iter(self._types.items()))
        self.rows = self._log.sizes[f"{first}.bin"] // (np.dtype(dtype).itemsize * math.prod(shape))
        known = _read(folder / RECORDS_FILE, RECORD)
        known = known[(known["first"] >= 0) & (known["first"] + known["count"] <= self.rows)]
        self.known: Records = _last_of_each(known, "key")
        self._stamps: Records = _last_of_each(_read(folder / STAMPS_FILE, STAMP), "stamp")

    def __enter__(self) -> "FeatureFiles":
        return self

    def __exit__(self, *error: object) -> None:
        self._log.close()

    def columns(self) -> FeatureColumns:
        """Open the columns with the rows written so far."""
        return FeatureColumns.open(self.folder, self.kind, self.rows)

    def keys_of(self, stamps: NDArray[np.uint64]) -> list[bytes]:
        """Return the keys of images by their stamps, uint64 [n], without reading the images; empty if unknown."""
        places = find_sorted(self._stamps["stamp"], stamps)
        return [self._stamps["key"][place].ljust(KEY_BYTES, b"\0") if place >= 0 else b"" for place in places.tolist()]

    def remember(self, stamps: Sequence[tuple[int, bytes]]) -> None:
        """Store the keys of images by their stamps."""
        rows = np.zeros(len(stamps), STAMP)
        rows["stamp"], rows["key"] = [stamp for stamp, _ in stamps], [key for _, key in stamps]
        rows["sum"] = _sums(rows)
        self._log.append({STAMPS_FILE: rows.tobytes()})

    def append(self, images: Sequence[tuple[bytes, LocalFeatures, bool]]) -> Records:
        """Append images, each with key, features, and whether it could be read; return their records [n]."""
        features = [features for _, features, _ in images]
        records = np.zeros(len(images), RECORD)
        records["key"] = [key for key, _, _ in images]
        records["readable"] = [readable for _, _, readable in images]
        records["count"] = [len(one) for one in features]
        records["first"] = self.rows + np.cumsum(records["count"], dtype=np.int64) - records["count"]
        records["height"], records["width"] = np.array([one.size for one in features]).reshape(-1, 2).T
        records["features_sum"] = [features_sum(one) for one in features]
        records["sum"] = _sums(records)
        chunk = {RECORDS_FILE: records.tobytes()}
        for name, (dtype, shape) in self._types.items():
            parts = [np.ascontiguousarray(getattr(one, name), dtype) for one in features]
            assert all(part.shape == (len(one), *shape) for part, one in zip(parts, features, strict=True)), name
            chunk[column_file(self.folder, name).name] = b"".join(part.tobytes() for part in parts)
        self._log.append(chunk)
        self.rows += int(records["count"].sum())
        return records

    def sync(self) -> None:
        """Flush all files to disk."""
        self._log.sync()


def find(known: Records, key: bytes) -> np.void | None:
    """Return the record of an image in `known`, which is sorted by key; None if there is none."""
    wanted = np.array(key, known.dtype["key"])
    place = int(np.searchsorted(known["key"], wanted))
    return known[place] if place < len(known) and known["key"][place] == wanted else None


def is_sound(record: np.void, columns: FeatureColumns) -> bool:
    """Return whether the features of a record match its checksum."""
    rows = slice(int(record["first"]), int(record["first"]) + int(record["count"]))
    return features_sum(columns, rows) == int(record["features_sum"])


def features_sum(features: LocalFeatures | FeatureColumns, rows: slice = slice(None)) -> int:
    """Return the CRC-32 of the features of an image."""
    total = 0
    for name in FILES:
        column = np.ascontiguousarray(getattr(features, name)[rows])
        total = zlib.crc32(column.data.cast("B") if column.size else b"", total)
    return total


def _read(path: Path, kind: np.dtype[np.void]) -> Records:
    """Return the rows of a file whose checksum is right."""
    rows = np.fromfile(path, kind)
    return rows[rows["sum"] == _sums(rows)]


def _last_of_each(rows: Records, field: str) -> Records:
    """Return the last row of each value of a field, sorted by it: later rows replace outdated or corrupt ones."""
    order = np.argsort(rows[field], kind="stable")
    values = rows[field][order]
    return rows[order[np.append(values[1:] != values[:-1], True)[: len(order)]]]


def _sums(records: Records) -> NDArray[np.uint32]:
    """Return the CRC-32 of each record without its last field, which holds it."""
    size = records.dtype.itemsize
    rows = np.ascontiguousarray(records).view(np.uint8).reshape(len(records), size)[:, : size - 4]
    return np.array([zlib.crc32(row) for row in np.ascontiguousarray(rows)], np.uint32)
