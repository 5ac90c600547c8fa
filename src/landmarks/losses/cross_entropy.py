"""Exact cross entropy over very many classes without holding all logits.

A head over C classes with a batch of B images has B x C logits, of which a plain implementation keeps several copies
(198 MiB each at B = 256, C = 203,094) besides the weights. Here the classes are processed in chunks, twice: the forward
pass keeps a running log-sum-exp, and the backward pass computes each chunk's logits again and turns them into gradients
immediately (the scheme of FlashAttention, Dao et al., NeurIPS 2022, applied to the class axis). Besides the weights and
their gradient, this needs a few tensors of B x chunk and chunk x D. With few classes the logits are kept, and nothing
is computed twice.

The classes can also be divided between the processes of a group. Each then adds up its own classes, and only tensors
of B values are exchanged.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.distributed import ProcessGroup

from landmarks.losses.class_chunks import ClassChunks, through_length
from landmarks.losses.shard import scored_rows

KEPT_CLASSES = 16_384
"""Number of class weights up to which the logits are kept for the backward pass: 16 MB at a batch of 256."""

TargetScore = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Maps the true classes' scores [B] to their replacements and the derivatives of these, both [B]."""


def chunked_cross_entropy(
    x: Tensor,
    weight: Tensor,
    labels: Tensor,
    bias: Tensor | None = None,
    scale: float | Tensor = 1.0,
    unit_weight: bool = False,
    target_score: TargetScore | None = None,
    chunk: int = 1024,
    label_smoothing: float = 0.0,
    group: ProcessGroup | None = None,
) -> Tensor:
    """Compute the mean over the batch of the cross entropy of `scale * (x @ weight.T) + bias`.

    It is computed in float32 (float64 for float64 inputs), even under autocast: bfloat16 cosines have errors of 0.004,
    which a scale of 80 would turn into 0.3.

    With a `group`, each process has some of the classes: `weight`, `bias` and their gradients are its own, `x` and the
    result are the same in all. The gradient of `x` is this process's part of a sum, whose other parts the others have.

    Args:
        x: Float [B, D].
        weight: Float [C, D], one row per class, or [C, K, D] with several: a class's score is that of its best row.
        labels: int64 [B], the row of `weight` of each true class. With a `group`, any value outside [0, C) says that
            another process has it.
        bias: Float [C], or None.
        scale: Factor of all scores; a tensor has no dimensions and gets no gradient.
        unit_weight: Divide each row of `weight` by its length first.
        target_score: Replaces the true class's score before scaling, as margins do; None leaves it unchanged. In a
            group it must return the same in all processes.
        chunk: Number of rows of weights to process at a time. Small chunks stay in the processor's cache; see
            `benchmarks/results/losses.csv`. On a GPU with free memory, larger ones launch fewer kernels.
        label_smoothing: Share of the target that is divided equally between all classes, as in torch's cross entropy.
        group: The processes that have the other classes, each at least one; None if all are here.

    Returns:
        A scalar. It can be differentiated once, with respect to `x`, `weight` and `bias`.

    Raises:
        ValueError: `x` or `labels` has another shape.
    """
    weight, bias, labels, of_shard = scored_rows(weight, bias, labels)
    group = group or of_shard
    if x.ndim != 2 or x.shape[0] == 0 or x.shape[1] != weight.shape[-1]:
        raise ValueError(f"descriptors are [B, {weight.shape[-1]}] with B at least 1, not {list(x.shape)}")
    if labels.shape != x.shape[:1]:
        raise ValueError(f"{x.shape[0]} descriptors need labels [{x.shape[0]}], not {list(labels.shape)}")
    with torch.autocast(x.device.type, enabled=False):
        x = at_least_float32(x)
        return _ChunkedCrossEntropy.apply(
            x, weight, bias, labels, scale, unit_weight, target_score or _unchanged, chunk, label_smoothing, group
        )


