"""What stages work with: search, neighbours, the cache, processes, and a seed."""

from dataclasses import dataclass, field

from landmarks.data import available_cores
from landmarks.errors import LandmarksError
from landmarks.retrieval.cache import Cache
from landmarks.retrieval.search import Searcher


@dataclass(frozen=True)
class Resources:
    """Handed to every stage of a pipeline.

    Attributes:
        index: finds the nearest index images of queries; its `memory_budget_mb` bounds the stages too.
        neighbours: finds the nearest other images of every image, for database augmentation and graphs.
        cache: keeps what is expensive.
        workers: processes or threads for work that is spread; as many as there are cores by default.
        seed: of everything that is drawn at random.

    Raises:
        LandmarksError: fewer than one worker.
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
        """MiB of working memory that a stage may take, besides its arguments and results."""
        return self.index.memory_budget_mb
