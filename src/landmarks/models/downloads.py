"""ImageNet weights from timm's collection, and a plain word when they cannot be had.

Left to itself the hub's client tries an unreachable host for most of a minute and then says little. Here
weights in the cache are taken without asking the network, and otherwise one short question comes before the
download.
"""

from typing import Any

import timm
from huggingface_hub import HfApi, constants, try_to_load_from_cache
from timm.models import get_pretrained_cfg

from landmarks.errors import LandmarksError

TIMEOUT = 10.0
"""Seconds to wait for the first answer."""


def create_untrained(name: str, **options: Any) -> Any:
    """A network of timm with random weights, without classifier."""
    return timm.create_model(name, pretrained=False, num_classes=0, **options)


def create_pretrained(name: str, **options: Any) -> Any:
    """A network of timm with its weights, without classifier.

    Args:
        name: timm's name, with or without a tag.
        **options: Handed on to timm.

    Returns:
        The network.

    Raises:
        LandmarksError: timm has no weights for it, or they are neither in the cache nor to be fetched.
        TypeError: The network does not take one of the options.
    """
    config: Any = get_pretrained_cfg(name)
    if not config.has_weights:
        raise LandmarksError(
            f"timm has no pretrained weights for {name}. Go on with model.pretrained=false, with a file "
            "(model.pretrained=PATH), or with another model.name"
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
    except Exception as error:  # the hub's client lets the errors of its transport through, of whatever make
        source = f"{constants.ENDPOINT}/{repository}" if repository else config.url
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise LandmarksError(
            f"the pretrained weights of {name} could not be downloaded from {source} ({reason}). Go on with "
            "model.pretrained=false, which trains from scratch; or fetch the file elsewhere and give it as "
            "model.pretrained=PATH; or copy a filled Hugging Face cache here and set HF_HOME to it"
        ) from error
