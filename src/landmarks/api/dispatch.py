"""Start the job that a configuration asks for; torch and Lightning, slow to import, are imported only when needed."""

import logging
import sys

from omegaconf import DictConfig

from landmarks.config import quiet_lightning, refuse_absent, refuse_missing
from landmarks.errors import LandmarksError

NOTHING_TO_EVALUATE = """name what to evaluate: a checkpoint
  python evaluate.py checkpoint=runs/…/checkpoints/best.ckpt data=gldv2 data.root=PATH
or precomputed descriptors
  python evaluate.py descriptors.queries=Q.npy descriptors.index=I.npy pipeline=qe"""

log = logging.getLogger(__name__)


def run_train(config: DictConfig) -> float | None:
    """Run a training job and its evaluation.

    Args:
        config: As composed from `conf/train.yaml`.

    Returns:
        The monitored metric; None without ground truth.
    """
    refuse_missing(config)
    refuse_absent(config)
    _say_what_takes_seconds()
    if config.task == "detection":
        from landmarks.detection import train_detector_job as train_job
    else:
        from landmarks.training import train_job
    quiet_lightning()
    return train_job(config)


def run_evaluate(config: DictConfig) -> float | None:
    """Evaluate a checkpoint or precomputed descriptors.

    Args:
        config: As composed from `conf/evaluate.yaml`.

    Returns:
        The monitored metric; None without ground truth.

    Raises:
        LandmarksError: Neither or both of them are named, or a file does not exist.
    """
    refuse_missing(config)
    given = [f"descriptors.{key}" for key, value in config.descriptors.items() if value]
    if config.checkpoint is None and not given:
        raise LandmarksError(NOTHING_TO_EVALUATE)
    if config.checkpoint is not None and given:
        raise LandmarksError(f"checkpoint and {', '.join(given)} exclude each other: evaluate one at a time")
    refuse_absent(config)
    _say_what_takes_seconds()
    if given:
        from landmarks.evaluation import evaluate_precomputed_job

        return evaluate_precomputed_job(config)
    from landmarks.models import read_model_record

    if read_model_record(config.checkpoint, config.trust).task == "detection":
        from landmarks.detection import evaluate_detector_job as evaluate_job
    else:
        from landmarks.evaluation import evaluate_job
    quiet_lightning()
    return evaluate_job(config)


def run_extract(config: DictConfig) -> None:
    """Write the descriptors and predictions, or the detections, that a checkpoint gives for a data set.

    Args:
        config: As composed from `conf/extract.yaml`.
    """
    refuse_missing(config)
    refuse_absent(config)
    _say_what_takes_seconds()
    from landmarks.models import read_model_record

    if read_model_record(config.checkpoint, config.trust).task == "detection":
        from landmarks.detection import extract_detections_job as extract_job
    else:
        from landmarks.extraction import extract_job
    quiet_lightning()  # once the job has imported it
    extract_job(config)


def _say_what_takes_seconds() -> None:
    if "torch" not in sys.modules:
        log.info("Loading torch and other libraries: some seconds, the first time up to half a minute")
