"""Keeps libraries quiet about what does not concern people who train."""

import logging
import warnings


def silence_libraries() -> None:
    """Keep warnings off the screen that are addressed to the authors of libraries, not to people who train."""
    for message in (
        r".*LeafSpec.*is deprecated",
        r".*does not have many workers",
        r".*could not find the monitored key",
        r"The number of training batches .* is smaller than the logging interval",
        r"Found \d+ module\(s\) in eval mode at the start of training",  # those of a frozen network
        r"You passed `Trainer\(accelerator='cpu', precision='16-mixed'\)`",  # which is refused
        r"Checkpoint directory .* exists and is not empty",
        r"Experiment logs directory .* exists and is not empty",
    ):
        warnings.filterwarnings("ignore", message=message)


def quiet_lightning() -> None:
    """Let Lightning speak up only when something is wrong; it makes itself heard anew whenever it is imported."""
    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
