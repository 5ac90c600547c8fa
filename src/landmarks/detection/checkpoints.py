"""Checkpoints of detectors: what their record holds beside the configuration, and how they are opened again."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig, OmegaConf
from torchvision.models.detection import FasterRCNN

from landmarks import __version__
from landmarks.data.images.preprocessing import Preprocessing
from landmarks.errors import LandmarksError
from landmarks.models.architecture import build_network, plain_network
from landmarks.models.checkpoints import RECORD_VERSION, open_checkpoint, recorded_preprocessing
from landmarks.models.model_file import SUFFIX, load_model, read_record
from landmarks.recognition.detections.classes import DetectionClasses

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


def load_detector(path: str | Path) -> TrainedDetector:
    """Build the detector that a checkpoint of ours or a model file describes and give it its weights.

    Raises:
        LandmarksError: the file is missing, damaged or none of a detector, or the weights do not fit.
    """
    if Path(path).suffix == SUFFIX:
        return _of_model_file(Path(path))
    found = open_checkpoint(path)
    record = found.get("landmarks")
    if not isinstance(record, dict) or record.get("record_version") != RECORD_VERSION:
        raise LandmarksError(f"checkpoint {path}: was not written by this version of landmarks ({__version__})")
    if record.get("task") != TASK:
        raise LandmarksError(f"checkpoint {path}: is none of a detector; it describes or names landmarks")
    config = OmegaConf.create(record["config"])
    assert isinstance(config, DictConfig)
    classes = DetectionClasses(np.array(record["class_names"], np.str_), np.array(record["class_titles"], np.str_))
    network = plain_network(config.model)
    try:
        if network is None:
            raise LandmarksError(f"it asks for {config.model.get('_target_')}")
        model = build_network(network, num_classes=len(classes))
    except LandmarksError as error:  # or a key that was dropped since
        raise LandmarksError(f"checkpoint {path}: its model is none of this version of landmarks ({error})") from None
    assert isinstance(model, FasterRCNN)
    weights = {k.removeprefix("model."): v for k, v in found["state_dict"].items() if k.startswith("model.")}
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise LandmarksError(f"checkpoint {path}: its weights do not fit its own configuration: {error}") from None
    preprocessing = recorded_preprocessing(path, record)
    trained_on = OmegaConf.to_container(config.data.source)
    return TrainedDetector(model.eval(), config.name, classes, preprocessing, network, trained_on)


def _of_model_file(path: Path) -> TrainedDetector:
    record = read_record(path)
    if record.task != TASK:
        raise LandmarksError(f"{path} is none of a detector; it is for {record.task}")
    model = load_model(path)
    assert isinstance(model, FasterRCNN)
    titles = record.titles or record.labels
    return TrainedDetector(
        model,
        record.name,
        DetectionClasses(np.array(record.labels, np.str_), np.array(titles, np.str_)),
        record.preprocessing,
        record.architecture,
        record.origin,
    )
