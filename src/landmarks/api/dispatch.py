"""Which job a configuration asks for. Torch and Lightning, which take seconds to import, are so only for that job."""

from omegaconf import DictConfig

from landmarks.config import quiet_lightning, refuse_absent, refuse_missing
from landmarks.errors import LandmarksError

NOTHING_TO_EVALUATE = """name what to evaluate: a checkpoint
  python evaluate.py checkpoint=runs/…/checkpoints/best.ckpt data=gldv2 data.root=PATH
or descriptors of anybody's
  python evaluate.py descriptors.queries=Q.npy descriptors.index=I.npy pipeline=qe"""


def run_train(config: DictConfig) -> float | None:
    """Train and evaluate what `conf/train.yaml` was composed to; returns the monitored figure."""
    refuse_missing(config)
    refuse_absent(config)
    if config.task == "detection":
        from landmarks.detection import train_detector_job as train_job
    else:
        from landmarks.training import train_job
    quiet_lightning()
    return train_job(config)


def run_evaluate(config: DictConfig) -> float | None:
    """Evaluate what `conf/evaluate.yaml` was composed to: a checkpoint or descriptors; returns the monitored figure."""
    refuse_missing(config)
    given = [f"descriptors.{key}" for key, value in config.descriptors.items() if value]
    if config.checkpoint is None and not given:
        raise LandmarksError(NOTHING_TO_EVALUATE)
    if config.checkpoint is not None and given:
        raise LandmarksError(f"checkpoint and {', '.join(given)} exclude each other: evaluate one at a time")
    refuse_absent(config)
    if given:
        from landmarks.evaluation import evaluate_precomputed_job

        return evaluate_precomputed_job(config)
    from landmarks.models import read_model_record

    quiet_lightning()
    if read_model_record(config.checkpoint, config.trust).task == "detection":
        from landmarks.detection import evaluate_detector_job as evaluate_job
    else:
        from landmarks.evaluation import evaluate_job
    return evaluate_job(config)


def run_extract(config: DictConfig) -> None:
    """Write what a checkpoint makes of the images of `conf/extract.yaml`: descriptors, predictions or detections."""
    refuse_missing(config)
    refuse_absent(config)
    from landmarks.models import read_model_record

    quiet_lightning()
    if read_model_record(config.checkpoint, config.trust).task == "detection":
        from landmarks.detection import extract_detections_job as extract_job
    else:
        from landmarks.extraction import extract_job
    extract_job(config)
