"""Exact cross entropy over very many classes without holding all logits.

A head over C classes with a batch of B images has B x C logits, of which a plain implementation keeps several copies
(198 MiB each at B = 256, C = 203,094) besides the weights. Here the classes are processed in chunks, twice: the forward
pass keeps a running log-sum-exp, and the backward pass computes each chunk's logits again and turns them into gradients
immediately (the scheme of FlashAttention, Dao et al., NeurIPS 2022, applied to the class axis). Besides the weights and
their gradient, this needs a few tensors of B x chunk and chunk x D. With few classes the logits are kept, and nothing
is computed twice.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

KEPT_CLASSES = 16_384
"""Number of classes up to which the logits are kept for the backward pass: 16 MB at a batch of 256."""

TargetScore = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Maps the true classes' scores [B] to their replacements and the derivatives of these, both [B]."""


def chunked_cross_entropy(
    x: Tensor,
    weight: Tensor,
    labels: Tensor,
    bias: Tensor | None = None,
    scale: float = 1.0,
    unit_weight: bool = False,
    target_score: TargetScore | None = None,
    chunk: int = 1024,
) -> Tensor:
    """Compute the mean over the batch of the cross entropy of `scale * (x @ weight.T) + bias`.

    It is computed in float32 (float64 for float64 inputs), even under autocast: bfloat16 cosines have errors of 0.004,
    which a scale of 80 would turn into 0.3.

    Args:
        x: Float [B, D].
        weight: Float [C, D], one row per class.
        labels: int64 [B] in [0, C).
        bias: Float [C], or None.
        scale: Factor of all scores.
        unit_weight: Divide each row of `weight` by its length first.
        target_score: Replaces the true class's score before scaling, as margins do; None leaves it unchanged.
        chunk: Number of classes to process at a time. Small chunks stay in the processor's cache; see
            `benchmarks/results/losses.csv`. On a GPU with free memory, larger ones launch fewer kernels.

    Returns:
        A scalar. It can be differentiated once, with respect to `x`, `weight` and `bias`.

    Raises:
        ValueError: `x` or `labels` has another shape.
    """
    if x.ndim != 2 or x.shape[0] == 0 or x.shape[1] != weight.shape[1]:
        raise ValueError(f"descriptors are [B, {weight.shape[1]}] with B at least 1, not {list(x.shape)}")
    if labels.shape != x.shape[:1]:
        raise ValueError(f"{x.shape[0]} descriptors need labels [{x.shape[0]}], not {list(labels.shape)}")
    with torch.autocast(x.device.type, enabled=False):
        x = at_least_float32(x)
        return _ChunkedCrossEntropy.apply(
            x, weight, bias, labels, scale, unit_weight, target_score or _unchanged, chunk
        )


def at_least_float32(x: Tensor) -> Tensor:
    """Convert to the type in which losses and class scores compute: float64 stays, all others become float32."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _unchanged(scores: Tensor) -> tuple[Tensor, Tensor]:
    return scores, torch.ones_like(scores)


class _ChunkedCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        labels: Tensor,
        scale: float,
        unit_weight: bool,
        target_score: TargetScore,
        chunk: int,
    ) -> Tensor:
        # The score of the true class may be replaced, so it is computed separately and left out of the chunks.
        true_rows, _ = _rows(weight.index_select(0, labels), x.dtype, unit_weight)
        target, slope = target_score((x * true_rows).sum(dim=1))
        target = target * scale
        if bias is not None:
            target = target + bias.index_select(0, labels)

        log_sum = target  # logarithm of the sum of the exponentials of all logits so far
        kept = []
        for start, stop in _chunks(len(weight), chunk):
            rows, _ = _rows(weight[start:stop], x.dtype, unit_weight)
            logits = _other_logits(x, rows, bias, labels, scale, start, stop)
            log_sum = torch.logaddexp(log_sum, logits.logsumexp(dim=1))
            if len(weight) <= KEPT_CLASSES:
                kept.append(logits)

        ctx.save_for_backward(x, weight, bias, labels, target, slope, log_sum, *kept)
        ctx.options = scale, unit_weight, chunk
        return (log_sum - target).mean()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, bias, labels, target, slope, log_sum, *kept = ctx.saved_tensors
        scale, unit_weight, chunk = ctx.options
        with torch.autocast(x.device.type, enabled=False):
            grad = grad / len(x)
            grad_x = torch.zeros_like(x)
            grad_weight = torch.zeros_like(weight)
            grad_bias = None if bias is None else torch.zeros_like(bias)
            for number, (start, stop) in enumerate(_chunks(len(weight), chunk)):
                rows, lengths = _rows(weight[start:stop], x.dtype, unit_weight)
                logits = kept[number] if kept else _other_logits(x, rows, bias, labels, scale, start, stop)
                by_logit = (logits - log_sum[:, None]).exp_().mul_(grad)
                if grad_bias is not None:
                    grad_bias[start:stop] = by_logit.sum(dim=0)
                grad_x.addmm_(by_logit, rows, alpha=scale)
                by_row = (by_logit.T @ x).mul_(scale)
                grad_weight[start:stop] = _through_length(by_row, rows, lengths)

            by_target = torch.expm1(target - log_sum) * grad  # probability - 1, without cancellation
            if grad_bias is not None:
                grad_bias.index_add_(0, labels, by_target.to(grad_bias.dtype))
            by_score = (by_target * slope * scale)[:, None]
            rows, lengths = _rows(weight.index_select(0, labels), x.dtype, unit_weight)
            grad_x.addcmul_(by_score, rows)
            grad_weight.index_add_(0, labels, _through_length(by_score * x, rows, lengths).to(weight.dtype))
        return grad_x, grad_weight, grad_bias, None, None, None, None, None


def _chunks(classes: int, chunk: int) -> Iterator[tuple[int, int]]:
    for start in range(0, classes, chunk):
        yield start, min(start + chunk, classes)


def _rows(weight: Tensor, dtype: torch.dtype, unit: bool) -> tuple[Tensor, Tensor | None]:
    """Return the weights as they enter the scores, and the lengths by which they were divided, or None."""
    weight = weight.to(dtype)
    if not unit:
        return weight, None
    lengths = weight.norm(dim=1, keepdim=True).clamp_(min=1e-12)
    return weight / lengths, lengths


def _through_length(by_row: Tensor, rows: Tensor, lengths: Tensor | None) -> Tensor:
    """Turn the gradient by unit rows into that by the weights, which only has the part orthogonal to the row."""
    if lengths is None:
        return by_row
    along = (by_row * rows).sum(dim=1, keepdim=True)
    return by_row.addcmul_(along, rows, value=-1.0).div_(lengths)


def _other_logits(
    x: Tensor, rows: Tensor, bias: Tensor | None, labels: Tensor, scale: float, start: int, stop: int
) -> Tensor:
    """Compute logits [B, stop - start], with -inf at the true classes."""
    logits = (x @ rows.T).mul_(scale)
    if bias is not None:
        logits.add_(bias[start:stop])
    # Each image writes to one column: its true class or, if that is in another chunk, a column that keeps its value. So
    # no shape depends on data, and a GPU never waits for the host.
    column = (labels - start).clamp(0, stop - start - 1)[:, None]
    here = ((labels >= start) & (labels < stop))[:, None]
    return logits.scatter_(1, column, logits.gather(1, column).masked_fill(here, -torch.inf))
