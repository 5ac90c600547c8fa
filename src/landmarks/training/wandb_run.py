"""Logs runs to Weights & Biases: curves, configuration, sheets of images, tables of stages and the page."""

import csv
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig
from pytorch_lightning.loggers import WandbLogger
from pytorch_lightning.utilities import rank_zero_only

from landmarks.config import recorded

log = logging.getLogger(__name__)


class WandbRun(WandbLogger):
    """Lightning's Weights & Biases logger for one run, which keeps its name and its id when the run is resumed.

    Args:
        save_dir: The run folder; `wandb/` in it holds an offline run until `wandb sync`.
        name: Name of the model, for the run's name.
        project: Project to which the run belongs.
        offline: Send nothing; needs no account.
        log_model: Also send checkpoints, see Lightning.
        group: Group of the run; None uses the name of the sweep's folder for jobs of a sweep.
        tags: Tags of the run.
    """

    def __init__(
        self,
        save_dir: str,
        name: str = "run",
        project: str = "landmarks",
        offline: bool = True,
        log_model: bool = False,
        group: str | None = None,
        tags: Sequence[str] = (),
    ) -> None:
        super().__init__(
            save_dir=save_dir, name=name, project=project, offline=offline, log_model=log_model, group=group,
            tags=list(tags),
        )  # fmt: skip

    def begin(self, config: DictConfig, run_dir: Path, resumed: bool) -> None:
        """Name the run after its folder and its sweep, or keep a resumed run's id; the first log call starts it."""
        import wandb  # here, because it takes a second

        self._wandb_init.pop("anonymous", None)  # Lightning always sets it, and wandb warns about it
        name, folder = str(self._wandb_init["name"]), run_dir.absolute().name
        earlier = sorted((run_dir / "wandb").glob("*run-*-*"))
        self._wandb_init |= {
            "name": folder if name in folder else f"{name} {folder}",
            "group": self._wandb_init["group"] or _sweep(),
            "config": recorded(config),
            # wandb's summary of an offline run says less than ours
            "settings": wandb.Settings(silent=self._offline),
        }
        if resumed and earlier:
            self._wandb_init |= {"id": earlier[-1].name.rpartition("-")[2], "resume": "allow"}

    @rank_zero_only
    def log_outputs(self, run_dir: Path) -> None:
        """Log all images, tables of stages and the page in the run folder."""
        import wandb

        found: dict[str, Any] = {path.stem: wandb.Image(str(path)) for path in run_dir.glob("*.png")}
        for path in run_dir.glob("*stages.csv"):
            with path.open(newline="") as file:
                rows: list[Any] = list(csv.reader(file))
            found[path.stem] = wandb.Table(columns=rows[0], data=rows[1:])
        if (page := run_dir / "report.html").is_file():
            found["report"] = wandb.Html(page.read_text(), inject=False)
        self.experiment.log(found)

    @rank_zero_only
    def end(self) -> None:
        """Close the run, so that the next job of a sweep starts another one, and log how to send an offline run."""
        import wandb

        if (run := wandb.run) is not None:
            folder = Path(run.dir).parent
            wandb.finish()
            if self._offline:
                log.info("To send it: wandb sync %s", folder)


def _sweep() -> str | None:
    if not HydraConfig.initialized() or HydraConfig.get().mode is not RunMode.MULTIRUN:
        return None
    return Path(HydraConfig.get().sweep.dir).absolute().name
