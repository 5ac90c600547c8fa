"""Normalisation of images on the device, to which they are copied as uint8, a quarter of the bytes of float32."""

import torch
from torch import Tensor

from landmarks.data import MEAN, STD


def normalize(images: Tensor) -> Tensor:
    """Scale pixels to [0, 1], subtract ImageNet's mean and divide by its standard deviation.

    Args:
        images: uint8 [B, 3, H, W], RGB, on any device, in any memory format.

    Returns:
        float32 [B, 3, H, W] on the same device and in the same memory format.
    """
    if images.dtype != torch.uint8:
        raise TypeError(f"normalize takes uint8 pixels, not {images.dtype}")
    if images.ndim != 4 or images.shape[1] != 3:
        raise ValueError(f"normalize takes [B, 3, H, W], not {list(images.shape)}")
    mean = torch.tensor(MEAN, device=images.device).mul_(255).view(3, 1, 1)
    scale = torch.tensor(STD, device=images.device).mul_(255).reciprocal_().view(3, 1, 1)
    return images.float().sub_(mean).mul_(scale)
