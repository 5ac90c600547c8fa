"""The margins of SphereFace, ArcFace and CosFace in one formula.

Deng et al., "ArcFace: Additive Angular Margin Loss for Deep Face Recognition", CVPR 2019, equation 4.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from landmarks.losses.margin_head import MarginHead


@dataclass(eq=False, repr=False)
class CombinedMargin(MarginHead):
    """Cross entropy of scaled cosines, where cos θ of the true landmark becomes cos(m1 θ + m2) - m3.

    As published, the cosine rises again where the sum exceeds π; `ArcMargin` does not.

    Args:
        margin: m2, added to the true landmark's angle, in radians.
        angle_factor: m1, by which that angle is multiplied.
        cosine_margin: m3, taken off the cosine.
        clip: Limit the sum to [clip, π - clip], without gradient beyond; None leaves it.
        straight_through: Let the gradient pass as if there were no margin, as insightface does. It is not the gradient
            of the loss, but pulls images to their landmark at any angle.
    """

    margin: float = 0.3
    angle_factor: float = 1.0
    cosine_margin: float = 0.2
    clip: float | None = None
    straight_through: bool = False

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        if not 0.0 < self.angle_factor < math.inf:
            raise ValueError(f"angle_factor must be above 0, not {self.angle_factor}")
        if not 0.0 <= self.cosine_margin < math.inf:
            raise ValueError(f"cosine_margin must be 0 or more, not {self.cosine_margin}")
        if self.clip is not None and not 0.0 <= self.clip < math.pi / 2:
            raise ValueError(f"clip must be in [0, π/2), not {self.clip}")

    def with_margin(self, cosine: Tensor, margin: Tensor, length: Tensor) -> tuple[Tensor, Tensor]:
        """Return the cosines of the new angles without m3, and their derivatives, both [B]."""
        clip = -math.inf if self.clip is None else self.clip
        value, slope = with_angle(cosine, self.angle_factor, margin, clip)
        return value - self.cosine_margin, torch.ones_like(slope) if self.straight_through else slope


def with_angle(cosine: Tensor, factor: float, added: Tensor, clip: float) -> tuple[Tensor, Tensor]:
    """Compute cos(factor * θ + added), where the angle is limited to [clip, π - clip], and its derivative by cos θ."""
    cosine = cosine.clamp(-1.0, 1.0)
    angle = factor * cosine.acos() + added
    sine = (1.0 - cosine.square()).clamp(min=1e-12).sqrt()
    slope = (factor * angle.sin() / sine).masked_fill((angle < clip) | (angle > math.pi - clip), 0.0)
    return angle.clamp(clip, math.pi - clip).cos(), slope
