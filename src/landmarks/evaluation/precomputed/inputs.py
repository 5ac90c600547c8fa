"""Open the files that `descriptors` names, check that they fit together, and build the inputs of the evaluation."""

import logging
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from hydra.utils import instantiate
from numpy.typing import NDArray
from omegaconf import DictConfig

from landmarks.data import GroundTruth, HeldOut, HeldOutSource, ImageSet, Source, open_root
from landmarks.errors import LandmarksError
from landmarks.evaluation.inputs import Inputs, OfficialNumbers
from landmarks.evaluation.precomputed.files import map_floats, read_labels
from landmarks.evaluation.precomputed.keys import ids_key
from landmarks.evaluation.precomputed.sets import PrecomputedSet, open_set, require_comparable
from landmarks.ids import find_rows, format_id
from landmarks.metrics import RetrievalSolution, read_recognition_solution, read_retrieval_solution, scored_rows
from landmarks.retrieval import NOT_COMPARED, Cache, DescriptorSet, Need, regions_of

log = logging.getLogger(__name__)


def open_inputs(
    config: DictConfig, needs: Collection[Need], recognition: Collection[Need] | None = None
) -> tuple[Inputs[PrecomputedSet], dict[str, Any]]:
    """Open the files that the stages need, and the ground truth; mistakes that are cheap to find are found first.

    Args:
        config: Configuration with the keys `descriptors` and, if they use it, `data`.
        needs: What the stages of the retrieval pipeline need.
        recognition: What the stages of recognition need; None without recognition.

    Returns:
        The inputs, not read yet, and the counts of `count_truth`.
    """
    keys = config.descriptors
    queries, index = (_open(keys, name) for name in ("queries", "index"))
    require_comparable(queries, index)
    source = open_source(config.data) if keys.use_data else None
    truth = _read_truth(keys, queries, index, source.truth() if source else GroundTruth())
    opened = Inputs(queries, index, truth, source)
    counts = count_truth(opened)
    gallery = _open(keys, "gallery") if "gallery" in needs or recognition is not None else None
    shown = "images" in needs or "images" in (recognition or ())
    if gallery is not None:
        require_comparable(queries, gallery)
    if "regions" in needs:
        queries, index = _with_regions(keys, queries, index)
    if source is not None and (shown or (gallery is not None and keys.gallery_labels is None)):
        source.prepare(training=keys.gallery is not None)  # train images are most of the data
    if gallery is not None:
        opened = _labelled(opened, gallery, keys)
    if shown:
        assert source is not None  # see `available_needs`
        queries = replace(queries, images=images_by_id(source.queries(), queries))
        if "images" in needs:
            index = replace(index, images=images_by_id(source.index(), index))
        if "images" in (recognition or ()) and opened.gallery is not None and opened.gallery.images is None:
            gallery = replace(opened.gallery, images=images_by_id(source.gallery(), opened.gallery))
            opened = replace(opened, gallery=gallery)
    return replace(opened, queries=queries, index=index), counts


def read_inputs(opened: Inputs[PrecomputedSet], weights: Sequence[float] | None, cache: Cache) -> Inputs:
    """Check every row and join the descriptors of several models, see `PrecomputedSet.read`."""
    return Inputs(
        opened.queries.read(weights, cache),
        opened.index.read(weights, cache),
        opened.truth,
        opened.source,
        None if opened.gallery is None else opened.gallery.read(weights, cache),
        opened.landmarks,
        opened.landmark_names,
        opened.official,
    )


def count_truth(opened: Inputs[PrecomputedSet]) -> dict[str, Any]:
    """Count what can be scored, for `metrics.json`, and warn of what cannot; empty without ground truth."""
    truth, source = opened.truth, opened.source
    if truth.labels is not None:
        return _count_labels(truth)
    if truth.retrieval is None:
        return {}
    where = truth.retrieval_from or (source.name if source else "")
    return _count_solution(truth.retrieval, opened.queries.known_ids, opened.index.known_ids, where)


def images_by_id(images: ImageSet, of: PrecomputedSet) -> ImageSet:
    """Return the images of a set in its order; warn if files have changed since the descriptors were made."""
    ids = of.known_ids
    rows = images.table.find(ids)
    missing = np.flatnonzero(rows < 0)
    if len(missing):
        raise LandmarksError(
            f"{of.key}: {len(missing)} of {len(ids)} images are not in the data set, the first is "
            f"{format_id(ids[missing[0]])}; check that data=… names the data set of the descriptors"
        )
    found = images.take(rows)
    for made in (made for made in of.sets if made.stamps is not None):
        changed = made.changed(ids, found.stamps())
        if len(changed):
            log.warning(
                "%s: %d of its %d images differ from the files of the data set (root, size or time), the first is %s",
                made.name,
                len(changed),
                len(ids),
                format_id(changed[0]),
            )
    return found


def open_source(data: DictConfig) -> Source:
    """Open the data source that the keys `source`, `root` and `held_out` of `data` describe."""
    root = open_root(data.root)
    if isinstance(root, Path) and not root.is_dir():
        raise LandmarksError(f"data.root={root}: there is no such folder, and descriptors.use_data asks for it")
    source: Source = instantiate(data.source)(root)
    held_out: HeldOut = instantiate(data.held_out)
    return HeldOutSource(source, held_out) if held_out.landmarks else source


