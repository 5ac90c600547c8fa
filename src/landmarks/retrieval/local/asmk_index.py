"""Indexes the local features of images for search with a match kernel, and searches them.

Three results are cached: the codebook, the entries of every image, and the same in the order of words, which are the
inverted lists. They are made in chunks, so that a killed run resumes, and are memory-mapped.
"""

import logging
from dataclasses import asdict
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landmarks.retrieval.blocks import MIB, rows_in_budget
from landmarks.retrieval.local.asmk import (
    TRAINING_FEATURES,
    Lists,
    MatchKernel,
    aggregate,
    code_elements,
    nearest_words,
    rank,
)
from landmarks.retrieval.local.cells import k_means
from landmarks.retrieval.local.table import LocalFeatureTable
from landmarks.retrieval.ranking import Ranking
from landmarks.retrieval.search.backends import require_faiss
from landmarks.retrieval.state import Resources
from landmarks.storage import Column

log = logging.getLogger(__name__)

# Features that are assigned at once, and queries per chunk of the cache.
BLOCK, QUERIES = 65_536, 32
# Bytes of the lists that are made at once, in one pass over the entries of all images.
LIST_BYTES = 256 * MIB


def search_by_kernel(
    queries: LocalFeatureTable,
    index: LocalFeatureTable,
    kernel: MatchKernel,
    depth: int,
    resources: Resources,
) -> Ranking:
    """Rank index images by the kernel, [Q, `depth`]."""
    if not len(index.descriptors) or not len(queries):
        return Ranking.empty(len(queries), depth)
    opened = cache(lambda: open_lists(index, kernel, resources))  # only called if the cache lacks rows

    def make(start: int, stop: int) -> Ranking:
        codebook, lists = opened()
        part = queries.take(np.arange(start, stop))
        vectors = _vectors(part, part.descriptors[:])
        words = nearest_words(vectors, codebook, kernel.assignments, resources.workers)
        images, rotation = part.images(np.arange(len(vectors))), kernel.rotation(vectors.shape[1], resources.seed)
        asked = aggregate(vectors, images, words, codebook, kernel.binary, rotation)
        return rank(lists, asked, len(part), kernel, depth, resources.workers)

    return resources.cache.ranking(
        "asmk",
        (len(queries), depth),
        make,
        QUERIES,
        [queries.keys, queries.counts, index.keys, index.counts],
        {"depth": depth, **asdict(kernel), **_made_with(resources)},
    )


def open_lists(
    features: LocalFeatureTable, kernel: MatchKernel, resources: Resources
) -> tuple[NDArray[np.float32], Lists]:
    """Build codebook [W, D] and inverted lists of one or more features, or read them from the cache."""
    count, dim = len(features.descriptors), features.kind.dim
    size = kernel.words_for(count)
    content: list[NDArray[Any]] = [features.keys, features.counts]
    parameters = {"words": size, **_made_with(resources)}
    rows = resources.cache.rows

    def train(start: int, stop: int) -> dict[str, NDArray[Any]]:
        log.info("ASMK: training %s words on up to %s features", f"{size:,}", f"{size * TRAINING_FEATURES:,}")
        sample = min(count, size * TRAINING_FEATURES)
        chosen = np.random.default_rng(resources.seed).choice(count, sample, replace=False, shuffle=False)
        vectors = _vectors(features, features.descriptors[np.sort(chosen)])
        return {"vectors": k_means(vectors, size, resources.seed)}

    columns = {"vectors": Column(np.float32, (dim,))}
    codebook = np.asarray(rows("asmk_codebook", size, columns, train, size, content, parameters)["vectors"])
    parameters |= {"binary": kernel.binary, "rotate": kernel.rotate}
    rotation = kernel.rotation(dim, resources.seed)
    code = Column(np.uint32 if kernel.binary else np.float32, (code_elements(dim, kernel.binary),))

    def encode(start: int, stop: int) -> dict[str, NDArray[Any]]:
        """Aggregate the images to which the features belong; the first and the last may reach into other chunks."""
        first, last = features.images(np.array([start, stop - 1])).tolist()
        begin, end = int(features.starts[first]), int(features.starts[last + 1])
        vectors = _vectors(features, features.descriptors[begin:end])
        words = nearest_words(vectors, codebook, 1, resources.workers)
        images = features.images(np.arange(begin, end))
        entries = aggregate(vectors, images, words, codebook, kernel.binary, rotation)
        # The entries of an image take the first of its rows.
        places = features.starts[entries.images] - begin
        places += np.arange(len(places)) - np.searchsorted(entries.images, entries.images)
        made = {"words": np.full(end - begin, -1, np.int32), "codes": np.zeros((end - begin, *code.shape), code.dtype)}
        made["words"][places], made["codes"][places] = entries.words, entries.codes
        return {name: values[start - begin : stop - begin] for name, values in made.items()}

    @cache  # only called if the lists have to be made
    def images() -> dict[str, NDArray[Any]]:
        columns = {"words": Column(np.int32), "codes": code}
        return rows("asmk_images", count, columns, encode, BLOCK, content, parameters)

    def count_entries(start: int, stop: int) -> dict[str, NDArray[Any]]:
        counts, words = np.zeros(size + 1, np.int64), images()["words"]
        for begin in range(0, count, BLOCK):  # word -1 is counted first
            counts += np.bincount(words[begin : begin + BLOCK] + 1, minlength=size + 1)
        return {"starts": np.cumsum(counts) - counts[0]}

    columns = {"starts": Column(np.int64)}
    starts = np.asarray(rows("asmk_starts", size + 1, columns, count_entries, size + 1, content, parameters)["starts"])

    def gather(start: int, stop: int) -> dict[str, NDArray[Any]]:
        from landmarks.retrieval.local.asmk_kernels import entries_by_word

        made = {"images": np.empty(stop - start, np.int32), "codes": np.empty((stop - start, *code.shape), code.dtype)}
        words, codes = (np.asarray(images()[name]) for name in ("words", "codes"))
        entries_by_word(features.starts, words, codes, starts[:-1].copy(), start, made["images"], made["codes"])
        return made

    entries, entry_bytes = int(starts[-1]), 4 * (1 + code.shape[0])
    columns = {"images": Column(np.int32), "codes": code}
    kept = rows("asmk_lists", entries, columns, gather, rows_in_budget(entry_bytes, LIST_BYTES), content, parameters)
    log.info("ASMK: %s entries of %s words, %.0f MB", f"{entries:,}", f"{size:,}", 1e-6 * entries * entry_bytes)
    return codebook, Lists(starts, kept["images"], kept["codes"], len(features))


def _vectors(features: LocalFeatureTable, stored: NDArray[Any]) -> NDArray[np.float32]:
    """Return stored descriptors [n, W] as float32 [n, D] of length one."""
    return features.kind.numbers(stored) / np.float32(features.kind.length)


def _made_with(resources: Resources) -> dict[str, Any]:
    """Return the values on which an index depends besides features and kernel, for cache keys."""
    return {"seed": resources.seed, "faiss": require_faiss("asmk").__version__}
