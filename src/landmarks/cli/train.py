"""`landmarks train` and `train.py`."""

from typing import Any

from omegaconf import DictConfig

from landmarks.cli.hydra_main import Arguments, quiet_lightning, run_hydra
from landmarks.config import refuse_absent, refuse_missing


def train(arguments: Arguments = None) -> None:
    """Train and evaluate: `landmarks train model=res200 loss=arcmargin` (`--help` lists all choices)."""
    run_hydra(_job, "train", arguments or ())


# Torch and Lightning take seconds to import. A misspelt key is found while Hydra composes, before they are needed.
def _job(config: DictConfig) -> Any:
    refuse_missing(config)
    refuse_absent(config)
    if config.task == "detection":
        from landmarks.detection import train_detector_job as train_job
    else:
        from landmarks.training import train_job

    quiet_lightning()
    return train_job(config)
