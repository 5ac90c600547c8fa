"""Where Lightning's CSV logger writes, and how the logs of an interrupted run are kept when it goes on."""

from pathlib import Path

from pytorch_lightning.utilities import rank_zero_only

LOG = "logs/metrics.csv"  # where conf/logger/csv.yaml puts it


@rank_zero_only
def set_log_aside(run_dir: Path) -> None:
    """Keep the log of the interrupted run, which Lightning's logger would delete."""
    path = run_dir / LOG
    if path.is_file():
        path.rename(path.with_suffix(f".{len(_earlier(path)) + 1}.csv"))


def log_files(run_dir: Path) -> list[Path]:
    """The logs of a run, oldest first; none where it has no CSV logger."""
    path = run_dir / LOG
    return [*_earlier(path), path] if path.is_file() else []


def _earlier(path: Path) -> list[Path]:
    return sorted(path.parent.glob(f"{path.stem}.*.csv"), key=lambda log: int(log.suffixes[0][1:]))
