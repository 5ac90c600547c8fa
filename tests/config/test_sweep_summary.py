"""The table after a sweep: what was varied, best first, failures last."""

import csv
from pathlib import Path

from hydra.core.utils import JobReturn, JobStatus
from omegaconf import OmegaConf

from landmarks.config import SweepSummary


def job(margin: str, figure: float | None) -> JobReturn:
    returned = JobReturn(overrides=["loss=arcmargin", f"loss.margin={margin}"])
    returned.return_value = figure if figure is not None else RuntimeError("no")
    returned.status = JobStatus.COMPLETED if figure is not None else JobStatus.FAILED
    return returned


def test_writes_every_job_best_first(tmp_path: Path) -> None:
    config = OmegaConf.create({"monitor": "public/map@100", "hydra": {"sweep": {"dir": str(tmp_path)}}})
    summary = SweepSummary()
    for margin, figure in (("0.1", 0.2), ("0.2", 0.5), ("0.3", None)):
        summary.on_job_end(config, job(margin, figure))
    summary.on_multirun_end(config)
    with (tmp_path / "sweep.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["loss.margin"] for row in rows] == ["0.2", "0.1", "0.3"]
    assert [row["figure"] for row in rows] == ["0.5", "0.2", ""]
    assert all(row["loss"] == "arcmargin" for row in rows)


def test_the_best_of_positions_is_the_smallest(tmp_path: Path) -> None:
    config = OmegaConf.create({"monitor": "public/mean_position", "hydra": {"sweep": {"dir": str(tmp_path)}}})
    summary = SweepSummary()
    for margin, figure in (("0.1", 9.0), ("0.2", float("nan")), ("0.3", 2.0)):
        summary.on_job_end(config, job(margin, figure))
    summary.on_multirun_end(config)
    with (tmp_path / "sweep.csv").open() as file:
        assert [row["loss.margin"] for row in csv.DictReader(file)] == ["0.3", "0.1", "0.2"]
