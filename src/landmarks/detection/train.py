"""What a detector brings to the train job."""

from pathlib import Path

import pytorch_lightning as pl
from hydra.utils import instantiate
from omegaconf import DictConfig

from landmarks.config import DetectorSettings, check_config, write_record
from landmarks.detection.checkpoints import detector_record
from landmarks.detection.evaluation import DetectionEvaluation
from landmarks.detection.openimages import DetectionDataModule
from landmarks.detection.outputs import Findings, write_findings
from landmarks.detection.training_module import DetectorModule
from landmarks.errors import LandmarksError
from landmarks.models import weights_hash
from landmarks.training import Parts, TrainedRun, ready, run_training


def train_detector_job(config: DictConfig) -> float | None:
    """Check the configuration, record it, train, and return the monitored figure for sweeps."""
    check_config(config, DetectorSettings)
    if not config.model.get("_partial_"):
        raise LandmarksError("task=detection needs a model that finds objects, such as model=faster_rcnn_resnet50")
    run_dir = Path(config.run_dir)
    write_record(config, run_dir, "detection")
    return train_detector(config, run_dir)


def train_detector(config: DictConfig, run_dir: Path) -> float | None:
    """Train and evaluate a detector; see `landmarks.training.job.run_training`."""
    return run_training(config, run_dir, _detector_parts)


def _detector_parts(config: DictConfig) -> Parts:
    data: DetectionDataModule = instantiate(config.data)
    ready(data)
    module = DetectorModule(
        instantiate(config.model)(num_classes=len(data.classes)),
        data.classes.names,
        optimizer=instantiate(config.optimizer),
        scheduler=instantiate(config.scheduler),
        channels_last=config.channels_last,
        compile=config.compile,
        record=detector_record(config, data.classes),
    )

    def check(trainer: pl.Trainer) -> None:
        if len(data.val_set) <= data.eval_batch_size * (trainer.world_size - 1):  # a rank without any hangs the others
            raise LandmarksError(
                f"{len(data.val_set)} pictures to score give no batch of {data.eval_batch_size} to each of the "
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
            "data": f"{data.source.name}: {len(data.train_set)} pictures to train on, {len(data.val_set)} to score",
            "classes": str(len(data.classes)),
        }
        write_findings(run.run_dir, config.name, found, figures, facts)

    return Parts(data, module, f"{len(data.train_set)} pictures of {len(data.classes)} classes", report, check)
