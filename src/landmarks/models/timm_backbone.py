"""Any network of timm as a backbone, from an image to one feature map.

timm's networks give maps [B, C, H, W], maps [B, H, W, C], or tokens [B, N, C] after class and register tokens. All are
converted to [B, C, H, W] here, so that pooling and the descriptor layer work for every network.
"""

import difflib
import math
from collections.abc import Callable
from typing import Any

import timm
import torch
from huggingface_hub import HfApi, constants, try_to_load_from_cache
from timm.models import get_pretrained_cfg
from torch import Tensor, nn

from landmarks.data import MEAN, STD
from landmarks.errors import LandmarksError, first_line

TIMEOUT = 10.0
"""Seconds to wait for the first answer of the hub."""


class TimmBackbone(nn.Module):
    """Network of timm without its head.

    Networks with a fixed input size are built with timm's `dynamic_img_size` if they support it, and then take sides
    that are multiples of their patch size. For weights that were trained with another mean and standard deviation than
    ImageNet's, the input is converted.

    Args:
        name: timm's name of the network, with or without a tag.
        pretrained: Download timm's weights.
        **options: Passed to timm, such as `drop_path_rate`.

    Attributes:
        num_features: C, the number of channels of the feature map.
        input_multiple: Sides of images must be multiples of this, in pixels.
        native_size: Height and width in pixels that the weights were made for.

    Raises:
        LandmarksError: timm has no such network or weights, or they cannot be downloaded.
        TypeError: The network does not take one of the options.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, name: str, pretrained: bool = False, **options: Any) -> None:
        super().__init__()
        _check_name(name)
        self.name = name
        self.network = _create(name, pretrained, options)
        self.num_features: int = self.network.num_features

        patches: Any = getattr(self.network, "patch_embed", None)
        dynamic = getattr(patches, "dynamic_img_pad", False) or not getattr(patches, "strict_img_size", True)
        self.input_multiple: int = max(patches.patch_size) if dynamic else 1

        config: Any = get_pretrained_cfg(name)
        self.pretrained_name = f"{config.architecture}.{config.tag}" if config.tag else name
        self.native_size: tuple[int, int] = tuple(config.input_size[1:])
        mean, std = torch.tensor(config.mean), torch.tensor(config.std)
        self.register_buffer("scale", (torch.tensor(STD) / std).view(3, 1, 1), persistent=False)
        self.register_buffer("shift", ((torch.tensor(MEAN) - mean) / std).view(3, 1, 1), persistent=False)
        self.same_input = tuple(config.mean) == MEAN and tuple(config.std) == STD
        self._freeze_unused()

    def forward(self, x: Tensor) -> Tensor:
        """Compute the feature map [B, C, H', W'] of images, float [B, 3, H, W]."""
        return self._as_map(self._run(self.network.forward_features, x), (x.shape[-2], x.shape[-1]))

    @property
    def feature_info(self) -> Any:
        """What timm says of the maps on the way: `num_chs` and `reduction` of each."""
        return getattr(self.network, "feature_info", None) or []

    def forward_intermediates(self, x: Tensor, **options: Any) -> Any:
        """Compute maps on the way as well; name and options are timm's.

        Returns:
            The feature map and a list of maps [B, C, H', W'], or with `intermediates_only=True` the list alone.
        """
        found = self._run(self.network.forward_intermediates, x, **options)
        if options.get("intermediates_only"):
            return found
        return self._as_map(found[0], (x.shape[-2], x.shape[-1])), found[1]

    def _run(self, network: Callable[..., Any], x: Tensor, **options: Any) -> Any:
        try:
            return network(x if self.same_input else x * self.scale + self.shift, **options)
        except torch.OutOfMemoryError:
            raise
        except (AssertionError, RuntimeError) as error:
            if tuple(x.shape[-2:]) == self.native_size:
                raise
            raise LandmarksError(
                f"{self.name} cannot take images of {x.shape[-2]} x {x.shape[-1]} pixels; it was made for "
                f"{self.native_size[0]} x {self.native_size[1]}. Choose that size or another model.name "
                f"({error})"
            ) from error

    def _as_map(self, features: object, size: tuple[int, int]) -> Tensor:
        if isinstance(features, Tensor) and features.ndim == 4:
            if getattr(self.network, "output_fmt", "NCHW") == "NHWC":
                features = features.permute(0, 3, 1, 2)
            if features.shape[1] == self.num_features:
                return features
        if isinstance(features, Tensor) and features.ndim == 3 and features.shape[2] == self.num_features:
            height, width = self._grid(size)
            extra = features.shape[1] - height * width
            declared = getattr(self.network, "num_prefix_tokens", None)
            if extra == declared or (declared is None and extra in (0, 1)):
                return features[:, extra:].transpose(1, 2).unflatten(2, (height, width))
        shape = list(features.shape) if isinstance(features, Tensor) else type(features).__name__
        raise LandmarksError(
            f"{self.name} does not give a single feature map (it gives {shape} for images of {size[0]} x "
            f"{size[1]} pixels), so it cannot be pooled; choose another model.name"
        )

    def _grid(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return the height and width of the grid of tokens, in patches."""
        patches: Any = getattr(self.network, "patch_embed", None)
        if hasattr(patches, "dynamic_feat_size"):
            height, width = patches.dynamic_feat_size(size)
            return height, width
        stride = self.network.feature_info[-1]["reduction"]
        return math.ceil(size[0] / stride), math.ceil(size[1] / stride)

    def _freeze_unused(self) -> None:
        """Freeze the weights that the feature map does not depend on; distributed training fails on unused weights.

        They are found by running the network on the meta device.
        """
        state = {
            name: torch.empty_like(value, device="meta", requires_grad=value.requires_grad)
            for name, value in (*self.named_parameters(), *self.named_buffers())
        }
        image = torch.empty(1, 3, *self.native_size, device="meta")
        training = self.training
        features = torch.func.functional_call(self.eval(), state, (image,))
        self.train(training)
        parameters = [(name, value) for name, value in self.named_parameters() if value.requires_grad]
        gradients = torch.autograd.grad(features.sum(), [state[name] for name, _ in parameters], allow_unused=True)
        for (_, parameter), gradient in zip(parameters, gradients, strict=True):
            parameter.requires_grad_(gradient is not None)


