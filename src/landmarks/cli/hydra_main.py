"""Runs a function as a Hydra application and turns mistakes of users into short messages.

Hydra prints its own errors in one style and ours as tracebacks. Here both become one short message, with a suggestion
for misspelt words; unexpected errors keep their traceback.
"""

import functools
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import hydra
import typer
from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig

from landmarks.config import (
    ClaimedFolder,
    claim_folder,
    config_root,
    explain,
    import_from_here,
    mistake_behind,
    name_jobs_by_differences,
    named_code,
    quoting_hint,
    refuse_taken,
    register_resolvers,
    register_search_path,
    silence_libraries,
    start_if_new,
    understood,
)
from landmarks.storage import printable
from landmarks.terminal import Console

Arguments = Annotated[list[str] | None, typer.Argument()]
"""Arguments for Hydra: overrides and its own options."""


def run_hydra(task: Callable[[DictConfig], Any], config_name: str, arguments: Sequence[str]) -> None:
    """Compose `conf/CONFIG_NAME.yaml` with `arguments` and run `task` on it, once or as a sweep (`-m`).

    For mistakes of users, the process ends with status 2 and a message on standard error.
    """
    register_search_path()
    register_resolvers()
    silence_libraries()
    sys.argv[1:] = understood(arguments)
    # Makes Hydra raise its errors instead of printing them.
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")
    application = hydra.main(config_path=str(config_root() / "conf"), config_name=config_name, version_base="1.3")

    @functools.wraps(task)
    def job(config: DictConfig) -> Any:
        import_from_here(named_code(config))
        if HydraConfig.get().mode is RunMode.MULTIRUN:  # the other jobs of a sweep continue
            refuse_taken(Path(HydraConfig.get().runtime.output_dir), config)
            start_if_new(config)
            return task(config)
        with mistakes_named():  # inside the job, because Hydra would print the overrides first
            return task(config)

    RunFolder.of_run = None
    with mistakes_named():
        try:
            application(job)()
        except BaseException:
            RunFolder.discard()
            raise


class RunFolder(Callback):
    """Callback that makes and locks a folder for every run and every sweep, before Hydra makes it.

    Attributes:
        of_run: The folder of this process's run, to be removed by this process if no work was begun.
    """

    of_run: ClaimedFolder | None = None

    def __init__(self) -> None:
        self._claimed: ClaimedFolder | None = None

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Make and lock the folder of a run; end the process if it holds files that would be lost."""
        with mistakes_named():  # Hydra only warns of exceptions in callbacks
            self._claimed = RunFolder.of_run = claim_folder(config, "run")

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Make and lock the folder of a sweep."""
        with mistakes_named():
            self._claimed = claim_folder(config, "sweep")
            name_jobs_by_differences(config)

    @classmethod
    def discard(cls) -> None:
        """Remove the folder of a run that ended before any work."""
        if cls.of_run is not None:
            cls.of_run.discard_unused()

    def on_run_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Release the lock of the folder."""
        if self._claimed is not None:
            self._claimed.release()

    on_multirun_end = on_run_end


@contextmanager
def mistakes_named() -> Iterator[None]:
    """End the process with a message for mistakes of users; defects keep their traceback."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:  # `--help | head`: the reader has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
    except Exception as error:
        if (mistake := mistake_behind(error)) is None:
            raise
        fail(mistake)
    except KeyboardInterrupt:
        Console(stderr=True).print("[yellow]Interrupted.[/] What was written stays; see the README on resuming.")
        raise SystemExit(130) from None


def fail(error: BaseException) -> None:
    """Print the message of a mistake without a traceback and end the process with status 2."""
    if os.environ.get("LANDMARKS_TRACEBACK") == "1":
        traceback.print_exception(error)
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    console.print("[bold red]Error[/] ", end="")
    console.print(printable(explain(error) + quoting_hint(sys.argv[1:], error)), markup=False)
    raise SystemExit(2)
