"""Checks a composed configuration against the signatures of what it will build, before any work starts.

Every node with a `_target_` is compared with that class or function: unknown keys, missing keys and values of the
wrong type are all reported at once, each by its full key. The constructors are the schema, so nothing is
written twice.
"""

import inspect
import typing
from collections.abc import Iterator, Sequence
from dataclasses import is_dataclass
from difflib import get_close_matches
from typing import Any

from hydra.utils import get_object
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import (
    ConfigDict,
    PydanticSchemaGenerationError,
    PydanticUndefinedAnnotation,
    TypeAdapter,
    ValidationError,
)

from landmarks.config.settings import RANGES
from landmarks.errors import LandmarksError

_DIRECTIVES = {"_target_", "_partial_", "_args_", "_recursive_", "_convert_"}
_NO_DEFAULT = inspect.Parameter.empty


class ConfigError(LandmarksError):
    """Raised for an invalid configuration; the message lists every invalid value by its key."""


def check_config(config: DictConfig, settings: type) -> None:
    """Check a composed configuration as a whole, without Hydra's own node.

    `settings` is a dataclass with a typed field for every top-level key.
    """
    _refuse(_values_missing(config))
    _refuse(list(_dead_interpolations(config)))
    _refuse([*_check_settings(config, settings), *_check_nodes(config, ""), *_out_of_range(config)])


def problems_of(node: DictConfig, name: str) -> list[str]:
    """Compare a node with a `_target_`, and all nodes in it, with the signatures; messages call the node `name`."""
    return list(_check_nodes(node, name))


def refuse_missing(config: DictConfig) -> None:
    """Raise ConfigError for keys left at `???` and values out of range, without importing any class."""
    _refuse(_values_missing(config))
    _refuse(list(_out_of_range(config)))


def _values_missing(config: DictConfig) -> list[str]:
    return [f"{name}: no value given; set it on the command line: {name}=VALUE" for name in _missing(config)]


def _out_of_range(config: DictConfig) -> Iterator[str]:
    for name, hint in RANGES.items():
        parent, _, key = name.rpartition(".")
        node = OmegaConf.select(config, parent) if parent else config
        if isinstance(node, DictConfig) and key in node:
            yield from _check_value(name, node[key], hint)


def _missing(config: DictConfig | ListConfig, prefix: str = "") -> Iterator[str]:
    for key, name in _keys(config, prefix):
        if OmegaConf.is_missing(config, key):
            yield name
        elif not OmegaConf.is_interpolation(config, key) and isinstance(config[key], (DictConfig, ListConfig)):
            yield from _missing(config[key], name)


def _refuse(problems: Sequence[str]) -> None:
    if problems:
        lines = dict.fromkeys(f"  {line}" for line in problems)
        raise ConfigError("The configuration is invalid:\n" + "\n".join(lines))


def _dead_interpolations(config: DictConfig | ListConfig, prefix: str = "") -> Iterator[str]:
    """Report interpolations whose target does not exist."""
    for key, name in _keys(config, prefix):
        try:
            value = config[key]
        except OmegaConfBaseException as error:
            yield f"{name}: {str(error).splitlines()[0]}"
            continue
        if isinstance(value, (DictConfig, ListConfig)) and not OmegaConf.is_interpolation(config, key):
            yield from _dead_interpolations(value, name)


def _keys(config: DictConfig | ListConfig, prefix: str) -> Iterator[tuple[Any, str]]:
    """Yield each key or position, and its full name."""
    for key in range(len(config)) if isinstance(config, ListConfig) else list(config):
        yield key, f"{prefix}.{key!s}" if prefix else str(key)


def _check_settings(config: DictConfig, settings: type, prefix: str = "") -> Iterator[str]:
    assert is_dataclass(settings)
    hints = typing.get_type_hints(settings)
    for key, name in _keys(config, prefix):
        if str(key) not in hints:
            yield _unknown(name, prefix or "the configuration", list(hints))
        elif is_dataclass(hints[str(key)]) and isinstance(config[key], DictConfig):
            yield from _check_settings(config[key], hints[str(key)], name)
        else:
            yield from _check_value(name, _plain(config[key]), hints[str(key)])