def is_timm_name(name: str) -> bool:
    """Return whether timm has a network of that name, with or without a tag after a dot."""
    return bool(timm.is_model(name.partition(".")[0]))


def _check_name(name: str) -> None:
    architecture, _, tag = name.partition(".")
    if not is_timm_name(name):
        near = difflib.get_close_matches(architecture, timm.list_models(), n=5)
        hint = f"did you mean {', '.join(near)}?" if near else "`timm.list_models()` lists all names"
        raise LandmarksError(f"model.name={name}: timm has no such network; {hint}")
    known = timm.list_models(f"{architecture}.*", include_tags=True)
    if tag and name not in known:
        raise LandmarksError(
            f"model.name={name}: timm has no such weights for {architecture}; it has {', '.join(known)}"
        )


def _create(name: str, pretrained: bool, more: dict[str, Any]) -> Any:
    attempts: list[dict[str, bool]] = [{}]
    config: Any = get_pretrained_cfg(name)
    if config.fixed_input_size:
        attempts = [{"dynamic_img_size": True, "dynamic_img_pad": True}, {"dynamic_img_size": True}, {}]
    for options in attempts[:-1]:
        try:
            return _create_with(name, pretrained, options | more)
        except TypeError:  # the network does not know the option
            continue
    return _create_with(name, pretrained, more)


def _create_with(name: str, pretrained: bool, options: dict[str, Any]) -> Any:
    if pretrained:
        return create_pretrained(name, **options)
    return timm.create_model(name, pretrained=False, num_classes=0, **options)


def create_pretrained(name: str, **options: Any) -> Any:
    """Create a network of timm with its weights and without its classifier.

    The hub's client retries an unreachable host for most of a minute and then gives a vague error. Here cached weights
    are used without any request, and otherwise a request with a short timeout comes before the download.

    Args:
        name: timm's name, with or without a tag.
        **options: Passed to timm.

    Returns:
        The network.

    Raises:
        LandmarksError: timm has no weights for it, or they are not in the cache and cannot be downloaded.
        TypeError: The network does not take one of the options.
    """
    config: Any = get_pretrained_cfg(name)
    if not config.has_weights:
        raise LandmarksError(
            f"timm has no pretrained weights for {name}. Use model.pretrained=false, a file of weights "
            "(model.pretrained=PATH), or another model.name"
        )
    repository = config.hf_hub_id
    cached = try_to_load_from_cache(repository, "model.safetensors") if repository else None
    if isinstance(cached, str) and not config.custom_load:
        return timm.create_model(
            name, pretrained=True, pretrained_cfg_overlay={"file": cached}, num_classes=0, **options
        )
    try:
        if repository:
            HfApi().model_info(repository, timeout=TIMEOUT)
        return timm.create_model(name, pretrained=True, num_classes=0, **options)
    except TypeError:
        raise
    except Exception as error:  # the hub's client raises errors of its transport, which can have any type
        source = f"{constants.ENDPOINT}/{repository}" if repository else config.url
        raise LandmarksError(
            f"the pretrained weights of {name} could not be downloaded from {source} ({first_line(error)}). Use "
            "model.pretrained=false, which trains from scratch; or download the file elsewhere and give it as "
            "model.pretrained=PATH; or copy a filled Hugging Face cache here and set HF_HOME to it"
        ) from error