def _open(keys: DictConfig, name: str) -> PrecomputedSet:
    given = keys[name]
    return open_set(f"descriptors.{name}", given if isinstance(given, str) else list(given), keys[ids_key(name)])


def _labelled(opened: Inputs[PrecomputedSet], gallery: PrecomputedSet, keys: DictConfig) -> Inputs[PrecomputedSet]:
    """Add the gallery, with labels renumbered to rows of the sorted labels that occur in it."""
    official: OfficialNumbers = _as_they_are
    if keys.gallery_labels is not None:
        labels = _labels(keys.gallery_labels, gallery)
        held = np.unique(labels[labels >= 0])
        names = held.astype(np.str_)
    else:
        assert opened.source is not None  # see `available_needs`
        images = images_by_id(opened.source.gallery(), gallery)
        gallery, table = replace(gallery, images=images), images.table
        labels = table.landmarks.astype(np.int64)
        held = np.unique(labels[labels >= 0])
        names, official = table.landmark_names[held], opened.source.submission_landmark
    landmarks = np.where(labels < 0, -1, np.searchsorted(held, labels)).astype(np.int32)
    return replace(opened, gallery=gallery, landmarks=landmarks, landmark_names=names, official=official)


def _as_they_are(landmarks: NDArray[np.int32], names: NDArray[np.str_]) -> NDArray[np.int64]:
    """Return the labels as they are in `gallery_labels`."""
    numbers = np.append(names.astype(np.int64), -1)  # -1 looks up the last element
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
                f"{key}: {path} needs one set of descriptors with known ids, which {whole.key} is not; give an .npy "
                "file [N, R, D] in its order"
            )
        first = whole.parts[0]
        differences = first.protocol.differences(found.protocol, NOT_COMPARED | {"regions"}) if first.protocol else []
        if differences:
            raise LandmarksError(
                f"{first.name} and {path} were made differently ({'; '.join(differences)}): extract both together"
            )
        return regions_of(DescriptorSet(whole.ids, first.matrix, found.protocol, first.name), found)
    regions = map_floats(path, 3, "[N, R, D]")
    if len(regions) != len(whole):
        raise LandmarksError(f"{path}: regions of {len(regions)} images, but {whole.key} has {len(whole)}")
    return regions


def _read_truth(keys: DictConfig, queries: PrecomputedSet, index: PrecomputedSet, known: GroundTruth) -> GroundTruth:
    """Read the ground truth that `descriptors` names; for a task without a file, use that of the data set."""
    retrieval, recognition, labels = known.retrieval, known.recognition, None
    if keys.query_labels is not None:
        retrieval, labels = None, (_labels(keys.query_labels, queries), _labels(keys.index_labels, index))
    if keys.solution is not None:
        retrieval = read_retrieval_solution(Path(keys.solution).expanduser())
    if keys.recognition_solution is not None:
        recognition = read_recognition_solution(Path(keys.recognition_solution).expanduser())
    return GroundTruth(retrieval, recognition, labels, str(keys.solution or ""), str(keys.recognition_solution or ""))


def _labels(path: str, of: PrecomputedSet) -> NDArray[np.int64]:
    return read_labels(Path(path).expanduser(), len(of))


def _count_labels(truth: GroundTruth) -> dict[str, Any]:
    assert truth.labels is not None
    queries, scored = truth.labels[0], int(np.count_nonzero(truth.label_positives))
    if not scored:
        raise LandmarksError(
            "descriptors.query_labels and descriptors.index_labels have no label in common, so no result can be "
            "correct: give the labels of both sides in the same numbering"
        )
    unlabelled = int(np.count_nonzero(queries < 0))
    unanswerable = len(queries) - unlabelled - scored
    if unlabelled or unanswerable:
        log.warning(
            "Of %d queries, %d have no label and %d have one that no index image has: they are ranked, but not scored",
            len(queries),
            unlabelled,
            unanswerable,
        )
    return {"from": "labels", "scored": scored, "unlabelled": unlabelled, "unanswerable": unanswerable}


def _count_solution(
    solution: RetrievalSolution, query_ids: NDArray[np.uint64], index_ids: NDArray[np.uint64], source: str
) -> dict[str, Any]:
    scored = int(np.count_nonzero(scored_rows(query_ids, solution.query_ids, solution.ignored_ids) >= 0))
    if scored == 0:
        raise LandmarksError(f"{source}: scores none of the given queries; check their ids")
    absent = int(np.count_nonzero(find_rows(solution.positives, index_ids) < 0))
    unanswered = len(solution.query_ids) - scored
    if unanswered:
        log.warning(
            "%s: %d of its %d queries have no descriptor and score 0", source, unanswered, len(solution.query_ids)
        )
    if absent:
        log.warning(
            "%s: %d of its %d correct images have no descriptor and cannot be found",
            source,
            absent,
            len(solution.positives),
        )
    return {"from": source, "scored": scored, "unanswered": unanswered, "absent": absent}
