"""Networks as plain values: what a file may ask to be built, and nothing else.

A checkpoint names its network by a `_target_` of Hydra, which would call whatever a file says. Files of ours name one
of the builders below instead, and its options are checked against its signature before it is called.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any, get_type_hints

import torch
from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf
from pydantic import TypeAdapter, ValidationError
from torch import nn

from landmarks.errors import LandmarksError
from landmarks.losses.class_head import ClassHead

# name in a file -> what builds it, imported where a file names it: the detector's room stands above this one
NETWORKS = {
    "released_net": "landmarks.models.build.released_net",
    "timm_net": "landmarks.models.build.timm_net",
    "faster_rcnn": "landmarks.detection.faster_rcnn.faster_rcnn",
}
LOSSES = {
    "ArcMargin": "landmarks.losses.arcmargin.ArcMargin",
    "NPairs": "landmarks.losses.npairs.NPairs",
    "Softmax": "landmarks.losses.softmax.Softmax",
}
IN_TRAINING_ONLY = ("checkpointing", "chunk")


def plain_network(node: Mapping[str, Any]) -> dict[str, Any] | None:
    """A `model` node of a configuration as plain values; None if it is not one of `NETWORKS`."""
    return _plain("network", node, NETWORKS)


def plain_loss(node: Mapping[str, Any]) -> dict[str, Any] | None:
    """A `loss` node of a configuration as plain values; None if it is not one of `LOSSES`."""
    return _plain("loss", node, LOSSES)


def build_network(plain: Mapping[str, Any], **more: Any) -> nn.Module:
    """Build what `plain_network` described, with random weights, in eval mode.

    Args:
        plain: `network`, a key of `NETWORKS`, and the options of that builder.
        more: options that the values do not hold, such as a detector's `num_classes`.

    Raises:
        LandmarksError: no such network, or options that it does not take.
    """
    options = dict(plain)
    pretrained = options.pop("pretrained", False)
    if plain.get("network") == "faster_rcnn":  # a detector on pretrained weights keeps its batch norm as it is
        options |= {"pretrained": pretrained is not False, "fill": False}
    return _build("network", options, NETWORKS, more).eval()


def build_loss(plain: Mapping[str, Any], num_landmarks: int, dim: int) -> nn.Module:
    """Build what `plain_loss` described, with random weights, in eval mode.

    Raises:
        LandmarksError: no such loss, or options that it does not take.
    """
    return _build("loss", dict(plain), LOSSES, {"num_landmarks": num_landmarks, "dim": dim}).eval()


def build_head(plain: Mapping[str, Any], num_landmarks: int, dim: int) -> ClassHead | None:
    """As `build_loss`; None where the loss has no class weights, as npairs."""
    loss = build_loss(plain, num_landmarks, dim)
    return loss if isinstance(loss, ClassHead) else None


def _plain(kind: str, node: Mapping[str, Any], known: Mapping[str, str]) -> dict[str, Any] | None:
    target = str(node.get("_target_", ""))
    name = next((name for name, path in known.items() if path == target), None)
    if name is None:
        return None
    left_out = {"pretrained", *IN_TRAINING_ONLY} if name != "faster_rcnn" else set()
    plain = OmegaConf.to_container(node, resolve=True) if isinstance(node, DictConfig) else node
    assert isinstance(plain, Mapping)
    options = {str(k): v for k, v in plain.items() if not str(k).startswith("_") and k not in left_out}
    if "pretrained" in options:
        options["pretrained"] = options["pretrained"] is not False
    return {kind: name, **options}


def _build(kind: str, options: dict[str, Any], known: Mapping[str, str], more: Mapping[str, Any]) -> nn.Module:
    name = options.pop(kind, None)
    if name not in known:
        raise LandmarksError(f"there is no {kind} {name!r}; there are {', '.join(known)}")
    values = {**options, **more}
    made: Callable[..., nn.Module] = get_object(known[name])
    problems = list(_problems(made, values))
    try:
        if not problems:
            with torch.inference_mode(False), torch.enable_grad():  # else its parameters could never be trained
                return made(**values)
    except (ValueError, TypeError) as error:
        problems = [str(error)]
    raise LandmarksError(f"{kind} {name}: {'; '.join(problems)}")


def _problems(made: Callable[..., nn.Module], values: Mapping[str, Any]) -> Iterator[str]:
    """What does not fit the signature of a builder."""
    parameters = inspect.signature(made).parameters
    hints = get_type_hints(made.__init__ if inspect.isclass(made) else made)
    for key in values.keys() - parameters.keys():
        yield f"it has no option {key}"
    for key, parameter in parameters.items():
        if key not in values:
            if parameter.default is inspect.Parameter.empty:
                yield f"{key} is not given"
            continue
        try:
            TypeAdapter(hints[key]).validate_python(values[key])
        except ValidationError as error:
            yield f"{key}: {error.errors()[0]['msg']}"
