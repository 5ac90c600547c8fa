"""Query expansion and database augmentation against the usual dense matrix and loop, and how they grow.

The dense version is what published code does: all similarities as one matrix (N x N for the database), each row
sorted, the top averaged in a Python loop, and the search done once more as a matrix that is sorted. Its matrix
products run on all cores, too. A second dense version sorts only the top of each row; nobody has to, but it shows what
is left when the sorting is done well. All get the same normalised descriptors in memory, and all must give the same
scores.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from landmarks.retrieval import (
    CHUNK,
    Cache,
    Cost,
    DatabaseAugmentation,
    ExactIndex,
    QueryExpansion,
    Resources,
    Search,
    SearchState,
    all_neighbours,
    expand,
)

ROWS, DIM, K, ALPHA, PLACES = 20_000, 512, 5, 3.0, 100
# As many queries as GLDv2 has with ground truth; its whole index.
QUERIES, GLDV2_INDEX = 1_129, 761_757
GROWTH = (10_000, 50_000, 100_000, 200_000)
MIB = 2**20

Array = np.ndarray[Any, Any]
Sort = Callable[[Array, int], Array]


def images(rng: np.random.Generator, rows: int, dim: int) -> Array:
    """Unit descriptors of landmarks with about ten images each."""
    landmarks = rng.standard_normal((max(1, rows // 10), dim)).astype(np.float32)
    drawn = landmarks[rng.integers(0, len(landmarks), rows)]
    drawn += rng.standard_normal((rows, dim), dtype=np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def whole_sort(scores: Array, top: int) -> Array:
    return np.argsort(-scores, axis=1)[:, :top]


def partial_sort(scores: Array, top: int) -> Array:
    found = np.argpartition(-scores, top, axis=1)[:, :top]
    return np.take_along_axis(found, np.argsort(-np.take_along_axis(scores, found, axis=1), axis=1), axis=1)


def dense_expansion(descriptors: Array, scores: Array, database: Array, sort: Sort) -> Array:
    nearest = sort(scores, K)
    expanded = np.empty_like(descriptors)
    for row in range(len(descriptors)):
        weights = np.maximum(scores[row, nearest[row]], 0) ** ALPHA
        total = descriptors[row] + (weights[:, None] * database[nearest[row]]).sum(axis=0)
        expanded[row] = total / np.linalg.norm(total)
    return expanded


def dense_search(queries: Array, index: Array, sort: Sort) -> Array:
    scores = queries @ index.T
    return np.take_along_axis(scores, sort(scores, PLACES), axis=1)


def dense_qe(queries: Array, index: Array, sort: Sort) -> Array:
    """Scores [Q, 100] after search, expansion, and search."""
    return dense_search(dense_expansion(queries, queries @ index.T, index, sort), index, sort)


def dense_dba(queries: Array, index: Array, sort: Sort) -> Array:
    """Scores [Q, 100] in the augmented index."""
    scores = index @ index.T
    np.fill_diagonal(scores, 0)
    return dense_search(queries, dense_expansion(index, scores, index, sort), sort)


def resources() -> Resources:
    return Resources(ExactIndex(PLACES), ExactIndex(PLACES), Cache(keep=False))


def our_qe(queries: Array, index: Array) -> Array:
    tools = resources()
    found = QueryExpansion(K, ALPHA)(Search()(SearchState(queries, index), tools), tools)
    return found.require_ranking("benchmark").scores


def our_dba(queries: Array, index: Array) -> Array:
    tools = resources()
    found = DatabaseAugmentation(K, ALPHA)(SearchState(queries, index), tools)
    scores = found.require_ranking("benchmark").scores
    tools.cache.release()
    return scores


@dataclass(frozen=True)
class Run:
    """The least of several runs: seconds, seconds of all cores, rise of memory in MiB."""

    seconds: float
    cpu_seconds: float
    rise: float


def measured(work: Callable[[], Any], repeats: int) -> tuple[Any, Run]:
    """What `work` gives and what it costs. On a machine with other work compare the seconds of all cores."""
    runs = []
    for _ in range(repeats):
        begin = time.process_time()
        with Cost() as cost:
            result = work()
        runs.append((cost.seconds, time.process_time() - begin, cost.rise_mb or 0.0))
    return result, Run(*(min(values) for values in zip(*runs, strict=True)))


def against_dense(
    rows: int = ROWS, dim: int = DIM, queries: int = QUERIES, repeats: int = 3
) -> list[dict[str, object]]:
    """One row for each method and implementation; the ratio is its seconds over ours."""
    rng = np.random.default_rng(0)
    drawn = images(rng, rows + queries, dim)
    index, asked = drawn[:rows], drawn[rows:]
    table: list[dict[str, object]] = []
    for method, ours, dense in (("qe", our_qe, dense_qe), ("dba", our_dba, dense_dba)):
        works: dict[str, Callable[[], Array]] = {
            "landmarks": lambda ours=ours: ours(asked, index),
            "dense matrix, full sort, loop": lambda dense=dense: dense(asked, index, whole_sort),
            "dense matrix, partial sort, loop": lambda dense=dense: dense(asked, index, partial_sort),
        }
        runs = {name: measured(work, repeats) for name, work in works.items()}
        expected, ours_run = runs["landmarks"]
        for name, (scores, run) in runs.items():
            assert np.abs(scores - expected).max() < 1e-5, (method, name)
            table.append(
                {
                    "method": method,
                    "implementation": name,
                    "rows": rows,
                    "dim": dim,
                    "queries": queries,
                    "k": K,
                    "seconds": round(run.seconds, 3),
                    "cpu_seconds": round(run.cpu_seconds, 3),
                    "seconds_over_landmarks": round(run.seconds / ours_run.seconds, 1),
                    "cpu_seconds_over_landmarks": round(run.cpu_seconds / ours_run.cpu_seconds, 1),
                    "descriptors_mib": round(index.nbytes / MIB, 1),
                    "memory_above_descriptors_mib": round(run.rise, 1),
                    "runs": repeats,
                }
            )
    return table


def parts_of_dba(rows: int = ROWS, dim: int = DIM, queries: int = QUERIES, repeats: int = 3) -> list[dict[str, object]]:
    """Where the seconds of our database augmentation go, beside the bare N x N product in float32."""
    drawn = images(np.random.default_rng(0), rows + queries, dim)
    index, asked = drawn[:rows], drawn[rows:]
    tools = resources()
    nearest = all_neighbours(index, K, tools)
    product = np.empty((min(rows, 2048), rows), np.float32)

    def bare_product() -> None:
        for start in range(0, rows, len(product)):
            part = index[start : start + len(product)]
            np.matmul(part, index.T, out=product[: len(part)])

    works: dict[str, Callable[[], Any]] = {
        "neighbours of all index images": lambda: all_neighbours(index, K, resources()),
        "expansion": lambda: expand(index, nearest.indices, index, ALPHA, workers=tools.workers),
        "search": lambda: tools.index.search(asked, index),
        "bare matrix product, not part of it": bare_product,
    }
    table: list[dict[str, object]] = []
    for name, work in works.items():
        _, run = measured(work, repeats)
        table.append(
            {
                "method": "dba",
                "part": name,
                "rows": rows,
                "dim": dim,
                "seconds": round(run.seconds, 3),
                "cpu_seconds": round(run.cpu_seconds, 3),
                "runs": repeats,
            }
        )
    return table


def growth(sizes: tuple[int, ...] = GROWTH, dim: int = DIM, repeats: int = 3) -> list[dict[str, object]]:
    """Seconds and memory of the expansion of N rows with given neighbours, and what it gives for GLDv2's index.

    Neighbours are drawn at random: no two rows are near each other in memory, which is the worst case.
    """
    rng = np.random.default_rng(0)
    workers = len(os.sched_getaffinity(0))
    table: list[dict[str, object]] = []
    for rows in sizes:
        index = rng.standard_normal((rows, dim), dtype=np.float32)
        nearest = rng.integers(0, rows, (rows, K), dtype=np.int32)

        def augment(index: Array = index, nearest: Array = nearest) -> None:
            for start in range(0, len(index), CHUNK):
                expand(index[start : start + CHUNK], nearest[start : start + CHUNK], index, ALPHA, workers=workers)

        _, run = measured(augment, repeats)
        table.append(_growth_row(rows, dim, run, 1.0, True))
    # Linear in the rows: the cost a row of the largest size counts.
    table.append(_growth_row(GLDV2_INDEX, dim, run, GLDV2_INDEX / rows, False))
    return table


def _growth_row(rows: int, dim: int, run: Run, factor: float, was_measured: bool) -> dict[str, object]:
    return {
        "method": "expansion with given neighbours",
        "rows": rows,
        "dim": dim,
        "k": K,
        "seconds": round(run.seconds * factor, 3),
        "cpu_seconds": round(run.cpu_seconds * factor, 3),
        "microseconds_a_row": round(1e6 * run.seconds * factor / rows, 2),
        "memory_above_descriptors_mib": round(run.rise, 1),
        "measured": was_measured,
    }


if __name__ == "__main__":
    start = time.perf_counter()
    for line in (*against_dense(), *parts_of_dba(), *growth()):
        print(f"{time.perf_counter() - start:6.1f} s", line)
