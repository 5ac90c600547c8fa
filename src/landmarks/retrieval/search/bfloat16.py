"""Candidates by bfloat16 products, on processors that multiply bfloat16 several times faster than float32.

A product of rounded descriptors is off by no more than what rounding took from both, which is measured row by row.
So the k-th largest rounded product, lowered by twice that error, is a score that every true neighbour reaches: all
rows that reach it are candidates, as many as a query needs, and their float64 products decide. A query with too many
(copies of one image, a network that maps everything to one direction) is left to the float32 search.
"""

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from landmarks.retrieval.blocks import UNIT_TOLERANCE, Descriptors, prepared_blocks, row_norms, rows_in_budget

# With fewer products (queries times rows) there is little to gain; from 2^18 bfloat16 was never slower here.
WORTHWHILE = 1 << 22
# Queries and rows multiplied at once: their scores (8 MiB) stay in the processor's cache while they are looked through.
QUERIES, ROWS = 512, 8192
# Scores whose maximum is looked at instead of them.
GROUP = 8
# Tiles whose scores are held at once, as far as there are threads to look through them.
TILES = 8
# Above every score.
NEVER = np.int16(32767)


@dataclass(frozen=True)
class Proposal:
    """Candidates of queries."""

    query: NDArray[np.int64]  # [M] row of the query, in no order
    row: NDArray[np.int64]  # [M] row of the database, each once a query
    doubtful: NDArray[np.bool_]  # bool [Q], queries without a complete list; none of theirs is to be used


def has_bfloat16_units() -> bool:
    """Whether this processor multiplies bfloat16 and torch makes use of it."""
    capabilities: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    return torch.backends.mkldnn.is_available() and any(
        capabilities.get(unit, False) for unit in ("avx512_bf16", "amx_bf16")
    )


def most_candidates(k: int) -> int:
    """How many candidates a query may have; most have few more than k."""
    return 4 * k + 512


def query_bytes(dim: int, k: int) -> int:
    """Memory that `propose` takes for a query, at worst."""
    return 2 * dim + 2 * k + 40 * most_candidates(k)


