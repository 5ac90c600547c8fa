"""Opens everything that `descriptors` names, holds it against each other, and makes of it what is evaluated."""

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from hydra.utils import instantiate
from numpy.typing import NDArray
from omegaconf import DictConfig

from landmarks.data import GroundTruth, HeldOut, HeldOutSource, ImageSet, Source, open_root
from landmarks.errors import LandmarksError
from landmarks.evaluation.inputs import NO_NAMES, Inputs, OfficialNumbers
from landmarks.evaluation.precomputed.files import map_floats, read_labels
from landmarks.evaluation.precomputed.keys import ids_key
from landmarks.evaluation.precomputed.sets import PrecomputedSet, open_set, require_comparable
from landmarks.evaluation.precomputed.truth import count_truth, read_truth
from landmarks.ids import format_id
from landmarks.retrieval import NOT_COMPARED, Cache, DescriptorSet, Need, regions_of

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Opened:
    """What is handed over; rows of descriptors are not looked at yet."""

    queries: PrecomputedSet  # to search for
    index: PrecomputedSet  # to search in
    truth: GroundTruth  # what is right
    counts: dict[str, Any]  # how much of it can be scored, see `count_truth`
    source: Source | None = None  # the data set, if it is used
    gallery: PrecomputedSet | None = None  # labelled train images, if a stage asks for them
    landmarks: NDArray[np.int32] | None = None  # int32 [G], rows of `landmark_names`, -1 = none
    # str [L], the landmarks that the gallery holds
    landmark_names: NDArray[np.str_] = field(default_factory=lambda: NO_NAMES)
    official: OfficialNumbers | None = None  # how submissions call landmarks

    @property
    def sets(self) -> dict[str, PrecomputedSet]:
        """What was opened, by name."""
        gallery = {} if self.gallery is None else {"gallery": self.gallery}
        return {"queries": self.queries, "index": self.index, **gallery}

    def read(self, weights: Sequence[float] | None, cache: Cache) -> Inputs:
        """Look at every row and join what is to be joined, see `PrecomputedSet.read`."""
        return Inputs(
            self.queries.read(weights, cache),
            self.index.read(weights, cache),
            self.truth,
            self.source,
            None if self.gallery is None else self.gallery.read(weights, cache),
            self.landmarks,
            self.landmark_names,
            self.official,
        )


def open_inputs(config: DictConfig, needs: Collection[Need], recognition: Collection[Need] | None = None) -> Opened:
    """Open the files and find the truth; what no stage needs is left unopened.

    `recognition` is what stages of recognition ask for; None if nothing is recognised.
    """
    keys, data = config.descriptors, _Data(config)
    queries, index = (_open(keys, name) for name in ("queries", "index"))
    require_comparable(queries, index)
    source = data.source if keys.use_data else None
    truth = read_truth(keys, queries, index, source.truth() if source else GroundTruth())
    counts = count_truth(truth, queries, index, source.name if source else "")
    opened = Opened(queries, index, truth, counts, source)
    if "gallery" in needs or recognition is not None:
        gallery = _open(keys, "gallery")
        require_comparable(queries, gallery)
        opened = _labelled(opened, gallery, keys, data)
    queries, index, gallery_set = opened.queries, opened.index, opened.gallery
    if "regions" in needs:
        queries, index = _with_regions(keys, queries, index)
    if "pictures" in needs or "pictures" in (recognition or ()):
        queries = replace(queries, images=images_by_id(data.prepared.queries(), queries))
    if "pictures" in needs:
        index = replace(index, images=images_by_id(data.prepared.index(), index))
    if "pictures" in (recognition or ()) and gallery_set is not None and gallery_set.images is None:
        gallery_set = replace(gallery_set, images=images_by_id(data.prepared.gallery(), gallery_set))
    return replace(opened, queries=queries, index=index, gallery=gallery_set)


