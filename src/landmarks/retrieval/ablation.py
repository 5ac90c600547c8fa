"""Runs named stages one after another and scores what each leaves: every evaluation is an ablation.

What flows between the stages is their own affair: a search (`retrieval.pipeline`) or a recognition
(`recognition.pipeline`).
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from landmarks.retrieval.measure import Cost
from landmarks.retrieval.resources import Resources

State = TypeVar("State")


@dataclass(frozen=True)
class StageReport:
    """One line of the ablation table.

    Attributes:
        stage: name in the pipeline.
        scores: figures after the stage.
        changes: figures minus those after the stage before; empty for the first.
        seconds: wall clock of the stage without the scoring.
        peak_mb: peak memory, MiB, as `landmarks.retrieval.measure.Cost` defines it.
        rise_mb: part of the peak above the memory at the start of the stage.
        gpu_peak_mb: peak of torch's GPU memory, MiB.
    """

    stage: str
    scores: dict[str, float]
    changes: dict[str, float]
    seconds: float
    peak_mb: float | None
    rise_mb: float | None
    gpu_peak_mb: float | None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def run_stages(
    stages: Mapping[str, Callable[[State, Resources], State]],
    state: State,
    resources: Resources,
    score: Callable[[str, State], Mapping[str, float]],
) -> tuple[State, tuple[StageReport, ...]]:
    """Run all stages in order.

    Args:
        stages: name to stage.
        state: what the first one is given.
        resources: handed to each.
        score: figures of the state after a stage, by the stage's name.

    Returns:
        The last state and one report a stage.

    Raises:
        LandmarksError: whatever a stage finds wrong. What it has put into the cache stays there.
    """
    reports: list[StageReport] = []
    try:
        for name, stage in stages.items():
            with Cost() as cost:
                state = stage(state, resources)
            scores = dict(score(name, state))
            before = reports[-1].scores if reports else {}
            changes = {key: value - before[key] for key, value in scores.items() if key in before}
            reports.append(
                StageReport(name, scores, changes, cost.seconds, cost.peak_mb, cost.rise_mb, cost.gpu_peak_mb)
            )
    finally:
        resources.cache.release()
    return state, tuple(reports)