def slice_rows(dim: int, k: int, rows: int, budget_bytes: int) -> int:
    """Rows of the database to multiply at once; 0 where budget or database is too small for k neighbours."""
    # Besides the rows: scores, their maxima, and what becomes of these while the largest are found.
    fitting = min(ROWS, rows_in_budget(18 * dim + 3 * (TILES + 1) * QUERIES, budget_bytes) // GROUP * GROUP)
    return fitting if min(fitting, rows) >= 2 * GROUP * k else 0


def propose(queries: NDArray[np.float32], database: Descriptors, k: int, normalize: bool, rows: int) -> Proposal | None:
    """Rows that hold the k nearest of each query [Q, D], and few others; `rows` of the database [N, D] at once.

    None if more than half of the queries are doubtful, found out as soon as possible.
    """
    threads = min(TILES, torch.get_num_threads())
    with torch.inference_mode(), ThreadPoolExecutor(threads) as pool:
        search = _Search(queries, k, pool, threads)
        for start, block in prepared_blocks(database, 4 * rows, "index descriptors", normalize):
            norms = None if normalize else row_norms(block)
            for first in range(0, len(block), rows):
                part = slice(first, first + rows)
                longest = 1 + UNIT_TOLERANCE if norms is None else float(norms[part].max())
                search.add(block[part], start + first, longest)
                if 2 * search.doubtful.sum() > len(queries):
                    return None
        return search.proposal()


class _Search:
    """What is known of the neighbours of some queries, while the database goes by."""

    def __init__(self, queries: NDArray[np.float32], k: int, pool: ThreadPoolExecutor, tiles: int) -> None:
        self.k, self.pool, self.tiles = k, pool, tiles
        self.rounded, self.lost = rounded_rows(queries, len(queries))
        self.lengths = row_norms(queries).astype(np.float64) * (1 + 2.0**-20)
        self.doubtful = np.zeros(len(queries), np.bool_)
        # The largest scores, no two of one row; scores are bfloat16 seen as int16: same order, from zero upwards.
        self.best = np.full((len(queries), k), -1, np.int16)
        self.floor = np.zeros(len(queries), np.int16)
        self.held = [_Held() for _ in range(0, len(queries), QUERIES)]
        self.longest, self.most_lost = 0.0, 0.0

    def add(self, block: NDArray[np.float32], start: int, longest: float) -> None:
        """Look at the next rows of the database, whose first is `start`."""
        groups = -(-len(block) // GROUP)
        # Rows of zeros fill up the last group: their score, 0, is below every floor.
        rounded, lost = rounded_rows(block, groups * GROUP)
        self.longest = max(self.longest, longest * (1 + 2.0**-20))
        self.most_lost = max(self.most_lost, float(lost.max()))
        error = product_error(block.shape[1], self.lengths, self.lost, self.longest, self.most_lost)
        pending: deque[Future[None]] = deque()
        for number in range(len(self.held)):
            part = slice(number * QUERIES, (number + 1) * QUERIES)
            scores = (self.rounded[part] @ rounded.T).view(torch.int16).numpy()
            pending.append(self.pool.submit(self._select, scores, start, error[part], number))
            if len(pending) == self.tiles:
                pending.popleft().result()
        for selected in pending:
            selected.result()

    def _select(self, scores: NDArray[np.int16], start: int, error: NDArray[np.float64], number: int) -> None:
        """Keep what is large among the scores of the queries of one tile; runs beside the next tile's product."""
        part = slice(number * QUERIES, (number + 1) * QUERIES)
        # A group is every few hundredth row or so, because maxima of whole stretches of scores are fast.
        grouped = scores.reshape(len(scores), GROUP, -1)
        maxima = grouped.max(axis=1)
        largest = np.concatenate([self.best[part], maxima], axis=1)
        largest.partition(-self.k, axis=1)
        self.best[part] = largest[:, -self.k :]
        floor = lowest_score(self.best[part].min(axis=1), error)
        hits = maxima >= floor[:, None]
        self.doubtful[part] |= (floor < 0) | (hits.sum(axis=1) > most_candidates(self.k))
        floor[self.doubtful[part]] = NEVER
        hits[self.doubtful[part]] = False
        self.floor[part] = floor
        query, group = np.nonzero(hits)
        found = grouped[query, :, group]
        hit, place = np.nonzero(found >= floor[query, None])
        held = self.held[number]
        held.append(query[hit], start + place * grouped.shape[2] + group[hit], found[hit, place])
        if held.waiting > held.kept:
            self._prune(held, part)

    def proposal(self) -> Proposal:
        """The candidates, when all rows have been looked at."""
        for number, held in enumerate(self.held):
            self._prune(held, slice(number * QUERIES, (number + 1) * QUERIES))
        none = np.empty(0, np.int64)
        query = np.concatenate([none, *(n * QUERIES + held.query for n, held in enumerate(self.held))])
        row = np.concatenate([none, *(held.row for held in self.held)])
        return Proposal(query, row, self.doubtful)

    def _prune(self, held: "_Held", part: slice) -> None:
        """Drop what a risen floor leaves below, and queries with too many candidates."""
        held.keep_from(self.floor[part])
        many = np.bincount(held.query, minlength=len(self.floor[part])) > most_candidates(self.k)
        if many.any():
            self.doubtful[part] |= many
            self.floor[part][many] = NEVER
            held.keep_from(self.floor[part])


class _Held:
    """Candidates of up to QUERIES queries: lists that grow, with the scores that tell which to drop later."""

    def __init__(self) -> None:
        self.query = np.empty(0, np.int64)
        self.row = np.empty(0, np.int64)
        self.score = np.empty(0, np.int16)
        self.kept, self.waiting = 0, 0
        self._parts: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int16]]] = []

    def append(self, query: NDArray[np.int64], row: NDArray[np.int64], score: NDArray[np.int16]) -> None:
        self._parts.append((query, row, score))
        self.waiting += len(query)

    def keep_from(self, floor: NDArray[np.int16]) -> None:
        """Keep candidates whose scores reach their query's floor."""
        parts = [(self.query, self.row, self.score), *self._parts]
        query, row, score = (np.concatenate(column) for column in zip(*parts, strict=True))
        keep = score >= floor[query]
        self.query, self.row, self.score = query[keep], row[keep], score[keep]
        self.kept, self.waiting, self._parts = len(self.query), 0, []


