"""What a run tells Weights & Biases besides its curves: configuration, sheets of images, tables of stages, the page."""

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
    """Lightning's logger for one run of ours, which keeps its name and its id when it is resumed.

    Args:
        save_dir: the run folder; `wandb/` in it keeps all of an offline run until `wandb sync`.
        name: of the model, for the run's name.
        project: where runs are collected.
        offline: send nothing; needs no account.
        log_model: also send checkpoints, see Lightning.
        group: of runs; None: the name of the sweep's folder, for jobs of a sweep.
        tags: words to find the run by.
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
        """Name the run after its folder and its sweep, or take up its id of before; the first log starts it."""
        import wandb  # a second that other runs need not wait for

        self._wandb_init.pop("anonymous", None)  # of which wandb warns, though nobody has set it
        name, folder = str(self._wandb_init["name"]), run_dir.absolute().name
        earlier = sorted((run_dir / "wandb").glob("*run-*-*"))
        self._wandb_init |= {
            "name": folder if name in folder else f"{name} {folder}",
            "group": self._wandb_init["group"] or _sweep(),
            "config": recorded(config),
            # it would print a page that says less than ours
            "settings": wandb.Settings(silent=self._offline),
        }
        if resumed and earlier:
            self._wandb_init |= {"id": earlier[-1].name.rpartition("-")[2], "resume": "allow"}

    @rank_zero_only
    def log_outputs(self, run_dir: Path) -> None:
        """Log all images, tables of stages and the page that lie in the run folder."""
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
        """Close the run, else the next job of a sweep would go on in it; say how to send what was kept here."""
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
