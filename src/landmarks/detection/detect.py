"""Looks for objects in any set of pictures with a trained detector, and goes on after a kill.

One device does it; what it finds is written as it comes, see `landmarks.recognition.detections.files`.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from omegaconf import DictConfig
from rich.progress import track
from torch import Tensor
from torch.utils.data import DataLoader

from landmarks.config import versions
from landmarks.data import ImageSet, single_thread
from landmarks.detection.checkpoints import TrainedDetector
from landmarks.detection.finding import find_objects, ids_of
from landmarks.detection.openimages import DetectionDataset, DetectionResize, collate
from landmarks.detection.training_module import prepared
from landmarks.detection.writer import DetectionWriter
from landmarks.errors import LandmarksError
from landmarks.extraction import UnreadablePictures
from landmarks.models import weights_hash
from landmarks.recognition import DetectionProtocol, Detections, FoundObjects, read_detections

log = logging.getLogger(__name__)


class Detector:
    """A trained detector on its device.

    Args:
        trained: its network, which is changed in place.
        resize: to the size that the network gets.
        accelerator: as the trainer calls it, such as "auto".
        precision: as the trainer calls it, such as "bf16-mixed".
        batch_size: pictures at a time.
        num_workers: processes that read pictures; 0 reads in this one.
        channels_last: see `prepared`.
        compile: see `prepared`.
    """

    @classmethod
    def from_config(cls, config: DictConfig, trained: TrainedDetector) -> Self:
        """Make ready what an evaluation or an extraction asks for; its long side grows and shrinks with the short.

        Raises:
            LandmarksError: ONNX Runtime is asked for.
        """
        if config.inference == "onnx":
            raise LandmarksError("inference=onnx: a detector runs in torch alone; choose inference=eager")
        size = config.data.image_size
        used = trained.preprocessing if size is None else trained.preprocessing.with_short_side(size)
        return cls(
            trained,
            DetectionResize.of(used),
            config.trainer.accelerator,
            config.trainer.precision,
            config.data.eval_batch_size,
            config.data.num_workers,
            config.channels_last,
            config.inference == "compile",
        )

    def __init__(
        self,
        trained: TrainedDetector,
        resize: DetectionResize,
        accelerator: str = "auto",
        precision: str = "32-true",
        batch_size: int = 8,
        num_workers: int = 0,
        channels_last: bool = True,
        compile: bool = False,
    ) -> None:
        self.trained = trained
        self.resize = resize
        self.precision = precision
        self.batch_size = batch_size
        self.num_workers = num_workers
        self._fabric = Fabric(accelerator=accelerator, devices=1, precision=precision)  # type: ignore[arg-type]
        self._model = prepared(trained.model.to(self._fabric.device).eval(), channels_last, compile)

    def detect(
        self,
        images: ImageSet,
        folder: Path,
        data: str,
        split: str,
        upright: bool = True,
        unreadable: UnreadablePictures | None = None,
        progress: bool = False,
    ) -> FoundObjects:
        """Look for objects; pictures that lie in the folder already, searched in the same way, are not read again.

        Args:
            images: where to look.
            folder: of the set of detections.
            data: name of the data set, for the protocol.
            split: its name, for the protocol.
            upright: turn pictures as their EXIF orientation says; boxes of Open Images refer to unturned ones.
            unreadable: keeps account of pictures that cannot be read.
            progress: show a bar.

        Raises:
            LandmarksError: detections of another kind lie there, the disk refuses, or too many pictures cannot be read.
        """
        with DetectionWriter(folder, self.trained.classes, self._protocol(data, split)) as writer:
            done = np.isin(images.table.ids, writer.done)
            if done.any():
                log.info("%d of %d pictures of %s are searched already", done.sum(), len(images), folder)
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
            weights=weights_hash(self.trained.model),
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
