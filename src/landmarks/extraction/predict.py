"""Writes what a checkpoint's classifier says of the pictures that its network described."""

import logging
from pathlib import Path

import numpy as np
from omegaconf import DictConfig

from landmarks.errors import LandmarksError
from landmarks.models import OpenedModel
from landmarks.recognition import classify, refuse_other_folder, require_views, to_device, write_predictions
from landmarks.retrieval import DescriptorSet

PREDICTIONS = "_predictions"
"""What the name of a set's predictions ends with."""

log = logging.getLogger(__name__)


def check_predictions(config: DictConfig, trained: OpenedModel) -> None:
    """Refuse, before any work, predictions that cannot be made or written."""
    if config.predictions < 0:
        raise LandmarksError(
            f"predictions={config.predictions}: ask for 1 landmark of each picture or more, or for none: 0"
        )
    if trained.head is None:
        raise LandmarksError(
            f"predictions={config.predictions}: {config.checkpoint} has no classifier (loss: {trained.loss}): use a "
            "checkpoint whose loss has class weights, such as softmax, or leave predictions at 0"
        )
    views = config.extraction
    require_views(trained.head, tuple(views.scales), views.flip, f"predictions={config.predictions}")
    for name in config.splits:
        refuse_other_folder(Path(config.run_dir) / f"{name}{PREDICTIONS}")


def predict(found: DescriptorSet, trained: OpenedModel, k: int, folder: Path, accelerator: str) -> None:
    """Write the k likeliest landmarks of described pictures into a folder, instead of what an earlier run wrote."""
    assert trained.head is not None
    to_device(trained.head, accelerator)
    predictions = classify(found, trained.head, np.array(trained.landmark_names), k)
    write_predictions(folder, predictions, found.protocol)
    likeliest = float(np.median(predictions.probabilities[:, 0]))
    log.info("%s: %d pictures, median probability of the likeliest landmark %.3f", folder, len(found), likeliest)
