"""Opens everything that `descriptors` names and makes of it what a pipeline starts from."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from omegaconf import DictConfig

from landmarks.data.source import GroundTruth, ImageSet, Source
from landmarks.errors import LandmarksError
from landmarks.evaluation.precomputed.columns import read_labels
from landmarks.evaluation.precomputed.copies import in_search_order
from landmarks.evaluation.precomputed.from_data import open_source, pictures_by_id
from landmarks.evaluation.precomputed.keys import ids_key
from landmarks.evaluation.precomputed.numpy_files import map_floats
from landmarks.evaluation.precomputed.sets import GivenSet, open_set, require_comparable
from landmarks.evaluation.precomputed.truth import LabelTruth, SolutionTruth, Truth
from landmarks.metrics.solution_files import read_retrieval_solution
from landmarks.retrieval.blocks import Descriptors, check_rows
from landmarks.retrieval.cache import Cache
from landmarks.retrieval.descriptors.descriptor_set import DescriptorSet
from landmarks.retrieval.descriptors.protocol import NOT_COMPARED
from landmarks.retrieval.descriptors.regions import regions_of
from landmarks.retrieval.state import Gallery, Need, SearchState

NO_SOLUTIONS = GroundTruth(None, None)


@dataclass(frozen=True)
class Inputs:
    """What is given, opened and held against each other; rows of descriptors are not looked at yet.

    Attributes:
        queries: to search for.
        index: to search in.
        truth: None where nobody knows what is right.
        source: the data set, if it is used.
        solutions: of the data set; empty without one.
        gallery: labelled train images, if a stage asks for them.
        gallery_labels: int64 [G], -1 = none.
        gallery_names: what the data set calls the landmarks that these labels number; None for labels of a file.
        gallery_pictures: in the order of the gallery, if it is asked for and in the data set.
        query_regions: [Q, R, D], if a stage asks for them.
        index_regions: [N, R, D].
        query_pictures: in the order of the queries, if a stage asks for pictures.
        index_pictures: in the order of the index.
    """

    queries: GivenSet
    index: GivenSet
    truth: Truth | None
    source: Source | None = None
    solutions: GroundTruth = NO_SOLUTIONS
    gallery: GivenSet | None = None
    gallery_labels: NDArray[np.int64] | None = None
    gallery_names: NDArray[np.str_] | None = None
    gallery_pictures: ImageSet | None = None
    query_regions: NDArray[Any] | None = None
    index_regions: NDArray[Any] | None = None
    query_pictures: ImageSet | None = None
    index_pictures: ImageSet | None = None

    @property
    def landmarks(self) -> NDArray[np.int64]:
        """The labels that the gallery holds, ascending; stages know them by their places, 0, 1 and so on."""
        assert self.gallery_labels is not None
        labels = np.unique(self.gallery_labels)
        return labels[labels >= 0]

    @property
    def landmark_names(self) -> NDArray[np.str_]:
        """What `landmarks` are called."""
        return self.landmarks.astype(np.str_) if self.gallery_names is None else self.gallery_names[self.landmarks]

    def state(self, weights: list[float] | None, cache: Cache) -> SearchState:
        """Look at every row, join what is to be joined, and make the state that a pipeline starts from.

        Args:
            weights: of the sets that are joined; None weighs all alike.
            cache: keeps copies of what is not in the order or type that a search reads, and of what is joined.

        Raises:
            LandmarksError: rows of zeros, NaN or infinity.
        """
        gallery = None
        if self.gallery is not None and self.gallery_labels is not None:
            places = np.searchsorted(self.landmarks, self.gallery_labels)
            landmarks = np.where(self.gallery_labels < 0, -1, places).astype(np.int32)
            gallery = Gallery(self.gallery.joined(weights, cache), landmarks, len(self.landmarks))
        return SearchState(
            self.queries.joined(weights, cache),
            self.index.joined(weights, cache),
            query_pictures=self.query_pictures,
            index_pictures=self.index_pictures,
            query_regions=_checked_regions(self.query_regions, "query regions", cache),
            index_regions=_checked_regions(self.index_regions, "index regions", cache),
            gallery=gallery,
        )


def open_inputs(config: DictConfig, needs: Collection[Need], recognition: Collection[Need] | None = None) -> Inputs:
    """Open the files and find the truth.

    Args:
        config: with `descriptors`, checked by `check_keys`, and `data` where that is used.
        needs: what stages of retrieval ask for; the rest is left unopened.
        recognition: what stages of recognition ask for; None if nothing is recognised.

    Raises:
        LandmarksError: bad files, or files that do not fit each other.
        FormatError: a solution that is malformed or does not know a query.
    """
    keys = config.descriptors
    queries, index = (_open(keys, name) for name in ("queries", "index"))
    require_comparable(queries, index)
    data = _Data(config)
    inputs = Inputs(queries, index, _truth(keys, queries, index, data))
    if keys.use_data:
        inputs = replace(inputs, source=data.source, solutions=data.solutions)
    if "gallery" in needs or recognition is not None:
        gallery = _open(keys, "gallery")
        require_comparable(queries, gallery)
        inputs = _labelled(replace(inputs, gallery=gallery), keys, data)
    if "regions" in needs:
        regions = [
            _open_regions(f"descriptors.{key}", keys[key], given)
            for key, given in (("query_regions", queries), ("index_regions", index))
        ]
        if regions[0].shape[2] != regions[1].shape[2]:
            raise LandmarksError(
                f"{keys.query_regions} and {keys.index_regions} have regions of {regions[0].shape[2]} and "
                f"{regions[1].shape[2]} dimensions: extract both with the same model"
            )
        inputs = replace(inputs, query_regions=regions[0], index_regions=regions[1])
    return _with_pictures(inputs, data, "pictures" in needs, "pictures" in (recognition or ()))


class _Data:
    """The data set, opened no further than it is asked for."""

    def __init__(self, config: DictConfig) -> None:
        self._config = config

    @cached_property
    def source(self) -> Source:
        return open_source(self._config.data)

    @cached_property
    def prepared(self) -> Source:
        """The source with its pictures; those to train on, most of them, only where the gallery is of them."""
        self.source.prepare(training=self._config.descriptors.gallery is not None)
        return self.source

    @cached_property
    def solutions(self) -> GroundTruth:
        return self.source.truth()


def _open(keys: DictConfig, name: str) -> GivenSet:
    given = keys[name]
    return open_set(f"descriptors.{name}", given if isinstance(given, str) else list(given), keys[ids_key(name)])


def _truth(keys: DictConfig, queries: GivenSet, index: GivenSet, data: _Data) -> Truth | None:
    if keys.query_labels is not None:
        return LabelTruth(
            read_labels(Path(keys.query_labels).expanduser(), len(queries)),
            read_labels(Path(keys.index_labels).expanduser(), len(index)),
        )
    if keys.solution is not None:
        solution = read_retrieval_solution(Path(keys.solution).expanduser())
        return SolutionTruth(solution, queries.known_ids, index.known_ids, str(keys.solution))
    if keys.use_data and data.solutions.retrieval is not None:
        return SolutionTruth(data.solutions.retrieval, queries.known_ids, index.known_ids, data.source.name)
    return None


def _with_pictures(inputs: Inputs, data: _Data, of_index: bool, of_gallery: bool) -> Inputs:
    queries, index, gallery = inputs.queries, inputs.index, inputs.gallery
    if of_index or of_gallery:
        found = pictures_by_id(data.prepared.queries(), queries.known_ids, queries.key)
        inputs = replace(inputs, query_pictures=found)
    if of_index:
        found = pictures_by_id(data.prepared.index(), index.known_ids, index.key)
        inputs = replace(inputs, index_pictures=found)
    if of_gallery and gallery is not None and inputs.gallery_pictures is None:
        found = pictures_by_id(data.prepared.gallery(), gallery.known_ids, gallery.key)
        inputs = replace(inputs, gallery_pictures=found)
    return inputs


def _labelled(inputs: Inputs, keys: DictConfig, data: _Data) -> Inputs:
    gallery = inputs.gallery
    assert gallery is not None
    if keys.gallery_labels is not None:
        labels = read_labels(Path(keys.gallery_labels).expanduser(), len(gallery))
        return replace(inputs, gallery_labels=labels)
    pictures = pictures_by_id(data.prepared.gallery(), gallery.known_ids, gallery.key)
    table = pictures.table
    return replace(
        inputs,
        gallery_labels=table.landmarks.astype(np.int64),
        gallery_names=table.landmark_names,
        gallery_pictures=pictures,
    )


def _open_regions(key: str, given: str, whole: GivenSet) -> NDArray[Any]:
    path = Path(given).expanduser()
    if path.is_dir():
        found = DescriptorSet.open(path)
        if whole.ids is None or len(whole.parts) > 1:
            raise LandmarksError(
                f"{key}: {path} goes with one set of descriptors whose ids are known, which {whole.key} is not; give "
                "an .npy file [N, R, D] in its order"
            )
        made = whole.protocols[0]
        differences = made.differences(found.protocol, NOT_COMPARED | {"regions"}) if made else []
        if differences:
            raise LandmarksError(
                f"{whole.names[0]} and {path} were not made alike ({'; '.join(differences)}): extract both together"
            )
        return regions_of(DescriptorSet(whole.ids, whole.parts[0], found.protocol, whole.names[0]), found)
    regions = map_floats(path, 3, "[N, R, D]")
    if len(regions) != len(whole):
        raise LandmarksError(f"{path}: regions of {len(regions)} pictures, but {whole.key} has {len(whole)}")
    return regions


def _checked_regions(regions: NDArray[Any] | None, name: str, cache: Cache) -> Descriptors | None:
    if regions is None:
        return None
    ordered = in_search_order(regions, name, cache)
    check_rows(ordered.reshape(-1, ordered.shape[-1]), name, normalize=True)
    return ordered
