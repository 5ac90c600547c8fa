"""The jobs of a detector: train it, evaluate it on data with boxes, and write its detections in a data set's images."""

from pathlib import Path

import numpy as np
import pytorch_lightning as pl
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf, open_dict
from rich.markup import escape
from rich.table import Table
from torchvision.models.detection import FasterRCNN

from landmarks.config import (
    DetectorEvaluateSettings,
    DetectorSettings,
    ExtractSettings,
    built_class,
    check_config,
    refuse_missing,
    write_record,
)
from landmarks.data import LandmarkDataModule, Preprocessing
from landmarks.data.samplers import fingerprint
from landmarks.detection.detect import Detector, TrainedDetector, load_detector
from landmarks.detection.evaluation import FIGURES, SPLIT, DetectionEvaluation, Judges, sample_images
from landmarks.detection.openimages import DetectionDataModule
from landmarks.detection.outputs import Findings, write_findings
from landmarks.detection.training_module import DetectorModule
from landmarks.errors import LandmarksError
from landmarks.evaluation import protocol_stamp
from landmarks.extraction import UnreadableImages
from landmarks.models import checkpoint_record, weights_hash
from landmarks.recognition import DETECTIONS, PROTOCOL_FILE, DetectionProtocol, FoundObjects
from landmarks.terminal import Console
from landmarks.training import Parts, TrainedRun, ready, run_training

USED = ("job", "name", "seed", "run_dir", "trust", "channels_last", "inference", "checkpoint", "trainer")
CALLBACKS = ("unreadable", "progress")
LANDMARKS_ONLY = ("validation", "resize")  # keys of `data` in conf/evaluate.yaml that do not apply to detectors
DRAWN = 8


def train_detector_job(config: DictConfig) -> float | None:
    """Check the configuration, record it, and train a detector.

    Args:
        config: The composed configuration of `train.py`.

    Returns:
        The monitored metric, for sweeps.

    Raises:
        LandmarksError: The configuration is invalid, or a step of the job fails.
    """
    check_config(config, DetectorSettings)
    if not issubclass(built_class(config.model) or FasterRCNN, FasterRCNN):
        raise LandmarksError("task=detection needs a detector, such as model=faster_rcnn_resnet50")
    return train_detector(config, Path(config.run_dir))


def train_detector(config: DictConfig, run_dir: Path) -> float | None:
    """Train and evaluate a detector with a checked configuration; see `landmarks.training.run_training`."""
    return run_training(config, run_dir, _detector_parts)


def _detector_parts(config: DictConfig) -> Parts:
    if config.monitor not in (known := [f"{SPLIT}/{name}" for name in FIGURES.values()]):
        raise LandmarksError(f"monitor={config.monitor}: unknown metric; choose one of {', '.join(known)}")
    data: DetectionDataModule = instantiate(config.data)
    ready(data)
    classes, resize, boxes = data.classes, data.resize, data.val_set.boxes
    record = checkpoint_record(
        config,
        Preprocessing("detection", resize.short_side, resize.long_side),
        task="detection",
        class_names=classes.names.tolist(),
        class_titles=classes.titles.tolist(),
        evaluated_on={"images": data.val_set.images.identity(), "boxes": fingerprint(boxes.start, boxes.labels)},
    )
    module = DetectorModule(
        instantiate(config.model)(num_classes=len(classes)),
        classes.names,
        optimizer=instantiate(config.optimizer),
        scheduler=instantiate(config.scheduler),
        parameters=instantiate(config.parameters),
        channels_last=config.channels_last,
        compile=config.compile,
        record=record,
    )

    def adapt(trainer: pl.Trainer) -> None:
        if len(data.val_set) <= data.eval_batch_size * (trainer.world_size - 1):  # a rank without a batch would hang
            raise LandmarksError(
                f"{len(data.val_set)} validation images do not give a batch of {data.eval_batch_size} to each of the "
                f"{trainer.world_size} devices: lower data.eval_batch_size"
            )

    def report(run: TrainedRun) -> None:
        evaluation = run.evaluation
        assert isinstance(evaluation, DetectionEvaluation)
        found = Findings(
            run.results, evaluation.by_class, data.val_set, evaluation.sample, evaluation.found, data.classes
        )
        weights = {"model": config.name, "weights": weights_hash(module.model), "input_size": data.resize.short_side}
        sizes = {"train": len(data.train_set), "validation": len(data.val_set), "classes": len(data.classes)}
        figures = {**run.figures, "protocol": [weights], "data": {"source": data.source.name, **sizes}}
        facts = {
            "data": f"{data.source.name}: {len(data.train_set)} training images, {len(data.val_set)} validation images",
            "classes": str(len(data.classes)),
        }
        write_findings(run.run_dir, config.name, found, figures, facts)

    return Parts(data, module, record, f"{len(data.train_set)} images of {len(data.classes)} classes", report, adapt)