@torch.no_grad()
def log_sums_of_others(
    x: Tensor,
    weight: Tensor,
    labels: Tensor,
    scale: float | Tensor = 1.0,
    unit_weight: bool = False,
    chunk: int = 1024,
    group: ProcessGroup | None = None,
) -> tuple[Tensor, Tensor]:
    """Compute the true classes' scores, and the log-sum-exp of the scaled scores of all other classes.

    The arguments are those of `chunked_cross_entropy`. Both results are [B], without gradient, and the same in all
    processes of the group.
    """
    weight, _, labels, of_shard = scored_rows(weight, None, labels)
    group = group or of_shard
    with torch.autocast(x.device.type, enabled=False):
        x = at_least_float32(x)
        classes = ClassChunks(weight, None, labels, unit_weight, chunk, group)
        return classes.true_scores(x)[0], _sum_up(x * scale, classes)[0]


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
        scale: float | Tensor,
        unit_weight: bool,
        target_score: TargetScore,
        chunk: int,
        smoothing: float,
        group: ProcessGroup | None,
    ) -> Tensor:
        classes = ClassChunks(weight, bias, labels, unit_weight, chunk, group)
        # The score of the true class may be replaced, so it is computed separately and left out of the chunks.
        score, row = classes.true_scores(x)
        target, slope = target_score(score)
        of_bias = 0.0 if bias is None else classes.summed(classes.masked(bias.index_select(0, classes.true)))
        target = target * scale + of_bias

        kept: list[Tensor | None] | None = [] if len(classes.rows) <= KEPT_CLASSES else None
        others, total = _sum_up(x * scale, classes, smoothing > 0, kept)
        log_sum = torch.logaddexp(others, target)  # logarithm of the sum of the exponentials of all logits
        share: float | Tensor = 0.0
        loss = log_sum - (1.0 - smoothing) * target
        if total is not None:
            share = smoothing / classes.summed(total.new_tensor([classes.classes]))
            loss = loss - share * (total - (score * scale + of_bias) + target)

        ctx.save_for_backward(x, weight, bias, labels, row, target, slope, log_sum, *(kept or ()))
        ctx.options = scale, unit_weight, chunk, smoothing, share, group
        return loss.mean()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, bias, labels, true_row, target, slope, log_sum, *kept = ctx.saved_tensors
        scale, unit_weight, chunk, smoothing, share, group = ctx.options
        with torch.autocast(x.device.type, enabled=False):
            classes = ClassChunks(weight, bias, labels, unit_weight, chunk, group)
            grad = grad / len(x)
            by_scale = grad * scale
            scaled, factor = x * scale, x * by_scale
            grad_x = torch.zeros_like(x)
            grad_rows = torch.empty_like(classes.rows)
            grad_bias = None if bias is None else torch.empty_like(bias)
            for number, (start, stop) in enumerate(classes):
                place, rows, lengths = classes.chunk_rows(x.dtype, start, stop)
                if kept:
                    logits, best = kept[2 * number : 2 * number + 2]
                    by_logit = (logits - log_sum[:, None]).exp_()
                else:
                    logits, best = classes.logits(scaled, rows, start, stop)
                    by_logit = classes.without_true(logits, start, stop).sub_(log_sum[:, None]).exp_()
                if smoothing:
                    by_logit.sub_(share)  # of the true class too, to which it is added below
                if grad_bias is not None:
                    grad_bias[start:stop] = by_logit.sum(dim=0) * grad
                by_row = classes.by_row(by_logit, best)
                grad_x.addmm_(by_row, rows)
                grad_rows[place] = through_length(by_row.T @ factor, rows, lengths)
            grad_x.mul_(by_scale)

            # The probability - (1 - smoothing) - share, without cancellation.
            by_target = torch.expm1(target - log_sum) + (smoothing - share)
            if grad_bias is not None:
                by_bias = classes.masked((by_target + share) * grad)
                grad_bias.index_add_(0, classes.true, by_bias.to(grad_bias.dtype))
            by_score = classes.masked((by_target * slope + share) * by_scale)[:, None]
            rows, lengths = classes.true_rows(x.dtype, true_row)
            grad_x.addcmul_(by_score, rows)
            grad_rows.index_add_(0, true_row, through_length(by_score * x, rows, lengths).to(weight.dtype))
        return grad_x, grad_rows.view_as(weight), grad_bias, None, None, None, None, None, None, None


def _sum_up(
    scaled: Tensor, classes: ClassChunks, add: bool = False, kept: list[Tensor | None] | None = None
) -> tuple[Tensor, Tensor | None]:
    """Compute the log-sum-exp [B] of the logits of all but the true classes and, if `add`, the sum [B] of all logits.

    Appends to `kept` the logits of each chunk and which row each is of.
    """
    log_sum = scaled.new_full(scaled.shape[:1], -torch.inf)
    total = torch.zeros_like(log_sum) if add else None
    for start, stop in classes:
        _, rows, _ = classes.chunk_rows(scaled.dtype, start, stop)
        logits, best = classes.logits(scaled, rows, start, stop)
        if total is not None:
            total += logits.sum(dim=1)
        log_sum = torch.logaddexp(log_sum, classes.without_true(logits, start, stop).logsumexp(dim=1))
        if kept is not None:
            kept += [logits, best]
    return classes.log_summed(log_sum), None if total is None else classes.summed(total)
