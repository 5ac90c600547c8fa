"""Selective match kernels on arrays: ASMK, and ASMK* with binary codes.

Tolias, Avrithis, Jégou, "Image search with selective match kernels: aggregation across single and multiple images",
IJCV 2016. Features are assigned to the nearest of W visual words. Per image and word, an entry aggregates the features
that share the word, r = Σ (x - word); so repeated structures count once. The similarity s of two entries of one word
raises the score of their images by s^α if it is at least a threshold: one good match outweighs many mediocre ones.

    score(x, y) = Σ_words w s^α / (sqrt(Σ_words of x w) sqrt(Σ_words of y w)), w = 1 or the squared idf of the word

ASMK* keeps the signs of r, s = 1 - 2 h / b with the Hamming distance h and b bits; ASMK keeps r / (|r| + 1e-6) and
takes the inner product. Conventions are those of the authors' code where the article leaves them open: b is the number
of dimensions rounded up to a multiple of 32, padding bits being equal, and the idf is ln(images / images with the
word), 1 for words that no image has, which still count in the query's sum.

The rotation before the signs is not part of it: Hamming embedding (Jégou, Douze, Schmid, ECCV 2008) takes the signs of
a random orthogonal projection. Bins of RootSIFT are mostly near 0, so that signs of their own residuals say little:
rotated, the mAP@100 of 416 queries and 405 photographs rises from .174 to .183.

An entry takes 4 bytes and its code: 20 with the 128 dimensions of RootSIFT, 516 without binary codes. Measured on 405
photographs with at most 500 RootSIFT features, 257 on average, an image had 188 entries at 1,024 words: 3.8 GB per
million such images. An image with 500 features has at most 500: 10 GB per million, 7.6 GB for GLDv2's 761,757. All is
mapped from disk; a search itself holds 8 bytes per index image and thread.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import LandmarksError
from landmarks.retrieval.local.cells import cells_near
from landmarks.retrieval.ranking import Ranking
from landmarks.retrieval.search.backends import choose_backend, faiss_threads

# Features per word of the sample that a codebook is trained on.
TRAINING_FEATURES = 32
# Limits of the default number of words, see `cells_near`.
FEWEST_WORDS, MOST_WORDS = 64, 65_536
# Candidates beyond the words asked for. Those are chosen by distances in float64, so that the result does not depend on
# the last bits of products in float32, which differ with threads, batches and processors.
SPARE = 3
# Bits of one element of a binary code.
BITS = 32


@dataclass(frozen=True)
class MatchKernel:
    """Settings of the match kernel; the defaults are the published ones of ASMK*.

    Attributes:
        words: visual words; None for a number that grows with that of the index features.
        binary: keep signs of residuals (ASMK*), or residuals of length one in float32 (ASMK): 4 bytes instead of a bit.
        rotate: rotate residuals at random before their signs are taken.
        assignments: words of a query feature; an index feature always has one.
        alpha: exponent of similarities; the larger, the more selective.
        threshold: similarities below it count nothing.
        idf: weigh words by squared inverse document frequency.
    """

    words: int | None = None
    binary: bool = True
    rotate: bool = True
    assignments: int = 5
    alpha: float = 3.0
    threshold: float = 0.0
    idf: bool = False

    def __post_init__(self) -> None:
        if (self.words is not None and self.words < 1) or self.assignments < 1:
            raise LandmarksError(f"asmk: words ({self.words}) and assignments ({self.assignments}) must be 1 or more")
        if not 0 <= self.alpha < np.inf or not 0 <= self.threshold <= 1:
            raise LandmarksError(
                f"asmk: alpha must be 0 or more and threshold in [0, 1], got {self.alpha} and {self.threshold}"
            )

    def words_for(self, features: int) -> int:
        """Return the number of words for so many index features, never more than those."""
        if self.words is not None:
            return min(self.words, features)
        return min(cells_near(features, FEWEST_WORDS, MOST_WORDS), features)

    def rotation(self, dim: int, seed: int) -> NDArray[np.float64] | None:
        """Return a random orthogonal matrix [D, D] for the residuals, or None for none."""
        if not self.binary or not self.rotate:
            return None
        return np.linalg.qr(np.random.default_rng(seed).standard_normal((dim, dim)))[0]

    def similarities(self, bits: int) -> NDArray[np.float64]:
        """Return s^α for all Hamming distances of codes of so many bits, float64 [bits + 1]; 0 below the threshold."""
        values = 1 - 2 * np.arange(bits + 1) / bits
        return np.where(values >= self.threshold, np.maximum(values, 0) ** self.alpha, 0)


class Entries(NamedTuple):
    """The aggregated features of images, in the order of images, then of words."""

    images: NDArray[np.int32]  # int32 [E]
    words: NDArray[np.int32]  # int32 [E]
    codes: NDArray[Any]  # uint32 [E, bits / 32], the first dimension in the highest bit, or float32 [E, D]


class Lists(NamedTuple):
    """The entries of an index by words: those of word w are rows `starts[w]` to `starts[w + 1]`, in order of images."""

    starts: NDArray[np.int64]  # int64 [W + 1]
    images: NDArray[np.int32]  # int32 [E]
    codes: NDArray[Any]  # as in `Entries`
    num_images: int  # N, including those without entries


def nearest_words(
    vectors: NDArray[np.float32], codebook: NDArray[np.float32], count: int, threads: int
) -> NDArray[np.int32]:
    """Return the nearest words of vectors [F, D], int32 [F, min(count, W)], nearest first; equal ones by number."""
    from landmarks.retrieval.local.asmk_kernels import choose_nearest

    found = np.empty((len(vectors), min(count, len(codebook))), np.int32)
    depth = min(count + SPARE, len(codebook))
    # |x - w|² = |x|² - 2 (x w - |w|² / 2): the largest inner products of (x, 1) and (w, -|w|² / 2) are the nearest.
    augmented = np.column_stack([vectors, np.ones(len(vectors), np.float32)])
    half_squares = 0.5 * np.einsum("wd,wd->w", codebook, codebook, dtype=np.float64)
    with faiss_threads(threads):
        words = np.column_stack([codebook, -half_squares.astype(np.float32)])
        _, candidates = choose_backend("auto", depth).search(augmented, words, depth)
    choose_nearest(vectors, codebook, candidates, found)
    return found


def aggregate(
    vectors: NDArray[np.float32],
    images: NDArray[np.integer],
    words: NDArray[np.int32],
    codebook: NDArray[np.float32],
    binary: bool,
    rotation: NDArray[np.float64] | None = None,
) -> Entries:
    """Aggregate the features of each image and word.

    Args:
        vectors: float32 [F, D], descriptors.
        images: integers [F], image of each.
        words: int32 [F, n], different words of each.
        codebook: float32 [W, D].
        binary: make binary codes.
        rotation: float64 [D, D], by which sums of residuals are multiplied before their signs are taken.

    Returns:
        At most F n entries.
    """
    from landmarks.retrieval.local.asmk_kernels import sum_residuals

    owners, flat = np.repeat(images, words.shape[1]).astype(np.int32), words.reshape(-1)
    order = np.lexsort((flat, owners))
    owners, flat = owners[order], flat[order]
    new = np.ones(len(flat), np.bool_)
    new[1:] = (owners[1:] != owners[:-1]) | (flat[1:] != flat[:-1])
    firsts = np.flatnonzero(new)
    sums = np.empty((len(firsts), vectors.shape[1]))
    bounds = np.append(firsts, len(flat))
    sum_residuals(vectors, codebook, order // words.shape[1], flat[firsts], bounds, sums)
    if binary:
        codes: NDArray[Any] = _packed(sums if rotation is None else sums @ rotation)
    else:
        codes = (sums / (np.linalg.norm(sums, axis=1, keepdims=True) + 1e-6)).astype(np.float32)
    return Entries(owners[firsts], flat[firsts], codes)


def code_elements(dim: int, binary: bool) -> int:
    """Return the elements of the code of `dim` values: each has 32 bits."""
    return -(-dim // BITS) if binary else dim


def _packed(sums: NDArray[np.float64]) -> NDArray[np.uint32]:
    signs = np.zeros((len(sums), BITS * code_elements(sums.shape[1], binary=True)), np.bool_)
    signs[:, : sums.shape[1]] = sums > 0
    return np.packbits(signs, axis=1).view(">u4").astype(np.uint32)


def rank(lists: Lists, queries: Entries, num_queries: int, kernel: MatchKernel, depth: int, threads: int) -> Ranking:
    """Rank the images of an index, [Q, `depth`].

    Each thread scores a query against all entries of its words and holds the scores of N images; nothing depends on the
    number of threads. Images whose score is 0 are not in the ranking.
    """
    from landmarks.retrieval.local.asmk_kernels import add_binary, add_products, sum_weights

    # Read-only arrays of the plain type, the one for which each loop is compiled.
    starts, images, list_codes = (_read_only(values) for values in lists[:3])
    weights = word_weights(lists, kernel.idf)
    sums = np.zeros(lists.num_images)
    sum_weights(starts, images, weights, sums)
    norms = np.sqrt(sums)
    similarities = kernel.similarities(BITS * list_codes.shape[1]) if kernel.binary else np.empty(0)
    bounds = np.searchsorted(queries.images, np.arange(num_queries + 1))
    ranking = Ranking.empty(num_queries, depth)

    def work(query: int) -> None:
        rows = slice(int(bounds[query]), int(bounds[query + 1]))
        words, codes = queries.words[rows], queries.codes[rows]
        scores = np.zeros(lists.num_images)
        if kernel.binary:
            add_binary(words, codes, starts, images, list_codes, weights, similarities, scores)
        else:
            add_products(
                words, codes, starts, images, list_codes, weights, kernel.threshold, float(kernel.alpha), scores
            )
        found = np.flatnonzero(scores)
        values = (scores[found] / norms[found] / np.sqrt(weights[words].sum())).astype(np.float32)
        if len(found) > depth:
            good = values >= np.partition(values, -depth)[-depth]
            found, values = found[good], values[good]
        order = np.lexsort((found, -values))[:depth]
        ranking.indices[query, : len(order)] = found[order]
        ranking.scores[query, : len(order)] = values[order]

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, range(num_queries)))
    return Ranking(ranking.indices, ranking.scores)


def word_weights(lists: Lists, idf: bool) -> NDArray[np.float64]:
    """Return the weight of every word, float64 [W]."""
    counts = np.diff(lists.starts)
    if not idf:
        return np.ones(len(counts))
    return np.where(counts > 0, np.log(lists.num_images / np.maximum(counts, 1)) ** 2, 1.0)


def _read_only(values: NDArray[Any]) -> NDArray[Any]:
    view = np.asarray(values).view()
    view.flags.writeable = False
    return view
