"""mAP@100 of a ranking of the re-ranking oracle's photographs."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from landmarks.retrieval import Ranking


@pytest.fixture
def reranking_map(oracles: Path) -> Callable[[Ranking], float]:
    labels, query_labels = (np.load(oracles / "reranking" / f"{name}_labels.npy") for name in ("index", "query"))

    def score(ranking: Ranking) -> float:
        right = labels[ranking.indices] == query_labels[:, None]
        precision = np.cumsum(right, axis=1) / np.arange(1, 101)
        positives = np.minimum(np.bincount(labels)[query_labels], 100)
        return float(((precision * right).sum(axis=1) / positives).mean())

    return score
