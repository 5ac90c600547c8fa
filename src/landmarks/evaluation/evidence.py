"""What recognition may look at besides descriptors: opened before any work, or judged by the network's own head."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from landmarks.data import INDEX_PREFIX
from landmarks.errors import LandmarksError
from landmarks.evaluation.metrics import check_monitor
from landmarks.extraction import Extraction
from landmarks.ids import find_rows
from landmarks.losses import ClassHead
from landmarks.recognition import (
    NO_LANDMARK,
    Evidence,
    Predictions,
    RecognitionPipeline,
    classify,
    read_detections,
    read_predictions,
    require_views,
    to_device,
)
from landmarks.retrieval import DescriptorSet, Need

log = logging.getLogger(__name__)


def open_evidence(
    predictions: str | Path | None,
    detections: str | Path | None,
    query_ids: NDArray[np.uint64],
    landmark_names: NDArray[np.str_] | None = None,
) -> Evidence:
    """Open the folders that the keys `predictions` and `detections` name.

    Args:
        predictions: of a classifier; None for none.
        detections: of a detector; None for none.
        query_ids: uint64 [Q], the images that they must be about.
        landmark_names: str [C], the landmarks of the gallery, some of which a classifier must know; None: not checked.
    """
    said = None if predictions is None else read_predictions(Path(predictions).expanduser())
    found = None if detections is None else read_detections(Path(detections).expanduser())
    if said is not None:
        _require_common(f"predictions={predictions}", said.ids, query_ids)
        if landmark_names is not None and not np.isin(said.landmark_names, landmark_names).any():
            raise LandmarksError(
                f"predictions={predictions}: the classifier knows none of the {len(landmark_names)} landmarks of the "
                f"gallery (it calls its first one {said.landmark_names[0]}): give predictions of a classifier that was "
                "trained on the same landmarks"
            )
        said = without_index_landmarks(said)
    if found is not None:
        _require_common(f"detections={detections}", found.looked_at, query_ids)
    return Evidence(said, found)


@dataclass(frozen=True)
class EvidenceToCome:
    """Evidence that is opened before any work, and a classifier that will judge the queries once they are embedded."""

    opened: Evidence  # what was given as folders
    # of the network that embeds the queries; None where it has none that can judge them, or predictions are given
    head: ClassHead | None
    landmark_names: NDArray[np.str_]  # str [C], what the head's classes are called

    @classmethod
    def open(
        cls,
        opened: Evidence,
        loss: object,
        landmark_names: Sequence[str] | NDArray[np.str_],
        extraction: Extraction,
        gallery_names: NDArray[np.str_],
    ) -> Self:
        """See whether the network's own head fits the queries; the log says why it does not.

        Predictions that were opened stand in for the head. It is that of `loss`, None where its weights are not there;
        `landmark_names` is what the loss calls its classes.
        """
        names = np.asarray(landmark_names, dtype=np.str_)
        if opened.predictions is None and isinstance(loss, ClassHead) and _fits(loss, names, extraction, gallery_names):
            return cls(opened, loss, names)
        return cls(opened, None, names)

    def require(self, recognition: RecognitionPipeline, monitor: str) -> None:
        """Refuse to begin without what the stages of recognition and the monitor ask for."""
        own: list[Need] = [] if self.head is None else ["predictions"]
        available = ["images", *self.opened.kinds, *own]
        recognition.require(available)
        recognition.check(self.opened)
        check_monitor(monitor, recognised=True, predictions="predictions" in available)

    def complete(self, queries: DescriptorSet, accelerator: str = "cpu") -> Evidence:
        """Give all of it; unless `accelerator` is "cpu", a head moves to the GPU if there is one."""
        if self.head is None:
            return self.opened
        to_device(self.head, accelerator)
        predictions = classify(queries, self.head, self.landmark_names)
        return replace(self.opened, predictions=without_index_landmarks(predictions))


def without_index_landmarks(predictions: Predictions) -> Predictions:
    """Leave out landmarks of the GLDv2 index set, whose numbers are no answer in recognition.

    The others keep their probabilities, which are still of a softmax over all landmarks.
    """
    foreign = np.append(np.strings.startswith(predictions.landmark_names, INDEX_PREFIX), True)  # -1 looks up the last
    out = foreign[predictions.landmarks]
    if not foreign[:-1].any():
        return predictions
    order = np.argsort(out, axis=1, kind="stable")
    out = np.take_along_axis(out, order, axis=1)
    landmarks = np.take_along_axis(predictions.landmarks, order, axis=1)
    probabilities = np.take_along_axis(predictions.probabilities, order, axis=1)
    return replace(
        predictions,
        landmarks=np.where(out, np.int32(NO_LANDMARK), landmarks),
        probabilities=np.where(out, np.float32(0), probabilities),
    )


def _require_common(key: str, ids: NDArray[np.uint64], query_ids: NDArray[np.uint64]) -> None:
    missing = int(np.count_nonzero(find_rows(query_ids, ids) < 0))
    if missing == len(query_ids):
        raise LandmarksError(
            f"{key}: tells of {len(ids)} images, and none of them is one of the {len(query_ids)} queries: give a "
            "folder that was made of the queries of this data set"
        )
    if missing:
        log.warning("%s: says nothing of %d of the %d queries", key, missing, len(query_ids))


def _fits(head: ClassHead, names: NDArray[np.str_], extraction: Extraction, gallery_names: NDArray[np.str_]) -> bool:
    try:
        require_views(head, extraction.scales, extraction.flip, "no figures of the classifier")
    except LandmarksError as reason:
        log.warning("%s", reason)
        return False
    if np.isin(names, gallery_names).any():
        return True
    log.info("no figures of the classifier: it was trained on other landmarks than those of the gallery")
    return False
