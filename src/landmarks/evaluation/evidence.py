"""Evidence for recognition besides descriptors: predictions and detections from folders, or the network's own head."""

import logging
from collections.abc import Container, Sequence
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
        predictions: Folder of a classifier's predictions, or None.
        detections: Folder of a detector's detections, or None.
        query_ids: uint64 [Q], ids of the queries. Queries that a folder does not cover are counted in a warning.
        landmark_names: str [C], the landmarks of the gallery, of which the classifier must know at least one; None
            skips this check.

    Returns:
        The opened evidence. Predictions of landmarks of the GLDv2 index set are left out.

    Raises:
        LandmarksError: A folder cannot be read, covers none of the queries, or shares no landmark with the gallery.
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
    """Evidence from folders, and the classifier that will predict landmarks once the queries are embedded.

    Attributes:
        opened: The evidence that was read from folders.
        head: Class head of the network that embeds the queries; None if it has none that fits these queries and this
            gallery, or if predictions were read from a folder.
        landmark_names: str [C], names of the head's classes.
    """

    opened: Evidence
    head: ClassHead | None
    landmark_names: NDArray[np.str_]

    @classmethod
    def open(
        cls,
        opened: Evidence,
        loss: object,
        landmark_names: Sequence[str] | NDArray[np.str_],
        extraction: Extraction,
        gallery_names: NDArray[np.str_],
    ) -> Self:
        """Keep the network's own head if it can be used here; otherwise log the reason.

        Args:
            opened: Evidence from folders. If it has predictions, they are used instead of the head.
            loss: The loss of the network; its head is used if it is a `ClassHead`. None if its weights are missing.
            landmark_names: Names of the classes of the loss.
            extraction: How the queries will be embedded.
            gallery_names: str [L], names of the landmarks of the gallery; the head must know at least one of them.
        """
        names = np.asarray(landmark_names, dtype=np.str_)
        if opened.predictions is None and isinstance(loss, ClassHead) and _fits(loss, names, extraction, gallery_names):
            return cls(opened, loss, names)
        return cls(opened, None, names)

    def require(self, recognition: RecognitionPipeline, monitor: str, own: Container[str] = ()) -> None:
        """Check that everything that the recognition stages and the monitor need will be there; see `check_monitor`.

        Raises:
            LandmarksError: A stage needs evidence that is missing, or `monitor` names a metric that will not exist.
        """
        of_head: list[Need] = [] if self.head is None else ["predictions"]
        available = ["images", *self.opened.kinds, *of_head]
        recognition.require(available)
        recognition.check(self.opened)
        check_monitor(monitor, recognised=True, predictions="predictions" in available, own=own)

    def complete(self, queries: DescriptorSet, accelerator: str = "cpu") -> Evidence:
        """Return the evidence, with predictions by the head for the embedded queries if there is a head.

        Unless `accelerator` is "cpu", the head moves to the GPU if there is one.
        """
        if self.head is None:
            return self.opened
        to_device(self.head, accelerator)
        predictions = classify(queries, self.head, self.landmark_names)
        return replace(self.opened, predictions=without_index_landmarks(predictions))


def without_index_landmarks(predictions: Predictions) -> Predictions:
    """Leave out landmarks of the GLDv2 index set, which are never a valid answer in recognition.

    The others keep their probabilities, which still come from a softmax over all landmarks.
    """
    # The last element is what -1, no landmark, looks up.
    foreign = np.append(np.strings.startswith(predictions.landmark_names, INDEX_PREFIX), True)
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
            f"{key}: holds {len(ids)} images, and none of them is one of the {len(query_ids)} queries: give a "
            "folder that was made from the queries of this data set"
        )
    if missing:
        log.warning("%s: %d of the %d queries are missing there", key, missing, len(query_ids))


def _fits(head: ClassHead, names: NDArray[np.str_], extraction: Extraction, gallery_names: NDArray[np.str_]) -> bool:
    try:
        require_views(head, extraction.scales, extraction.flip, "no metrics of the classifier")
    except LandmarksError as reason:
        log.warning("%s", reason)
        return False
    if np.isin(names, gallery_names).any():
        return True
    log.info("no metrics of the classifier: it was trained on other landmarks than those of the gallery")
    return False
