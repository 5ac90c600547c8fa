"""The network that turns an image into a descriptor, and optionally into local ones."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any, Self

import torch
from torch import Tensor, nn

from landmarks.errors import LandmarksError
from landmarks.models.checkpointing import checkpoint_blocks
from landmarks.models.local_branch import LocalBranch, find_third_stage
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
        local_dim: Length of local descriptors, see `models.local_branch`; None builds no local branch.
        local_relu: End the reconstruction of the local branch with a ReLU.
        frozen_global: Train the local branch alone: everything else keeps its weights and statistics.

    Attributes:
        dim: Length of the descriptor, also if the argument was None.
        local: The local branch, or None.
        input_multiple: Height and width of the images in pixels must be multiples of this: the backbone's attribute
            of that name, or else 1, since convolutions take any size that is large enough.

    Raises:
        LandmarksError: The backbone does not support checkpointing or a local branch, or there is nothing to train.
    """

    def __init__(
        self,
        backbone: nn.Module,
        pooling: nn.Module,
        dim: int | None = 512,
        batch_norm: bool = False,
        dropout: float = 0.0,
        checkpointing: bool = False,
        local_dim: int | None = None,
        local_relu: bool = True,
        frozen_global: bool = False,
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
        forward = checkpoint_blocks(backbone) if checkpointing else nullcontext()
        if forward is None:
            raise LandmarksError(
                "model.checkpointing=true: this network does not support gradient checkpointing; train it without, "
                "with a smaller data.batch_size, or use another model"
            )
        self._forward: AbstractContextManager[None] = forward
        self.backbone = backbone
        self.pooling = pooling
        self.fc = nn.Identity() if dim is None else nn.Linear(features, dim)
        self.batch_norm = nn.BatchNorm1d(self.dim) if batch_norm else nn.Identity()
        self.dropout = nn.Dropout(dropout)
        self.local: LocalBranch | None = None
        self.frozen_global = frozen_global
        if local_dim is not None:
            self._stage, stage = find_third_stage(backbone)
            self.local = LocalBranch(stage["num_chs"], local_dim, local_relu)
        if frozen_global:
            if self.local is None:
                raise LandmarksError(
                    "model.frozen_global=true trains the local branch alone, and this network has none; add "
                    "model.local_dim=128"
                )
            self.requires_grad_(False)
            self.local.requires_grad_(True)
            self.train()

    def train(self, mode: bool = True) -> Self:
        """Switch to training or to evaluation; what is frozen stays in evaluation, so that its statistics do, too."""
        super().train(mode)
        if self.frozen_global:
            for name, part in self.named_children():
                part.train(mode and name == "local")
        return self

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

    def with_local(self, images: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        """Compute in one pass what the whole network learns from.

        Args:
            images: Normalised images, float [B, 3, H, W].

        Returns:
            Descriptors [B, dim] as from `forward`, or None if they are frozen; and what `LocalBranch.pooled` gives.
        """
        assert self.local is not None
        if self.frozen_global:
            with torch.no_grad():
                stage = self.third_stage(images)
            return None, *self.local.pooled(stage)
        network: Any = self.backbone
        with self._forward:
            features, (stage,) = network.forward_intermediates(images, indices=[self._stage])
        return self._from_pooled(self.pooling(features)), *self.local.pooled(stage)

    def third_stage(self, images: Tensor) -> Tensor:
        """Compute the map that the local branch sees, [B, C, H', W'], without later stages."""
        network: Any = self.backbone
        (stage,) = network.forward_intermediates(
            images, indices=[self._stage], stop_early=True, intermediates_only=True
        )
        features: Tensor = stage
        return features

    @torch.no_grad()
    def check_local(self, shape: tuple[int, int]) -> None:
        """Try the local branch on noise of a height and width in pixels, before any training.

        Raises:
            LandmarksError: The third stage gives negative values, which the branch's ReLU cannot reconstruct.
        """
        if self.local is None or not self.local.relu:
            return
        training = self.training
        noise = torch.randn(1, 3, *shape, generator=torch.Generator().manual_seed(0))
        negative = bool((self.eval().third_stage(noise) < 0).any())
        self.train(training)
        if negative:
            raise LandmarksError(
                "model.local_relu=true: the third stage of this network gives negative values, which no ReLU can "
                "reconstruct; train with model.local_relu=false"
            )

    def _features(self, images: Tensor) -> Tensor:
        with self._forward:
            features: Tensor = self.backbone(images)
        return features

    def _from_pooled(self, pooled: Tensor) -> Tensor:
        descriptors: Tensor = self.dropout(self.batch_norm(self.fc(pooled)))
        return descriptors
