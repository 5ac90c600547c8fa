"""`landmarks evaluate` and `evaluate.py`."""

from typing import Any

from omegaconf import DictConfig

from landmarks.cli.hydra_main import Arguments, quiet_lightning, run_hydra
from landmarks.config import refuse_absent, refuse_missing
from landmarks.errors import LandmarksError

NOTHING_TO_EVALUATE = """name what to evaluate: a checkpoint
  python evaluate.py checkpoint=runs/…/checkpoints/best.ckpt data=gldv2 data.root=PATH
or descriptors of anybody's
  python evaluate.py descriptors.queries=Q.npy descriptors.index=I.npy pipeline=qe"""


def evaluate(arguments: Arguments = None) -> None:
    """Evaluate a checkpoint, `landmarks evaluate checkpoint=PATH data=gldv2 data.root=PATH`, or given descriptors.

    `landmarks evaluate descriptors.queries=Q.npy descriptors.index=I.npy pipeline=qe` searches with anybody's.
    """
    run_hydra(_job, "evaluate", arguments or ())


# Torch and Lightning take seconds to import. A misspelt key is found while Hydra composes, before they are needed.
def _job(config: DictConfig) -> Any:
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
