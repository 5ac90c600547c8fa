"""Writes what a detector finds in the pictures of a data set: `landmarks extract` with a detector's checkpoint."""

from pathlib import Path

import numpy as np
from hydra.utils import instantiate
from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from landmarks.config import ExtractSettings, check_config, refuse_missing, write_record
from landmarks.data import LandmarkDataModule
from landmarks.detection.checkpoints import TrainedDetector, load_detector
from landmarks.detection.detect import Detector
from landmarks.errors import LandmarksError
from landmarks.extraction import UnreadablePictures
from landmarks.recognition import DETECTIONS, FoundObjects


def extract_detections_job(config: DictConfig) -> None:
    """Open the checkpoint, take from it what the configuration leaves open, check, and detect."""
    refuse_missing(config)
    trained = load_detector(config.checkpoint)
    check_config(config, ExtractSettings)
    if not config.splits:
        raise LandmarksError("splits is empty: name some of queries, index, gallery and train")
    run_dir = Path(config.run_dir)
    write_record(config, run_dir, "detection")
    extract_detections(config, run_dir, trained)


def extract_detections(config: DictConfig, run_dir: Path, trained: TrainedDetector) -> None:
    """Write the detections of the named splits into the run folder, and print what they are."""
    data: LandmarkDataModule = instantiate(config.data, _partial_=True)(
        trained=trained.preprocessing, splits=config.splits
    )
    data.prepare_data()
    data.setup("validate")
    detector = Detector.from_config(config, trained)
    unreadable: UnreadablePictures = instantiate(config.callbacks.unreadable)
    table = Table("set", title="Detections", title_justify="left")
    for heading in ("pictures", "with boxes", "boxes", "unreadable"):
        table.add_column(heading, justify="right")
    for name, images in data.evaluated.items():
        found = detector.detect(
            images,
            run_dir / f"{name}{DETECTIONS}",
            data.source.name,
            name,
            unreadable=unreadable,
            progress=config.callbacks.progress is not None,
        )
        table.add_row(f"{name}{DETECTIONS}", *_counts(found, len(images)))
    Console().print(table)
    Console().print(f"The sets are in [bold]{run_dir}[/]", soft_wrap=True)


def _counts(found: FoundObjects, pictures: int) -> tuple[str, ...]:
    ids = found.boxes.image_ids
    looked_at = len(found.looked_at)
    return str(looked_at), str(len(np.unique(ids))), str(len(ids)), str(pictures - looked_at)
