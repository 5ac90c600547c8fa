"""Runs one process of a DDP run: `-m landmarks.cli.rank RUN_DIR PARENT TO_GO_ON`, see `landmarks.extraction.launch`."""

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
    said = f"Rank 0 was killed, and the run ends. {sys.argv[3]}"
    # first, because the imports below take seconds; one rank speaks for all
    leave_with(int(sys.argv[2]), said if os.environ["LOCAL_RANK"] == "1" else "")
    from omegaconf import DictConfig, OmegaConf

    from landmarks.cli.hydra_main import mistakes_named
    from landmarks.config import import_from_here, named_code, read_kind, register_resolvers, silence_libraries
    from landmarks.errors import LandmarksError
    from landmarks.extraction import GRACE, LOST, lost_peer

    register_resolvers()
    silence_libraries()
    logging.basicConfig(level=logging.WARNING)
    run_dir = Path(sys.argv[1])
    with mistakes_named():
        config = OmegaConf.load(run_dir / "config.yaml")
        assert isinstance(config, DictConfig)
        import_from_here(named_code(config))
        room, job = JOBS[read_kind(run_dir)]
        try:
            getattr(import_module(room), job)(config, run_dir)
        except (RuntimeError, LandmarksError) as error:
            if not lost_peer(error.__cause__ or error):
                raise
            time.sleep(2 * GRACE)  # until rank 0 has ended this process, or has ended itself
            raise SystemExit(LOST) from None


def leave_with(parent: int, said: str = "") -> None:
    """Make this process say why and end when its parent ends, because it would wait for the other ranks forever."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        if said:
            print(said, file=sys.stderr, flush=True)  # noqa: T201 - it ends here
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    main()
