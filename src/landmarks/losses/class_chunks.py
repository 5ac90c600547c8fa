"""The classes of one process, whose logits are computed in chunks."""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.distributed import ProcessGroup, ReduceOp, all_reduce


class ClassChunks:
    """Class weights, and what is computed of a chunk of them.

    Args:
        weight: Float [C, D], or [C, K, D] with K rows per class, of which the best counts.
        bias: Float [C], or None.
        labels: int64 [B], the true classes; with a group, those outside [0, C) are in other processes.
        unit_weight: Divide each row of `weight` by its length first.
        chunk: Number of rows to process at a time.
        group: The processes that have the other classes, or None.
    """

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor | None,
        labels: Tensor,
        unit_weight: bool,
        chunk: int,
        group: ProcessGroup | None,
    ) -> None:
        self.classes, self.centers = len(weight), weight.shape[1] if weight.ndim == 3 else 1
        self.rows, self.bias = weight.flatten(0, -2), bias
        self.labels, self.unit_weight, self.group = labels, unit_weight, group
        self.chunk = max(1, chunk // self.centers)
        self.owned = None if group is None else (labels >= 0) & (labels < self.classes)
        # A true class of another process is replaced by any of this one, whose result is then masked.
        self.true = labels if group is None else labels.clamp(0, self.classes - 1)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Yield the first class of each chunk, and one past its last."""
        for start in range(0, self.classes, self.chunk):
            yield start, min(start + self.chunk, self.classes)

    def chunk_rows(self, dtype: torch.dtype, start: int, stop: int) -> tuple[slice, Tensor, Tensor | None]:
        """Return the place of a chunk's rows, and these as `true_rows` does."""
        place = slice(start * self.centers, stop * self.centers)
        return place, *self._unit(self.rows[place].to(dtype))

    def true_rows(self, dtype: torch.dtype, index: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return rows as they enter the scores, and the lengths by which they were divided, or None."""
        return self._unit(self.rows.index_select(0, index).to(dtype))

    def _unit(self, rows: Tensor) -> tuple[Tensor, Tensor | None]:
        if not self.unit_weight:
            return rows, None
        lengths = rows.norm(dim=1, keepdim=True).clamp_(min=1e-12)
        return rows / lengths, lengths

    def true_scores(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the true classes' scores [B] without scale and bias, and the rows of weights [B] they come from."""
        if self.centers == 1:
            row = self.true
            scores = (x * self.true_rows(x.dtype, row)[0]).sum(dim=1)
        else:
            of_class = self.true[:, None] * self.centers + torch.arange(self.centers, device=x.device)
            rows = self.true_rows(x.dtype, of_class.flatten())[0]
            scores, best = (rows.view(*of_class.shape, -1) @ x[:, :, None]).squeeze(2).max(dim=1)
            row = of_class.gather(1, best[:, None]).squeeze(1)
        return self.summed(self.masked(scores)), row

    def logits(self, scaled: Tensor, rows: Tensor, start: int, stop: int) -> tuple[Tensor, Tensor | None]:
        """Compute a chunk's logits [B, stop - start] from scaled descriptors, and which of the K rows each is of."""
        logits, best = scaled @ rows.T, None
        if self.centers > 1:
            logits, best = logits.view(len(scaled), -1, self.centers).max(dim=2)
        return logits if self.bias is None else logits.add_(self.bias[start:stop]), best

    def without_true(self, logits: Tensor, start: int, stop: int) -> Tensor:
        """Replace the logits of true classes by -inf, in place."""
        # Each image writes to one column: its true class or, if that is in another chunk, a column that keeps its
        # value. So no shape depends on data, and a GPU never waits for the host.
        column = (self.labels - start).clamp(0, stop - start - 1)[:, None]
        here = ((self.labels >= start) & (self.labels < stop))[:, None]
        return logits.scatter_(1, column, logits.gather(1, column).masked_fill(here, -torch.inf))

    def by_row(self, by_logit: Tensor, best: Tensor | None) -> Tensor:
        """Turn the gradient of a chunk's logits [B, c] into that of the scores of its rows [B, c * K]."""
        if best is None:
            return by_logit
        spread = by_logit.new_zeros(*by_logit.shape, self.centers)
        return spread.scatter_(2, best[:, :, None], by_logit[:, :, None]).flatten(1)

    def masked(self, values: Tensor) -> Tensor:
        """Set values [B] to 0 where another process has the true class."""
        return values if self.owned is None else values.masked_fill(~self.owned, 0.0)

    def summed(self, values: Tensor) -> Tensor:
        """Add up values of all processes, in place."""
        if self.group is not None:
            all_reduce(values, ReduceOp.SUM, self.group)
        return values

    def log_summed(self, values: Tensor) -> Tensor:
        """Compute the log-sum-exp of the values [B] of all processes."""
        if self.group is None:
            return values
        largest = values.clone()
        all_reduce(largest, ReduceOp.MAX, self.group)
        largest.masked_fill_(largest == -torch.inf, 0.0)  # there is no other class at all
        return largest + self.summed((values - largest).exp_()).log_()


def through_length(by_row: Tensor, rows: Tensor, lengths: Tensor | None) -> Tensor:
    """Turn the gradient by unit rows into that by the weights, which only has the part orthogonal to the row."""
    if lengths is None:
        return by_row
    along = (by_row * rows).sum(dim=1, keepdim=True)
    return by_row.addcmul_(along, rows, value=-1.0).div_(lengths)
