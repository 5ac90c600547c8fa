"""A metric of a user's own, as a configuration names it."""

from landmarks.evaluation import Result
from landmarks.metrics import relevance


def misses(result: Result, k: int = 10) -> dict[str, float]:
    """Count queries, and those without a correct image among the first k: less is better."""
    assert result.inputs.truth.retrieval is not None and result.retrieval is not None
    relevant = relevance(result.inputs.truth.retrieval, result.retrieval, k)
    return {"all": float((~relevant.any(axis=1)).sum()), "queries": float(len(relevant))}
