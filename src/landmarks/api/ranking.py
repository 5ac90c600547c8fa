"""Search and re-rank any descriptors, with the names of the configuration files."""

from collections.abc import Collection, Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from landmarks.data import ImageSet, images_of_files
from landmarks.errors import LandmarksError
from landmarks.retrieval import (
    Cache,
    Descriptors,
    DescriptorSet,
    ExactIndex,
    Gallery,
    Need,
    Pipeline,
    Ranking,
    Resources,
    Searcher,
    SearchState,
    named_pipeline,
    named_searcher,
    needs_of,
)

NEEDED: dict[Need, str] = {
    "images": "image files: give query_images= and index_images=, a path for each row",
    "regions": "descriptors of regions: give query_regions= and index_regions=, [Q, R, D] and [N, R, D]",
    "gallery": "labelled train images: give train=, their descriptors, and train_labels=",
    "predictions": "predictions of a classifier: use `landmarks evaluate`",
    "detections": "detections of a detector: use `landmarks evaluate`",
}


class AnyStage(Protocol):
    """A stage of a pipeline: a callable that takes a state and resources, and returns the next state."""

    def __call__(self, state: SearchState, resources: Resources) -> SearchState:
        """Return the next state."""
        ...


def search(
    queries: "ArrayLike | DescriptorSet",
    index: "ArrayLike | DescriptorSet",
    k: int = 100,
    *,
    searcher: str | Searcher = "exact",
    **settings: Any,
) -> Ranking:
    """Find the nearest index rows of every query by cosine similarity.

    Args:
        queries: [Q, D], an array or tensor of float16, float32 or float64, or a descriptor set.
        index: [N, D], likewise; memory-mapped arrays stay on disk. Two descriptor sets must have the same protocol.
        k: Depth of the ranking.
        searcher: A name of `conf/index` ("exact", "torch", and the approximate "hnsw", "ivf_pq" and "scalar"), or an
            object with a method `search`.
        **settings: Arguments of that searcher, such as ``backend="torch"`` or ``normalize=False``.

    Returns:
        A ranking: `indices` int32 [Q, k], rows of the index, best first, -1 for empty places, and `scores` float32
        [Q, k]. Exact search gives the same result on every machine; equal scores are in order of rows.

    Raises:
        LandmarksError: Shapes do not fit, a row is zero or not finite, or two sets have different protocols.
    """
    _require_alike(queries, index)
    if k < 1:
        raise LandmarksError(f"k is {k}: it must be 1 or more")
    by = _searcher(searcher, k, settings)
    return by.search(as_matrix(queries, "queries"), as_matrix(index, "index"), k)


def rerank(
    ranking: Ranking | None,
    queries: "ArrayLike | DescriptorSet",
    index: "ArrayLike | DescriptorSet",
    method: str | AnyStage | Pipeline,
    *,
    query_images: Sequence[str | Path] | ImageSet | None = None,
    index_images: Sequence[str | Path] | ImageSet | None = None,
    query_regions: ArrayLike | None = None,
    index_regions: ArrayLike | None = None,
    train: "ArrayLike | DescriptorSet | None" = None,
    train_labels: Sequence[Hashable] | ArrayLike | None = None,
    searcher: str = "exact",
    keep: bool = False,
    seed: int = 0,
    **settings: Any,
) -> Ranking:
    """Re-rank with one stage or a whole pipeline.

        landmarks.rerank(ranking, queries, index, "diffusion", k=20)
        landmarks.rerank(ranking, queries, index, "dba_qe", qe__alpha=0)
        landmarks.rerank(ranking, queries, index, "verification", query_images=files, index_images=others)

    Args:
        ranking: The result of `search`; None searches first.
        queries: [Q, D], see `search`.
        index: [N, D], see `search`.
        method: The name of a stage ("qe", "dba", "diffusion", "verification", "regional_diffusion", "local_search",
            "recognition", …; files of `conf/stage`) or of a pipeline of several stages (`conf/pipeline`: "dba_qe",
            "second_place_2019", …), without its search at the beginning if there is a ranking; or a stage or pipeline.
        query_images: Q image files, or the image set of a data source, for stages that use local features.
        index_images: N image files, likewise.
        query_regions: [Q, R, D], descriptors of the regions of each query, for regional diffusion.
        index_regions: [N, R, D], likewise.
        train: [G, D], descriptors of labelled images, for re-ranking by recognition.
        train_labels: G labels of any kind; None or -1 for none.
        searcher: A name of `conf/index`, for stages that search again.
        keep: Keep neighbours, graphs and inlier counts in the user's cache for later calls.
        seed: Seed of all random choices.
        **settings: Arguments of the stage; for a pipeline prefixed with the name of the stage and two underscores.
            ``guard=None`` leaves out the guard, see `landmarks.retrieval.Guard`; a stage as an object has none.

    Returns:
        The new ranking, of the same depth.

    Raises:
        LandmarksError: There is no such stage, it does not take an argument, or it needs an input that was not given;
            the message says which.
    """
    _require_alike(queries, index)
    depth = 100 if ranking is None else ranking.depth
    rows, database = as_matrix(queries, "queries"), as_matrix(index, "index")
    if isinstance(method, str):
        pipeline = named_pipeline(method, dotted(settings), depth, ranking is not None, searcher, keep, seed)
    elif settings:
        raise LandmarksError(
            f"{', '.join(settings)}: arguments are only allowed with the name of a stage, not with an object"
        )
    elif isinstance(method, Pipeline):
        pipeline = method
    else:
        cache = Cache(keep=keep)
        pipeline = Pipeline(_searcher(searcher, depth, {}), {type(method).__name__: method}, cache=cache, seed=seed)
    given = SearchState(
        queries=rows,
        index=database,
        ranking=ranking,
        query_images=_images(query_images),
        index_images=_images(index_images),
        query_regions=None if query_regions is None else np.asarray(query_regions, np.float32),
        index_regions=None if index_regions is None else np.asarray(index_regions, np.float32),
        gallery=_gallery(train, train_labels),
    )
    require(pipeline, [need for need in NEEDED if given.has(need)])
    return pipeline.run(given).ranking


