"""Finds candidates by bfloat16 products, on processors that multiply bfloat16 several times faster than float32.

The error of a product of rounded descriptors is bounded by the rounding errors of both, which are measured row by row.
So the k-th largest rounded product, minus twice this bound, is a score that every true neighbour reaches: all rows that
reach it are candidates, a variable number per query, and their float64 products decide. Queries with too many
candidates (copies of one image, a collapsed network) are left to the float32 search.
"""

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from landmarks.retrieval.blocks import UNIT_TOLERANCE, Descriptors, prepared_blocks, row_norms, rows_in_budget

# With fewer products (queries times rows) there is little to gain; in measurements it was never slower from 2^18 on.
WORTHWHILE = 1 << 22
# Queries and rows multiplied at once: their scores (8 MiB) stay in the processor's cache while they are scanned.
QUERIES, ROWS = 512, 8192
# Scores per group; a first scan compares only the maximum of each group.
GROUP = 8
# Maximum number of tiles whose scores are held at once, each scanned by a thread.
TILES = 8
# Above every score.
NEVER = np.int16(32767)


@dataclass(frozen=True)
class Proposal:
    """Candidates of queries."""

    query: NDArray[np.int64]  # [M] row of the query, in no order
    row: NDArray[np.int64]  # [M] row of the database, each once per query
    doubtful: NDArray[np.bool_]  # bool [Q], queries whose list is incomplete and must not be used


def has_bfloat16_units() -> bool:
    """Return whether this processor multiplies bfloat16 in hardware and torch uses it."""
    capabilities: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    return torch.backends.mkldnn.is_available() and any(
        capabilities.get(unit, False) for unit in ("avx512_bf16", "amx_bf16")
    )


def most_candidates(k: int) -> int:
    """Return the maximum number of candidates per query; most queries have few more than k."""
    return 4 * k + 512


def query_bytes(dim: int, k: int) -> int:
    """Return the memory that `propose` takes per query in the worst case, bytes."""
    return 2 * dim + 2 * k + 40 * most_candidates(k)


