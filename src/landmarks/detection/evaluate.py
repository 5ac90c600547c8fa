"""Evaluates a detector of ours on any data with boxes: figures of both evaluators, a submission, drawn boxes."""

from pathlib import Path

import numpy as np
from hydra.utils import get_class, instantiate
from omegaconf import DictConfig, OmegaConf, open_dict

from landmarks.config import DetectorEvaluateSettings, check_config, refuse_missing, write_record
from landmarks.detection.checkpoints import TrainedDetector, load_detector
from landmarks.detection.detect import Detector
from landmarks.detection.evaluation import SPLIT, Judges, sample_pictures
from landmarks.detection.openimages import DetectionDataModule
from landmarks.detection.outputs import Findings, write_findings
from landmarks.errors import LandmarksError
from landmarks.evaluation import protocol_stamp
from landmarks.extraction import UnreadablePictures
from landmarks.recognition import PROTOCOL_FILE, DetectionProtocol

USED = ("job", "name", "seed", "run_dir", "channels_last", "inference", "checkpoint", "trainer")
CALLBACKS = ("unreadable", "progress")
LANDMARKS_ONLY = ("validation", "resize")  # keys of `data` in conf/evaluate.yaml that pictures with boxes do not have
DRAWN = 8


def evaluate_detector_job(config: DictConfig) -> float | None:
    """Open the checkpoint, take from it what the configuration leaves open, check, and evaluate."""
    refuse_missing(config)
    trained = load_detector(config.checkpoint)
    if not issubclass(get_class(config.data._target_), DetectionDataModule):
        raise LandmarksError(
            f"checkpoint {config.checkpoint} is a detector, and these data have no boxes to score it with: choose "
            "data=openimages, or write what it finds: landmarks extract checkpoint=… data=gldv2 data.root=PATH"
        )
    used = used_part(config, trained)
    check_config(used, DetectorEvaluateSettings)
    run_dir = Path(used.run_dir)
    write_record(used, run_dir, "detection")
    return evaluate_detector(used, run_dir, trained)


def used_part(config: DictConfig, trained: TrainedDetector) -> DictConfig:
    """The configuration without what a detector has no use for; sizes that are left open are those of training."""
    used = OmegaConf.masked_copy(config, list(USED))
    with open_dict(used):
        used.callbacks = OmegaConf.masked_copy(config.callbacks, list(CALLBACKS))
        used.data = OmegaConf.masked_copy(config.data, [k for k in config.data if k not in LANDMARKS_ONLY])
        if used.data.image_size is None:
            trained_with = trained.preprocessing
            used.data.image_size, used.data.max_size = trained_with.short_side, trained_with.long_side
    return used


def evaluate_detector(config: DictConfig, run_dir: Path, trained: TrainedDetector) -> float:
    """Look for objects in the pictures to score, score them, and write it all.

    What an interrupted evaluation left in the run folder is not looked for again.
    """
    data: DetectionDataModule = instantiate(config.data)
    data.prepare_data()
    data.setup("validate")
    unreadable: UnreadablePictures = instantiate(config.callbacks.unreadable)
    folder = run_dir / "detections"
    found = Detector.from_config(config, trained).detect(
        data.val_set.images,
        folder,
        data.source.name,
        data.source.evaluation_split,
        upright=False,
        unreadable=unreadable,
        progress=config.callbacks.progress is not None,
    )
    ids = data.val_set.images.table.ids
    boxes = found.boxes.take(np.isin(found.boxes.image_ids, ids))
    judges = Judges(data)
    expanded = judges.update(ids, boxes)  # an image that could not be read counts as one in which nothing was found
    scores, by_class = judges.compute()
    unknown = np.setdiff1d(data.classes.names, trained.classes.names)

    figures = {
        "job": config.job,
        "task": "detection",
        "name": config.name,
        "checkpoint": str(config.checkpoint),
        "scores": scores,
        "protocol": protocol_stamp([DetectionProtocol.read(folder / PROTOCOL_FILE)]),
        "trained_on": trained.trained_on,
        "unreadable": unreadable.reasons,
        "data": {
            "source": data.source.name,
            "split": data.source.evaluation_split,
            "pictures": len(data.val_set),
            "classes": len(data.classes),
            "classes_the_detector_lacks": len(unknown),
            "boxes_found": len(boxes.labels),
        },
    }
    facts = {
        "detector": f"{trained.name}, {len(trained.classes)} classes",
        "data": f"{data.source.name}, {data.source.evaluation_split}: {len(data.val_set)} pictures",
        "classes": f"{len(data.classes)}, of which the detector lacks {len(unknown)}",
    }
    sample = sample_pictures(data.val_set.boxes.counts(), DRAWN, config.seed)
    findings = Findings(
        {trained.name: scores}, by_class, data.val_set, sample, [boxes], trained.classes, predictions=expanded
    )
    write_findings(run_dir, f"{trained.name} on {data.source.name}", findings, figures, facts)
    return scores[SPLIT]["map@0.5"]
