"""Divide the classes of a head between the ranks: each holds the weights, gradients and moments of its own classes.

The model-parallel softmax of An et al., "Killing Two Birds with One Stone: Efficient and Robust Training of Face
Recognition CNNs by Partial FC", CVPR 2022, section 3. Any head works. It is built for all classes within
`Shard.building`, and allocates the weights of this rank's only. Within `Shard.computing` it computes the loss of the
batch of all ranks: `chunked_cross_entropy` scores this rank's classes, and adds up what all ranks have.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.distributed import ProcessGroup, group


@dataclass(frozen=True)
class Shard:
    """One rank's part of the classes, which are divided in their order; the first ranks have one more if needed.

    Attributes:
        classes: C, the number of all classes, at least `ranks`.
        rank: This process.
        ranks: Number of processes.
        rate: Share of its classes that a rank scores in a step: those of the batch, and others drawn at random. 1
            scores all, and is exact.
    """

    classes: int
    rank: int = 0
    ranks: int = 1
    rate: float = 1.0

    def __post_init__(self) -> None:
        if not 0.0 < self.rate <= 1.0:
            raise ValueError(f"rate is a share of the classes in (0, 1], not {self.rate}")
        if self.classes < self.ranks:
            raise ValueError(f"{self.classes} classes cannot be divided between {self.ranks} ranks")

    @property
    def start(self) -> int:
        """The first class."""
        return self.rank * (self.classes // self.ranks) + min(self.rank, self.classes % self.ranks)

    def __len__(self) -> int:
        return self.classes // self.ranks + (self.rank < self.classes % self.ranks)

    @property
    def place(self) -> slice:
        """The classes of this rank among all."""
        return slice(self.start, self.start + len(self))

    @contextmanager
    def building(self) -> Iterator[None]:
        """Let heads that are built in the block allocate the weights of this rank's classes only."""
        token = _BUILT.set(self)
        try:
            yield
        finally:
            _BUILT.reset(token)

    @contextmanager
    def computing(self, landmarks: Tensor) -> Iterator[None]:
        """Let `chunked_cross_entropy` score this rank's classes for landmarks int64 [B] of the batch of all ranks."""
        labels = landmarks - self.start
        here = (labels >= 0) & (labels < len(self))
        rows = None
        if self.rate < 1.0:
            rows = self._drawn(labels, here)
            labels = torch.searchsorted(rows, labels)
        token = _SCORED.set((rows, labels.masked_fill(~here, -1)))
        try:
            yield
        finally:
            _SCORED.reset(token)

    def _drawn(self, labels: Tensor, here: Tensor) -> Tensor:
        """Draw the classes to score, ascending: those of the batch, and others up to `rate`."""
        order = torch.rand(len(self) + 1, device=labels.device)  # one more, for landmarks of other ranks
        order[labels.where(here, len(self))] = 2.0
        # A batch may have as many landmarks as images. How many it has is not asked, because a GPU would have to wait.
        count = min(len(self), max(round(self.rate * len(self)), len(labels)))
        return order[:-1].topk(count).indices.sort().values


_BUILT: ContextVar[Shard | None] = ContextVar("built", default=None)
_SCORED: ContextVar[tuple[Tensor | None, Tensor] | None] = ContextVar("scored", default=None)


def xavier_rows(classes: int, *shape: int) -> nn.Parameter:
    """Return new class weights [classes, *shape], or the rows of the shard that is being built, by Xavier's rule.

    All numbers are drawn in any case, some rows at a time, so that the weights do not depend on the number of ranks.
    """
    fan_in, fan_out = shape[-1], classes
    bound = (6.0 / (fan_in + fan_out)) ** 0.5
    shard = _BUILT.get()
    if shard is None:
        return nn.Parameter(torch.empty(classes, *shape).uniform_(-bound, bound))
    own = torch.empty(len(shard), *shape)
    for start in range(0, classes, 4096):
        drawn = torch.empty(min(4096, classes - start), *shape).uniform_(-bound, bound)
        first, last = max(start, shard.start), min(start + len(drawn), shard.start + len(shard))
        if first < last:
            own[first - shard.start : last - shard.start] = drawn[first - start : last - start]
    return nn.Parameter(own)


def scored_rows(
    weight: Tensor, bias: Tensor | None, labels: Tensor
) -> tuple[Tensor, Tensor | None, Tensor, ProcessGroup | None]:
    """Return what is scored in `Shard.computing`: weights, bias, labels among these, and the group; else the same."""
    if (scored := _SCORED.get()) is None:
        return weight, bias, labels, None
    rows, labels = scored
    if rows is not None:
        weight, bias = weight.index_select(0, rows), None if bias is None else bias.index_select(0, rows)
    return weight, bias, labels, group.WORLD
