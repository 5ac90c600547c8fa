"""Checkpoints of detectors: what their record holds beside the configuration, and how they are opened again."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig, OmegaConf
from torchvision.models.detection import FasterRCNN

from landmarks import __version__
from landmarks.data import Preprocessing
from landmarks.models import RECORD_VERSION, Device, open_model
from landmarks.recognition import DetectionClasses

TASK = "detection"


@dataclass(frozen=True)
class TrainedDetector:
    """A detector with trained weights, and where it comes from.

    Attributes:
        model: in eval mode.
        name: of the run that trained it, or of the model file.
        classes: what it tells apart; class i is the model's label i + 1.
        preprocessing: what happened to the images that it was evaluated with.
        network: as `landmarks.models.architecture.build_network` takes it; holds the rules of inference, too.
        trained_on: which data, for people.
    """

    model: FasterRCNN
    name: str
    classes: DetectionClasses
    preprocessing: Preprocessing
    network: Mapping[str, Any]
    trained_on: Any


def detector_record(config: DictConfig, classes: DetectionClasses) -> dict[str, Any]:
    """Return the plain values that go into every checkpoint of a run."""
    return {
        "record_version": RECORD_VERSION,
        "landmarks_version": __version__,
        "task": TASK,
        "config": OmegaConf.to_container(config, resolve=True),
        "preprocessing": asdict(Preprocessing("detection", config.data.image_size, config.data.max_size)),
        "class_names": classes.names.tolist(),
        "class_titles": classes.titles.tolist(),
    }


def load_detector(path: str | Path, device: Device = "cpu") -> TrainedDetector:
    """Open a detector of a run or a model file; see `landmarks.models.opened.open_model`.

    Raises:
        LandmarksError: The file is missing, corrupt or none of a detector, its weights do not fit, or the device is
            not there.
    """
    opened = open_model(path, "boxes", device)
    record, model = opened.record, opened.network
    assert isinstance(model, FasterRCNN)
    classes = DetectionClasses(np.array(record.labels, np.str_), np.array(record.titles or record.labels, np.str_))
    return TrainedDetector(model, record.name, classes, record.preprocessing, record.architecture, opened.trained_on)
