"""What flows through a pipeline: the ranking, and beside it what stages need to better it."""

from dataclasses import dataclass, field, replace
from typing import Literal, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from typing_extensions import TypeVar

from landmarks.config import available_cores
from landmarks.data import ImageSet
from landmarks.errors import LandmarksError
from landmarks.retrieval.blocks import Descriptors
from landmarks.retrieval.cache import Cache
from landmarks.retrieval.ranking import Ranking
from landmarks.retrieval.search import Searcher


@dataclass(frozen=True)
class Resources:
    """Handed to every stage of a pipeline."""

    index: Searcher  # finds the nearest index images of queries; its `memory_budget_mb` bounds the stages too
    neighbours: Searcher  # finds the nearest other images of every image, for database augmentation and graphs
    cache: Cache = field(default_factory=lambda: Cache(keep=False))  # keeps what is expensive
    workers: int = field(default_factory=available_cores)  # processes or threads for work that is spread
    seed: int = 0  # of everything that is drawn at random

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise LandmarksError(f"pipeline.workers is {self.workers}: it must be 1 or more")

    @property
    def memory_budget_mb(self) -> int:
        """MiB of working memory that a stage may take, besides its arguments and results."""
        return self.index.memory_budget_mb


# What a stage may ask for besides descriptors, and how to say that it is not there.
Need = Literal["images", "regions", "gallery", "predictions", "detections"]
MISSING: dict[Need, str] = {
    "images": "the images of queries and index images, for recognition of queries and train images; name them with "
    "data=… data.root=… (for descriptors of your own also give their ids and descriptors.use_data=true)",
    "regions": "regional descriptors; extract them with extraction.regions=3, or give descriptors.query_regions and "
    "descriptors.index_regions",
    "gallery": "labelled train images; give descriptors.gallery with their labels, or data=… with a train set",
    "predictions": "what a classifier says: use a checkpoint whose loss has class weights, or give "
    "predictions=DIR, which `landmarks extract checkpoint=CLASSIFIER predictions=10` writes",
    "detections": "objects found in the queries: give detections=DIR, which `landmarks extract checkpoint=DETECTOR` "
    "writes",
}


@dataclass(frozen=True)
class Gallery:
    """Labelled train images, embedded by the same model."""

    descriptors: Descriptors  # [G, D]
    landmarks: NDArray[np.int32]  # [G], -1 = none
    num_landmarks: int  # size of the label space

    def __post_init__(self) -> None:
        if self.landmarks.shape != (len(self.descriptors),):
            raise LandmarksError(
                f"gallery: {len(self.descriptors)} descriptors and landmarks of shape {self.landmarks.shape}"
            )


@dataclass(frozen=True)
class SearchState:
    """A search between two stages. Stages give a changed copy and never write into the arrays."""

    queries: Descriptors  # [Q, D]; an expansion replaces them
    index: Descriptors  # [N, D], usually memory-mapped; an augmentation replaces them
    ranking: Ranking | None = None  # the best index images so far; None before the first search
    # what spatial verification found, kept for later stages: index images by falling number of inliers, their scores
    verified: Ranking | None = None
    query_images: ImageSet | None = None  # [Q], in the order of `queries`
    index_images: ImageSet | None = None  # [N], in the order of `index`
    query_regions: Descriptors | None = None  # [Q, R, D], R descriptors of parts of each query
    index_regions: Descriptors | None = None  # [N, R, D]
    gallery: Gallery | None = None  # labelled train images, for stages that ask which landmark an image shows

    def __post_init__(self) -> None:
        for count, names in (
            (len(self.queries), ("query_images", "query_regions")),
            (len(self.index), ("index_images", "index_regions")),
        ):
            for name in names:
                values = getattr(self, name)
                if values is not None and len(values) != count:
                    raise LandmarksError(f"search state: {name} has {len(values)} rows, expected {count}")
        for ranking in (self.ranking, self.verified):
            if ranking is not None:
                ranking.check(len(self.queries), len(self.index))

    @property
    def answer(self) -> Ranking | None:
        """What the pipeline has come to so far, which is scored; None as long as there is nothing."""
        return self.ranking

    def require_answer(self, stage: str) -> Ranking:
        """The answer, or an error that says which stage comes too early."""
        return self.require_ranking(stage)

    def require_ranking(self, stage: str) -> Ranking:
        """The ranking, or an error that says which stage comes too early."""
        if self.ranking is None:
            raise LandmarksError(f"stage {stage} needs a ranking: put a search before it")
        return self.ranking

    def with_ranking(self, ranking: Ranking) -> Self:
        """The same state with a better ranking."""
        return replace(self, ranking=ranking)

    def has(self, need: Need) -> bool:
        """Whether the state holds what a stage may ask for."""
        names = {"images": ("query_images", "index_images"), "regions": ("query_regions", "index_regions")}
        return all(getattr(self, name, None) is not None for name in names.get(need, (need,)))


StateT = TypeVar("StateT", bound=SearchState, default=SearchState)


class Stage(Protocol[StateT]):
    """One step of a pipeline; its parameters are its constructor's.

    A class attribute ``needs: ClassVar[frozenset[Need]]`` says what a stage asks for besides descriptors; without it,
    nothing. A method ``check(given)`` may refuse, before any work, what lies beside the descriptors: `given` has the
    attributes of the state that the stage needs.
    """

    def __call__(self, state: StateT, resources: Resources) -> StateT:
        """Give the next state."""
        ...
