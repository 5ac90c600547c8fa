"""Networks and losses as plain values: what a file may ask to be built, and nothing else.

What can be built is what the YAML files in `conf/model` and `conf/loss` name, ours and those of the working directory;
there is no other list. A checkpoint or model file that somebody sent may name these, at any depth of its values, and
nothing else is called. Its options are checked against the signature of what they are for.

Plain values are `network` or `loss` and the options. Ours go by their last name, such as "timm_net", others by the
whole path, such as "mynets.Net".
"""

import inspect
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import torch
from hydra.errors import InstantiationException
from hydra.utils import get_object, instantiate
from omegaconf import DictConfig, OmegaConf
from torch import nn

from landmarks.config import known_targets, problems_of, targets_in
from landmarks.errors import LandmarksError
from landmarks.losses import ClassHead
from landmarks.models.record import ModelRecord

Kind = Literal["network", "loss"]
GROUPS: dict[Kind, str] = {"network": "model", "loss": "loss"}
OURS = "landmarks."
IN_TRAINING_ONLY = ("checkpointing", "chunk")
NOT_FETCHED = {"pretrained": False, "checkpointing": False}
"""What is switched off in a network that gets its weights from the file that names it."""


def plain_network(node: Mapping[str, Any]) -> dict[str, Any]:
    """Turn a `model` node of a configuration into plain values. Raises LandmarksError where it cannot be built."""
    return _plain("network", node)


def plain_loss(node: Mapping[str, Any]) -> dict[str, Any]:
    """Turn a `loss` node of a configuration into plain values. Raises LandmarksError where it cannot be built."""
    return _plain("loss", node)


def build_network(plain: Mapping[str, Any], **more: Any) -> nn.Module:
    """Build what `plain_network` gave, with random weights, in eval mode; `more` is what the values do not hold."""
    parameters = _parameters("network", plain)
    options = {key: value for key, value in NOT_FETCHED.items() if key in parameters}
    if "fill" in parameters:  # its layers depend on whether there were pretrained weights, but these come from the file
        options |= {"fill": False, "pretrained": plain.get("pretrained", False) is not False}
    return _build("network", {**plain, **options}, more)


def build_loss(plain: Mapping[str, Any], num_landmarks: int, dim: int) -> nn.Module:
    """Build what `plain_loss` gave, with random weights, in eval mode."""
    return _build("loss", plain, {"num_landmarks": num_landmarks, "dim": dim})


def build_parts(record: ModelRecord) -> tuple[nn.Module, ClassHead | None]:
    """Build the network and the head that a record describes; the head takes no memory before it is filled."""
    net = build_network(record.architecture, **({"num_classes": record.classes} if record.task == "detection" else {}))
    if record.head is None:
        return net, None
    dim: Any = getattr(net, "dim", None)
    if not isinstance(dim, int):
        raise LandmarksError(f"a {type(net).__name__} gives no descriptors, so nothing can be classified by them")
    with torch.device("meta"):
        head = build_loss(record.head, record.classes, dim)
    if not isinstance(head, ClassHead):
        raise LandmarksError(f"loss {record.head.get('loss')}: it has no class weights")
    return net, head


def has_class_weights(plain: Mapping[str, Any]) -> bool:
    """Whether a loss, given as `plain_loss` gave it, serves as a classifier."""
    made = get_object(_target("loss", plain))
    return inspect.isclass(made) and issubclass(made, ClassHead)


def all_options(plain: Mapping[str, Any]) -> dict[str, Any]:
    """A network's plain values with those that were left at their defaults."""
    parameters = _parameters("network", plain)
    defaults = {key: one.default for key, one in parameters.items() if one.default is not inspect.Parameter.empty}
    return {**defaults, **plain}


def _plain(kind: Kind, node: Mapping[str, Any]) -> dict[str, Any]:
    values = OmegaConf.to_container(node, resolve=True) if isinstance(node, DictConfig) else dict(node)
    assert isinstance(values, dict)
    target = str(values.pop("_target_", None))
    name = target.rsplit(".", 1)[-1] if target.startswith(OURS) else target
    left_out = {"_partial_", *IN_TRAINING_ONLY}
    plain = {kind: name, **{str(key): value for key, value in values.items() if key not in left_out}}
    if "pretrained" in plain:
        pretrained = plain.pop("pretrained") is not False
        if "fill" in _parameters(kind, plain):
            plain["pretrained"] = pretrained
    _target(kind, plain)
    return plain


def _target(kind: Kind, plain: Mapping[str, Any]) -> str:
    """What builds plain values. Raises LandmarksError where they name, at any depth, what no YAML file names."""
    known = known_targets(GROUPS[kind])
    names = {(one.rsplit(".", 1)[-1] if one.startswith(OURS) else one): one for one in sorted(known)}
    name, options = str(plain.get(kind)), {key: value for key, value in plain.items() if key != kind}
    strangers = [one for one in (*targets_in(options), *_interpolations(options)) if one not in known]
    if name not in names or strangers:
        raise LandmarksError(
            f"asks to call {strangers[0] if name in names else name}, which is none of our networks and losses "
            f"({', '.join(names)}). If it is yours, run this where a file conf/{GROUPS[kind]}/*.yaml names it; if you "
            "do not know it, do not trust the file"
        )
    return names[name]


def _parameters(kind: Kind, plain: Mapping[str, Any]) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(get_object(_target(kind, plain))).parameters


def _interpolations(value: Any) -> Iterator[str]:
    """Texts that OmegaConf would replace by something else, of which nobody knows what it asks for."""
    if isinstance(value, str) and "${" in value:
        yield value
    elif isinstance(value, (Mapping, list, tuple)):
        for one in value.values() if isinstance(value, Mapping) else value:
            yield from _interpolations(one)


def _build(kind: Kind, plain: Mapping[str, Any], more: Mapping[str, Any]) -> nn.Module:
    options = {key: value for key, value in plain.items() if key not in (kind, "_partial_")}
    node = OmegaConf.create({"_target_": _target(kind, plain), **options, **more})
    problems = problems_of(node, kind)
    try:
        if not problems:
            with torch.inference_mode(False), torch.enable_grad():  # else its parameters could never be trained
                built = instantiate(node)
            if isinstance(built, nn.Module):
                return built.eval()
            problems = [f"{node['_target_']} makes a {type(built).__name__}, not a module of torch"]
    except InstantiationException as error:
        if not isinstance(error.__cause__, (ValueError, TypeError, LandmarksError)):
            raise
        problems = [str(error.__cause__)]
    raise LandmarksError(f"{kind} {plain[kind]}: {'; '.join(problems)}")
