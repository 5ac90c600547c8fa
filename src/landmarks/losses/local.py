"""The loss of a local branch: landmarks by attention, and reconstruction.

Cao, Araujo, Sim, "Unifying Deep Local and Global Features for Image Search", ECCV 2020, section 3.3; the weights are
those of the published training program. It is added to the loss of the global descriptors.
"""

from torch import Tensor, nn

from landmarks.losses.softmax import Softmax


class LocalLoss(nn.Module):
    """Cross entropy of landmarks by the pooled local features, plus their reconstruction error.

    Args:
        num_landmarks: Number of classes.
        dim: C, the number of channels that are pooled.
        attention_weight: Factor of the cross entropy, which trains the attention.
        reconstruction_weight: Factor of the mean squared error of the reconstructions.
    """

    def __init__(
        self, num_landmarks: int, dim: int, attention_weight: float = 1.0, reconstruction_weight: float = 10.0
    ) -> None:
        super().__init__()
        if min(attention_weight, reconstruction_weight) < 0:
            raise ValueError(
                f"weights are 0 or more: attention_weight={attention_weight}, "
                f"reconstruction_weight={reconstruction_weight}"
            )
        self.attention_weight = attention_weight
        self.reconstruction_weight = reconstruction_weight
        self.head = Softmax(num_landmarks, dim)

    def forward(self, pooled: Tensor, error: Tensor, landmarks: Tensor) -> Tensor:
        """Compute the loss, a scalar.

        Args:
            pooled: Float [B, C], as `LocalBranch.pooled` gives them.
            error: Mean squared error of the reconstructions, a scalar.
            landmarks: int64 [B].
        """
        attention: Tensor = self.head(pooled, landmarks)
        return self.attention_weight * attention + self.reconstruction_weight * error
