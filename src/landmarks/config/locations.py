"""Finds `conf/`, `experiments/` and `sweeps/`: at the top of a checkout, or inside the package of an installed wheel.

Hydra takes every folder below an entry of its search path for a config group. The top of a checkout also holds
environments, data and runs, so `experiments/` and `sweeps/` come in through a source that shows nothing else.
"""

import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.object_type import ObjectType
from hydra.core.plugins import Plugins
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import DictConfig, OmegaConf

from landmarks.config.defaults import CompletedFiles, OpenFiles

_PACKAGE = Path(__file__).resolve().parent.parent
TOP_GROUPS = ("experiments", "sweeps")


def config_root() -> Path:
    """Return the folder that holds `conf`, `experiments` and `sweeps`."""
    installed = _PACKAGE / "configs"
    return installed if installed.is_dir() else _PACKAGE.parent.parent


class TopGroups(OpenFiles):
    """Config source for a folder that shows Hydra only its `experiments/` and `sweeps/`."""

    @staticmethod
    def scheme() -> str:
        """Return what search path entries of this kind start with."""
        return "top-groups"

    def is_group(self, config_path: str) -> bool:
        """Return whether this is the folder itself, or a group in one of the two."""
        return _visible(config_path) and super().is_group(config_path)

    def is_config(self, config_path: str) -> bool:
        """Return whether this is a file in one of the two."""
        return bool(config_path) and _visible(config_path) and super().is_config(config_path)

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        """List the contents of a group; for the folder itself, those of the two groups that exist."""
        if config_path:
            return list(super().list(config_path, results_filter))
        return [name for name in TOP_GROUPS if self.is_group(name) and results_filter is not ObjectType.CONFIG]


def _visible(config_path: str) -> bool:
    return not config_path or config_path.split("/", 1)[0] in TOP_GROUPS


class LandmarksSearchPath(SearchPathPlugin):
    """Completes files in `conf/`, and adds our experiments and sweeps and those of the working directory."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Append this package's folder, then the working directory, so that users can add their own configs."""
        for element in search_path.get_path():
            if element.provider == "main":  # `conf/`, or the folder of a test
                element.path = f"{CompletedFiles.scheme()}://{str(element.path).removeprefix('file://')}"
        search_path.append(provider="landmarks", path=f"{TopGroups.scheme()}://{config_root()}")
        here = Path.cwd()
        if here != config_root():
            if (here / "conf").is_dir():
                search_path.append(provider="working directory", path=f"{CompletedFiles.scheme()}://{here / 'conf'}")
            search_path.append(provider="working directory", path=f"{TopGroups.scheme()}://{here}")


def register_search_path() -> None:
    """Register the search path above with Hydra; a second call has no effect."""
    for plugin in (CompletedFiles, TopGroups, LandmarksSearchPath):
        Plugins.instance().register(plugin)


@cache
def known_targets(group: str) -> frozenset[str]:
    """Return all `_target_`s in this package's files of a config group; the working directory may be untrusted."""
    files = (config_root() / "conf" / group).glob("*.yaml")
    return frozenset(name for path in files for name in targets_in(OmegaConf.to_container(OmegaConf.load(path))))


def targets_in(value: Any) -> Iterator[str]:
    """Yield all `_target_`s in plain values, at any depth."""
    if isinstance(value, Mapping):
        if "_target_" in value:
            yield str(value["_target_"])
        value = list(value.values())
    for one in value if isinstance(value, (list, tuple)) else ():
        yield from targets_in(one)


def named_code(config: DictConfig) -> list[str]:
    """Return all names that a configuration composed by the user calls or trusts."""
    values = OmegaConf.to_container(config)
    assert isinstance(values, dict)
    return [*targets_in(values), *map(str, values.get("trust") or ())]


def import_from_here(names: Iterable[str]) -> None:
    """Allow imports from the working directory if one of the names that the user gave is not installed.

    Otherwise it stays excluded: an untrusted folder may hold files named after libraries that are not installed.
    """
    if (here := str(Path.cwd())) not in sys.path and not all(map(_is_installed, names)):
        sys.path.append(here)


def trusted(names: str | Iterable[str] | None) -> tuple[str, ...]:
    """Return the networks and losses that a user trusts by name; they may be in the working directory."""
    found = (names,) if isinstance(names, str) else tuple(names or ())
    import_from_here(found)
    return found


def _is_installed(name: str) -> bool:
    top = name.partition(".")[0]
    return top in sys.modules or not top.isidentifier() or find_spec(top) is not None