def images_by_id(images: ImageSet, of: PrecomputedSet) -> ImageSet:
    """Find the images of a set, in its order, and warn of those that are other files than it was made of."""
    ids = of.known_ids
    rows = images.table.find(ids)
    missing = np.flatnonzero(rows < 0)
    if len(missing):
        raise LandmarksError(
            f"{of.key}: {len(missing)} of {len(ids)} pictures are not in the data set, the first is "
            f"{format_id(ids[missing[0]])}; is data=… the right one?"
        )
    found = images.take(rows)
    for made in (made for made in of.sets if made.stamps is not None):
        changed = made.changed(ids, found.stamps())
        if len(changed):
            log.warning(
                "%s: %d of its %d images are other files in the data set (another root, size or time), the first is %s",
                made.name,
                len(changed),
                len(ids),
                format_id(changed[0]),
            )
    return found


def open_source(data: DictConfig) -> Source:
    """Open the source that `data` names by its keys `source`, `root` and `held_out`."""
    root = open_root(data.root)
    if isinstance(root, Path) and not root.is_dir():
        raise LandmarksError(f"data.root={root}: there is no such folder, and descriptors.use_data asks for it")
    source: Source = instantiate(data.source)(root)
    held_out: HeldOut = instantiate(data.held_out)
    return HeldOutSource(source, held_out) if held_out.landmarks else source


class _Data:
    """The data set, opened no further than it is asked for: without the batches of training."""

    def __init__(self, config: DictConfig) -> None:
        self._config = config

    @cached_property
    def source(self) -> Source:
        return open_source(self._config.data)

    @cached_property
    def prepared(self) -> Source:
        """The source with its images; those to train on, most of them, only where the gallery is of them."""
        self.source.prepare(training=self._config.descriptors.gallery is not None)
        return self.source


def _open(keys: DictConfig, name: str) -> PrecomputedSet:
    given = keys[name]
    return open_set(f"descriptors.{name}", given if isinstance(given, str) else list(given), keys[ids_key(name)])


def _labelled(opened: Opened, gallery: PrecomputedSet, keys: DictConfig, data: _Data) -> Opened:
    """Add the gallery; its labels are numbered anew, by their places among those that it holds."""
    official: OfficialNumbers = _as_they_are
    if keys.gallery_labels is not None:
        labels = read_labels(Path(keys.gallery_labels).expanduser(), len(gallery))
        held = np.unique(labels[labels >= 0])
        names = held.astype(np.str_)
    else:
        gallery = replace(gallery, images=images_by_id(data.prepared.gallery(), gallery))
        assert gallery.images is not None
        table = gallery.images.table
        labels = table.landmarks.astype(np.int64)
        held = np.unique(labels[labels >= 0])
        names, official = table.landmark_names[held], data.source.submission_landmark
    landmarks = np.where(labels < 0, -1, np.searchsorted(held, labels)).astype(np.int32)
    return replace(opened, gallery=gallery, landmarks=landmarks, landmark_names=names, official=official)


def _as_they_are(landmarks: NDArray[np.int32], names: NDArray[np.str_]) -> NDArray[np.int64]:
    """Call landmarks by the labels that were handed over."""
    numbers = np.append(names.astype(np.int64), -1)  # the last is what -1 looks up
    return numbers[landmarks]


def _with_regions(
    keys: DictConfig, queries: PrecomputedSet, index: PrecomputedSet
) -> tuple[PrecomputedSet, PrecomputedSet]:
    regions = [
        _open_regions(f"descriptors.{key}", keys[key], of)
        for key, of in (("query_regions", queries), ("index_regions", index))
    ]
    if regions[0].shape[2] != regions[1].shape[2]:
        raise LandmarksError(
            f"{keys.query_regions} and {keys.index_regions} have regions of {regions[0].shape[2]} and "
            f"{regions[1].shape[2]} dimensions: extract both with the same model"
        )
    return replace(queries, regions=regions[0]), replace(index, regions=regions[1])


def _open_regions(key: str, given: str, whole: PrecomputedSet) -> NDArray[Any]:
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
