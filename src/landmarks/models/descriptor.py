"""The network that turns an image into a descriptor."""

from typing import Any

import torch
from torch import Tensor, nn

from landmarks.errors import LandmarksError
from landmarks.models.checkpointing import checkpoint_blocks
from landmarks.models.regions import region_grid


class DescriptorNet(nn.Module):
    """Descriptor network: backbone, pooling and a fully connected layer, optionally with batch norm and dropout.

    As published, the descriptor is the output of the fully connected layer: with a bias, but without batch norm,
    activation and L2 normalisation. Descriptors are normalised when they are compared; npairs also learns their length.

    Args:
        backbone: Network from float [B, 3, H, W] to [B, C, H', W'], with `num_features` = C.
        pooling: Module from [B, C, H', W'] to [B, C].
        dim: Length of the descriptor; None leaves the layer out and uses the pooled features.
        batch_norm: Apply batch norm to the descriptor.
        dropout: Share of the descriptor set to zero in training, in [0, 1).
        checkpointing: Train in less memory and a third more time, see `models.checkpointing`.

    Attributes:
        dim: Length of the descriptor, also if the argument was None.
        input_multiple: Height and width of the images in pixels must be multiples of this: the backbone's attribute
            of that name, or else 1, since convolutions take any size that is large enough.

    Raises:
        LandmarksError: The backbone does not support checkpointing.
    """

    def __init__(
        self,
        backbone: nn.Module,
        pooling: nn.Module,
        dim: int | None = 512,
        batch_norm: bool = False,
        dropout: float = 0.0,
        checkpointing: bool = False,
    ) -> None:
        super().__init__()
        if dim is not None and dim < 1:
            raise ValueError(f"dim is the length of the descriptor, at least 1, not {dim}")
        if not 0.0 <= dropout < 1.0:
            raise ValueError(f"dropout is a share in [0, 1), not {dropout}")
        features: Any = backbone.num_features
        self.dim: int = features if dim is None else dim
        multiple: Any = getattr(backbone, "input_multiple", 1)
        self.input_multiple: int = multiple
        self.checkpointing = checkpointing
        if checkpointing and not checkpoint_blocks(backbone):
            raise LandmarksError(
                "model.checkpointing=true: this network does not support gradient checkpointing; train it without, "
                "with a smaller data.batch_size, or use another model"
            )
        self.backbone = backbone
        self.pooling = pooling
        self.fc = nn.Identity() if dim is None else nn.Linear(features, dim)
        self.batch_norm = nn.BatchNorm1d(self.dim) if batch_norm else nn.Identity()
        self.dropout = nn.Dropout(dropout)

    def forward(self, images: Tensor) -> Tensor:
        """Compute descriptors [B, dim] of normalised images, float [B, 3, H, W] (see `models.normalize`)."""
        return self._from_pooled(self.pooling(self._features(images)))

    def embed(self, images: Tensor, levels: int) -> tuple[Tensor, Tensor]:
        """Embed whole images and their regions, each pooled and transformed like the whole image, in one pass.

        Args:
            images: Normalised images, float [B, 3, H, W].
            levels: Levels of the grid of regions, see `models.regions`; level 1 is the whole image.

        Returns:
            Descriptors [B, dim] as from `forward`, and those of the regions [B, R, dim] with R =
            `region_count(levels)`; the first region of each image is the whole image.
        """
        features = self._features(images)
        grid = region_grid(features.shape[2], features.shape[3], levels)
        pooled = [self.pooling(features[:, :, r.top : r.bottom, r.left : r.right]) for r in grid]
        regions = self._from_pooled(torch.stack(pooled, dim=1).flatten(0, 1))
        return self._from_pooled(self.pooling(features)), regions.unflatten(0, (len(features), len(grid)))

    def _features(self, images: Tensor) -> Tensor:
        features: Tensor = self.backbone(images)
        return features

    def _from_pooled(self, pooled: Tensor) -> Tensor:
        descriptors: Tensor = self.dropout(self.batch_norm(self.fc(pooled)))
        return descriptors
