"""Suppresses warnings of libraries that do not concern people who train."""

import logging
import warnings


def silence_libraries() -> None:
    """Suppress warnings that are meant for authors of libraries, not for people who train."""
    for message in (
        r".*LeafSpec.*is deprecated",
        r".*does not have many workers",
        r".*could not find the monitored key",
        r"The number of training batches .* is smaller than the logging interval",
        r"Found \d+ module\(s\) in eval mode at the start of training",  # those of a frozen network
        r"You passed `Trainer\(accelerator='cpu', precision='16-mixed'\)`",  # we raise an error instead
        r"Checkpoint directory .* exists and is not empty",
        r"Experiment logs directory .* exists and is not empty",
    ):
        warnings.filterwarnings("ignore", message=message)


def quiet_lightning() -> None:
    """Show only Lightning's warnings and errors; call this after importing it, because the import resets the level."""
    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
