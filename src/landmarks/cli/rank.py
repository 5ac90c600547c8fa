"""One process of a DDP run: `python -m landmarks.cli.rank RUN_DIR`, started by `landmarks.training.launch`."""

import logging
import sys
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from landmarks.cli.hydra_main import silence_libraries
from landmarks.config.resolvers import register_resolvers
from landmarks.training.detection.run import train_detector
from landmarks.training.evaluate import evaluate
from landmarks.training.extract import extract
from landmarks.training.run import train


def main() -> None:
    """Read the resolved configuration of the run and do it as the rank that the environment names."""
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
