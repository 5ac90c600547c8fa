"""Checkpoints of detectors: what their record holds beside the configuration, and how they are opened again."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from torchvision.models.detection import FasterRCNN

from landmarks import __version__
from landmarks.data.openimages.classes import DetectionClasses
from landmarks.errors import LandmarksError
from landmarks.training.checkpoints import RECORD_VERSION, open_checkpoint

TASK = "detection"


@dataclass(frozen=True)
class TrainedDetector:
    """A detector with trained weights, and where it comes from.

    Attributes:
        model: in eval mode.
        name: of the run that trained it.
        config: the run's resolved configuration.
        classes: what it tells apart; class i is the model's label i + 1.
    """

    model: FasterRCNN
    name: str
    config: DictConfig
    classes: DetectionClasses


def detector_record(config: DictConfig, classes: DetectionClasses) -> dict[str, Any]:
    """Return the plain values that go into every checkpoint of a run."""
    return {
        "record_version": RECORD_VERSION,
        "landmarks_version": __version__,
        "task": TASK,
        "config": OmegaConf.to_container(config, resolve=True),
        "class_names": classes.names.tolist(),
        "class_titles": classes.titles.tolist(),
    }


def load_detector(path: str | Path) -> TrainedDetector:
    """Build the detector that a checkpoint of ours describes and give it its weights.

    Raises:
        LandmarksError: the file is missing, damaged or no checkpoint of a detector, or the weights do not fit.
    """
    found = open_checkpoint(path)
    record = found.get("landmarks")
    if not isinstance(record, dict) or record.get("record_version") != RECORD_VERSION:
        raise LandmarksError(f"checkpoint {path}: was not written by this version of landmarks ({__version__})")
    if record.get("task") != TASK:
        raise LandmarksError(f"checkpoint {path}: is none of a detector; it describes or names landmarks")
    config = OmegaConf.create(record["config"])
    assert isinstance(config, DictConfig)
    classes = DetectionClasses(np.array(record["class_names"], np.str_), np.array(record["class_titles"], np.str_))
    try:
        model: FasterRCNN = instantiate(config.model, fill=False)(num_classes=len(classes))
    except TypeError as error:  # a key that was dropped since
        raise LandmarksError(f"checkpoint {path}: its model is none of this version of landmarks ({error})") from None
    weights = {k.removeprefix("model."): v for k, v in found["state_dict"].items() if k.startswith("model.")}
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise LandmarksError(f"checkpoint {path}: its weights do not fit its own configuration: {error}") from None
    return TrainedDetector(model.eval(), config.name, config, classes)
