"""Whether `landmarks compare` errs as often as it says: p and intervals of pairs of systems that differ by nothing.

    python benchmarks/comparison.py

Both systems of a pair have the same distribution of results. In one case each query differs by itself, in the other
whole landmarks do, as they do in reality; queries without a landmark are independent in both. The share of pairs with
p below 0.05, and of intervals that leave 0 out, should be 0.05. Rows go to `benchmarks/results/comparison.csv`.
"""

from pathlib import Path

import numpy as np
from machine import machine, write_csv

from landmarks.metrics import RunPredictions, gap_interval, gap_p, mean_interval, mean_p

PAIRS = 200
QUERIES, LANDMARKS = 200, 40


def systems(random: np.random.Generator, together: bool) -> tuple[np.ndarray, list[np.ndarray]]:
    """The landmark of each query, and the quality of each query's results by two systems, any real numbers."""
    landmark = random.integers(LANDMARKS, size=QUERIES)
    difficulty = random.normal(size=QUERIES)
    own = [random.normal(size=QUERIES) for _ in range(2)]
    shared = [random.normal(size=LANDMARKS)[landmark] for _ in range(2)]
    return landmark, [
        difficulty + 0.5 * one + (1.0 if together else 0.0) * of for one, of in zip(own, shared, strict=True)
    ]


def main() -> None:
    rows = []
    for together in (False, True):
        random = np.random.default_rng(0)
        found: dict[tuple[str, str], list[tuple[bool, bool]]] = {}
        for pair in range(PAIRS):
            landmark, quality = systems(random, together)
            groups = np.unique(landmark, return_inverse=True)[1]
            precision = [1 / (1 + np.exp(-one)) for one in quality]
            runs = [
                [RunPredictions(one + random.normal(size=QUERIES), one > 0, np.ones(QUERIES, bool))] for one in quality
            ]
            for by, of in (("query", None), ("landmark", groups)):
                change = precision[1] - precision[0]
                for metric, p, (low, high) in (
                    ("map@100", mean_p(change, of, pair), mean_interval(change, of, pair)),
                    ("gap", gap_p((runs[0], runs[1]), of, pair), gap_interval((runs[0], runs[1]), of, pair)),
                ):
                    found.setdefault((metric, by), []).append((p < 0.05, low > 0 or high < 0))
        for (metric, by), results in found.items():
            p, interval = np.mean(results, axis=0)
            differs = "landmark" if together else "query"
            print(f"{metric}: differs by {differs}, tested by {by}: p {p:.3f}, interval {interval:.3f}", flush=True)
            rows.append(
                {
                    "metric": metric,
                    "differs_by": differs,
                    "tested_by": by,
                    "pairs": PAIRS,
                    "queries": QUERIES,
                    "landmarks": LANDMARKS,
                    "share_p_below_0.05": round(float(p), 3),
                    "share_interval_without_0": round(float(interval), 3),
                    **machine(),
                }
            )
    write_csv(Path(__file__).parent / "results" / "comparison.csv", rows)


if __name__ == "__main__":
    main()
