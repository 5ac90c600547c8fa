"""A pipeline of named stages, each of which improves a ranking, for retrieval and for recognition.

In YAML it is an ordered mapping, ``pipeline.stages.<name>.<parameter>`` or ``recognition.stages.<name>.<parameter>``,
so that the command line can change a stage's parameter or add a stage. The ranking is scored after every stage, so
every evaluation gives an ablation table.
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
from landmarks.retrieval.guard import Guard
from landmarks.retrieval.ranking import Ranking
from landmarks.retrieval.search import Searcher
from landmarks.retrieval.state import MISSING, Need, Resources, Stage, StateT

STATUS = Path("/proc/self/status")
PERIOD_SECONDS = 0.01


@dataclass(frozen=True)
class StageReport:
    """One row of the ablation table.

    Attributes:
        stage: name of the stage in the pipeline.
        scores: metrics after the stage.
        changes: metrics minus those after the previous stage; empty for the first.
        seconds: wall-clock time of the stage without the scoring.
        peak_mb: peak memory, MiB, as `Cost` defines it.
        rise_mb: peak memory above that at the start of the stage, MiB.
        gpu_peak_mb: peak of torch's GPU memory, MiB.
    """

    stage: str
    scores: dict[str, float]
    changes: dict[str, float]
    seconds: float
    peak_mb: float | None
    rise_mb: float | None
    gpu_peak_mb: float | None


class Cost:
    """Measures time and peak memory of a ``with`` block.

    Memory is sampled 100 times a second, so a shorter peak may be missed. It counts the process's anonymous
    resident pages: its own arrays and those of its libraries, including those allocated before the block, but no
    memory-mapped files, whose pages the system may reclaim at any time.

    Attributes:
        seconds: wall-clock time.
        peak_mb: highest memory seen, MiB; None on systems that do not report it (all but Linux).
        rise_mb: highest memory above that at the start, MiB.
        gpu_peak_mb: highest memory that torch allocated on the current GPU, MiB; None without one. Memory that faiss
            allocates there is not counted.
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
    """Return the anonymous resident memory of this process in MiB, None on systems that do not report it."""
    try:
        for line in STATUS.read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    return None


# Computes metrics of a state and its answer, such as {"map@100/public": 0.3, "map@100/private": 0.31}.
Scorer = Callable[[StateT, Ranking], Mapping[str, float]]


@dataclass(frozen=True)
class PipelineResult(Generic[StateT]):
    """The result of a pipeline.

    Attributes:
        state: the state after the last stage.
        ranking: the final ranking [Q, K] of index images, or for recognition of landmarks, whose first places are the
            predictions.
        stages: one report per stage, in order.
    """

    state: StateT
    ranking: Ranking
    stages: tuple[StageReport, ...]


class Pipeline(Generic[StateT]):
    """Runs named stages in order.

    Args:
        index: finds the nearest images of queries: index images, or for recognition train images.
        stages: name to stage, in order of execution. None removes a stage, so that ``pipeline.stages.qe=null`` shows
            the results without it.
        neighbours: finds neighbours within a set; `index` by default.
        cache: stores expensive results; by default nothing is kept.
        workers: processes or threads for parallel work; the number of cores by default.
        seed: seed of all random choices.
        guard: keeps what queries are sure of when later stages follow neighbours of neighbours; None for stages as
            published.
    """

    def __init__(
        self,
        index: Searcher,
        stages: Mapping[str, Stage[StateT] | None],
        neighbours: Searcher | None = None,
        cache: Cache | None = None,
        workers: int | None = None,
        seed: int = 0,
        guard: Guard | None = None,
    ) -> None:
        self.guard = guard
        self.stages = {name: stage for name, stage in stages.items() if stage is not None}
        if not self.stages:
            raise LandmarksError("pipeline: no stages; add at least a search, and for recognition a vote after it")
        spread = {} if workers is None else {"workers": workers}
        self.resources = Resources(index, neighbours or index, cache or Cache(keep=False), seed=seed, **spread)

    @property
    def needs(self) -> frozenset[Need]:
        """Inputs that the stages need besides descriptors."""
        return frozenset().union(*map(needs_of, self.stages.values()))

    def require(self, available: Collection[Need]) -> None:
        """Raise a LandmarksError if a stage needs an input besides descriptors that is not `available`."""
        for name, stage in self.stages.items():
            for need in sorted(needs_of(stage)):
                if need not in available:
                    raise LandmarksError(f"stage {name} needs {MISSING[need]}")

    def check(self, given: Any) -> None:
        """Call the ``check`` method of the stages that have one, before any work.

        Args:
            given: the initial state, or any object with the attributes that it will have.
        """
        for name, stage in self.stages.items():
            check: Callable[[Any], None] | None = getattr(stage, "check", None)
            if check is not None:
                try:
                    check(given)
                except LandmarksError as error:
                    raise LandmarksError(f"stage {name}: {error}") from error

    def run(self, state: StateT, score: Scorer[StateT] | None = None) -> PipelineResult[StateT]:
        """Run all stages.

        Args:
            state: queries and what is searched, usually without a ranking yet.
            score: called with state and answer after every stage that gives one; without it there are no metrics.

        Returns:
            The final answer with one report per stage.

        Raises:
            LandmarksError: an input that a stage needs is missing; raised before any work.
        """
        self.require([need for need in get_args(Need) if state.has(need)])
        self.check(state)
        reports: list[StageReport] = []
        try:
            for name, stage in self.stages.items():
                with Cost() as cost:
                    earlier, state = state, stage(state, self.resources)
                    if self.guard is not None:
                        state = self.guard(stage, earlier, state, self.resources)
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
    """Return the inputs that a stage needs besides descriptors: its class attribute ``needs``, by default none."""
    return getattr(stage, "needs", frozenset())