def slice_rows(dim: int, k: int, rows: int, budget_bytes: int) -> int:
    """Return the database rows to multiply at once; 0 if the budget or the database is too small for k neighbours."""
    # Besides the rows: scores, their maxima, and copies of these while the largest are found.
    fitting = min(ROWS, rows_in_budget(18 * dim + 3 * (TILES + 1) * QUERIES, budget_bytes) // GROUP * GROUP)
    return fitting if min(fitting, rows) >= 2 * GROUP * k else 0


def propose(queries: NDArray[np.float32], database: Descriptors, k: int, normalize: bool, rows: int) -> Proposal | None:
    """Find candidates that include the k nearest of each query [Q, D], taking `rows` of the database [N, D] at a time.

    Returns None, as early as possible, if more than half of the queries are doubtful.
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
    """The state of a search: candidates of the queries among the database rows seen so far."""

    def __init__(self, queries: NDArray[np.float32], k: int, pool: ThreadPoolExecutor, tiles: int) -> None:
        self.k, self.pool, self.tiles = k, pool, tiles
        self.rounded, self.lost = rounded_rows(queries, len(queries))
        self.lengths = row_norms(queries).astype(np.float64) * (1 + 2.0**-20)
        self.doubtful = np.zeros(len(queries), np.bool_)
        # The largest scores of distinct rows: bfloat16 viewed as int16, which has the same order from zero upwards.
        self.best = np.full((len(queries), k), -1, np.int16)
        self.floor = np.zeros(len(queries), np.int16)
        self.held = [_Held() for _ in range(0, len(queries), QUERIES)]
        self.longest, self.most_lost = 0.0, 0.0

    def add(self, block: NDArray[np.float32], start: int, longest: float) -> None:
        """Process the next rows of the database, whose first is `start`."""
        groups = -(-len(block) // GROUP)
        # The last group is padded with rows of zeros, whose score, 0, is below every floor.
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
        """Keep the large scores of the queries of one tile; runs in parallel with the next tile's product."""
        part = slice(number * QUERIES, (number + 1) * QUERIES)
        # The rows of a group are far apart, so that maxima compare contiguous stretches of scores, which is fast.
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
        """Return the candidates after all rows have been processed."""
        for number, held in enumerate(self.held):
            self._prune(held, slice(number * QUERIES, (number + 1) * QUERIES))
        none = np.empty(0, np.int64)
        query = np.concatenate([none, *(n * QUERIES + held.query for n, held in enumerate(self.held))])
        row = np.concatenate([none, *(held.row for held in self.held)])
        return Proposal(query, row, self.doubtful)

    def _prune(self, held: "_Held", part: slice) -> None:
        """Drop candidates below the current floor, and all those of queries with too many."""
        held.keep_from(self.floor[part])
        many = np.bincount(held.query, minlength=len(self.floor[part])) > most_candidates(self.k)
        if many.any():
            self.doubtful[part] |= many
            self.floor[part][many] = NEVER
            held.keep_from(self.floor[part])


class _Held:
    """Growing lists of the candidates of up to QUERIES queries, with their scores for later pruning."""

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
    """Return rows [B, D] in bfloat16, padded with zeros to [`count`, D], and bounds of their rounding errors.

    The bounds [B] are on the length of the difference between each row and its rounded copy.
    """
    rounded = torch.zeros((count, rows.shape[1]), dtype=torch.bfloat16)
    lost = np.empty(len(rows))
    for start in range(0, len(rows), 1024):
        # Read-only rows are copied, because torch would warn about them.
        exact = torch.from_numpy(np.require(rows[start : start + 1024], requirements=["C", "W"]))
        part = rounded[start : start + len(exact)]
        part.copy_(exact)
        lost[start : start + len(exact)] = torch.linalg.vector_norm(exact - part.float(), dim=1).numpy()
    # The norm is computed in float32: allow for D rounding errors and for squares that underflow.
    return rounded, lost * (1 + rows.shape[1] * 2.0**-22) + np.sqrt(rows.shape[1]) * 2.0**-62


def product_error(
    dim: int,
    lengths: NDArray[np.float64],
    lost: NDArray[np.float64],
    longest: float,
    most_lost: float,
) -> NDArray[np.float64]:
    """Bound the error [Q] of products of rounded rows, before the products themselves are rounded.

    q x - q' x' = (q - q') x + q' (x - x'), each at most the product of the lengths (Cauchy-Schwarz). Summing in
    float32 costs gamma_D |q'| |x'| in any order (Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed.,
    section 3.1), here with four times float32's unit for hardware that does not round to nearest, and 8 terms more
    for the rounding of rows and scores elsewhere; the last term is for hardware that flushes tiny numbers to zero.
    The bound is infinite if a product may overflow. `lengths` and `lost` [Q] are the lengths and rounding errors of the
    queries, `longest` and `most_lost` the largest ones of the rows.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        rounded_lengths, rounded_longest = lengths + lost, longest + most_lost
        products = rounded_lengths * rounded_longest
        unit = (dim + 8) * 2.0**-22
        error = lost * longest + rounded_lengths * most_lost + unit / (1 - unit) * products
        error += dim * 2.0**-124 * (1 + rounded_lengths + rounded_longest)
        return np.where(products < 2.0**120, error, np.inf)


def lowest_score(kth: NDArray[np.int16], error: NDArray[np.float64]) -> NDArray[np.int16]:
    """Return a rounded product that all k nearest rows reach, from the `kth` largest so far; -1 = unknown.

    Scores [Q] are bfloat16 viewed as int16, which keeps their order from zero upwards.
    """
    # A product that rounds to the k-th is at least the k-th minus half a step, and rounding keeps the order.
    reached = ((np.maximum(kth, 1).astype(np.int32) << 16) - (1 << 15)).view(np.float32).astype(np.float64)
    with np.errstate(invalid="ignore"):
        lowest = reached - 2 * error
    known = np.isfinite(lowest) & (kth > 0) & (lowest > 2.0**-100)
    floor = np.nextafter(np.where(known, lowest, 1).astype(np.float32), np.float32(0))
    # Round to the nearest bfloat16 number, and ties down.
    return np.where(known, (floor.view(np.int32) + 0x7FFF) >> 16, -1).astype(np.int16)
