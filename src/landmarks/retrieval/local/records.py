"""Local features on disk: columns that only grow, and a record of each picture that says where its features lie.

They are the files of an append log (see `landmarks.storage.AppendLog`), of which a kill costs at most a chunk. It does
not read all of it when it is opened, for that may be 107 GB: each record carries its own checksum and that of its
features. So a record that was damaged counts as absent, and damaged features are found when they are checked.
"""

import math
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landmarks.models import LocalFeatures
from landmarks.retrieval.local.table import KEY_BYTES, FeatureColumns, column_file, column_types
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
SUMMED = RECORD.itemsize - 4

Records = NDArray[np.void]


class FeatureFiles:
    """The files in one folder, opened to be added to; another process that does so is waited for.

    The folder is made where it is missing. What cannot be opened, cut or written raises OSError.
    """

    def __init__(self, folder: Path, dim: int) -> None:
        self.folder = folder
        self.dim = dim
        self._types = column_types(dim)
        names = [column_file(folder, name).name for name in self._types]
        self._log = AppendLog(folder, dict.fromkeys([*names, RECORDS_FILE], b""), wait=True, check=False)
        first, (dtype, shape) = next(iter(self._types.items()))
        self.rows = self._log.sizes[f"{first}.bin"] // (np.dtype(dtype).itemsize * math.prod(shape))
        records = np.fromfile(folder / RECORDS_FILE, RECORD)
        known = records[(records["sum"] == _sums(records)) & (records["first"] >= 0)]
        known = known[known["first"] + known["count"] <= self.rows]
        # By key; of a picture that was extracted again after damage, the last record counts.
        order = np.argsort(known["key"], kind="stable")
        last = np.append(known["key"][order][1:] != known["key"][order][:-1], True)[: len(order)]
        self.known: Records = known[order[last]]

    def __enter__(self) -> "FeatureFiles":
        return self

    def __exit__(self, *error: object) -> None:
        self._log.close()

    def columns(self) -> FeatureColumns:
        """The columns as they are now."""
        return FeatureColumns.open(self.folder, self.dim, self.rows)

    def append(self, pictures: Sequence[tuple[bytes, LocalFeatures, bool]]) -> Records:
        """Add pictures: key, features, and whether it could be read; gives their records [n], good whatever follows."""
        features = [features for _, features, _ in pictures]
        records = np.zeros(len(pictures), RECORD)
        records["key"] = [key for key, _, _ in pictures]
        records["readable"] = [readable for _, _, readable in pictures]
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
        """Wait until all is on the disk."""
        self._log.sync()


def find(known: Records, key: bytes) -> np.void | None:
    """The record of a picture among `known`, which is in order of keys."""
    wanted = np.array(key, known.dtype["key"])
    place = int(np.searchsorted(known["key"], wanted))
    return known[place] if place < len(known) and known["key"][place] == wanted else None


def is_sound(record: np.void, columns: FeatureColumns) -> bool:
    """Whether the features that a record names are those that were written."""
    rows = slice(int(record["first"]), int(record["first"]) + int(record["count"]))
    size = (int(record["height"]), int(record["width"]))
    features = LocalFeatures(columns.points[rows], columns.scales[rows], columns.descriptors[rows], size)
    return features_sum(features) == int(record["features_sum"])


def features_sum(features: LocalFeatures) -> int:
    """CRC-32 of the features of a picture."""
    total = 0
    for column in (features.points, features.scales, features.descriptors):
        total = zlib.crc32(np.ascontiguousarray(column).data.cast("B") if column.size else b"", total)
    return total


def _sums(records: Records) -> NDArray[np.uint32]:
    """CRC-32 of each record without its last field."""
    rows = np.ascontiguousarray(records).view(np.uint8).reshape(len(records), RECORD.itemsize)[:, :SUMMED]
    return np.array([zlib.crc32(row) for row in np.ascontiguousarray(rows)], np.uint32)
