"""Compiled loops of the match kernels, in a file of their own because numba takes a while to load."""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray


# Sums of one distance may run in any order, so that they use vector registers; their order never depends on threads.
@numba.njit(nogil=True, cache=True, fastmath={"reassoc", "contract"})
def choose_nearest(
    vectors: NDArray[np.float32],
    codebook: NDArray[np.float32],
    candidates: NDArray[np.int64],
    found: NDArray[np.int32],
) -> None:
    """Fill `found` [F, n] with the nearest of the candidates [F, C], by distance in float64, then by number."""
    count = found.shape[1]
    distances = np.empty(count)
    for i in range(len(vectors)):
        for c in range(candidates.shape[1]):
            word, distance = candidates[i, c], 0.0
            for d in range(vectors.shape[1]):
                difference = np.float64(vectors[i, d]) - np.float64(codebook[word, d])
                distance += difference * difference
            place = min(c, count)
            while place > 0 and (
                distance < distances[place - 1] or (distance == distances[place - 1] and word < found[i, place - 1])
            ):
                if place < count:
                    distances[place], found[i, place] = distances[place - 1], found[i, place - 1]
                place -= 1
            if place < count:
                distances[place], found[i, place] = distance, word


@numba.njit(nogil=True, cache=True)
def sum_residuals(
    vectors: NDArray[np.float32],
    codebook: NDArray[np.float32],
    features: NDArray[np.int64],
    words: NDArray[np.int32],
    bounds: NDArray[np.int64],
    sums: NDArray[np.float64],
) -> None:
    """Fill `sums` [E, D]: entry e has the word `words[e]` and the features `features[bounds[e] : bounds[e + 1]]`."""
    for entry in range(len(words)):
        sums[entry] = 0.0
        for i in range(bounds[entry], bounds[entry + 1]):
            for d in range(vectors.shape[1]):
                sums[entry, d] += np.float64(vectors[features[i], d]) - np.float64(codebook[words[entry], d])


@numba.njit(nogil=True, cache=True)
def entries_by_word(
    first_rows: NDArray[np.int64],
    words: NDArray[np.int32],
    codes: NDArray[Any],
    places: NDArray[np.int64],
    start: int,
    list_images: NDArray[np.int32],
    list_codes: NDArray[Any],
) -> None:
    """Copy the entries whose place in the order of words, then images, is `start` or one of the next ones.

    `words` and `codes` hold the entries of image i from row `first_rows[i]` on, the rest of its rows has the word -1;
    `places` [W] begins as the place of each word's first entry and is changed.
    """
    stop = start + len(list_images)
    for image in range(len(first_rows) - 1):
        for row in range(first_rows[image], first_rows[image + 1]):
            word = words[row]
            if word < 0:
                break
            place = places[word]
            places[word] += 1
            if start <= place < stop:
                list_images[place - start] = image
                for b in range(codes.shape[1]):
                    list_codes[place - start, b] = codes[row, b]


@numba.njit(nogil=True, cache=True)
def sum_weights(
    starts: NDArray[np.int64], images: NDArray[np.int32], weights: NDArray[np.float64], sums: NDArray[np.float64]
) -> None:
    """Add to `sums` [N] the weights of the words of every image."""
    for word in range(len(weights)):
        for i in range(starts[word], starts[word + 1]):
            sums[images[i]] += weights[word]


@numba.njit(nogil=True, cache=True)
def add_binary(
    words: NDArray[np.int32],
    codes: NDArray[Any],
    starts: NDArray[np.int64],
    images: NDArray[np.int32],
    list_codes: NDArray[Any],
    weights: NDArray[np.float64],
    similarities: NDArray[np.float64],
    scores: NDArray[np.float64],
) -> None:
    """Add a query's similarities to `scores` [N]; `similarities` [bits + 1] belong to Hamming distances."""
    for entry in range(len(words)):
        word = words[entry]
        for i in range(starts[word], starts[word + 1]):
            distance = np.uint64(0)
            for b in range(codes.shape[1]):
                distance += _bits(np.uint64(codes[entry, b] ^ list_codes[i, b]))
            scores[images[i]] += weights[word] * similarities[distance]


@numba.njit(nogil=True, cache=True, fastmath={"reassoc", "contract"})
def add_products(
    words: NDArray[np.int32],
    codes: NDArray[np.float32],
    starts: NDArray[np.int64],
    images: NDArray[np.int32],
    list_codes: NDArray[np.float32],
    weights: NDArray[np.float64],
    threshold: float,
    alpha: float,
    scores: NDArray[np.float64],
) -> None:
    """Add a query's similarities to `scores` [N], for codes that are vectors."""
    for entry in range(len(words)):
        word = words[entry]
        for i in range(starts[word], starts[word + 1]):
            similarity = 0.0
            for d in range(codes.shape[1]):
                similarity += np.float64(codes[entry, d]) * np.float64(list_codes[i, d])
            if similarity >= threshold:
                scores[images[i]] += weights[word] * similarity**alpha


@numba.njit(nogil=True, cache=True)
def _bits(value: np.uint64) -> np.uint64:
    """Count the set bits; compilers know this form and use the processor's own instruction."""
    value -= (value >> np.uint64(1)) & np.uint64(0x5555555555555555)
    value = (value & np.uint64(0x3333333333333333)) + ((value >> np.uint64(2)) & np.uint64(0x3333333333333333))
    value = (value + (value >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return (value * np.uint64(0x0101010101010101)) >> np.uint64(56)
