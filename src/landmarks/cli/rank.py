"""Runs one process of a DDP run; `landmarks.extraction.launch` starts `-m landmarks.cli.rank RUN_DIR PARENT`."""

import logging
import os
import sys
import threading
import time
from importlib import import_module
from pathlib import Path

JOBS = {  # imported when needed, because each import takes seconds
    ("train", "landmarks"): ("landmarks.training", "train"),
    ("train", "detection"): ("landmarks.detection", "train_detector"),
    ("evaluate", "landmarks"): ("landmarks.evaluation", "evaluate"),
    ("extract", "landmarks"): ("landmarks.extraction", "extract"),
}


def main() -> None:
    """Run the job of the run's resolved configuration, as the rank that the environment variables give."""
    leave_with(int(sys.argv[2]))  # first, because the imports below take seconds
    from omegaconf import DictConfig, OmegaConf

    from landmarks.cli.hydra_main import mistakes_named
    from landmarks.config import import_from_here, named_code, read_kind, register_resolvers, silence_libraries

    register_resolvers()
    silence_libraries()
    logging.basicConfig(level=logging.WARNING)
    run_dir = Path(sys.argv[1])
    with mistakes_named():
        config = OmegaConf.load(run_dir / "config.yaml")
        assert isinstance(config, DictConfig)
        import_from_here(named_code(config))
        room, job = JOBS[read_kind(run_dir)]
        getattr(import_module(room), job)(config, run_dir)


def leave_with(parent: int) -> None:
    """Make this process end when its parent ends, because it would wait for the other ranks forever."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    main()
