"""The keys of `descriptors` in `conf/evaluate.yaml`: which belong together, and what they provide."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf, open_dict

from landmarks.config import ConfigError
from landmarks.retrieval import Need

USED = (
    "job",
    "name",
    "seed",
    "run_dir",
    "monitor",
    "descriptors",
    "index",
    "neighbours",
    "cache",
    "pipeline",
    "recognition",
    "predictions",
    "detections",
    "local_features",
)
USED_OF_DATA = ("root", "source", "held_out")


def used_part(config: DictConfig) -> DictConfig:
    """Return the part of a configuration that precomputed descriptors use; the rest need not be imported then."""
    used = OmegaConf.masked_copy(config, list(USED))
    if config.descriptors.use_data:
        with open_dict(used):
            used.data = OmegaConf.masked_copy(config.data, list(USED_OF_DATA))
    return used


def check_keys(keys: DictConfig) -> None:
    """Raise `ConfigError` with all problems if keys do not go together."""
    problems = list(_problems(keys))
    if problems:
        raise ConfigError("These descriptors cannot be evaluated:\n" + "\n".join(f"  {line}" for line in problems))


def available_needs(config: DictConfig, searched: str) -> list[Need]:
    """Return what stages can use besides descriptors; `searched` is "index", or "gallery" for recognition."""
    keys = config.descriptors
    found: dict[Need, Any] = {
        "images": keys.use_data and brings_ids(keys, "queries") and brings_ids(keys, searched),
        "regions": keys.query_regions and keys.index_regions,
        "gallery": _brings_gallery(keys),
        "predictions": config.predictions,
        "detections": config.detections,
    }
    return [need for need, value in found.items() if value]


def recognises(keys: DictConfig) -> bool:
    """Return whether landmarks can be recognised: that needs labelled train images and the ids of the queries."""
    return bool(_brings_gallery(keys)) and brings_ids(keys, "queries")


def _brings_gallery(keys: DictConfig) -> Any:
    return keys.gallery and (keys.gallery_labels or (keys.use_data and brings_ids(keys, "gallery")))


def brings_ids(keys: DictConfig, name: str) -> bool:
    """Return whether the ids of the set `name` are known, from a file or from a descriptor set."""
    return keys[ids_key(name)] is not None or any(path.is_dir() for path in paths_of(keys[name]))


def ids_key(name: str) -> str:
    """Return the key of a set's ids."""
    return "query_ids" if name == "queries" else f"{name}_ids"


def paths_of(given: str | ListConfig | None) -> list[Path]:
    """Return the files or folders that the value of a key names."""
    if given is None:
        return []
    return [Path(path).expanduser() for path in ([given] if isinstance(given, str) else given)]


def _problems(keys: DictConfig) -> Iterator[str]:
    for one, other in (("queries", "index"), ("query_labels", "index_labels"), ("query_regions", "index_regions")):
        for given, absent in ((one, other), (other, one)):
            if keys[given] is not None and keys[absent] is None:
                yield f"descriptors.{given} is given and descriptors.{absent} is not: give both"
    if keys.queries is None and keys.index is None:
        yield "descriptors.queries and descriptors.index are not given: give both"
    for name in ("gallery_ids", "gallery_labels"):
        if keys[name] is not None and keys.gallery is None:
            yield f"descriptors.{name} is given and descriptors.gallery is not: give both, or none"
    if keys.solution is not None and keys.query_labels is not None:
        yield "descriptors.solution and descriptors.query_labels are both ground truth: give one of them"
    for given, value in (("solution", keys.solution), ("use_data", keys.use_data)):
        for name in ("queries", "index"):
            if value and keys[name] is not None and not brings_ids(keys, name):
                yield (
                    f"descriptors.{given} needs ids: give descriptors.{ids_key(name)}, or a folder of a descriptor "
                    f"set as descriptors.{name}"
                )
    if keys.recognition_solution is not None and not recognises(keys):
        yield (
            "descriptors.recognition_solution needs landmarks recognised in the queries: also give "
            "descriptors.gallery with descriptors.gallery_labels, and the ids of the queries"
        )
    yield from _problems_of_weights(keys)


def _problems_of_weights(keys: DictConfig) -> Iterator[str]:
    if keys.weights is None:
        return
    if not all(0 < weight < math.inf for weight in keys.weights):
        yield f"descriptors.weights={list(keys.weights)}: they must be above 0"
    for name in ("queries", "index"):
        if keys[name] is None:
            continue
        if isinstance(keys[name], str):
            yield f"descriptors.weights are given, but descriptors.{name} is not a list: leave out the weights"
        elif len(keys[name]) != len(keys.weights):
            yield (
                f"descriptors.weights has {len(keys.weights)} values for the {len(keys[name])} sets of "
                f"descriptors.{name}; give one for each"
            )
