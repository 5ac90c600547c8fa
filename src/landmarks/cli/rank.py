"""One process of a DDP run: `landmarks.extraction.launch` starts `python -P -m landmarks.cli.rank RUN_DIR PARENT`."""

import logging
import os
import sys
import threading
import time
from importlib import import_module
from pathlib import Path

JOBS = {  # imported when asked for: each takes seconds
    ("train", "landmarks"): ("landmarks.training", "train"),
    ("train", "detection"): ("landmarks.detection", "train_detector"),
    ("evaluate", "landmarks"): ("landmarks.evaluation", "evaluate"),
    ("extract", "landmarks"): ("landmarks.extraction", "extract"),
}


def main() -> None:
    """Read the resolved configuration of the run and do it as the rank that the environment names."""
    leave_with(int(sys.argv[2]))  # before all else: what is imported below takes seconds
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
    """End this process with the one that started it, in whatever it is: alone it would wait for the others for ever."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    main()
