"""Opens what recognition may look at besides descriptors, before any work, and says how much of it there is."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landmarks.data.gldv2.tables import INDEX_PREFIX
from landmarks.errors import LandmarksError
from landmarks.ids import find_rows
from landmarks.recognition.detections.files import read_detections
from landmarks.recognition.prediction_files import read_predictions
from landmarks.recognition.predictions import Evidence, Predictions
from landmarks.recognition.votes import NO_LANDMARK

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
        query_ids: uint64 [Q], the pictures that they must be about.
        landmark_names: str [C], the landmarks of the gallery, some of which a classifier must know; None: not checked.

    Raises:
        LandmarksError: a folder is damaged or not there, or is about none of the queries or landmarks.
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
            f"{key}: tells of {len(ids)} pictures, and none of them is one of the {len(query_ids)} queries: give a "
            "folder that was made of the queries of this data set"
        )
    if missing:
        log.warning("%s: says nothing of %d of the %d queries", key, missing, len(query_ids))