def rounded_rows(rows: NDArray[np.float32], count: int) -> tuple[torch.Tensor, NDArray[np.float64]]:
    """Rows [B, D] in bfloat16, filled up with zeros to [`count`, D], and what rounding took from them.

    The latter is an upper bound [B] of the length of each row's difference.
    """
    rounded = torch.zeros((count, rows.shape[1]), dtype=torch.bfloat16)
    lost = np.empty(len(rows))
    for start in range(0, len(rows), 1024):
        # Copied by numpy where it may not be written to, which torch would warn about.
        exact = torch.from_numpy(np.require(rows[start : start + 1024], requirements=["C", "W"]))
        part = rounded[start : start + len(exact)]
        part.copy_(exact)
        lost[start : start + len(exact)] = torch.linalg.vector_norm(exact - part.float(), dim=1).numpy()
    # The norm is computed in float32: D roundings, and squares too small for it.
    return rounded, lost * (1 + rows.shape[1] * 2.0**-22) + np.sqrt(rows.shape[1]) * 2.0**-62


def product_error(
    dim: int,
    lengths: NDArray[np.float64],
    lost: NDArray[np.float64],
    longest: float,
    most_lost: float,
) -> NDArray[np.float64]:
    """How far products [Q] of rounded rows, before they are rounded themselves, may lie from the true ones.

    q x - q' x' = (q - q') x + q' (x - x'), each at most the product of the lengths (Cauchy-Schwarz). Summing in
    float32 costs gamma_D |q'| |x'| in any order (Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed.,
    section 3.1), here with four times float32's unit for hardware that does not round to nearest, and 8 terms more
    for the rounding of rows and scores elsewhere; the last term is for hardware that takes tiny numbers for zero.
    Infinite where products may be. `lengths` and `lost` [Q] are of the queries, `longest` and `most_lost` of the rows.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        rounded_lengths, rounded_longest = lengths + lost, longest + most_lost
        products = rounded_lengths * rounded_longest
        unit = (dim + 8) * 2.0**-22
        error = lost * longest + rounded_lengths * most_lost + unit / (1 - unit) * products
        error += dim * 2.0**-124 * (1 + rounded_lengths + rounded_longest)
        return np.where(products < 2.0**120, error, np.inf)


def lowest_score(kth: NDArray[np.int16], error: NDArray[np.float64]) -> NDArray[np.int16]:
    """The rounded product that every row among the k nearest reaches, from the `kth` largest so far; below 0 = unknown.

    Scores [Q] are bfloat16 seen as int16, which keeps their order from zero upwards.
    """
    # A product that was rounded to the k-th lies above it less half a step, and rounding keeps the order of products.
    reached = ((np.maximum(kth, 1).astype(np.int32) << 16) - (1 << 15)).view(np.float32).astype(np.float64)
    with np.errstate(invalid="ignore"):
        lowest = reached - 2 * error
    known = np.isfinite(lowest) & (kth > 0) & (lowest > 2.0**-100)
    floor = np.nextafter(np.where(known, lowest, 1).astype(np.float32), np.float32(0))
    # To the nearest bfloat16 number; from halfway between two to the lower one.
    return np.where(known, (floor.view(np.int32) + 0x7FFF) >> 16, -1).astype(np.int16)
