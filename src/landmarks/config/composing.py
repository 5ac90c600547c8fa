"""Composes configurations in Python, and runs jobs with them as the commands do."""

import logging
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, open_dict, read_write

from landmarks.config.locations import config_root, import_from_here, named_code, register_search_path
from landmarks.config.mistakes import explain, mistake_behind
from landmarks.config.overrides import quoted, understood
from landmarks.config.resolvers import register_resolvers
from landmarks.config.run_folder import claim_folder
from landmarks.errors import LandmarksError
from landmarks.storage import hide, printable

Result = TypeVar("Result")

LOG_FILE = "run.log"
LINE = logging.Formatter("%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S")


def compose_config(name: str, overrides: Sequence[str], with_hydra: bool = False) -> DictConfig:
    """Compose `conf/<name>.yaml` as a command would.

    Args:
        name: Name of the file.
        overrides: Overrides as on the command line, such as ``"loss.margin=0.3"``.
        with_hydra: Keep Hydra's own node, from which keys such as `run_dir` are interpolated; without it `overrides`
            must set these keys.
    """
    register_search_path()
    register_resolvers()
    instance = GlobalHydra.instance()
    before, instance.hydra = instance.hydra, None
    try:
        with initialize_config_dir(str(config_root() / "conf"), version_base="1.3"):
            config = compose(name, understood(overrides), return_hydra_config=with_hydra)
    finally:
        instance.hydra = before
    import_from_here(named_code(config))
    return config


def run_composed(name: str, overrides: Sequence[str], job: Callable[[DictConfig], Result]) -> tuple[Path, Result]:
    """Compose a configuration, claim its run folder, and run a job in it; the log goes to `run.log` there.

    Args:
        name: Name of a file in `conf/`.
        overrides: Overrides as on the command line; ``hydra.run.dir=FOLDER`` names the folder.
        job: Called with the configuration.

    Returns:
        The folder, and what the job returned.

    Raises:
        LandmarksError: For every mistake that a user can correct, with the message that the command would print.
    """
    before = HydraConfig.instance().cfg
    with mistakes_raised():
        config = compose_config(name, overrides, with_hydra=True)
        claimed = claim_folder(config, "run")
        folder = claimed.path
        try:
            with read_write(config.hydra.runtime), open_dict(config.hydra.runtime):
                config.hydra.runtime.output_dir = str(folder)
            HydraConfig.instance().set_config(config)
            with read_write(config), open_dict(config):
                del config["hydra"]
            with _logged(folder):
                return folder, job(config)
        except BaseException:
            claimed.discard_unused()
            raise
        finally:
            HydraConfig.instance().cfg = before
            claimed.release()


@contextmanager
def mistakes_raised() -> Iterator[None]:
    """Turn every error that a user can correct into a LandmarksError with the message that a command would print."""
    try:
        yield
    except Exception as error:
        mistake = mistake_behind(error)
        if mistake is None:
            raise
        said = printable(explain(mistake))
        if isinstance(error, LandmarksError) and said == str(error):
            raise
        raise LandmarksError(said) from error


def overrides_of(values: Mapping[str, Any]) -> list[str]:
    """Turn values into overrides: ``{"loss__margin": 0.3}`` and ``{"loss.margin": 0.3}`` give ``loss.margin=0.3``.

    Raises:
        LandmarksError: A value has a type that no configuration holds; the message names the key.
    """
    return [f"{key.replace('__', '.')}={_text(key, value)}" for key, value in values.items()]


def _text(key: str, value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, (str, Path)):
        return quoted(hide(str(value)))
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:  # a NumPy or torch scalar
        value = value.item()
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{name}:{_text(key, one)}" for name, one in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(_text(key, one) for one in value) + "]"
    raise LandmarksError(
        f"{key}={value!r}: a {type(value).__name__} cannot be set; give text, a path, a number, True, False, None, or "
        "a list or dictionary of these"
    )


@contextmanager
def _logged(folder: Path) -> Iterator[None]:
    """Write our log into the folder, and to standard error if it has no handler yet."""
    logger = logging.getLogger("landmarks")
    handlers: list[logging.Handler] = [logging.FileHandler(folder / LOG_FILE)]
    if not logger.hasHandlers():
        handlers.append(logging.StreamHandler(sys.stderr))
    level = logger.level
    for handler in handlers:
        handler.setFormatter(LINE)
        logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(level)
        for handler in handlers:
            logger.removeHandler(handler)
            handler.close()
