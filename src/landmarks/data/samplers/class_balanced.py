"""Batches by landmark: some landmarks, and several images of each.

In Google Landmarks v2 most of the 203,094 landmarks have a handful of images and some have thousands, so that drawing
images uniformly shows a network mostly the few famous ones. Drawing landmarks first makes that balance a choice.
"""

import logging
from collections.abc import Iterator
from typing import NamedTuple, Unpack

import numpy as np
from numpy.typing import NDArray

from landmarks.data.samplers.epoch import SEEDS, Draw, EpochBatches, Groups, Share
from landmarks.errors import LandmarksError

log = logging.getLogger(__name__)


class _Landmarks(NamedTuple):
    """The landmarks that a step of one group may hold: start and number of their images, and their weight."""

    starts: NDArray[np.int64]
    counts: NDArray[np.int64]
    weights: NDArray[np.float64]


class BalancedBatches(EpochBatches):
    """`images_per_landmark` images, side by side, of each of batch_size / images_per_landmark landmarks.

    No landmark occurs twice in a step (the batches of all ranks together). Landmarks are drawn one after another
    without replacement, each with probability proportional to (number of its images) ** size_power; then different
    images of each, uniformly. A landmark with fewer images than needed repeats them with other augmentations: for
    arcmargin and softmax it is a class like any other. An epoch has N / step batches (rounded down) but need not show
    every image.

    With groups, the group of a step is drawn first. A landmark's weight is divided among its groups in proportion to
    its images there, so that landmarks and images are drawn as often as without groups. A group with fewer landmarks
    than a step needs is left out, with a warning.

    Args:
        landmarks: Landmark of each image, int32 [N]; images with -1 are never drawn.
        batch_size: Images in a batch of one rank.
        images_per_landmark: Images of a landmark in a batch, a divisor of batch_size.
        size_power: 0 draws every landmark equally often, 1 every image; 0.5 lies between.
        repeat: Whether landmarks with fewer images are drawn too.
        **share: See `Share`.

    Raises:
        LandmarksError: The sizes do not fit together, or there are too few landmarks for one step.
    """

    def __init__(
        self,
        landmarks: NDArray[np.int32],
        batch_size: int,
        images_per_landmark: int,
        size_power: float,
        repeat: bool = True,
        **share: Unpack[Share],
    ) -> None:
        super().__init__(batch_size, **share)
        if images_per_landmark < 1 or batch_size % images_per_landmark:
            raise LandmarksError(
                f"data.batch_size is {batch_size}: it must be a multiple of sampler.images_per_landmark, "
                f"which is {images_per_landmark}"
            )
        if size_power < 0:
            raise LandmarksError(f"sampler.size_power is {size_power}: it must be 0 or more")
        self.images_per_landmark = images_per_landmark
        self.size_power = size_power
        self._chosen = self.step // images_per_landmark  # landmarks of a step
        least = 1 if repeat else images_per_landmark
        self._rows, cells = _cells(landmarks, self.groups, least, size_power)
        self._groups = [group for group in cells if len(group.counts) >= self._chosen]
        drawable, whole = (sum(int(group.counts.sum()) for group in part) for part in (self._groups, cells))
        if not self._groups:
            most = max((len(group.counts) for group in cells), default=0)
            fitting = most // self.world_size * images_per_landmark
            raise LandmarksError(
                f"{most} landmarks have {least} or more training images{' of one group' if len(cells) > 1 else ''}, "
                f"but {self.world_size} batch(es) of {batch_size // images_per_landmark} landmarks need {self._chosen} "
                f"different landmarks; set data.batch_size to at most {fitting} or train on a split with more landmarks"
            )
        if drawable < whole and self.rank == 0:
            log.warning(
                "%d of %d training images are in groups of fewer than %d landmarks and will not be drawn; a smaller "
                "data.batch_size would reach them",
                whole - drawable,
                whole,
                self._chosen,
            )
        self._length = max(1, drawable // self.step)
        shares = np.array([group.weights.sum() for group in self._groups])
        self._shares = shares / shares.sum()

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[list[Draw]]:
        share = self._chosen // self.world_size
        mine = slice(self.rank * share, (self.rank + 1) * share)
        for batch in range(self.first, len(self)):
            random = np.random.default_rng([self.seed, self.epoch, batch])
            group = self._groups[0 if len(self._groups) == 1 else random.choice(len(self._groups), p=self._shares)]
            chosen = draw_landmarks(random, group.weights, self._chosen)
            images = draw_images(random, group.counts[chosen], self.images_per_landmark)
            seeds = random.integers(SEEDS, size=images.shape)
            rows = self._rows[group.starts[chosen][:, None] + images]
            yield list(zip(rows[mine].ravel().tolist(), seeds[mine].ravel().tolist(), strict=True))

    def identity(self) -> dict[str, int | float | str]:
        """See `EpochBatches.identity`."""
        return super().identity() | {
            "sampler.images_per_landmark": self.images_per_landmark,
            "sampler.size_power": self.size_power,
        }


def draw_landmarks(random: np.random.Generator, weights: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """Draw `count` different indices one after another, each in proportion to its weight among the remaining ones.

    These are the smallest of exponential variables whose rates are the weights, in that order (Efraimidis and
    Spirakis, "Weighted random sampling with a reservoir", 2006). The time does not depend on the weights.
    """
    if (weights == weights[0]).all():
        return random.choice(len(weights), size=count, replace=False)
    waits = random.standard_exponential(len(weights)) / weights
    first = np.argpartition(waits, count - 1)[:count]
    return first[np.argsort(waits[first])]


def draw_images(random: np.random.Generator, counts: NDArray[np.int64], each: int) -> NDArray[np.int64]:
    """Draw images of several landmarks: counts [L] -> int64 [L, each], row l within [0, counts[l]).

    A row holds different images in random order; when a landmark has no more, all its images are drawn anew.
    """
    drawn = np.empty((len(counts), each), dtype=np.int64)
    free = np.iinfo(np.int64).max
    gone = np.full_like(drawn, free)  # ascending: images of each landmark already drawn in this round
    for turn in range(each):
        used = turn % counts
        gone[used == 0] = free
        image = random.integers(counts - used)
        for column in range(turn):  # `image` counts the remaining images; skip over those already drawn
            image += image >= gone[:, column]
        drawn[:, turn] = gone[:, -1] = image
        gone.sort(axis=1)
    return drawn


def _cells(
    landmarks: NDArray[np.int32], groups: Groups | None, least: int, size_power: float
) -> tuple[NDArray[np.int64], list[_Landmarks]]:
    """Sort labelled rows by group and landmark: the rows, and for each group its landmarks of `least` or more."""
    landmarks = np.asarray(landmarks)
    labelled = np.flatnonzero(landmarks >= 0)
    marks = landmarks[labelled].astype(np.int64)
    classes = int(marks.max(initial=0)) + 1
    cell = marks if groups is None else groups[labelled].astype(np.int64) * classes + marks
    order = np.argsort(cell, kind="stable")
    cells, starts, counts = np.unique(cell[order], return_index=True, return_counts=True)
    keep = counts >= least
    cells, starts, counts = cells[keep], starts[keep], counts[keep]
    totals = np.bincount(cells % classes, weights=counts)[cells % classes]
    weights = totals**size_power * (counts / totals)
    of_group = [np.flatnonzero(cells // classes == group) for group in np.unique(cells // classes)]
    return labelled[order], [_Landmarks(starts[own], counts[own], weights[own]) for own in of_group]


class PairBatches(BalancedBatches):
    """Batches by class for pair losses: batch / 2 landmarks, two different images of each.

    A batch is laid out anchor, positive, anchor, positive…. No landmark occurs twice in a step (the batches of all
    ranks together), and every landmark is drawn equally often. The length of an epoch follows from the number of
    images of landmarks with at least two. The layout is that of the published npairs model, after Sohn, "Improved Deep
    Metric Learning with Multi-class N-pair Loss Objective", NIPS 2016.

    Args:
        landmarks: Landmark of each image, int32 [N]; images with -1 are never drawn.
        batch_size: Images in a batch of one rank, an even number.
        **share: See `Share`.
    """

    def __init__(self, landmarks: NDArray[np.int32], batch_size: int, **share: Unpack[Share]) -> None:
        if batch_size % 2:
            raise LandmarksError(f"data.batch_size is {batch_size}: it must be even for batches of pairs")
        super().__init__(landmarks, batch_size, 2, 0.0, repeat=False, **share)
