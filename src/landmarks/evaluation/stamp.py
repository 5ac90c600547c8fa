"""The stamp in `metrics.json`: how images were embedded, which stages ran, and on which data.

Two metrics can be compared only if all of that agrees. `landmarks leaderboard` reads the stamp to find out; it holds
plain values that are short enough to be read by people.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import numpy as np
from hydra.core.hydra_config import HydraConfig
from numpy.typing import NDArray

from landmarks.evaluation.scoring import Result
from landmarks.metrics import RecognitionSolution, RetrievalSolution
from landmarks.recognition import DetectionProtocol
from landmarks.retrieval import ExtractionProtocol

CHOICES = ("pipeline", "recognition", "index", "index@neighbours")


def protocol_stamp(protocols: Iterable[ExtractionProtocol | DetectionProtocol | None]) -> list[dict[str, Any]]:
    """Return how the queries were embedded: an entry for each joined model, empty if unknown, as for plain files."""
    kept = [{} if one is None else asdict(one) for one in protocols]
    return [{key: value for key, value in one.items() if key not in ("data", "split")} for one in kept]


def stamp(result: Result) -> dict[str, Any]:
    """Return how the queries were embedded, which stages were chosen and run, and the facts on the data."""
    inputs, source = result.inputs, result.inputs.source
    truth, name = inputs.truth, "" if source is None else source.name
    recognised = result.recognised
    chosen = HydraConfig.get().runtime.choices if HydraConfig.initialized() else {}
    return {
        "protocol": protocol_stamp(inputs.queries.protocols),
        "pipeline": {
            "retrieval": [one.stage for one in result.stages],
            "recognition": [one.stage for one in recognised.result.stages] if recognised else [],
            "choices": {group: chosen[group] for group in CHOICES if chosen.get(group)},
        },
        "data": {
            "source": None if source is None else name,
            "release": None if source is None else source.release,
            "held_out": source is not None and source.held_out,
            "embedded": {"queries": len(inputs.queries), "index": len(inputs.index)},
            "truth": {  # None where the truth is given as labels, which are no official solution
                "retrieval": solution_stamp(truth.retrieval, truth.retrieval_from or name),
                "recognition": solution_stamp(
                    truth.recognition if recognised else None, truth.recognition_from or name
                ),
            },
            **inputs.facts,
        },
    }


def solution_stamp(solution: RetrievalSolution | RecognitionSolution | None, where: str) -> dict[str, Any] | None:
    """Return the origin of a solution, the numbers of queries that it scores and ignores, and a digest.

    The digest covers ids, public and private parts and numbers of answers, in any order of the lines.

    Args:
        solution: The solution; None gives None.
        where: Its file, or the name of the data set.
    """
    if solution is None:
        return None
    if isinstance(solution, RetrievalSolution):
        ids, start = solution.query_ids, solution.positives_start
    else:
        ids, start = solution.image_ids, solution.landmarks_start
    public = int(np.count_nonzero(solution.public))
    return {
        "from": where,
        "public": public,
        "private": len(ids) - public,
        "ignored": len(solution.ignored_ids),
        "digest": _digest(ids, solution.public, np.diff(start)),
    }


def _digest(ids: NDArray[np.uint64], public: NDArray[np.bool_], answers: NDArray[np.int64]) -> str:
    order = np.argsort(ids)
    digest = hashlib.sha256()
    for part, kind in ((ids, "<u8"), (public, "u1"), (answers, "<i8")):
        digest.update(part[order].astype(kind).tobytes())
    return digest.hexdigest()[:16]
