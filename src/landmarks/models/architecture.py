"""Represent networks and losses as plain values, from which files can build them without running other code.

Files can build what our YAML files in `conf/model` and `conf/loss` name, and what the user trusts by name; there is no
other list. An untrusted checkpoint or model file may name these, at any depth of its values, and nothing else is
imported or called. Its options are checked against the signatures.

Plain values are a mapping with the key `network` or `loss`, and the options. Networks and losses of this package are
called by their last name, such as "timm_net", others by the full import path, such as "mynets.Net".
"""

import inspect
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.metadata import packages_distributions
from typing import Any, Literal

import torch
from hydra.errors import InstantiationException
from hydra.utils import get_object, instantiate
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from torch import nn

from landmarks.config import known_targets, problems_of, targets_in
from landmarks.errors import LandmarksError, first_line
from landmarks.losses import ClassHead
from landmarks.models.record import ModelRecord

Kind = Literal["network", "loss"]
GROUPS: dict[Kind, str] = {"network": "model", "loss": "loss"}
OURS = "landmarks."
# Options that do not affect the results of a trained network.
IN_TRAINING_ONLY = ("checkpointing", "chunk", "frozen_global")
NOT_FETCHED = {"pretrained": False, "checkpointing": False}
"""Options that are switched off in a network that gets its weights from the file that names it."""
NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", re.ASCII)

_TRUSTED: ContextVar[frozenset[str]] = ContextVar("trusted", default=frozenset())


@contextmanager
def trusting(names: Iterable[str]) -> Iterator[None]:
    """Let files also name these networks, losses and their parts within the block, by their full import paths."""
    before = _TRUSTED.set(_TRUSTED.get() | frozenset([names] if isinstance(names, str) else names))
    try:
        yield
    finally:
        _TRUSTED.reset(before)


def refuse_strangers(*parts: tuple[Kind, Mapping[str, Any]]) -> None:
    """Raise LandmarksError if plain values name, at any depth, something that is neither ours nor trusted."""
    asked = list(dict.fromkeys(name for kind, plain in parts for name in _strangers(kind, plain)))
    if not asked:
        return
    ours = ", ".join(dict.fromkeys(name for kind, _ in parts for name in _by_name(kind)))
    said = f"asks to call {', '.join(asked)}, which is none of our networks and losses ({ours})"
    if not all(map(NAME.fullmatch, asked)):
        raise LandmarksError(f"{said}, and not a valid name either; do not trust the file")
    if of_others := [name for name in asked if _is_of_others(name)]:
        raise LandmarksError(
            f"{said}; {', '.join(of_others)} could do anything on this machine, as a part of Python or of an installed "
            "library; do not open the file, unless you made it yourself: --trust NAME, or trust=[NAME]"
        )
    options, listed = " ".join(f"--trust {name}" for name in asked), ",".join(asked)
    raise LandmarksError(
        f"{said}. If you know and trust it, add {options} (for train, evaluate and extract: trust=[{listed}]; in "
        f"Python: trust={asked}); if you do not know it, do not open the file"
    )


def _is_of_others(name: str) -> bool:
    """Return whether a name belongs to Python or an installed library, which a malicious file could misuse."""
    top = name.partition(".")[0]
    return top in sys.stdlib_module_names or top in sys.builtin_module_names or top in packages_distributions()


def plain_network(node: Mapping[str, Any]) -> dict[str, Any]:
    """Turn a `model` node of a configuration into plain values; raises LandmarksError if it cannot be built."""
    return _plain("network", node)


def plain_loss(node: Mapping[str, Any]) -> dict[str, Any]:
    """Turn a `loss` node of a configuration into plain values; raises LandmarksError if it cannot be built."""
    return _plain("loss", node)


