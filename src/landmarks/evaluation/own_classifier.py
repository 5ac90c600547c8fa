"""The classifier that a network brings with it, the head of its loss, and what recognition may look at in all."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from landmarks.data.module import LandmarkDataModule
from landmarks.errors import LandmarksError
from landmarks.evaluation.classifier_metrics import check_monitor
from landmarks.evaluation.evidence import open_evidence, without_index_landmarks
from landmarks.extraction.views import Extraction
from landmarks.losses import ClassHead
from landmarks.recognition.classify import classify, require_views, to_device
from landmarks.recognition.evidence import Evidence
from landmarks.recognition.pipeline import RecognitionPipeline
from landmarks.recognition.state import Need
from landmarks.retrieval.descriptors.descriptor_set import DescriptorSet

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EvidenceToCome:
    """Evidence that is opened before any work, and a classifier that will judge the queries once they are described.

    Attributes:
        opened: what was given as folders.
        head: of the network that describes the queries; None where it has none that can judge them, or predictions
            are given.
        landmark_names: str [C], what the head's classes are called.
    """

    opened: Evidence
    head: ClassHead | None
    landmark_names: NDArray[np.str_]

    @classmethod
    def open(
        cls,
        predictions: str | None,
        detections: str | None,
        data: LandmarkDataModule,
        loss: object,
        landmark_names: Sequence[str] | NDArray[np.str_],
        extraction: Extraction,
    ) -> Self:
        """Open the folders, and see whether the network's own head fits the queries; the log says why it does not.

        Args:
            predictions: folder of a classifier's predictions.
            detections: folder of a detector's.
            data: set up.
            loss: that the network was trained under; None where its weights are not there.
            landmark_names: [C], what the loss calls its classes.
            extraction: how queries are described.

        Raises:
            LandmarksError: see `open_evidence`.
        """
        gallery_names = data.gallery_set.table.landmark_names
        opened = open_evidence(predictions, detections, data.query_set.table.ids, gallery_names)
        names = np.asarray(landmark_names, dtype=np.str_)
        fits = (
            opened.predictions is None and isinstance(loss, ClassHead) and _fits(loss, names, extraction, gallery_names)
        )
        return cls(opened, loss if fits and isinstance(loss, ClassHead) else None, names)

    def require(self, recognition: RecognitionPipeline, monitor: str) -> None:
        """Refuse to begin without what the stages of recognition and the monitor ask for.

        Raises:
            LandmarksError: says what is missing and how to give it.
        """
        own: list[Need] = [] if self.head is None else ["predictions"]
        available = ["pictures", *self.opened.kinds, *own]
        recognition.require(available)
        recognition.check(self.opened)
        check_monitor(monitor, "predictions" in available)

    def complete(self, queries: DescriptorSet, accelerator: str = "cpu") -> Evidence:
        """All of it.

        Args:
            queries: as the head's network described them.
            accelerator: the trainer's; unless it is "cpu", a head on the CPU moves to the GPU if there is one.
        """
        if self.head is None:
            return self.opened
        to_device(self.head, accelerator)
        predictions = classify(queries, self.head, self.landmark_names)
        return replace(self.opened, predictions=without_index_landmarks(predictions))


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
