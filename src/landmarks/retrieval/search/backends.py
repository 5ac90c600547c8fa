"""Backends: the libraries that find the candidates in a block of index images by inner product.

faiss fuses the product with the selection and never holds all scores (measured: 761,757 x 512, k = 100, 1,129 queries
in 5-7 s on two cores; NumPy took 58 s). faiss-gpu does the same on a GPU; without it torch multiplies tile by tile
there. All work in float32, so their scores differ in the last bits and their choice among equal scores is arbitrary:
`landmarks.retrieval.search.index` resolves both.
"""

import importlib.util
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from landmarks.errors import LandmarksError

BackendName = Literal["auto", "faiss", "torch", "bf16"]
Candidates = tuple[NDArray[np.float32], NDArray[np.int64]]

# Largest k that faiss supports on a GPU.
FAISS_GPU_DEPTH = 2048
# Queries multiplied at once by torch: enough to keep a GPU busy, few enough that the scores take little memory.
TORCH_QUERIES = 1024


@dataclass(frozen=True)
class Backend:
    """A way to find candidates."""

    name: str
    row_bytes: int  # working memory per index row, besides the block
    # (queries [Q, D], block [B, D], depth <= B) -> scores [Q, depth] and rows [Q, depth] of the block, the `depth`
    # largest inner products in any order
    search: Callable[[NDArray[np.float32], NDArray[np.float32], int], Candidates]


def choose_backend(name: BackendName, depth: int) -> Backend:
    """Return the backend called `name`; ``auto`` and ``bf16`` choose a GPU if there is one, else faiss, else torch."""
    has_gpu = torch.cuda.is_available()
    if name == "faiss":
        require_faiss("index backend faiss", ", or use torch")
    if name == "torch" or importlib.util.find_spec("faiss") is None:
        return Backend("torch", 4 * TORCH_QUERIES, _torch_search)
    if has_gpu and depth <= FAISS_GPU_DEPTH and _faiss_sees_gpu():
        return Backend("faiss-gpu", 0, _faiss_gpu_search)
    if has_gpu and name != "faiss":
        return Backend("torch", 4 * TORCH_QUERIES, _torch_search)
    return Backend("faiss", 0, _faiss_search)


def require_faiss(what: str, instead: str = "") -> Any:
    """Import faiss, or raise an error that names what needs it and what to do `instead`."""
    if importlib.util.find_spec("faiss") is None:
        raise LandmarksError(f"{what} needs faiss, which is not installed: install faiss-cpu or faiss-gpu{instead}")
    import faiss

    return faiss


@contextmanager
def faiss_threads(count: int) -> Iterator[None]:
    """Limit faiss to `count` threads within a ``with`` block, in the whole process."""
    import faiss

    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(count)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


def _faiss_sees_gpu() -> bool:
    import faiss

    return hasattr(faiss, "StandardGpuResources") and faiss.get_num_gpus() > 0


def _faiss_search(queries: NDArray[np.float32], block: NDArray[np.float32], depth: int) -> Candidates:
    import faiss

    # knn is IndexFlatIP's search without its copy of the block.
    scores, rows = faiss.knn(queries, block, depth, metric=faiss.METRIC_INNER_PRODUCT)
    return scores, rows


def _faiss_gpu_search(queries: NDArray[np.float32], block: NDArray[np.float32], depth: int) -> Candidates:
    import faiss

    resources = faiss.StandardGpuResources()
    scores, rows = faiss.knn_gpu(resources, queries, block, depth, metric=faiss.METRIC_INNER_PRODUCT)
    return scores, rows


def _torch_search(queries: NDArray[np.float32], block: NDArray[np.float32], depth: int) -> Candidates:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    scores = np.empty((len(queries), depth), np.float32)
    rows = np.empty((len(queries), depth), np.int64)
    precision = torch.get_float32_matmul_precision()
    # Training may have enabled TF32 or bfloat16 products; the error bound of the search requires float32.
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.inference_mode():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # torch warns of read-only memory, but nothing writes to it here
                database = torch.from_numpy(block).to(device)
            for start in range(0, len(queries), TORCH_QUERIES):
                tile = torch.from_numpy(queries[start : start + TORCH_QUERIES]).to(device)
                best = torch.topk(tile @ database.T, depth, dim=1, sorted=False)
                scores[start : start + len(tile)] = best.values.cpu().numpy()
                rows[start : start + len(tile)] = best.indices.cpu().numpy()
    finally:
        torch.set_float32_matmul_precision(precision)
    return scores, rows
