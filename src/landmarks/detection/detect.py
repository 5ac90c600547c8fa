"""Opens trained detectors and runs them on any set of images, on one device.

Detections are written as they are made, so that an interrupted run can be resumed; see
`landmarks.recognition.detections.files`.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from omegaconf import DictConfig
from rich.progress import track
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision.models.detection import FasterRCNN

from landmarks.config import versions
from landmarks.data import ImageSet, Preprocessing, single_thread
from landmarks.detection.detector import prepared
from landmarks.detection.openimages import DetectionDataset, DetectionResize, collate
from landmarks.detection.writer import DetectionWriter
from landmarks.errors import LandmarksError
from landmarks.extraction import UnreadableImages
from landmarks.models import Device, open_model, weights_hash
from landmarks.recognition import (
    BACKGROUND,
    DetectionClasses,
    DetectionProtocol,
    Detections,
    FoundObjects,
    read_detections,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainedDetector:
    """A detector with trained weights.

    Attributes:
        model: The network, in eval mode; class i is its label i + 1.
        name: Name of the run that trained it.
        classes: Its classes.
        preprocessing: Sizes of images for which it was trained.
        network: The arguments of `landmarks.models.build_network`, including the settings of inference.
        trained_on: What the checkpoint records about the training data.
    """

    model: FasterRCNN
    name: str
    classes: DetectionClasses
    preprocessing: Preprocessing
    network: Mapping[str, Any]
    trained_on: Any


def load_detector(path: str | Path, device: Device = "cpu", trust: Iterable[str] = ()) -> TrainedDetector:
    """Open a detector from a run or a model file; see `landmarks.models.open_model` for arguments and errors."""
    opened = open_model(path, "boxes", device, trust=trust)
    record, model = opened.record, opened.network
    assert isinstance(model, FasterRCNN)
    classes = DetectionClasses(np.array(record.labels, np.str_), np.array(record.titles or record.labels, np.str_))
    return TrainedDetector(model, record.name, classes, record.preprocessing, record.architecture, opened.trained_on)


def find_objects(
    model: FasterRCNN, images: Sequence[Tensor], ids: NDArray[np.uint64], classes: NDArray[np.str_]
) -> Detections:
    """Detect objects in some images.

    Args:
        model: The network, in eval mode; class i is its label i + 1.
        images: B images on the device of the model, uint8 [3, H, W].
        ids: Their ids, uint64 [B].
        classes: Machine names of the classes, str [C].

    Returns:
        Boxes as shares of the image sides, those of each image by falling score.
    """
    found: list[dict[str, Tensor]] = model(list(images)) if images else []
    shares = [
        one["boxes"] / one["boxes"].new_tensor([*image.shape[:0:-1], *image.shape[:0:-1]])
        for one, image in zip(found, images, strict=True)
    ]
    return Detections(
        image_ids=np.repeat(ids, [len(boxes) for boxes in shares]),
        labels=_joined([one["labels"] for one in found]).astype(np.int32) - BACKGROUND,
        scores=_joined([one["scores"] for one in found]).astype(np.float64),
        boxes=_joined(shares).astype(np.float64).reshape(-1, 4),
        classes=classes,
    )


def ids_of(batch: dict[str, list[int]]) -> NDArray[np.uint64]:
    """Return the ids of the images in a batch, uint64 [B]."""
    return np.array(batch["id"], dtype=np.uint64)


def _joined(parts: Sequence[Tensor]) -> NDArray[np.floating | np.integer]:
    joined: NDArray[np.floating | np.integer] = torch.cat(list(parts)).cpu().numpy() if parts else np.empty(0)
    return joined


class Detector:
    """A trained detector, prepared for an evaluation or an extraction.

    If `data.image_size` sets another short side of images, their maximal long side changes in proportion.

    Args:
        config: The configuration of the job.
        trained: The detector, whose network is changed in place and moved to the device.

    Raises:
        LandmarksError: The configuration asks for inference with ONNX.
    """

    def __init__(self, config: DictConfig, trained: TrainedDetector) -> None:
        if config.inference == "onnx":
            raise LandmarksError("inference=onnx: detectors run in torch only; choose inference=eager")
        size = config.data.image_size
        self.trained = trained
        self.resize = DetectionResize.of(
            trained.preprocessing if size is None else trained.preprocessing.with_short_side(size)
        )
        self.precision: Any = config.trainer.precision
        self.batch_size = config.data.eval_batch_size
        self.num_workers = config.data.num_workers
        self._fabric = Fabric(accelerator=config.trainer.accelerator, devices=1, precision=self.precision)
        self._weights = weights_hash(trained.model)
        model = trained.model.to(self._fabric.device).eval()
        self._model = prepared(model, config.channels_last, config.inference == "compile")

    def detect(
        self,
        images: ImageSet,
        folder: Path,
        data: str,
        split: str,
        upright: bool = True,
        unreadable: UnreadableImages | None = None,
        progress: bool = False,
    ) -> FoundObjects:
        """Detect objects in images and write them to a folder; images that it already contains are not read again.

        Args:
            images: The images.
            folder: The folder of detections.
            data: Name of the data set, for the protocol.
            split: Name of the split, for the protocol.
            upright: Whether to apply EXIF orientations; boxes of Open Images refer to images without them.
            unreadable: Counts unreadable images and stops the run if there are too many.
            progress: Whether to show the progress.

        Returns:
            All detections in the folder.

        Raises:
            LandmarksError: The folder contains detections made with other settings, or of other files with the same
                ids.
        """
        stamped = (images.table.ids, images.stamps())
        with DetectionWriter(folder, self.trained.classes, self._protocol(data, split), stamped) as writer:
            done = np.isin(images.table.ids, writer.done)
            if done.any():
                log.info("%s already contains the detections of %d of %d images", folder, done.sum(), len(images))
            rows = np.flatnonzero(~done)
            loader: DataLoader[Any] = DataLoader(
                DetectionDataset(images, self.resize, upright=upright),
                sampler=rows.tolist(),
                batch_size=self.batch_size,
                collate_fn=collate,
                num_workers=self.num_workers,
                worker_init_fn=single_thread,
                pin_memory=self._fabric.device.type == "cuda",
            )
            for batch in track(loader, f"detecting in {split}", disable=not progress):
                ids = ids_of(batch)
                if len(ids):
                    writer.add(ids, self._find(batch["image"], ids))
                writer.add_unreadable(batch["unreadable"])
                if unreadable is not None:
                    unreadable.account(batch["unreadable"])
            writer.close()
        return read_detections(folder)

    def _find(self, images: Sequence[Tensor], ids: NDArray[np.uint64]) -> Detections:
        with torch.inference_mode(), self._fabric.autocast():
            there = [self._fabric.to_device(image) for image in images]
            return find_objects(self._model, there, ids, self.trained.classes.names)

    def _protocol(self, data: str, split: str) -> DetectionProtocol:
        rules = self.trained.network
        return DetectionProtocol(
            model=self.trained.name,
            weights=self._weights,
            input_size=self.resize.short_side,
            max_size=self.resize.long_side,
            score_threshold=rules["score_threshold"],
            nms_threshold=rules["nms_threshold"],
            max_boxes=rules["max_boxes"],
            data=data,
            split=split,
            precision=self.precision,
            versions=versions(),
        )
