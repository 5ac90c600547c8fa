"""`landmarks train` and `train.py`."""

import sys
from typing import Any

import typer
from omegaconf import DictConfig

from landmarks.cli.hydra_main import quiet_lightning, run_hydra
from landmarks.config import refuse_missing


def command(context: typer.Context) -> None:
    """Train and evaluate: `landmarks train model=res200 loss=arcmargin` (`--help` lists all choices)."""
    train(context.args)


def train(arguments: list[str] | None = None) -> None:
    """Run the training job under Hydra; `train.py` and `landmarks train` both end here."""
    run_hydra(_job, "train", sys.argv[1:] if arguments is None else arguments)


# Torch and Lightning take seconds to import. A misspelt key is found while Hydra composes, before they are needed.
def _job(config: DictConfig) -> Any:
    refuse_missing(config)
    if config.task == "detection":
        from landmarks.detection import train_detector_job as train_job
    else:
        from landmarks.training import train_job

    quiet_lightning()
    return train_job(config)
