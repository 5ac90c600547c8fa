"""Summarises a sweep in one table: the overrides of all jobs and their results."""

import csv
import math
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf
from rich.markup import escape
from rich.table import Table

from landmarks.metrics import best_mode
from landmarks.terminal import Console


class SweepSummary(Callback):
    """Prints the jobs of a sweep, best first, and writes them to `sweep.csv` in the sweep's folder."""

    def __init__(self) -> None:
        self._rows: list[dict[str, Any]] = []

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """Store the overrides and the metric of one job."""
        figure = job_return.return_value if job_return.status is JobStatus.COMPLETED else None
        varied = dict(override.split("=", 1) for override in job_return.overrides or [] if "=" in override)
        self._rows.append(varied | {"figure": figure, "run": OmegaConf.select(config, "hydra.runtime.output_dir")})

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Print and write the table."""
        folder = Path(config.hydra.sweep.dir)
        columns = list(dict.fromkeys(key for row in self._rows for key in row if key not in ("figure", "run")))
        varied = [key for key in columns if len({row.get(key) for row in self._rows}) > 1] or columns
        monitor = config.get("monitor", "figure")
        mode = OmegaConf.select(config, "callbacks.checkpoint.mode") or best_mode(monitor)  # of one's own metric
        sign = 1 if mode == "min" else -1
        rows = sorted(self._rows, key=lambda row: float("inf") if _unknown(row["figure"]) else sign * row["figure"])
        with (folder / "sweep.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=[*columns, "figure", "run"])
            writer.writeheader()
            writer.writerows(rows)
        table = Table(*varied, "figure", "run folder", title=f"Sweep: {monitor}")
        for row in rows:
            figure = "failed" if row["figure"] is None else f"{row['figure']:.4f}"
            table.add_row(*(escape(str(row.get(key, ""))) for key in varied), figure, escape(str(row["run"])))
        Console().print(table, f"Written to {escape(str(folder / 'sweep.csv'))}")


def _unknown(figure: float | None) -> bool:
    return figure is None or math.isnan(figure)
