"""`landmarks train` and `train.py`."""

from landmarks.api import run_train
from landmarks.cli.hydra_main import Arguments, run_hydra


def train(arguments: Arguments = None) -> None:
    """Train and evaluate: `landmarks train model=res200 loss=arcmargin` (`--help` lists all choices)."""
    run_hydra(run_train, "train", arguments or ())
