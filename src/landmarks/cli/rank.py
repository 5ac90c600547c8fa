"""One process of a DDP run: `python -m landmarks.cli.rank RUN_DIR`, started by `landmarks.extraction.launch`."""

import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from landmarks.cli.hydra_main import silence_libraries
from landmarks.config import import_from_here, read_kind, register_resolvers
from landmarks.detection import train_detector
from landmarks.evaluation import evaluate
from landmarks.extraction import extract
from landmarks.training import train

JOBS: dict[tuple[str, str], Callable[[DictConfig, Path], Any]] = {
    ("train", "landmarks"): train,
    ("train", "detection"): train_detector,
    ("evaluate", "landmarks"): evaluate,
    ("extract", "landmarks"): extract,
}


def main() -> None:
    """Read the resolved configuration of the run and do it as the rank that the environment names."""
    import_from_here()
    register_resolvers()
    silence_libraries()
    logging.basicConfig(level=logging.WARNING)
    run_dir = Path(sys.argv[1])
    config = OmegaConf.load(run_dir / "config.yaml")
    assert isinstance(config, DictConfig)
    JOBS[read_kind(run_dir)](config, run_dir)


if __name__ == "__main__":
    main()
