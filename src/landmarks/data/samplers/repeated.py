"""Rare things more often: pictures of rare classes are drawn several times an epoch."""

import numpy as np
from numpy.typing import NDArray

from landmarks.data.samplers.epoch import Groups, fingerprint
from landmarks.data.samplers.shuffled import ShuffledBatches


class RepeatedBatches(ShuffledBatches):
    """Every picture as often an epoch as it is told, in random order.

    A picture of 2.3 comes twice in every epoch and a third time in three of ten; which ones is drawn anew each epoch,
    by systematic sampling, so that epochs have one length.

    Args:
        repeats: float64 [N], 1 and more.
        batch_size: Pictures in a batch of one rank.
        seed: Of the whole run.
        rank: This process, 0 <= rank < world_size.
        world_size: Processes that share the epoch.
        groups: int [N], group of each picture; None puts all into one.

    Raises:
        LandmarksError: The pictures do not fill one batch over all ranks.
    """

    def __init__(
        self,
        repeats: NDArray[np.float64],
        batch_size: int,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        groups: Groups | None = None,
    ) -> None:
        super().__init__(int(repeats.sum()), batch_size, seed, rank, world_size, groups)
        self.repeats = repeats

    def identity(self) -> dict[str, int | float | str]:
        """See `EpochBatches.identity`."""
        return super().identity() | {"how often pictures are drawn": fingerprint(self.repeats)}

    def _drawn(self, random: np.random.Generator) -> NDArray[np.int64]:
        # The repeats lie end to end on a line; every whole number on it, from a random start, draws a picture.
        counts = np.diff(np.floor(np.cumsum(self.repeats) + random.random()), prepend=0).astype(np.int64)
        return random.permutation(np.repeat(np.arange(len(counts)), counts))[: self.num_images]


def repeat_factors(
    start: NDArray[np.int64], labels: NDArray[np.int32], classes: int, threshold: float
) -> NDArray[np.float64]:
    """How often to draw pictures so that rare classes are seen (Gupta et al., "LVIS", CVPR 2019, appendix B).

    A class in a share f of the pictures asks for max(1, sqrt(threshold / f)), a picture for the most of its classes.

    Args:
        start: int64 [N+1], the labels of picture i are rows start[i]:start[i+1].
        labels: int32 [B].
        classes: C.
        threshold: The share of pictures below which a class is rare; 0.001 in the paper.

    Returns:
        float64 [N]; 1 for pictures without labels.
    """
    pictures = len(start) - 1
    picture = np.repeat(np.arange(pictures), np.diff(start))
    pairs = np.sort(picture * classes + labels)
    once = np.diff(pairs, prepend=-1) > 0  # np.unique takes ten times as long on millions
    share = np.bincount(pairs[once] % classes, minlength=classes) / max(pictures, 1)
    asked = np.sqrt(np.maximum(threshold / np.maximum(share, 1 / max(pictures, 1)), 1))
    factors = np.ones(pictures)
    np.maximum.at(factors, picture, asked[labels])
    return factors
