"""The base class of margin losses: everything but the margin itself."""

import math
from abc import abstractmethod
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from torch.nn.functional import linear, normalize

from landmarks.losses.adacos import AdaCos
from landmarks.losses.class_head import ClassHead
from landmarks.losses.cross_entropy import at_least_float32, chunked_cross_entropy, log_sums_of_others


@dataclass(eq=False, repr=False)
class MarginHead(ClassHead):
    """Cross entropy of scaled cosines, where subclasses lower the cosine of the true landmark by a margin.

    Subclasses are dataclasses too, of which each field is an option, and override `with_margin`. All other options
    work with any of them, together or alone. The lengths of weight vectors do not matter.

    Margins by class size are those of Ha et al., "Google Landmark Recognition 2020 Competition Third Place Solution",
    arXiv 2010.05350; sub-centres those of Deng et al., "Sub-center ArcFace", ECCV 2020; random margins those of
    Boutros et al., "ElasticFace: Elastic Margin Loss for Deep Face Recognition", CVPR Workshops 2022.

    Args:
        num_landmarks: Number of classes C.
        dim: Length of the descriptors D.
        margin: The margin. It can be changed during training.
        scale: Factor of all cosines, above 0, or a rule that finds it.
        sub_centers: K, the number of weight vectors of each landmark. The one nearest to an image counts, so that
            landmarks with several faces, and images with wrong labels, do not pull one vector apart.
        label_smoothing: Share of the target in [0, 1) that is divided equally between all landmarks.
        size_margin: a, by which landmarks with few train images get a larger margin: a * n ** -size_power + margin.
        size_power: How fast that falls with the number n of train images.
        margin_std: Standard deviation of the margin, which is then drawn anew for each image from a normal
            distribution around its mean.
        sort_margins: Give the largest random margins to the images that are farthest from their landmark.
        chunk: Number of weight vectors to process at a time; affects memory and speed only.

    Attributes:
        weight: float32 [C, D], or [C, K, D] with sub-centres.
    """

    reads_length: ClassVar[bool] = False
    exports_as: ClassVar[Literal["retrieval", "classification"]] = "retrieval"

    num_landmarks: int
    dim: int
    margin: float = 0.0
    scale: float | AdaCos = 64.0
    sub_centers: int = 1
    label_smoothing: float = 0.0
    size_margin: float = 0.0
    size_power: float = 0.25
    margin_std: float = 0.0
    sort_margins: bool = False
    chunk: int = 1024

    adaptive_scale: ClassVar[Tensor]  # buffers, of those heads that need them
    class_sizes: ClassVar[Tensor]
    margin_seed: ClassVar[Tensor]

    def __post_init__(self) -> None:
        """Check the options, and make the weights and what else is stored in checkpoints."""
        super().__init__(self.num_landmarks, self.dim, self.chunk, self.sub_centers)
        for name in ("margin", "size_margin", "size_power", "margin_std"):
            if not 0.0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be 0 or more, not {getattr(self, name)}")
        if not 0.0 <= self.label_smoothing < 1.0:
            raise ValueError(f"label_smoothing is a share in [0, 1), not {self.label_smoothing}")
        scale = self.scale.initial(self.num_landmarks) if isinstance(self.scale, AdaCos) else self.scale
        if not 0.0 < scale < math.inf:
            raise ValueError(f"scale must be above 0, not {scale}")
        if self._rule is not None:
            self.register_buffer("adaptive_scale", torch.tensor(scale))
        if self.size_margin:
            self.register_buffer("class_sizes", torch.zeros(self.num_landmarks, dtype=torch.int32))
        if self.margin_std:
            # Random margins have a generator of their own, whose state is in checkpoints and the same on all ranks.
            self.register_buffer("margin_seed", torch.randint(2**40, ()))
        self._seed: int | None = None
        self._sizes_known = False

    @abstractmethod
    def with_margin(self, cosine: Tensor, margin: Tensor, length: Tensor) -> tuple[Tensor, Tensor]:
        """Map the true landmarks' cosines to their replacements.

        Args:
            cosine: Cosine of each image to its landmark [B].
            margin: Margin of each image [B].
            length: Length of each descriptor [B].

        Returns:
            The replacements, and their derivatives with respect to the cosines, both [B].
        """

    def set_class_sizes(self, sizes: Tensor) -> None:
        """Set the number of train images of each landmark, whole numbers [C]; without `size_margin` not needed."""
        if sizes.shape != (self.num_landmarks,) or not bool((sizes > 0).all()):
            raise ValueError(f"class sizes are {self.num_landmarks} numbers above 0, not {list(sizes.shape)}")
        if self.size_margin:
            self.class_sizes.copy_(sizes)

    def forward(self, descriptors: Tensor, landmarks: Tensor) -> Tensor:
        """Compute the mean loss, a scalar, of descriptors float [B, D] and landmarks int64 [B]."""
        x = at_least_float32(descriptors)
        length, x = x.detach().norm(dim=1), normalize(x)
        options: dict[str, Any] = {"unit_weight": True, "chunk": self.chunk}
        if self._rule is not None and self.training:
            found = log_sums_of_others(x, self.weight, landmarks, self.adaptive_scale, **options)
            self.adaptive_scale.copy_(self._rule.next(*found))

        def target_score(cosine: Tensor) -> tuple[Tensor, Tensor]:
            return self.with_margin(cosine, self._margins(cosine, landmarks), length)

        return chunked_cross_entropy(
            x,
            self.weight,
            landmarks,
            scale=self.current_scale,
            target_score=target_score,
            label_smoothing=self.label_smoothing,
            **options,
        )

    @property
    def current_scale(self) -> float | Tensor:
        """The factor of all cosines; a tensor without dimensions if it changes by itself."""
        if self._rule is not None:
            return self.adaptive_scale
        return self.scale.initial(self.num_landmarks) if isinstance(self.scale, AdaCos) else self.scale

    @property
    def _rule(self) -> AdaCos | None:
        return self.scale if isinstance(self.scale, AdaCos) and self.scale.dynamic else None

    def class_scores(self, descriptors: Tensor, start: int = 0, stop: int | None = None) -> Tensor:
        """Compute scaled cosines with landmarks [start, stop), without margin: float [B, D] to [B, stop - start]."""
        with torch.autocast(descriptors.device.type, enabled=False):
            x = at_least_float32(descriptors)
            rows = normalize(self.weight[start:stop].to(x.dtype), dim=-1)
            cosines = linear(normalize(x), rows.flatten(0, -2))
            if self.sub_centers > 1:
                cosines = cosines.unflatten(1, (-1, self.sub_centers)).amax(dim=2)
            return self.current_scale * cosines

    def extra_repr(self) -> str:
        """Return the parameters that are shown when the loss is printed."""
        shown = (one.name for one in fields(self) if one.name not in ("num_landmarks", "dim", "chunk"))
        return ", ".join([super().extra_repr(), *(f"{name}={getattr(self, name)}" for name in shown)])

    def _margins(self, cosine: Tensor, landmarks: Tensor) -> Tensor:
        margins = torch.full_like(cosine, self.margin)
        if self.size_margin:
            if not self._sizes_known:
                self._sizes_known = bool((self.class_sizes > 0).all())  # asked once: a GPU has to wait for it
                if not self._sizes_known:
                    raise ValueError("size_margin needs the number of images of each landmark: call set_class_sizes")
            margins += self.size_margin * self.class_sizes[landmarks].to(margins.dtype) ** -self.size_power
        if self.margin_std and self.training:
            noise = self._noise(len(cosine)).to(margins)
            if self.sort_margins:
                farthest_last = cosine.argsort(descending=True)
                noise = torch.empty_like(noise).scatter_(0, farthest_last, noise.sort().values)
            margins += self.margin_std * noise
        return margins

    def _noise(self, count: int) -> Tensor:
        if self._seed is None:
            self._seed = int(self.margin_seed)  # asked once: a GPU has to wait for it
        noise = torch.randn(count, generator=torch.Generator().manual_seed(self._seed))
        self._seed += 1
        self.margin_seed.add_(1)
        return noise

    def _load_from_state_dict(self, *args: Any, **options: Any) -> None:
        super()._load_from_state_dict(*args, **options)
        self._seed = None