def _check_nodes(node: Any, name: str) -> Iterator[str]:
    """Walk the tree; a node with `_target_` is checked against what it names, then its children are visited."""
    if isinstance(node, ListConfig):
        for number, child in enumerate(node):
            yield from _check_nodes(child, f"{name}[{number}]")
    if not isinstance(node, DictConfig):
        return
    if "_target_" in node:
        yield from _check_target(node, name)
    for key in node:
        yield from _check_nodes(node[key], f"{name}.{key!s}" if name else str(key))


def _check_target(node: DictConfig, name: str) -> Iterator[str]:
    try:
        target = get_object(node["_target_"])
    except Exception as error:
        yield f"{name}._target_: cannot import {node['_target_']}: {str(error).splitlines()[0]}"
        return
    if not callable(target):
        yield f"{name}._target_: {node['_target_']} cannot be called"
        return
    try:
        parameters = inspect.signature(target).parameters
    except ValueError:  # a few C functions have none
        return
    hints = _type_hints(target)
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    for key in node:
        if key in _DIRECTIVES:
            continue
        if key in parameters:
            yield from _check_value(f"{name}.{key!s}", node[key], hints.get(str(key), Any))
        elif not open_ended:
            yield _unknown(f"{name}.{key!s}", node["_target_"].rsplit(".", 1)[-1], list(parameters))
    if not node.get("_partial_", False) and "_args_" not in node:
        for key, parameter in parameters.items():
            required = parameter.default is _NO_DEFAULT and parameter.kind in (
                parameter.POSITIONAL_OR_KEYWORD,
                parameter.KEYWORD_ONLY,
            )
            if required and key not in node and key != "self":
                yield f"{name}.{key}: missing, and {node['_target_']} needs it"


def built_class(node: DictConfig) -> type | None:
    """Return the class that a node builds: its target, or the return annotation of a function; None if unknown."""
    target = get_object(node["_target_"])
    made = target if inspect.isclass(target) else _type_hints(target).get("return")
    return made if inspect.isclass(made) else None


def _type_hints(target: Any) -> dict[str, Any]:
    source = target.__init__ if inspect.isclass(target) else target
    try:
        return typing.get_type_hints(source)
    except Exception:  # a library's annotations may name imports that exist only for type checkers
        return {}


def _check_value(name: str, value: Any, hint: Any) -> Iterator[str]:
    """Compare a plain value with a type hint; nodes that will be instantiated are checked separately."""
    if isinstance(value, (DictConfig, ListConfig)):
        if _builds_objects(value):
            return
        value = _plain(value)
    try:
        adapter = TypeAdapter(hint, config=None if is_dataclass(hint) else ConfigDict(arbitrary_types_allowed=True))
    except (PydanticSchemaGenerationError, PydanticUndefinedAnnotation, TypeError, NameError):
        return
    try:
        understood = adapter.validate_python(value)
    except ValidationError as error:
        reasons = "; ".join(dict.fromkeys(_reason(e) for e in error.errors()))
        yield f"{name}: {value!r} is invalid: {reasons}"
    else:
        # pydantic would read the text "1" or the boolean `true` as a number; in a config both are mistakes
        if type(understood) in (int, float, bool) and type(value) not in (int, float):
            if type(understood) is not type(value):
                yield f"{name}: {value!r} is invalid: a number is needed"
        elif type(understood) is bool and type(value) is not bool:
            yield f"{name}: {value!r} is invalid: true or false is needed"


def _reason(error: Any) -> str:
    """Turn an error of pydantic into a clause for a message."""
    message: str = error["msg"]
    return message.replace("Input should be", "it should be").replace("Input", "it")


def _builds_objects(value: Any) -> bool:
    if isinstance(value, DictConfig):
        return "_target_" in value or any(_builds_objects(value[key]) for key in value)
    if isinstance(value, ListConfig):
        return any(_builds_objects(child) for child in value)
    return False


def _plain(value: Any) -> Any:
    return OmegaConf.to_container(value, resolve=True) if isinstance(value, (DictConfig, ListConfig)) else value


def _unknown(name: str, owner: str, known: list[str]) -> str:
    return f"{name}: {owner} has no such key{suggest(name.rsplit('.', 1)[-1], known)}"


def suggest(word: str, known: list[str]) -> str:
    """Return a hint such as `; did you mean 'margin'?`, or an empty text if no known word is close."""
    close = get_close_matches(word, known, n=1)
    return f"; did you mean '{close[0]}'?" if close else ""
