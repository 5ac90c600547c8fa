"""Opens trained detectors, and looks for objects with them in any set of images; goes on after a kill.

One device does it; what it finds is written as it comes, see `landmarks.recognition.detections.files`.
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
    """A detector with trained weights, in eval mode, and where it comes from.

    Class i is the model's label i + 1; `network` is what `landmarks.models.build_network` takes, rules of inference
    included.
    """

    model: FasterRCNN
    name: str
    classes: DetectionClasses
    preprocessing: Preprocessing
    network: Mapping[str, Any]
    trained_on: Any


def load_detector(path: str | Path, device: Device = "cpu", trust: Iterable[str] = ()) -> TrainedDetector:
    """Open a detector of a run or a model file; see `landmarks.models.opened.open_model`."""
    opened = open_model(path, "boxes", device, trust=trust)
    record, model = opened.record, opened.network
    assert isinstance(model, FasterRCNN)
    classes = DetectionClasses(np.array(record.labels, np.str_), np.array(record.titles or record.labels, np.str_))
    return TrainedDetector(model, record.name, classes, record.preprocessing, record.architecture, opened.trained_on)


def find_objects(
    model: FasterRCNN, images: Sequence[Tensor], ids: NDArray[np.uint64], classes: NDArray[np.str_]
) -> Detections:
    """Look for objects with a model in eval mode, in B images uint8 [3, H, W] on its device, ids uint64 [B].

    Class i is the model's label i + 1. Boxes come as shares of the images, best first in each.
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
    """The ids of a batch's images, uint64 [B]."""
    return np.array(batch["id"], dtype=np.uint64)


def _joined(parts: Sequence[Tensor]) -> NDArray[np.floating | np.integer]:
    joined: NDArray[np.floating | np.integer] = torch.cat(list(parts)).cpu().numpy() if parts else np.empty(0)
    return joined


class Detector:
    """A trained detector, whose network is changed in place, on its device, as an evaluation or an extraction asks for.

    The long side of images grows and shrinks with the short.
    """

    def __init__(self, config: DictConfig, trained: TrainedDetector) -> None:
        if config.inference == "onnx":
            raise LandmarksError("inference=onnx: a detector runs in torch alone; choose inference=eager")
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
        """Look for objects; images that lie in the folder already, searched in the same way, are not read again.

        The names of data set and split go into the protocol. `upright` turns images as their EXIF orientation says;
        boxes of Open Images refer to unturned ones. Raises LandmarksError where detections of another kind, or of other
        files under the same ids, lie there.
        """
        stamped = (images.table.ids, images.stamps())
        with DetectionWriter(folder, self.trained.classes, self._protocol(data, split), stamped) as writer:
            done = np.isin(images.table.ids, writer.done)
            if done.any():
                log.info("%d of %d images of %s are searched already", done.sum(), len(images), folder)
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
