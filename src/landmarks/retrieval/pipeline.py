"""A pipeline: named stages, each of which betters a ranking, for retrieval and for recognition.

It is an ordered mapping in YAML, ``pipeline.stages.<name>.<parameter>`` or ``recognition.stages.<name>.<parameter>``,
so that a stage's parameter can be changed, or a stage added, from the command line. It is scored after every stage:
every evaluation is an ablation.
"""

import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, get_args

import torch

from landmarks.errors import LandmarksError
from landmarks.retrieval.cache import Cache
from landmarks.retrieval.ranking import Ranking
from landmarks.retrieval.search import Searcher
from landmarks.retrieval.state import MISSING, Need, Resources, Stage, StateT

STATUS = Path("/proc/self/status")
PERIOD_SECONDS = 0.01


@dataclass(frozen=True)
class StageReport:
    """One line of the ablation table; memory is as `Cost` defines it."""

    stage: str  # name in the pipeline
    scores: dict[str, float]  # figures after the stage
    changes: dict[str, float]  # figures minus those after the stage before; empty for the first
    seconds: float  # wall clock of the stage without the scoring
    peak_mb: float | None  # MiB
    rise_mb: float | None  # part of the peak above the memory at the start of the stage, MiB
    gpu_peak_mb: float | None  # peak of torch's GPU memory, MiB


class Cost:
    """Measures a ``with`` block.

    Memory is sampled 100 times a second, so a shorter peak may be missed. It counts the process's anonymous
    resident pages: its own arrays and those of its libraries, those held before the block included, but no
    memory-mapped files, whose pages the system may take back at any time.

    Attributes:
        seconds: wall clock.
        peak_mb: highest memory seen, MiB; None where the system does not tell (no Linux).
        rise_mb: how far that is above the memory at the start, MiB.
        gpu_peak_mb: highest memory that torch held on the current GPU, MiB; None without one. Memory that faiss
            takes there is not counted.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self.peak_mb: float | None = None
        self.rise_mb: float | None = None
        self.gpu_peak_mb: float | None = None

    def __enter__(self) -> "Cost":
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
        self._before = anonymous_mb()
        self.peak_mb = self._before
        self._ended = threading.Event()
        self._sampler = threading.Thread(target=self._sample, daemon=True)
        if self._before is not None:
            self._sampler.start()
        self._start = time.perf_counter()
        return self

    def __exit__(self, *error: object) -> None:
        self.seconds = time.perf_counter() - self._start
        self._ended.set()
        if self._before is not None:
            self._sampler.join()
            self._look()
            self.rise_mb = (self.peak_mb or 0.0) - self._before
        if torch.cuda.is_available():
            self.gpu_peak_mb = torch.cuda.max_memory_allocated() / 2**20

    def _sample(self) -> None:
        while not self._ended.wait(PERIOD_SECONDS):
            self._look()

    def _look(self) -> None:
        self.peak_mb = max(self.peak_mb or 0.0, anonymous_mb() or 0.0)


def anonymous_mb() -> float | None:
    """Anonymous resident memory of this process in MiB, None where the system does not tell."""
    try:
        for line in STATUS.read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    return None


# Gives named figures of a state and its answer, such as {"map@100/public": 0.3, "map@100/private": 0.31}.
Scorer = Callable[[StateT, Ranking], Mapping[str, float]]


@dataclass(frozen=True)
class PipelineResult(Generic[StateT]):
    """The last state and what each stage gave and cost."""

    state: StateT  # with all that stages have left in it
    # the final answer: index images, or for recognition landmarks, whose first places are the predictions
    ranking: Ranking
    stages: tuple[StageReport, ...]  # one report a stage, in order


class Pipeline(Generic[StateT]):
    """Stages in order.

    Args:
        index: finds the nearest images of queries: index images, or for recognition train images.
        stages: name to stage, in order of work. None takes a stage out, so that ``pipeline.stages.qe=null`` shows
            what a pipeline is without it.
        neighbours: finds neighbours within a set; `index` by default.
        cache: keeps what is expensive; by default nothing is kept.
        workers: processes or threads for work that is spread; as many as there are cores by default.
        seed: of everything that is drawn at random.
    """

    def __init__(
        self,
        index: Searcher,
        stages: Mapping[str, Stage[StateT] | None],
        neighbours: Searcher | None = None,
        cache: Cache | None = None,
        workers: int | None = None,
        seed: int = 0,
    ) -> None:
        self.stages = {name: stage for name, stage in stages.items() if stage is not None}
        if not self.stages:
            raise LandmarksError("pipeline: no stages; the shortest pipeline is a search, for recognition and a vote")
        spread = {} if workers is None else {"workers": workers}
        self.resources = Resources(index, neighbours or index, cache or Cache(keep=False), seed=seed, **spread)

    @property
    def needs(self) -> frozenset[Need]:
        """What the stages ask for besides descriptors."""
        return frozenset().union(*map(needs_of, self.stages.values()))

    def require(self, available: Collection[Need]) -> None:
        """Refuse to begin unless what the stages ask for besides descriptors is `available`."""
        for name, stage in self.stages.items():
            for need in sorted(needs_of(stage)):
                if need not in available:
                    raise LandmarksError(f"stage {name} needs {MISSING[need]}")

    def check(self, given: Any) -> None:
        """Let stages that have a method ``check`` look at a state, or what its attributes will be, before any work."""
        for name, stage in self.stages.items():
            check: Callable[[Any], None] | None = getattr(stage, "check", None)
            if check is not None:
                try:
                    check(given)
                except LandmarksError as error:
                    raise LandmarksError(f"stage {name}: {error}") from error

    def run(self, state: StateT, score: Scorer[StateT] | None = None) -> PipelineResult[StateT]:
        """Run all stages; what they need and is not there is said before any work.

        Args:
            state: queries and what is searched, usually without a ranking yet.
            score: called with state and answer after every stage that leaves one; no figures without it.

        Returns:
            The final answer with one report a stage.
        """
        self.require([need for need in get_args(Need) if state.has(need)])
        self.check(state)
        reports: list[StageReport] = []
        try:
            for name, stage in self.stages.items():
                with Cost() as cost:
                    state = stage(state, self.resources)
                answer = state.answer
                scores = dict(score(state, answer)) if score and answer is not None else {}
                before = reports[-1].scores if reports else {}
                changes = {key: value - before[key] for key, value in scores.items() if key in before}
                reports.append(
                    StageReport(name, scores, changes, cost.seconds, cost.peak_mb, cost.rise_mb, cost.gpu_peak_mb)
                )
        finally:
            self.resources.cache.release()
        return PipelineResult(state, state.require_answer("at the end of the pipeline"), tuple(reports))


def needs_of(stage: object) -> frozenset[Need]:
    """What one stage asks for, by its class attribute ``needs``; without it, nothing."""
    return getattr(stage, "needs", frozenset())
