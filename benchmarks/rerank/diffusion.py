"""Offline diffusion: against the straightforward scipy version on the same neighbours, and how it grows.

The scipy version does what the published code does: one normalised Laplacian as a sparse matrix, a slice of it and
`scipy.sparse.linalg.cg` for each image, in a pool of threads.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from landmarks.retrieval import (
    Cache,
    Cost,
    ExactIndex,
    OfflineParameters,
    Ranking,
    Resources,
    all_neighbours,
    knn_graph,
    last_copies,
    similar_together,
    truncated_solve,
)

DIM = 512
FULL_INDEX = 761_757
PARAMETERS = OfflineParameters(k=50, truncation=1000, gamma=3.0, alpha=0.99, iterations=20, tolerance=1e-6)
SCIPY_IMAGES = 400
# Images whose lists and rows are made at each size.
SAMPLE = 8192
FIRST_CALL = """
import time
import numpy as np
from landmarks.retrieval.search.index import ExactIndex
from landmarks.retrieval.state import Resources
from landmarks.retrieval.stages.diffusion import Diffusion
from landmarks.retrieval.state import SearchState

rows = np.random.default_rng(0).standard_normal((50, 8)).astype(np.float32)
resources = Resources(ExactIndex(), ExactIndex())
state = SearchState(rows[:4], rows, resources.index.search(rows[:4], rows))
start = time.perf_counter()
Diffusion(truncation=20)(state, resources)
print(time.perf_counter() - start)
"""


def landmark_descriptors(number: int, dim: int = DIM, seed: int = 0) -> np.ndarray:
    """float32 [number, dim], length one: 10 images a landmark, 100 landmarks a kind of scene, in mixed order.

    The shares are chosen so that the mutual 50-neighbour graph has the degrees of real descriptors (our oracle's: mean
    29, 5 % below 8 and 5 % at 49): mean 30, 5 % below 13 and 5 % above 47.
    """
    rng = np.random.default_rng(seed)

    def unit(rows: np.ndarray) -> np.ndarray:
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def directions(rows: int) -> np.ndarray:
        return unit(rng.standard_normal((rows, dim), dtype=np.float32))

    landmarks = max(1, number // 10)
    scenes = directions(max(1, landmarks // 100))
    places = unit(scenes[rng.integers(0, len(scenes), landmarks)] + directions(landmarks))
    images = np.empty((number, dim), np.float32)
    which = rng.permutation(number) % landmarks
    for start in range(0, number, 65_536):  # so that large sets need no second copy
        part = which[start : start + 65_536]
        images[start : start + 65_536] = unit(places[part] + np.float32(0.8) * directions(len(part)))
    return images


def versus_scipy(number: int = 20_000, images: int = SCIPY_IMAGES, workers: int = 2, repeats: int = 3) -> list[dict]:
    """Ours and the scipy version on the same graph and truncation lists; the faster of `repeats` runs counts."""
    neighbours = all_neighbours(landmark_descriptors(number), PARAMETERS.truncation - 1, _resources(workers))
    nearest = Ranking(neighbours.indices[:, : PARAMETERS.k - 1], neighbours.scores[:, : PARAMETERS.k - 1])
    graph = knn_graph(nearest, PARAMETERS.gamma)
    columns = np.column_stack([np.arange(number, dtype=np.int32), neighbours.indices])
    solver = (PARAMETERS.alpha, PARAMETERS.iterations, PARAMETERS.tolerance)
    sample = np.random.default_rng(0).choice(number, min(images, number), replace=False)
    truncated_solve(graph, columns[:1], *solver, 1)  # compiled before
    ours_seconds, scipy_seconds = [], []
    for _ in range(repeats):
        begin = time.perf_counter()
        order = similar_together(graph)
        values = truncated_solve(graph, columns[order], *solver, workers)
        ours_seconds.append(time.perf_counter() - begin)
        begin = time.perf_counter()
        expected = scipy_rows(graph, columns[sample], workers)
        scipy_seconds.append(time.perf_counter() - begin)
    ours, plain = min(ours_seconds), min(scipy_seconds) * number / len(sample)
    difference = np.abs(values[np.argsort(order)[sample]] - expected).max()
    shared = {
        "images": number,
        "dim": DIM,
        **asdict(PARAMETERS),
        "workers": workers,
        "mean_degree": round(graph.nnz / number, 1),
        "repeats": repeats,
    }
    return [
        {
            "what": "offline diffusion",
            "implementation": who,
            **shared,
            "measured_images": measured,
            "seconds": round(seconds, 2),
            "ms_per_image": round(1000 * seconds / number, 3),
            "scipy_seconds_over_this": round(plain / seconds, 1),
            "max_difference": float(f"{difference:.1e}"),
        }
        for who, measured, seconds in (
            ("landmarks", number, ours),
            ("scipy slice and cg per image, thread pool", len(sample), plain),
        )
    ]


def scipy_rows(graph: sparse.csr_array, columns: np.ndarray, workers: int) -> np.ndarray:
    """The straightforward version: slice and solve for each row of `columns` in a pool of threads."""
    laplacian = (sparse.eye_array(graph.shape[0], format="csr", dtype=np.float32) - PARAMETERS.alpha * graph).tocsr()
    start = np.zeros(columns.shape[1])
    start[0] = 1

    def row(ids: np.ndarray) -> np.ndarray:
        part = laplacian[ids][:, ids]
        solver = {"rtol": PARAMETERS.tolerance, "maxiter": PARAMETERS.iterations}
        return sparse.linalg.cg(part, start, **solver)[0]

    with ThreadPoolExecutor(workers) as pool:
        return np.array(list(pool.map(row, columns)))


def growth(sizes: Sequence[int] = (10_000, 50_000, 100_000, 200_000), workers: int = 2) -> list[dict]:
    """Seconds, memory and disk of truncation lists and rows at several sizes, and what they give for the full index.

    The graph is that of all images. Lists and rows are those of at most `SAMPLE` images, which stand together in the
    order in which rows are made, and their seconds are multiplied up.
    """
    rows = [_grown(number, workers) for number in sizes]
    scale = FULL_INDEX / rows[-1]["images"]
    full = {
        **rows[-1],
        "images": FULL_INDEX,
        "measured_images": 0,
        "extrapolated_from": rows[-1]["images"],
        # Every image is compared with every other; graph and rows cost the same for each.
        "lists_seconds": round(rows[-1]["lists_seconds"] * scale**2),
        "graph_seconds": round(rows[-1]["graph_seconds"] * scale, 1),
        "rows_seconds": round(rows[-1]["rows_seconds"] * scale),
        # The graph grows with the index; what a chunk needs does not, so this is too much rather than too little.
        "peak_rise_mib": round(rows[-1]["peak_rise_mib"] * scale),
        "disk_gb": _disk_gb(FULL_INDEX),
    }
    return [*rows, full]


def _grown(number: int, workers: int) -> dict[str, Any]:
    database = landmark_descriptors(number)
    with tempfile.TemporaryDirectory() as folder:
        resources = _resources(workers, Path(folder))
        nearest = all_neighbours(database, PARAMETERS.k - 1, resources)
        with Cost() as prepare:
            graph = knn_graph(nearest, PARAMETERS.gamma, last_copies(database))
            sample = similar_together(graph)[:SAMPLE]
        with Cost() as search:
            found = resources.neighbours.search(database[sample], database, PARAMETERS.truncation)
        # Without copies an image is its own nearest.
        columns = np.ascontiguousarray(found.indices)
        assert (columns[:, 0] == sample).all()
        solver = (PARAMETERS.alpha, PARAMETERS.iterations, PARAMETERS.tolerance)
        truncated_solve(graph, columns[:1], *solver, 1)  # compiled before
        with Cost() as solve:
            truncated_solve(graph, columns, *solver, workers)
    times = number / len(sample)
    return {
        "what": "offline diffusion, growth",
        "images": number,
        "dim": DIM,
        **asdict(PARAMETERS),
        "workers": workers,
        "measured_images": len(sample),
        "extrapolated_from": None,
        "mean_degree": round(graph.nnz / number, 1),
        "lists_seconds": round(search.seconds * times, 1),
        "graph_seconds": round(prepare.seconds, 2),
        "rows_seconds": round(solve.seconds * times, 1),
        "peak_rise_mib": round(max(cost.rise_mb or 0 for cost in (prepare, search, solve))),
        "disk_gb": _disk_gb(number),
    }


def _disk_gb(number: int) -> float:
    """Neighbours (index, score) and rows (image, columns, values) in the cache."""
    return round(number * (8 * (PARAMETERS.truncation - 1) + 4 + 8 * PARAMETERS.truncation) / 1e9, 2)


def compile_seconds() -> list[dict]:
    """What the first call of the kernels costs, in a process with an empty cache of compiled code."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "NUMBA_CACHE_DIR": folder}
        seconds = [
            float(
                subprocess.run(
                    [sys.executable, "-c", FIRST_CALL], env=environment, capture_output=True, check=True
                ).stdout
            )
            for _ in ("compiled", "from the disk")
        ]
    return [{"what": "diffusion, first call", "compiling_seconds": seconds[0], "compiled_before_seconds": seconds[1]}]


def _resources(workers: int, folder: Path | None = None) -> Resources:
    return Resources(ExactIndex(), ExactIndex(), Cache(folder, keep=folder is not None), workers)


def main() -> None:
    for rows in (compile_seconds(), versus_scipy(), growth()):
        for row in rows:
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
