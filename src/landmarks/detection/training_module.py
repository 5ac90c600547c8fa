"""The Lightning module of a detector: its losses, detections and optimisation."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision.models.detection import FasterRCNN

from landmarks.detection.detect import find_objects, ids_of
from landmarks.detection.detector import prepared
from landmarks.errors import LandmarksError
from landmarks.recognition import Detections
from landmarks.training import OptimizerFactory, ParameterGroups, SchedulerFactory, TrainedModule

ONE_GROUP = ParameterGroups()


class DetectorModule(TrainedModule):
    """Trains a Faster R-CNN on batches of `landmarks.detection.openimages`.

    Group-of boxes are learned like others: if they were left out, their objects would be learned as background, and
    torchvision cannot ignore regions. `data.source.group_of=ignore` does leave them out. Class i is the model's label
    i + 1.

    Args:
        model: The detector.
        classes: Machine names of the classes, str [C].
        optimizer: Makes the optimizer.
        scheduler: Makes the learning rate scheduler.
        channels_last: Whether weights use the memory format channels_last.
        compile: Whether the backbone is compiled.
        record: What checkpoints record about the model.
        parameters: Divides the parameters into groups.
    """

    def __init__(
        self,
        model: FasterRCNN,
        classes: NDArray[np.str_],
        optimizer: OptimizerFactory,
        scheduler: SchedulerFactory,
        channels_last: bool = True,
        compile: bool = False,
        record: dict[str, Any] | None = None,
        parameters: ParameterGroups = ONE_GROUP,
    ) -> None:
        super().__init__(optimizer, scheduler, record, parameters)
        self.model = prepared(model, channels_last, compile)
        self.classes = classes
        self.check_optimizer()

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """Return the sum of the four losses of a batch. Raises LandmarksError if it is not finite."""
        losses: dict[str, Tensor] = self.model(batch["image"], batch["targets"])
        loss = torch.stack(list(losses.values())).sum()
        if not loss.isfinite():
            raise LandmarksError(
                f"The loss is {loss.item()} in step {self.trainer.global_step}: training has diverged. Lower "
                "optimizer.lr, lengthen scheduler.warmup, or set trainer.gradient_clip_val=1."
            )
        count = len(batch["image"])
        self.log("train/loss", loss.detach(), prog_bar=True, batch_size=count)
        parts = {f"train/{name}": part.detach() for name, part in losses.items()}  # loss_classifier, loss_box_reg, …
        self.log_dict(parts, batch_size=count)
        return loss

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> dict[str, Detections]:
        """Return the detections in a batch, as `found`."""
        return {"found": find_objects(self.model, batch["image"], ids_of(batch), self.classes)}
