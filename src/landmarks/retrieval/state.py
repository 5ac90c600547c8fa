"""The data that passes through a pipeline: the ranking, and the inputs that stages need to improve it."""

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
    """The resources that every stage of a pipeline receives.

    Attributes:
        index: finds the nearest index images of queries; its `memory_budget_mb` bounds the stages too.
        neighbours: finds the nearest other images of every image, for database augmentation and graphs.
        cache: stores expensive results; by default nothing is kept.
        workers: processes or threads for parallel work; the number of cores by default.
        seed: seed of all random choices.
    """

    index: Searcher
    neighbours: Searcher
    cache: Cache = field(default_factory=lambda: Cache(keep=False))
    workers: int = field(default_factory=available_cores)
    seed: int = 0

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise LandmarksError(f"pipeline.workers is {self.workers}: it must be 1 or more")

    @property
    def memory_budget_mb(self) -> int:
        """Working memory that a stage may use besides its arguments and results, MiB."""
        return self.index.memory_budget_mb


# Inputs that a stage may need besides descriptors.
Need = Literal["images", "regions", "gallery", "predictions", "detections"]
# The message for each missing input, after "stage X needs ".
MISSING: dict[Need, str] = {
    "images": "image files of the queries and of the index (for recognition, of the train set); name them with "
    "data=… data.root=… (with precomputed descriptors also give their ids and descriptors.use_data=true)",
    "regions": "regional descriptors; extract them with extraction.regions=3, or give descriptors.query_regions and "
    "descriptors.index_regions",
    "gallery": "labelled train images; give descriptors.gallery with their labels, or data=… with a train set",
    "predictions": "predictions of a classifier; use a checkpoint whose loss has class weights, or give "
    "predictions=DIR, which `landmarks extract checkpoint=CLASSIFIER predictions=10` writes",
    "detections": "objects detected in the queries; give detections=DIR, which `landmarks extract checkpoint=DETECTOR` "
    "writes",
}


@dataclass(frozen=True)
class Gallery:
    """Labelled train images, embedded by the same model as the queries.

    Attributes:
        descriptors: [G, D].
        landmarks: int32 [G], landmark of each image; -1 = none.
        num_landmarks: size of the label space.
    """

    descriptors: Descriptors
    landmarks: NDArray[np.int32]
    num_landmarks: int

    def __post_init__(self) -> None:
        if self.landmarks.shape != (len(self.descriptors),):
            raise LandmarksError(
                f"gallery: {len(self.descriptors)} descriptors and landmarks of shape {self.landmarks.shape}"
            )


@dataclass(frozen=True)
class SearchState:
    """The state of a retrieval between two stages; a stage returns a changed copy and never writes into the arrays.

    Attributes:
        queries: [Q, D]; query expansion replaces them.
        index: [N, D], usually memory-mapped; database augmentation replaces them.
        ranking: the best index images so far; None before the first search.
        verified: result of spatial verification for later stages: images that it accepted, by descending number of
            inliers, which are the scores.
        mutual: the query's mutual neighbours by descending similarity, which the pipeline's guard found.
        query_images: image files [Q], in the order of `queries`.
        index_images: image files [N], in the order of `index`.
        query_regions: [Q, R, D], R descriptors of parts of each query.
        index_regions: [N, R, D].
        gallery: labelled train images, for stages that need the landmark of an image.
    """

    queries: Descriptors
    index: Descriptors
    ranking: Ranking | None = None
    verified: Ranking | None = None
    mutual: Ranking | None = None
    query_images: ImageSet | None = None
    index_images: ImageSet | None = None
    query_regions: Descriptors | None = None
    index_regions: Descriptors | None = None
    gallery: Gallery | None = None

    def __post_init__(self) -> None:
        for count, names in (
            (len(self.queries), ("query_images", "query_regions")),
            (len(self.index), ("index_images", "index_regions")),
        ):
            for name in names:
                values = getattr(self, name)
                if values is not None and len(values) != count:
                    raise LandmarksError(f"search state: {name} has {len(values)} rows, expected {count}")
        for ranking in (self.ranking, self.verified, self.mutual):
            if ranking is not None:
                ranking.check(len(self.queries), len(self.index))

    @property
    def answer(self) -> Ranking | None:
        """Result of the pipeline so far, which is scored; None before the first one."""
        return self.ranking

    def require_answer(self, stage: str) -> Ranking:
        """Return the answer, or raise an error that names the stage that comes too early."""
        return self.require_ranking(stage)

    def require_ranking(self, stage: str) -> Ranking:
        """Return the ranking, or raise an error that names the stage that comes too early."""
        if self.ranking is None:
            raise LandmarksError(f"stage {stage} needs a ranking: put a search before it")
        return self.ranking

    def with_ranking(self, ranking: Ranking) -> Self:
        """Return a copy of the state with another ranking."""
        return replace(self, ranking=ranking)

    def has(self, need: Need) -> bool:
        """Return whether the state holds this input."""
        names = {"images": ("query_images", "index_images"), "regions": ("query_regions", "index_regions")}
        return all(getattr(self, name, None) is not None for name in names.get(need, (need,)))


StateT = TypeVar("StateT", bound=SearchState, default=SearchState)


class Stage(Protocol[StateT]):
    """One step of a pipeline; its parameters are those of its constructor.

    The class attribute ``needs: ClassVar[frozenset[Need]]`` names the inputs that a stage needs besides descriptors; it
    may be left out if there are none. ``guarded: ClassVar[bool] = True`` says that the stage follows neighbours of
    neighbours, so that its ranking may drift away from the query; see `Guard`. An optional method ``check(given)`` may
    refuse its inputs before any work: `given` has the attributes of the state that the stage needs.
    """

    def __call__(self, state: StateT, resources: Resources) -> StateT:
        """Return the next state."""
        ...
