"""One process of a DDP run: `python -m landmarks.cli.rank RUN_DIR`, started by `landmarks.extraction.launch`."""

import logging
import sys
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from landmarks.cli.hydra_main import silence_libraries
from landmarks.config.locations import import_from_here
from landmarks.config.resolvers import register_resolvers
from landmarks.detection.train import train_detector
from landmarks.evaluation.evaluate import evaluate
from landmarks.extraction.extract import extract
from landmarks.training.train import train


def main() -> None:
    """Read the resolved configuration of the run and do it as the rank that the environment names."""
    import_from_here()
    register_resolvers()
    silence_libraries()
    logging.basicConfig(level=logging.WARNING)
    run_dir = Path(sys.argv[1])
    config = OmegaConf.load(run_dir / "config.yaml")
    assert isinstance(config, DictConfig)
    if "splits" in config:
        extract(config, run_dir)
    elif "checkpoint" in config:
        evaluate(config, run_dir)
    elif config.task == "detection":
        train_detector(config, run_dir)
    else:
        train(config, run_dir)


if __name__ == "__main__":
    main()