def require(pipeline: Pipeline, available: Collection[Need]) -> None:
    """Raise LandmarksError if a stage needs something that is not available; the message names the arguments for it."""
    for name, stage in pipeline.stages.items():
        for need in sorted(needs_of(stage)):
            if need not in available:
                raise LandmarksError(f"stage {name} needs {NEEDED[need]}")


def as_matrix(values: "ArrayLike | DescriptorSet", name: str) -> Descriptors:
    """Return descriptors as float16 or float32 [N, D]; arrays of these types are not copied."""
    if isinstance(values, DescriptorSet):
        return values.descriptors
    if hasattr(values, "detach"):  # a torch tensor; torch is slow to import, so its type is not checked
        values = values.detach().float().cpu().numpy()
    rows: NDArray[Any] = np.asanyarray(values)
    if rows.ndim == 1 and rows.dtype != object:
        rows = rows[None]
    if rows.ndim != 2 or not np.issubdtype(rows.dtype, np.number):
        raise LandmarksError(f"{name}: expected numbers [N, D], not {rows.dtype} {list(rows.shape)}")
    return rows if rows.dtype in (np.float16, np.float32) else rows.astype(np.float32)


def _searcher(searcher: str | Searcher, k: int, settings: dict[str, Any]) -> Searcher:
    if isinstance(searcher, str):
        return ExactIndex(k) if searcher == "exact" and not settings else named_searcher(searcher, k, **settings)
    if settings:
        raise LandmarksError(
            f"{', '.join(settings)}: arguments are only allowed with the name of a searcher, not with an object"
        )
    return searcher


def dotted(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Turn keywords into keys of a configuration: two underscores become a dot."""
    return {key.replace("__", "."): value for key, value in settings.items()}


def _require_alike(queries: "ArrayLike | DescriptorSet", index: "ArrayLike | DescriptorSet") -> None:
    if isinstance(queries, DescriptorSet) and isinstance(index, DescriptorSet):
        queries.require_same_protocol(index)


def _images(files: Sequence[str | Path] | ImageSet | None) -> ImageSet | None:
    if files is None or isinstance(files, ImageSet):
        return files
    paths = [Path(path) for path in files]
    if missing := [path for path in paths if not path.is_file()]:
        raise LandmarksError(f"{missing[0]}: there is no such file ({len(missing)} of {len(paths)} images)")
    return images_of_files(paths)


def _gallery(
    train: "ArrayLike | DescriptorSet | None", labels: Sequence[Hashable] | ArrayLike | None
) -> Gallery | None:
    if train is None and labels is None:
        return None
    if train is None or labels is None:
        raise LandmarksError("give both train= and train_labels=: descriptors [G, D] and a label for each")
    numbers, count = label_numbers(labels)
    return Gallery(as_matrix(train, "train"), numbers, count)


def label_numbers(*labels: Any) -> Any:
    """Number labels of any kind from 0, with the same numbers in all lists; no label (see `is_none`) becomes -1.

    Returns:
        An int32 array for each list, and the number of different labels.
    """
    known: dict[Any, int] = {}
    found = []
    for some in labels:
        values = some.tolist() if hasattr(some, "tolist") else list(some)
        found.append(np.array([-1 if is_none(one) else known.setdefault(one, len(known)) for one in values], np.int32))
    return (*found, len(known))


def is_none(label: Any) -> bool:
    """Return whether a value stands for no label: None, -1, NaN or an empty string."""
    return label is None or label == -1 or label == "" or (isinstance(label, float) and np.isnan(label))
