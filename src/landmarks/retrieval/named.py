"""Makes searchers, local features, stages and pipelines by the names of their config files.

The files lie in the package or in the working directory.
"""

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hydra.utils import get_class, instantiate
from omegaconf import DictConfig, OmegaConf

from landmarks.config import (
    ConfigError,
    compose_config,
    config_root,
    mistakes_raised,
    overrides_of,
    problems_of,
    suggest,
)
from landmarks.errors import LandmarksError
from landmarks.retrieval.local import LocalFeatureStore
from landmarks.retrieval.pipeline import Pipeline
from landmarks.retrieval.search import Searcher
from landmarks.retrieval.state import SearchState

HERE = ("name=python", "run_dir=python")  # the config requires both, though only a command uses them


def named_searcher(name: str, k: int, **settings: Any) -> Searcher:
    """Make the searcher that `conf/index/<name>.yaml` describes, such as "exact" or "hnsw".

    Args:
        name: Name of the file.
        k: Number of results per query.
        **settings: Arguments of the searcher's class.

    Raises:
        LandmarksError: There is no such file, or a setting is unknown or invalid.
    """
    _require("index", name, _names("index"))
    with mistakes_raised():
        values = overrides_of({f"index.{key}": value for key, value in {"k": k, **settings}.items()})
        return _made(_composed([f"index={name}", *values]).index, "index")


def named_local_features(name: str, matcher: str | None = None, **settings: Any) -> LocalFeatureStore:
    """Make the local features that `conf/local_features/<name>.yaml` describes, such as "rootsift" or "xfeat".

    Args:
        name: Name of the file.
        matcher: Name of a file of `conf/matcher`, such as "mutual"; None: the one that belongs to the features.
        **settings: Keys of it and their values, with two underscores for a dot, such as ``geometry__threshold=8``.

    Raises:
        LandmarksError: There is no such file, a setting is unknown or invalid, or a package is not installed.
    """
    _require("local_features", name, _names("local_features"))
    chosen = [f"local_features={name}"]
    if matcher is not None:
        _require("matcher", matcher, _names("matcher"))
        chosen.append(f"matcher@local_features.matcher={matcher}")
    with mistakes_raised():
        chosen += overrides_of({f"local_features.{key}": value for key, value in settings.items()})
        made: LocalFeatureStore = _made(_composed(chosen).local_features, "local_features")
    return made


def named_pipeline(
    name: str,
    settings: Mapping[str, Any],
    k: int,
    ranked: bool,
    index: str = "exact",
    keep: bool = False,
    seed: int = 0,
) -> Pipeline:
    """Make a pipeline from `conf/pipeline`, or a pipeline of the single stage of that name in `conf/stage`.

    Args:
        name: Name of the file; if both exist, the stage is used.
        settings: Arguments of the stage; for a pipeline, keys are `<stage>.<argument>`. `guard=None` leaves the guard
            out, so that stages are as published.
        k: Number of results per query of searches.
        ranked: Whether the input is already a ranking, so that an initial search is left out.
        index: Name of the searcher, see `named_searcher`.
        keep: Keep neighbours, graphs and inlier counts in the user's cache.
        seed: Seed of all random choices.

    Raises:
        LandmarksError: There is no such stage or pipeline, it is a recognition stage, or a setting is unknown or
            invalid.
    """
    stages, pipelines = _names("stage"), _names("pipeline")
    _require("stage or pipeline", name, stages | pipelines)
    alone = name in stages
    with mistakes_raised():
        common = [f"index={index}", f"index.k={k}", f"cache.keep={str(keep).lower()}", f"seed={seed}"]
        chosen = ["pipeline=global"] if alone else [f"pipeline={name}"]
        if alone and name != "search":
            chosen.append(f"+stage@pipeline.stages.{name}={name}")
        prefix = f"pipeline.stages.{name}" if alone else "pipeline.stages"
        chosen += overrides_of(
            {f"{'pipeline' if key == 'guard' else prefix}.{key}": value for key, value in settings.items()}
        )
        node = _composed([*common, *chosen]).pipeline
        others = [key for key, stage in node.stages.items() if key != "search" and stage is not None]
        if ranked and others:
            node.stages.search = None
        for stage in others:
            _refuse_recognition(stage, node.stages[stage]["_target_"])
        made: Pipeline = _made(node, "pipeline")
    return made


def _composed(overrides: list[str]) -> DictConfig:
    config = compose_config("evaluate", [*HERE, *overrides])
    OmegaConf.set_struct(config, False)
    return config


def _made(node: DictConfig, name: str) -> Any:
    if problems := problems_of(node, name):
        raise ConfigError("; ".join(problems))
    return instantiate(node)


def _names(group: str) -> set[str]:
    folders = {config_root() / "conf" / group, Path.cwd() / "conf" / group}
    return {path.stem for folder in folders for path in folder.glob("*.yaml")}


def _require(what: str, name: str, known: set[str]) -> None:
    if name not in known:
        raise LandmarksError(
            f"there is no {what} {name!r}{suggest(name, sorted(known))}; choose one of {', '.join(sorted(known))}"
        )


def _refuse_recognition(name: str, target: str) -> None:
    """Refuse stages that rank landmarks instead of index images, recognised by the type of their state."""
    hint = inspect.get_annotations(get_class(target).__call__, eval_str=False).get("state")
    if inspect.isclass(hint) and issubclass(hint, SearchState) and hint is not SearchState:
        raise LandmarksError(
            f"stage {name} ranks landmarks, not images: use it with `landmarks evaluate recognition=…`"
        )
