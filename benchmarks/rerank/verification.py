"""Spatial verification: what extraction, matching and geometry cost, against scikit-image with the same matches.

Published code verifies with `skimage.measure.ransac` and an affine transform, residual 20 pixels and 1000 trials. Both
sides get the same matches in coordinates of the same reference size, and the same residual; ours also refuses what no
motion of a camera does, and counts a point once. Images are real photographs where they are there, else the demo's.
Run with OMP_NUM_THREADS=1, as the stage's processes do: matrix products of a single one else take all cores.
"""

import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.feature import match_descriptors
from skimage.measure import ransac
from skimage.transform import AffineTransform

from landmarks.config import demo_data
from landmarks.data import GLDv2, ImageSet, decode
from landmarks.local_features import REFERENCE, Geometry, Matcher, RootSift
from landmarks.retrieval import Cache, ExactIndex, LocalFeatureStore, LocalFeatureTable, Resources, count_inliers

RESIDUAL, TRIALS, CONVINCING = 20.0, 1000, 8
PAIRS = 60  # of one landmark, and as many of two
IMAGES = 12  # with the most features, for extraction and matching at full size
TIMED_PAIRS = 4096
DATA = Path(os.environ.get("LANDMARKS_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
REPEATS = 3

Row = dict[str, object]


@dataclass(frozen=True)
class Case:
    """Index images of a data set, and the same pairs for every implementation."""

    data: str
    images: ImageSet
    table: LocalFeatureTable
    pairs: NDArray[np.int32]
    rich: NDArray[np.int64]

    def matched(self) -> list[tuple[Any, Any, Any]]:
        """Points of the matches of every pair, and the sizes of the images."""
        found = []
        for first, second in ((self.table.of(a), self.table.of(b)) for a, b in self.pairs.tolist()):
            matches = Matcher()(first.descriptors, second.descriptors)
            sizes = (first.size, second.size)
            found.append((first.points[matches.first], second.points[matches.second], sizes))
        return found


def verification_rows(data: Path = DATA, pairs: int = PAIRS, images: int = IMAGES) -> list[Row]:
    """Measure all parts.

    Args:
        data: folder of test data, with ``gldv2_mini`` in it or not.
        pairs: of images of one landmark, and as many of two.
        images: those with the most features, for extraction and for matching at full size.

    Returns:
        Rows for the results.
    """
    with tempfile.TemporaryDirectory() as folder:
        case = make_case(data, Path(folder), pairs, images)
        return [*extraction_rows(case), *matching_rows(case), *geometry_rows(case), *whole_rows(case)]


def make_case(data: Path, folder: Path, pairs: int, most: int) -> Case:
    mini = data / "gldv2_mini"
    source = GLDv2(mini) if mini.is_dir() else GLDv2(demo_data("world"), name="demo")
    source.prepare()
    images = source.index()
    table = LocalFeatureStore(RootSift(), folder).collect(images, np.arange(len(images)), resources(2))
    landmarks = images.table.landmarks
    first, second = np.triu_indices(len(images), 1)
    known = (landmarks[first] >= 0) & (landmarks[second] >= 0)
    same = landmarks[first] == landmarks[second]
    least = np.minimum(table.counts[first], table.counts[second])
    rng = np.random.default_rng(0)
    chosen = []
    for wanted in (same & known, ~same & known):
        rows = np.flatnonzero(wanted & (least >= np.percentile(least[known], 50)))
        chosen.append(np.sort(rng.choice(rows, min(pairs, len(rows)), replace=False)))
    rows = np.concatenate(chosen)
    rich = np.sort(np.argsort(-table.counts, kind="stable")[:most])
    return Case(source.name, images, table, np.stack([first[rows], second[rows]], 1).astype(np.int32), rich)


def extraction_rows(case: Case) -> list[Row]:
    images = [decode(case.images.read(int(i))) for i in case.rich]
    extractor = RootSift()
    seconds = fastest(lambda: [extractor(image) for image in images])
    megapixels = sum(image.shape[0] * image.shape[1] for image in images) / len(images) / 1e6
    note = f"{megapixels:.2f} megapixels, {case.table.counts[case.rich].mean():.0f} features"
    return [row(case, "extraction", "ours", len(images), seconds, note)]


def matching_rows(case: Case) -> list[Row]:
    embedded = [(case.table.of(a).descriptors, case.table.of(b).descriptors) for a, b in combinations(case.rich, 2)]
    matcher = Matcher("mutual")
    ours = fastest(lambda: [matcher(*each) for each in embedded])
    few = embedded[:: max(1, len(embedded) // 20)]

    def plain() -> list[Any]:
        return [match_descriptors(*(one.astype(np.float32) for one in each), cross_check=True) for each in few]

    theirs = fastest(plain, 1)
    same = [
        set(zip(found.first, found.second, strict=True)) == set(map(tuple, expected))
        for found, expected in zip((matcher(*each) for each in few), plain(), strict=True)
    ]
    note = f"{case.table.counts[case.rich].mean():.0f} features, same mutual pairs in {sum(same)} of {len(few)}"
    return [
        row(case, "matching", "ours", len(embedded), ours, note, theirs / len(few)),
        row(case, "matching", "skimage.match_descriptors", len(few), theirs, note, theirs / len(few)),
    ]


def geometry_rows(case: Case) -> list[Row]:
    geometry = Geometry("affine", threshold=RESIDUAL)
    matched = case.matched()

    def count() -> NDArray[np.int64]:
        return np.array([geometry(*each).count for each in matched])

    seconds = fastest(count)
    ours = count()
    begin = time.perf_counter()
    theirs = np.array([skimage_inliers(*each) for each in matched])
    plain = time.perf_counter() - begin
    mine, other = ours >= CONVINCING, theirs >= CONVINCING
    half = len(ours) // 2
    ratio = np.median(ours[mine & other] / theirs[mine & other]) if (mine & other).any() else float("nan")
    note = (
        f"{np.mean([len(each[0]) for each in matched]):.0f} matches a pair; {CONVINCING} or more inliers of {half} "
        f"pairs of one landmark: ours {mine[:half].sum()}, skimage {other[:half].sum()}, both "
        f"{(mine & other)[:half].sum()}; "
        f"of {len(ours) - half} of two: ours {mine[half:].sum()}, skimage {other[half:].sum()}; our count over "
        f"skimage's where both, median {ratio:.2f}; ours repeat: {bool((ours == count()).all())}"
    )
    each = plain / len(matched)
    return [
        row(case, "geometry", "ours", len(matched), seconds, note, each),
        row(case, "geometry", "skimage.ransac", len(matched), plain, note, each),
    ]


def whole_rows(case: Case) -> list[Row]:
    """Matching and geometry as the stage does it, starting the processes included."""
    rich = np.array(list(combinations(case.rich.tolist(), 2)), np.int32)
    rows = []
    for what, given in (("pairs with the most features", rich), ("pairs as above", case.pairs)):
        pairs = np.tile(given, (-(-TIMED_PAIRS // len(given)), 1))[:TIMED_PAIRS]
        one = 0.0
        for workers in (1, 2):
            begin = time.perf_counter()
            count_inliers(case.table, case.table, pairs, Matcher(), Geometry(), resources(workers))
            seconds = time.perf_counter() - begin
            one = one or seconds / len(pairs)
            rows.append(
                row(case, "matching and geometry", f"ours, processes: {workers}", len(pairs), seconds, what, one)
            )
    return rows


def skimage_inliers(first: Any, second: Any, sizes: tuple[tuple[int, int], tuple[int, int]]) -> int:
    if len(first) < 4:
        return 0
    points = [p.astype(np.float64) * (REFERENCE / max(s)) for p, s in zip((first, second), sizes, strict=True)]
    _, inliers = ransac(
        tuple(points), AffineTransform, min_samples=3, residual_threshold=RESIDUAL, max_trials=TRIALS, rng=0
    )
    return 0 if inliers is None else int(inliers.sum())


def resources(workers: int) -> Resources:
    return Resources(ExactIndex(), ExactIndex(), Cache(keep=False), workers=workers)


def fastest(work: Callable[[], object], repeats: int = REPEATS) -> float:
    """Seconds of the fastest of some runs, on one OpenCV thread."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    seconds = []
    for _ in range(repeats):
        begin = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begin)
    cv2.setNumThreads(threads)
    return min(seconds)


def row(case: Case, part: str, who: str, count: int, seconds: float, note: str, plain: float | None = None) -> Row:
    return {
        "part": f"verification: {part}",
        "implementation": who,
        "data": case.data,
        "items": count,
        "ms_each": round(1e3 * seconds / count, 3),
        "each_second": round(count / seconds, 1),
        "speedup": None if plain is None else round(plain / (seconds / count), 1),
        "note": note,
    }
