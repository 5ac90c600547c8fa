"""How much of an exact ranking an approximate one holds."""

import numpy as np

from landmarks.retrieval.ranking import Ranking


def recall(found: Ranking, exact: Ranking) -> float:
    """Recall@K: the share of the exact results that were found.

    An image counts as found in place of another with the same score, because which of several copies of a picture
    takes the last place is no error.

    Args:
        found: [Q, K] with exact scores of what was found.
        exact: [Q, K] of the same queries.

    Returns:
        Mean over queries, 0 to 1; 1 where there is nothing to find.
    """
    wanted = exact.filled.sum(axis=1)
    if not wanted.any():
        return 1.0
    last = np.take_along_axis(exact.scores, np.maximum(wanted - 1, 0)[:, None], axis=1)
    hits = (found.filled & (found.scores >= last)).sum(axis=1)
    return float(np.mean(np.minimum(hits, wanted)[wanted > 0] / wanted[wanted > 0]))