def evaluate_detector_job(config: DictConfig) -> float | None:
    """Evaluate a detector checkpoint; the configuration's open settings are taken from the checkpoint.

    Args:
        config: The composed configuration of `evaluate.py`.

    Returns:
        mAP at IoU 0.5 by the rules of the 2018 challenge.

    Raises:
        LandmarksError: The configuration is invalid, or the data have no boxes.
    """
    refuse_missing(config)
    trained = load_detector(config.checkpoint, trust=config.trust)
    if not issubclass(built_class(config.data) or DetectionDataModule, DetectionDataModule):
        raise LandmarksError(
            f"checkpoint {config.checkpoint} is a detector, but these data have no boxes to evaluate it with: choose "
            "data=openimages, or write its detections: landmarks extract checkpoint=… data=gldv2 data.root=PATH"
        )
    used = _used_part(config, trained)
    check_config(used, DetectorEvaluateSettings)
    return _evaluate(used, Path(used.run_dir), trained)


def _used_part(config: DictConfig, trained: TrainedDetector) -> DictConfig:
    """Return the configuration without keys that do not apply to detectors; open sizes become those of training."""
    used = OmegaConf.masked_copy(config, list(USED))
    with open_dict(used):
        used.callbacks = OmegaConf.masked_copy(config.callbacks, list(CALLBACKS))
        used.data = OmegaConf.masked_copy(config.data, [k for k in config.data if k not in LANDMARKS_ONLY])
        if used.data.image_size is None:
            trained_with = trained.preprocessing
            used.data.image_size, used.data.max_size = trained_with.short_side, trained_with.long_side
    return used


def _evaluate(config: DictConfig, run_dir: Path, trained: TrainedDetector) -> float:
    """Detect objects in the evaluation images, compute the metrics, and write all results.

    Detections that an interrupted evaluation left in the run folder are reused.
    """
    data: DetectionDataModule = instantiate(config.data)
    data.prepare_data()
    data.setup("validate")
    unreadable: UnreadableImages = instantiate(config.callbacks.unreadable)
    folder = run_dir / "detections"
    detector = Detector(config, trained)
    write_record(config, run_dir, "detection")
    found = detector.detect(
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
    expanded = judges.update(ids, boxes)  # an unreadable image counts as one without detections
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
            "images": len(data.val_set),
            "classes": len(data.classes),
            "classes_the_detector_lacks": len(unknown),
            "boxes_found": len(boxes.labels),
        },
    }
    facts = {
        "detector": f"{trained.name}, {len(trained.classes)} classes",
        "data": f"{data.source.name}, {data.source.evaluation_split}: {len(data.val_set)} images",
        "classes": f"{len(data.classes)}, of which the detector lacks {len(unknown)}",
    }
    sample = sample_images(data.val_set.boxes.counts(), DRAWN, config.seed)
    findings = Findings(
        {trained.name: scores}, by_class, data.val_set, sample, [boxes], trained.classes, predictions=expanded
    )
    write_findings(run_dir, f"{trained.name} on {data.source.name}", findings, figures, facts)
    return scores[SPLIT]["map@0.5"]


def extract_detections_job(config: DictConfig) -> None:
    """Detect objects in the splits of a data set with a checkpoint, write them to the run folder and print a summary.

    Args:
        config: The composed configuration of `landmarks extract`.

    Raises:
        LandmarksError: The configuration is invalid.
    """
    refuse_missing(config)
    trained = load_detector(config.checkpoint, trust=config.trust)
    check_config(config, ExtractSettings)
    if not config.splits:
        raise LandmarksError("splits is empty: choose some of queries, index, gallery and train")
    run_dir = Path(config.run_dir)
    data: LandmarkDataModule = instantiate(config.data, _partial_=True)(
        trained=trained.preprocessing, splits=config.splits
    )
    data.prepare_data()
    data.setup("validate")
    detector = Detector(config, trained)
    write_record(config, run_dir, "detection")
    unreadable: UnreadableImages = instantiate(config.callbacks.unreadable)
    table = Table("set", title="Detections", title_justify="left")
    for heading in ("images", "with boxes", "boxes", "unreadable"):
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
    Console().print(f"The sets are in [bold]{escape(str(run_dir))}[/]", soft_wrap=True)


def _counts(found: FoundObjects, images: int) -> tuple[str, ...]:
    ids = found.boxes.image_ids
    looked_at = len(found.looked_at)
    return str(looked_at), str(len(np.unique(ids))), str(len(ids)), str(images - looked_at)
