"""Models with pretrained weights and without training, for `landmarks export --model`."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf, open_dict
from torch import nn

from landmarks.config import compose_config, mistakes_raised, problems_of, targets_in
from landmarks.data import Preprocessing
from landmarks.errors import LandmarksError, counted
from landmarks.models import (
    DescriptorNet,
    ModelRecord,
    OpenedModel,
    plain_network,
    require_size,
    trusting,
    weights_hash,
)


def compose_network(choice: str, pretrained: Literal[True] | Path, values: Sequence[str] = ()) -> DictConfig:
    """Compose a network of the config group `model` as `landmarks train` does, but with pooled features as descriptors.

    Args:
        choice: Its name in the group, such as "timm".
        pretrained: True downloads timm's weights, a path reads them from a file.
        values: Overrides, such as "model.name=resnet26d".

    Returns:
        The configuration of the network.

    Raises:
        LandmarksError: There is no such network or key, or a value is missing.
    """
    with mistakes_raised():
        node: DictConfig = compose_config("train", [f"model={choice}", *values]).model
    with open_dict(node):
        node.pretrained = True if pretrained is True else str(pretrained)
        if "dim" in node and not any(one.startswith("model.dim=") for one in values):
            node.dim = None
    if missing := [f"model.{key!s}=…" for key in node if OmegaConf.is_missing(node, key)]:
        raise LandmarksError(f"the network {choice} needs a value: {', '.join(missing)}")
    return node


def open_pretrained(node: DictConfig, name: str, image_size: int | None = None) -> OpenedModel:
    """Build a descriptor network with pretrained weights, and its record.

    Args:
        node: Configuration of the network as composed by the user, so its targets are trusted. `pretrained` is true or
            a file.
        name: Name of the model.
        image_size: Short side of images in pixels; by default that of timm's weights.

    Returns:
        The model, for retrieval. Images keep their aspect ratio if the network supports that, and are resized to
        squares otherwise. The normalisation of the weights is part of the network (`TimmBackbone`).

    Raises:
        LandmarksError: The network cannot be built, a layer has no pretrained weights, or the image size is unknown.
    """
    if problems := problems_of(node, "model"):
        raise LandmarksError("; ".join(problems))
    pretrained: Any = node.get("pretrained", False)
    if pretrained is False:
        raise LandmarksError("a network without weights: add --pretrained (timm's), or --weights FILE")
    net = _built(node)
    own, other = net.state_dict(), _built(node, seed=1).state_dict()
    if random := [key for key in own if not torch.equal(own[key], other[key])]:
        raise LandmarksError(
            f"the weights do not hold all of the network: {counted('left random', random)}. Leave out what they have "
            "no layer for, such as dim=…, or train it"
        )
    trust = tuple(targets_in(dict(node)))
    with trusting(trust):
        architecture = plain_network(node)
    made_of = str(getattr(net.backbone, "pretrained_name", name)) if pretrained is True else Path(pretrained).name
    origin = {"source": "pretrained weights", "trained_on": made_of, "loss": "none", "weights": weights_hash(net)}
    record = ModelRecord(name, "retrieval", architecture, _preprocessing(net, image_size), origin=origin)
    return OpenedModel(Path(made_of), "pretrained weights", record, net, None, made_of, trust)


def _built(node: DictConfig, seed: int = 0) -> DescriptorNet:
    try:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            net: nn.Module = instantiate(node)
    except InstantiationException as error:
        cause = error.__cause__
        if isinstance(cause, (LandmarksError, ValueError)):
            raise LandmarksError(str(cause)) from error
        raise
    if not isinstance(net, DescriptorNet):
        raise LandmarksError("model: embeds no images; choose a network that does, such as timm or res152")
    return net.eval()


def _preprocessing(net: DescriptorNet, image_size: int | None) -> Preprocessing:
    size = image_size or min(getattr(net.backbone, "native_size", (0,)))
    if not size:
        raise LandmarksError("the image size of these weights is unknown: add --image-size PIXELS")
    found = Preprocessing("aspect", size, patch=net.input_multiple)
    try:
        for wide in ((size, 2 * size), (2 * size, 3 * size)):
            require_size(net, "--image-size", found.shape(*wide))
    except LandmarksError:
        found = replace(found, mode="square")
        require_size(net, "--image-size", found.shape(1, 1))
    return found
