"""Measures the sizes of the splits of Google Landmarks v2, and how their images are distributed over landmarks.

The distribution matters for training: most landmarks have few images and a few have thousands.
"""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from landmarks.data.gldv2.checks import CHECKED_SPLITS, FOLDER, Split
from landmarks.data.gldv2.layout import GLDv2Layout
from landmarks.data.gldv2.local import open_layout
from landmarks.data.gldv2.tables import read_clean, read_ids, read_labels
from landmarks.data.images import read_size
from landmarks.data.roots import Root
from landmarks.data.source import ImageSet
from landmarks.data.table import ImageTable
from landmarks.errors import LandmarksError
from landmarks.metrics import read_recognition_solution, read_retrieval_solution

MEASURED = 1000  # images of a split whose size is read, evenly spaced in its table


def read_statistics(root: Root) -> dict[str, Any]:
    """Read the tables and ground truth of a folder or address, the sizes of its tars, and the sizes of some images.

    Args:
        root: The folder or address.

    Returns:
        "root"; "splits", each with its "images", "without_landmark", "landmarks", "images_per_landmark" (mean,
        quantiles and the number of landmarks with one image), "tars", "tar_bytes" and "image_sizes" in pixels (None at
        an address, where each would be a request); "queries" of each ground truth. Missing tables are left out.

    Raises:
        LandmarksError: A table, a tar or a ground truth file is invalid, or there is no table at all.
    """
    layout = open_layout(root)
    splits = {split: _split(layout, split) for split in CHECKED_SPLITS if layout.has_table(split)}
    if not splits:
        raise LandmarksError(
            f"{root}: there is no metadata/train.csv, train_clean.csv, index.csv or test.csv; give the folder that "
            f"contains metadata, or download it: `landmarks data download --root {root} --split metadata`"
        )
    return {"root": str(root), "splits": splits, "queries": _queries(layout)}


def _split(layout: GLDv2Layout, split: Split) -> dict[str, Any]:
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
    return {
        "images": len(ids),
        "without_landmark": len(ids) - int(per_landmark.sum()),
        "landmarks": len(per_landmark),
        "images_per_landmark": _spread(per_landmark),
        "tars": len(names),
        "tar_bytes": tar_bytes,
        "image_sizes": _sizes(layout, split, ids) if isinstance(layout.root, Path) else None,
    }


def _spread(per_landmark: NDArray[np.int64]) -> dict[str, float] | None:
    images = pl.col("images")
    spread = pl.DataFrame({"images": per_landmark}).select(
        landmarks_with_one=(images == 1).sum(),
        mean=images.mean(),
        min=images.min(),
        p25=images.quantile(0.25, "linear"),
        median=images.median(),
        p75=images.quantile(0.75, "linear"),
        p95=images.quantile(0.95, "linear"),
        max=images.max(),
    )
    return spread.row(0, named=True) if len(per_landmark) else None


def _sizes(layout: GLDv2Layout, split: Split, ids: NDArray[np.uint64]) -> dict[str, float] | None:
    """Measure up to `MEASURED` images that exist and are readable."""
    store = layout.open_store(FOLDER[split])
    there = np.flatnonzero(store.locate(ids) >= 0)
    rows = there[np.linspace(0, len(there) - 1, min(MEASURED, len(there))).astype(np.int64)]
    images = ImageSet(ImageTable.unlabelled(ids[rows]), store)
    sizes = np.array([read_size(images, row) for row in range(len(images))], np.int64).reshape(-1, 2)
    sides = pl.DataFrame(np.sort(sizes[sizes.all(axis=1)], axis=1), schema=["short_side", "long_side"])
    quantiles = {
        f"{side}_{name}": pl.col(side).quantile(share, "linear")
        for side in sides.columns
        for name, share in (("p5", 0.05), ("median", 0.5), ("p95", 0.95))
    }
    longer = (pl.col("long_side") > 2 * pl.col("short_side")).mean()
    summary = sides.select(measured=pl.len(), longer_than_2_to_1=longer, **quantiles)
    return summary.row(0, named=True) if len(sides) else None


def _queries(layout: GLDv2Layout) -> dict[str, dict[str, int]]:
    found = {}
    if layout.has_solution("retrieval"):
        retrieval = read_retrieval_solution(layout.solution("retrieval"))
        found["retrieval"] = _usages(retrieval.public, retrieval.ignored_ids)
    if layout.has_solution("recognition"):
        recognition = read_recognition_solution(layout.solution("recognition"))
        found["recognition"] = _usages(recognition.public, recognition.ignored_ids)
    return found


def _usages(public: NDArray[np.bool_], ignored: NDArray[np.uint64]) -> dict[str, int]:
    return {"public": int(public.sum()), "private": int((~public).sum()), "ignored": len(ignored)}
