"""Completes configuration files with the defaults of the constructors that they name.

A default stands in one place, the constructor's signature, and a file in `conf/` holds only what differs. So that
every argument can still be set on the command line and `--help` shows it, each node with a `_target_` gets the
defaults of its class or function while Hydra loads the file. Signatures are read from source code: importing the
classes would import torch, which takes seconds, before a misspelt key could be named.
"""

import ast
from functools import cache
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra.plugins.config_source import ConfigResult
from omegaconf import DictConfig, ListConfig, OmegaConf, open_dict

from landmarks.errors import LandmarksError
from landmarks.storage import hide

_PACKAGE = Path(__file__).resolve().parent.parent
Definition = ast.ClassDef | ast.FunctionDef


class OpenFiles(FileConfigSource):
    """Config source for a folder; it hides users and passwords, because Hydra copies the files into run folders."""

    @staticmethod
    def scheme() -> str:
        """Return what search path entries of this kind start with."""
        return "open"

    def load_config(self, config_path: str) -> ConfigResult:
        """Load one file, and hide users and passwords of addresses in it."""
        result = super().load_config(config_path)
        if "://" in str(result.config):
            result.config = OmegaConf.create(hide(OmegaConf.to_container(result.config)))
        return result


class CompletedFiles(OpenFiles):
    """Config source for a folder; it adds to each file the defaults of the classes that its `_target_`s name."""

    @staticmethod
    def scheme() -> str:
        """Return what search path entries of this kind start with."""
        return "completed"

    def load_config(self, config_path: str) -> ConfigResult:
        """Load one file and complete it."""
        result = super().load_config(config_path)
        if not isinstance(result.config, DictConfig):
            return result
        if "_target_" in result.config and _takes_over_first(result.config.get("defaults") or []):
            raise LandmarksError(
                f"{self.path}/{config_path}: put `_self_` first in `defaults`, so that the values of the other files "
                "override the defaults of its _target_"
            )
        complete(result.config)
        return result


def _takes_over_first(defaults: ListConfig | list[Any]) -> bool:
    """Return whether a defaults list names files for the same place before `_self_`."""
    for entry in defaults:
        if entry == "_self_":
            return False
        if isinstance(entry, str):
            return True
    return False


def complete(config: Any) -> None:
    """Add to every node with a `_target_` of ours, in place, the plain defaults of its constructor that it lacks."""
    if isinstance(config, ListConfig):
        for number in range(len(config)):
            if _has_value(config, number):
                complete(config[number])
    if not isinstance(config, DictConfig):
        return
    if isinstance(target := config.get("_target_"), str):
        left_out = {name: value for name, value in plain_defaults(target).items() if name not in list(config)}
        with open_dict(config):
            config.update(left_out)
    for key in config:
        if _has_value(config, key):
            complete(config[key])


def _has_value(config: DictConfig | ListConfig, key: Any) -> bool:
    """Return whether the file itself has a value there; interpolations cannot be resolved in a single file."""
    return not OmegaConf.is_interpolation(config, key) and not OmegaConf.is_missing(config, key)


def plain_defaults(target: str) -> dict[str, Any]:
    """Return the arguments of a class or function with defaults that YAML can hold, in their order.

    Names outside this package and the working directory have none. Defaults that YAML cannot hold are left to the
    constructor.
    """
    module, _, name = target.rpartition(".")
    found = _find(module, name)
    if found is None:
        return {}
    definition, path = found
    arguments = _fields(definition, path) if isinstance(definition, ast.ClassDef) else _arguments(definition)
    constants = _constants(path)
    defaults = {}
    for argument, node in arguments.items():
        if isinstance(node, ast.Name) and node.id in constants:
            node = constants[node.id]
        try:
            value = ast.literal_eval(node)
        except ValueError:  # an expression, which is left to the constructor
            continue
        if not isinstance(value, bytes | set | complex):
            defaults[argument] = list(value) if isinstance(value, tuple) else value
    return defaults


def _find(module: str, name: str) -> tuple[Definition, Path] | None:
    """Find where a name is defined, following imports and the stubs in which rooms list their public names."""
    path = _source(module)
    if path is None:
        return None
    for file in (path, path.with_suffix(".pyi")):
        for node in _parsed(file).body if file.is_file() else ():
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
                return node, path
            if isinstance(node, ast.ImportFrom) and (alias := _alias(node, name)):
                package = module if path.stem == "__init__" else module.rpartition(".")[0]
                origin = f"{package}.{node.module}" if node.level else str(node.module)
                return _find(origin, alias)
    return None


def _alias(node: ast.ImportFrom, name: str) -> str | None:
    return next((alias.name for alias in node.names if (alias.asname or alias.name) == name), None)


def _source(module: str) -> Path | None:
    """Return the file of a module of this package or of the working directory, without importing anything."""
    for folder in (_PACKAGE.parent, Path.cwd()):
        path = folder.joinpath(*module.split("."))
        for file in (path.with_suffix(".py"), path / "__init__.py"):
            if module and file.is_file():
                return file
    return None


def _parsed(path: Path) -> ast.Module:
    return _parsed_at(path, path.stat().st_mtime_ns)


@cache
def _parsed_at(path: Path, changed: int) -> ast.Module:
    return ast.parse(path.read_text())


def _constants(path: Path) -> dict[str, ast.expr]:
    """Return the values that a module assigns to its global names."""
    return {
        node.targets[0].id: node.value
        for node in _parsed(path).body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }


def _fields(definition: ast.ClassDef, path: Path) -> dict[str, ast.expr]:
    """Return the constructor's defaults by argument: of `__init__`, of a dataclass's fields, or of a base class."""
    for node in definition.body:
        if isinstance(node, ast.FunctionDef) and node.name == "__init__":
            return _arguments(node)
    inherited: dict[str, ast.expr] = {}
    for base in definition.bases:
        name = base.value if isinstance(base, ast.Subscript) else base  # Stage[State]
        if isinstance(name, ast.Name) and (found := _find(_module_of(path), name.id)):
            parent, origin = found
            if isinstance(parent, ast.ClassDef):
                inherited |= _fields(parent, origin)
    own = {
        node.target.id: node.value
        for node in definition.body
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and node.value is not None
        and not ast.unparse(node.annotation).startswith("ClassVar")
    }
    return inherited | own if any(_is_dataclass(node) for node in definition.decorator_list) else inherited


def _is_dataclass(decorator: ast.expr) -> bool:
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    return isinstance(called, ast.Name) and called.id == "dataclass"


def _arguments(function: ast.FunctionDef) -> dict[str, ast.expr]:
    """Return the defaults of a function by argument."""
    given = function.args
    positional = [*given.posonlyargs, *given.args]
    pairs = list(zip(positional[len(positional) - len(given.defaults) :], given.defaults, strict=True))
    pairs += [(name, value) for name, value in zip(given.kwonlyargs, given.kw_defaults, strict=True) if value]
    return {argument.arg: value for argument, value in pairs}


def _module_of(path: Path) -> str:
    """Return the dotted name of a file of this package, or of the working directory."""
    root = _PACKAGE.parent if path.is_relative_to(_PACKAGE) else Path.cwd()
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
