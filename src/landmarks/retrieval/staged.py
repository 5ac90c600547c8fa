"""What every pipeline is built from: named stages, and what they work with; not what flows between them."""

from collections.abc import Collection, Mapping
from typing import Any, ClassVar, Generic, TypeVar

from landmarks.errors import LandmarksError
from landmarks.retrieval.cache import Cache
from landmarks.retrieval.resources import Resources
from landmarks.retrieval.search.index import Searcher

StageT = TypeVar("StageT")
NeedT = TypeVar("NeedT", bound=str)


class StagedPipeline(Generic[StageT, NeedT]):
    """Stages in order.

    Args:
        index: finds the nearest images of queries.
        stages: name to stage, in order of work. None takes a stage out, so that ``pipeline.stages.qe=null`` shows
            what a pipeline is without it.
        neighbours: finds neighbours within a set; `index` by default.
        cache: keeps what is expensive; by default nothing is kept.
        workers: processes or threads for work that is spread; as many as there are cores by default.
        seed: of everything that is drawn at random.

    Attributes:
        called: what messages call a stage.
        shortest: the least that a pipeline must have.
        missing: how to give what a stage may ask for.

    Raises:
        LandmarksError: no stages.
    """

    called: ClassVar[str]
    shortest: ClassVar[str]
    missing: ClassVar[Mapping[Any, str]]

    def __init__(
        self,
        index: Searcher,
        stages: Mapping[str, StageT | None],
        neighbours: Searcher | None = None,
        cache: Cache | None = None,
        workers: int | None = None,
        seed: int = 0,
    ) -> None:
        self.stages = {name: stage for name, stage in stages.items() if stage is not None}
        if not self.stages:
            raise LandmarksError(f"pipeline: no stages; the shortest pipeline is {self.shortest}")
        spread = {} if workers is None else {"workers": workers}
        self.resources = Resources(index, neighbours or index, cache or Cache(keep=False), seed=seed, **spread)

    @property
    def needs(self) -> frozenset[NeedT]:
        """What the stages ask for besides descriptors."""
        return frozenset().union(*map(self.needs_of, self.stages.values()))

    @staticmethod
    def needs_of(stage: StageT) -> frozenset[NeedT]:
        """What one stage asks for, by its class attribute ``needs``; without it, nothing."""
        return getattr(stage, "needs", frozenset())

    def require(self, available: Collection[NeedT]) -> None:
        """Refuse to begin without what the stages ask for.

        Args:
            available: what there will be besides descriptors.

        Raises:
            LandmarksError: names the stage, what it needs, and how to give it.
        """
        for name, stage in self.stages.items():
            for need in sorted(self.needs_of(stage)):
                if need not in available:
                    raise LandmarksError(f"{self.called} {name} needs {self.missing[need]}")
