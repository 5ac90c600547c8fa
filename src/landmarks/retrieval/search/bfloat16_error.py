"""How far products of descriptors in bfloat16 may lie from the true ones: what makes a search by them exact.

A bound from the format alone, 2^-7 |q| |x|, would leave hundreds of candidates. What rounding took from each
descriptor is known, though, and seldom more than half of that.
"""

import numpy as np
import torch
from numpy.typing import NDArray


def rounded_rows(rows: NDArray[np.float32], count: int) -> tuple[torch.Tensor, NDArray[np.float64]]:
    """Rows [B, D] in bfloat16, and what rounding took from them.

    Args:
        rows: [B, D].
        count: rows of the result, at least B; those behind are zeros.

    Returns:
        bfloat16 [count, D], and an upper bound [B] of the length of each row's difference.
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

    Args:
        dim: D.
        lengths: [Q] of the queries.
        lost: [Q] of the queries, from `rounded_rows`.
        longest: length of the longest row.
        most_lost: largest bound from `rounded_rows` among the rows.

    Returns:
        [Q]; infinite where products may be.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        rounded_lengths, rounded_longest = lengths + lost, longest + most_lost
        products = rounded_lengths * rounded_longest
        unit = (dim + 8) * 2.0**-22
        error = lost * longest + rounded_lengths * most_lost + unit / (1 - unit) * products
        error += dim * 2.0**-124 * (1 + rounded_lengths + rounded_longest)
        return np.where(products < 2.0**120, error, np.inf)


def lowest_score(kth: NDArray[np.int16], error: NDArray[np.float64]) -> NDArray[np.int16]:
    """The rounded product that every row among the k nearest reaches; below 0 where it cannot be told.

    Scores are bfloat16 seen as int16, which keeps their order from zero upwards.

    Args:
        kth: [Q] k-th largest score found so far.
        error: [Q] from `product_error`.
    """
    # A product that was rounded to the k-th lies above it less half a step, and rounding keeps the order of products.
    reached = ((np.maximum(kth, 1).astype(np.int32) << 16) - (1 << 15)).view(np.float32).astype(np.float64)
    with np.errstate(invalid="ignore"):
        lowest = reached - 2 * error
    known = np.isfinite(lowest) & (kth > 0) & (lowest > 2.0**-100)
    floor = np.nextafter(np.where(known, lowest, 1).astype(np.float32), np.float32(0))
    # To the nearest bfloat16 number; from halfway between two to the lower one.
    return np.where(known, (floor.view(np.int32) + 0x7FFF) >> 16, -1).astype(np.int16)
