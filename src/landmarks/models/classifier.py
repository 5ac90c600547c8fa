"""A descriptor network and the class weights of its loss as one network that gives logits."""

from torch import Tensor, nn

from landmarks.losses import ClassHead


class Classifier(nn.Module):
    """Tells landmarks apart.

    Args:
        net: Pictures to descriptors.
        head: Descriptors to scores.

    Attributes:
        net: As given.
        head: As given.
    """

    def __init__(self, net: nn.Module, head: ClassHead) -> None:
        super().__init__()
        self.net = net
        self.head = head

    def forward(self, images: Tensor) -> Tensor:
        """Normalised float [B, 3, H, W] (see `models.normalize`) to logits float32 [B, C].

        Raises:
            ValueError: Height or width is not a multiple of 32.
        """
        scores: Tensor = self.head.class_scores(self.net(images))
        return scores
