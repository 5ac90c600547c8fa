"""Search: exact against bare faiss Flat; all-pairs neighbours exact and approximate; how they grow.

Descriptors are made: landmarks with twenty images each, spread over 48 directions with a falling spectrum and a
little noise in all, which gives neighbours about as near as those of real photographs. They have length one, as
extraction writes them; others are scaled block by block first, which faiss Flat would not do at all.
"""

import multiprocessing
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

import faiss
import numpy as np

from landmarks.retrieval import (
    ApproximateIndex,
    Cost,
    ExactIndex,
    HnswIndex,
    IvfPqIndex,
    Ranking,
    ScalarIndex,
    Searcher,
    anonymous_mb,
    recall,
)

DIM, PLACES, NEIGHBOURS = 512, 100, 50
# Queries with ground truth and index images of GLDv2.
QUERIES, GLDV2_INDEX = 1_129, 761_757
KINDS = ("exact", "hnsw", "ivf_pq", "scalar")
GROWTH = (10_000, 50_000, 100_000, 200_000)
# Images whose neighbours are searched; the seconds are scaled up to all.
SAMPLE = 2_048
LATENT, IMAGES_A_LANDMARK = 48, 20
ROWS_AT_ONCE = 65_536

Array = np.ndarray[Any, Any]


def images(rows: int, dim: int = DIM, seed: int = 0, out: Array | None = None) -> Array:
    """Unit descriptors [rows, dim], written into `out` where given, so that they may lie on disk."""
    rng = np.random.default_rng(seed)
    made = np.empty((rows, dim), np.float32) if out is None else out
    basis = np.linalg.qr(rng.standard_normal((dim, LATENT)))[0].T.astype(np.float32)
    spectrum = (1 / np.sqrt(1 + np.arange(LATENT) / 4)).astype(np.float32)
    landmarks = rng.standard_normal((max(1, rows // IMAGES_A_LANDMARK), LATENT), dtype=np.float32) * spectrum
    for start in range(0, rows, ROWS_AT_ONCE):
        count = min(ROWS_AT_ONCE, rows - start)
        shown = landmarks[rng.integers(0, len(landmarks), count)]
        shown += 0.6 * spectrum * rng.standard_normal((count, LATENT), dtype=np.float32)
        block = shown @ basis + 0.03 * rng.standard_normal((count, dim), dtype=np.float32)
        made[start : start + count] = block / np.linalg.norm(block, axis=1, keepdims=True)
    return made


def against_flat(rows: int = 100_000, queries: int = QUERIES, repeats: int = 7) -> list[dict[str, object]]:
    """Exact search of descriptors in memory, in turns with faiss Flat; medians, and the median ratio of a turn.

    The descriptors are memory-mapped from a temporary file, 1.5 GB at the full size.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "index.npy"
        drawn = np.lib.format.open_memmap(path, "w+", np.float32, (rows, DIM))
        images(rows, out=drawn)
        drawn.flush()
        database = np.load(path, mmap_mode="r")
        asked = images(queries, seed=1)
        ours = ExactIndex(PLACES)
        built = faiss.IndexFlatIP(DIM)
        built.add(database)

        def build_and_search() -> Array:
            index = faiss.IndexFlatIP(DIM)
            index.add(database)
            return index.search(asked, PLACES)[0]

        works: dict[str, Callable[[], Array]] = {
            "landmarks exact": lambda: ours.search(asked, database).scores,
            "faiss Flat, built before": lambda: built.search(asked, PLACES)[0],
            "faiss Flat, build and search": build_and_search,
        }
        seconds: dict[str, list[float]] = {name: [] for name in works}
        found = {name: work() for name, work in works.items()}  # warm: pages read, kernels compiled
        for _ in range(repeats):
            for name, work in works.items():
                begin = time.perf_counter()
                work()
                seconds[name].append(time.perf_counter() - begin)
        first = seconds["landmarks exact"]
        table: list[dict[str, object]] = []
        for name, runs in seconds.items():
            assert np.abs(found[name] - found["landmarks exact"]).max() < 1e-5, name
            table.append(
                {
                    "method": "search",
                    "implementation": name,
                    "rows": rows,
                    "dim": DIM,
                    "queries": queries,
                    "k": PLACES,
                    "seconds": round(median(runs), 3),
                    "landmarks_seconds_over_this": round(median(a / b for a, b in zip(first, runs, strict=True)), 3),
                    "runs": repeats,
                }
            )
        return table


def against_flat_at_full_size() -> list[dict[str, object]]:
    """The same at the size of GLDv2's index."""
    return against_flat(GLDV2_INDEX, repeats=3)


def neighbours(
    sizes: tuple[int, ...] = GROWTH, all_kinds_at: tuple[int, ...] = (10_000, 50_000)
) -> list[dict[str, object]]:
    """The 50 nearest others of every image: seconds for all, from a sample of images, memory, and recall.

    Exact search and HNSW at all `sizes` and, by a power law through them, at GLDv2's; the other kinds at some. Each
    runs in a process of its own, because memory that an earlier one gave back to it would hide what the next one takes.
    """
    table: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as folder:
        for rows in sizes:
            path = Path(folder) / "index.npy"
            np.save(path, images(rows))
            names = KINDS if rows in all_kinds_at else KINDS[:2]
            measured = {}
            for name in names:
                with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
                    measured[name] = pool.submit(_all_pairs, name, path).result()
            exact, result = measured["exact"]
            for line, found in measured.values():
                ratio = float(str(exact["seconds"])) / float(str(line["seconds"]))
                share = round(recall(found, result), 4)
                table.append({**line, "recall": share, "exact_seconds_over_this": round(ratio, 2)})
    return [*table, *(_extrapolated(name, table) for name in KINDS[:2])]


def _searcher(name: str) -> Searcher:
    makers: dict[str, Callable[..., Searcher]] = {
        "exact": ExactIndex,
        "hnsw": HnswIndex,
        "ivf_pq": IvfPqIndex,
        "scalar": ScalarIndex,
    }
    return makers[name](k=NEIGHBOURS + 1)


def _all_pairs(name: str, path: Path) -> tuple[dict[str, object], Ranking]:
    """Seconds to build and to search for all images, the latter scaled from a sample; memory besides mapped files."""
    database = np.load(path, mmap_mode="r")
    sample = database[:: max(1, len(database) // SAMPLE)][:SAMPLE]
    ExactIndex(5).search(sample[:5], database[:1000])  # kernels compiled, libraries loaded
    searcher = _searcher(name)
    before = anonymous_mb() or 0.0
    build_seconds = peak = 0.0
    if isinstance(searcher, ApproximateIndex):
        with Cost() as build:
            searcher.search(sample[:1], database)
        build_seconds, peak = build.seconds, build.peak_mb or 0.0
    with Cost() as search:
        result = searcher.search(sample, database)
    seconds = build_seconds + search.seconds * len(database) / len(sample)
    row: dict[str, object] = {
        "method": "all neighbours",
        "implementation": name,
        "rows": len(database),
        "dim": database.shape[1],
        "queries": len(sample),
        "k": NEIGHBOURS,
        "build_seconds": round(build_seconds, 2),
        "seconds": round(seconds, 2),
        "memory_mib": round(max(peak, search.peak_mb or 0.0) - before, 1),
        "scaled_from_sample": len(sample) < len(database),
        "measured": True,
    }
    return row, result


def _extrapolated(name: str, table: list[dict[str, object]]) -> dict[str, object]:
    """What a power law through the measured sizes gives for GLDv2's index."""
    lines = [line for line in table if line["implementation"] == name]
    size = np.log([float(str(line["rows"])) for line in lines])

    def at_full_size(column: str, least: float) -> tuple[float, float]:
        values = np.maximum([float(str(line[column])) for line in lines], least)
        slope, offset = np.polyfit(size, np.log(values), 1)
        return float(np.exp(offset + slope * np.log(GLDV2_INDEX))), float(slope)

    seconds, power = at_full_size("seconds", 1e-3)
    memory, _ = at_full_size("memory_mib", 1.0)
    return {
        "method": "all neighbours",
        "implementation": name,
        "rows": GLDV2_INDEX,
        "dim": DIM,
        "k": NEIGHBOURS,
        "seconds": round(seconds),
        "seconds_grow_with_power": round(power, 2),
        "memory_mib": round(memory),
        "measured": False,
    }


if __name__ == "__main__":
    start = time.perf_counter()
    for line in (*against_flat(), *neighbours()):
        print(f"{time.perf_counter() - start:6.1f} s", line)