def plain_parts(network: Mapping[str, Any], loss: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Turn both nodes into plain values; one message then lists all unknown names of both.

    Of a loss of ours without class weights only the name is kept, because no file builds it again.
    """
    name = {"_target_": loss.get("_target_")}
    ours = str(name["_target_"]).startswith(OURS) and not any(_strangers("loss", _renamed("loss", name)))
    if ours and not has_class_weights(_renamed("loss", name)):
        loss = name
    refuse_strangers(("network", _renamed("network", network)), ("loss", _renamed("loss", loss)))
    return plain_network(network), plain_loss(loss)


def build_network(plain: Mapping[str, Any], **more: Any) -> nn.Module:
    """Build a network from its plain values and `more` arguments, with random weights, in eval mode."""
    parameters = _parameters("network", plain)
    options = {key: value for key, value in NOT_FETCHED.items() if key in parameters}
    if "fill" in parameters:  # its layers depend on whether it was built with pretrained weights; do not fetch these
        options |= {"fill": False, "pretrained": plain.get("pretrained", False) is not False}
    return _build("network", {**_without_fetching(plain), **options}, more)


def _without_fetching(value: Any) -> Any:
    """Switch `NOT_FETCHED` off in networks within a network, which also get their weights from its file."""
    if isinstance(value, Mapping):
        switched = NOT_FETCHED if "_target_" in value else {}
        return {key: switched.get(key, _without_fetching(one)) for key, one in value.items()}
    return [_without_fetching(one) for one in value] if isinstance(value, (list, tuple)) else value


def build_loss(plain: Mapping[str, Any], num_landmarks: int, dim: int) -> nn.Module:
    """Build a loss from its plain values, with random weights, in eval mode."""
    return _build("loss", plain, {"num_landmarks": num_landmarks, "dim": dim})


def build_parts(record: ModelRecord) -> tuple[nn.Module, ClassHead | None]:
    """Build the network and the head of a record, the head on the meta device, where it takes no memory."""
    if record.head is not None:
        refuse_strangers(("network", record.architecture), ("loss", record.head))  # in one message
    net = build_network(record.architecture, **({"num_classes": record.classes} if record.task == "detection" else {}))
    if record.head is None:
        return net, None
    dim: Any = getattr(net, "dim", None)
    if not isinstance(dim, int):
        raise LandmarksError(f"a {type(net).__name__} gives no descriptors, which a classifier needs")
    with torch.device("meta"):
        head = build_loss(record.head, record.classes, dim)
    if not isinstance(head, ClassHead):
        raise LandmarksError(f"loss {record.head.get('loss')}: it has no class weights")
    return net, head


def is_ours(plain: Mapping[str, Any]) -> bool:
    """Return whether the plain values of a network name one of this package."""
    return _target("network", plain).startswith(OURS)


def has_class_weights(plain: Mapping[str, Any]) -> bool:
    """Return whether the plain values of a loss name one with class weights, which can classify."""
    made = _found(_target("loss", plain))
    return inspect.isclass(made) and issubclass(made, ClassHead)


def all_options(plain: Mapping[str, Any]) -> dict[str, Any]:
    """Return a network's plain values, completed with defaults."""
    parameters = _parameters("network", plain)
    defaults = {key: one.default for key, one in parameters.items() if one.default is not inspect.Parameter.empty}
    return {**defaults, **plain}


def _plain(kind: Kind, node: Mapping[str, Any]) -> dict[str, Any]:
    values: Any = OmegaConf.to_container(node, resolve=True) if isinstance(node, DictConfig) else node
    left_out = {"_partial_", *IN_TRAINING_ONLY}
    plain = {key: value for key, value in _renamed(kind, values).items() if key not in left_out}
    if "pretrained" in plain:
        pretrained = plain.pop("pretrained") is not False
        if "fill" in _parameters(kind, plain):
            plain["pretrained"] = pretrained
    _target(kind, plain)
    return plain


def _renamed(kind: Kind, node: Mapping[str, Any]) -> dict[str, Any]:
    """Replace the `_target_` of a node by the name used in plain values."""
    options = {str(key): value for key, value in node.items() if key != "_target_"}
    target = str(node.get("_target_"))
    return {kind: target.rsplit(".", 1)[-1] if target.startswith(OURS) else target, **options}


def _target(kind: Kind, plain: Mapping[str, Any]) -> str:
    """Return the import path that plain values name; raises LandmarksError if it is not allowed."""
    refuse_strangers((kind, plain))
    for asked in _interpolations(plain):
        raise LandmarksError(f"asks for {asked}, a value of the machine that reads it; do not trust the file")
    return _by_name(kind)[str(plain.get(kind))]


def _by_name(kind: Kind) -> dict[str, str]:
    """Return the import paths that may be called, by the names used in plain values."""
    ours = {one.rsplit(".", 1)[-1] if one.startswith(OURS) else one: one for one in sorted(known_targets(GROUPS[kind]))}
    return ours | {name: name for name in sorted(_TRUSTED.get())}


def _strangers(kind: Kind, plain: Mapping[str, Any]) -> Iterator[str]:
    allowed = _by_name(kind)
    if (name := str(plain.get(kind))) not in allowed:
        yield name
    for target in targets_in({key: value for key, value in plain.items() if key != kind}):
        if target not in allowed.values():
            yield target


def _parameters(kind: Kind, plain: Mapping[str, Any]) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(_found(_target(kind, plain))).parameters


def _found(target: str) -> Any:
    try:
        return get_object(target)
    except Exception as error:  # the user's own file can raise errors of any type
        raise LandmarksError(
            f"{target} cannot be imported ({first_line(error)}): run this in the folder of its file, or put that "
            "folder into PYTHONPATH"
        ) from error


def _interpolations(value: Any) -> Iterator[str]:
    """Yield the texts that OmegaConf would interpolate."""
    if isinstance(value, str) and "${" in value:
        yield value
    elif isinstance(value, (Mapping, list, tuple)):
        for one in value.values() if isinstance(value, Mapping) else value:
            yield from _interpolations(one)


def _build(kind: Kind, plain: Mapping[str, Any], more: Mapping[str, Any]) -> nn.Module:
    target = _target(kind, plain)
    _found(target)
    options = {key: value for key, value in plain.items() if key not in (kind, "_partial_")}
    try:
        node = OmegaConf.create({"_target_": target, **options, **more})
        problems = problems_of(node, kind)
        if not problems:
            with torch.inference_mode(False), torch.enable_grad():  # otherwise its parameters could not be trained
                built = instantiate(node)
            if isinstance(built, nn.Module):
                return built.eval()
            problems = [f"{target} returns a {type(built).__name__}, not a torch module"]
    except (InstantiationException, OmegaConfBaseException, ValueError, TypeError) as error:
        # A constructor's error about values of a file becomes an error about the file.
        cause = error.__cause__ or error
        plain_word = isinstance(cause, (ValueError, TypeError, LandmarksError))
        problem = str(cause) if plain_word else f"{type(cause).__name__}: {first_line(cause)}"
        raise LandmarksError(f"{kind} {plain[kind]}: {problem}") from error
    raise LandmarksError(f"{kind} {plain[kind]}: {'; '.join(problems)}")
