"""`landmarks evaluate` and `evaluate.py`."""

import sys
from typing import Any

import typer
from omegaconf import DictConfig

from landmarks.cli.hydra_main import quiet_lightning, run_hydra
from landmarks.config import refuse_missing
from landmarks.errors import LandmarksError

NOTHING_TO_EVALUATE = """name what to evaluate: a checkpoint
  python evaluate.py checkpoint=runs/…/checkpoints/best.ckpt data=gldv2 data.root=PATH
or descriptors of anybody's
  python evaluate.py descriptors.queries=Q.npy descriptors.index=I.npy pipeline=qe"""


def command(context: typer.Context) -> None:
    """Evaluate a checkpoint, `landmarks evaluate checkpoint=PATH data=gldv2 data.root=PATH`, or given descriptors.

    `landmarks evaluate descriptors.queries=Q.npy descriptors.index=I.npy pipeline=qe` searches with anybody's.
    """
    evaluate(context.args)


def evaluate(arguments: list[str] | None = None) -> None:
    """Run an evaluation under Hydra; `evaluate.py` and `landmarks evaluate` both end here."""
    run_hydra(_job, "evaluate", sys.argv[1:] if arguments is None else arguments)


# Torch and Lightning take seconds to import. A misspelt key is found while Hydra composes, before they are needed.
def _job(config: DictConfig) -> Any:
    refuse_missing(config)
    given = [f"descriptors.{key}" for key, value in config.descriptors.items() if value]
    if config.checkpoint is None and not given:
        raise LandmarksError(NOTHING_TO_EVALUATE)
    if config.checkpoint is not None and given:
        raise LandmarksError(f"checkpoint and {', '.join(given)} exclude each other: evaluate one at a time")
    if given:
        from landmarks.evaluation import evaluate_precomputed_job

        return evaluate_precomputed_job(config)
    from landmarks.models import read_model_record

    quiet_lightning()
    if read_model_record(config.checkpoint).task == "detection":
        from landmarks.detection import evaluate_detector_job as evaluate_job
    else:
        from landmarks.evaluation import evaluate_job
    return evaluate_job(config)
