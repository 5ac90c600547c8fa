"""Schedules of the learning rate over a run, counted in optimizer steps.

Milestones and warm-up are fractions of the run, so that one YAML serves a run of 100 steps and one of 30,000.
Multiplying by 0.1 at 15,000 and 25,000 of 30,000 iterations, as published, is `milestones: [0.5, 0.8333]`.
"""

import math
from collections.abc import Callable, Sequence

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from landmarks.errors import LandmarksError


def step(
    optimizer: Optimizer,
    total_steps: int,
    milestones: Sequence[float] = (0.5, 0.8333),
    gamma: float = 0.1,
    warmup: float = 0.0,
) -> LambdaLR:
    """Multiply the learning rate by `gamma` at every milestone.

    Args:
        optimizer: holds the base learning rates.
        total_steps: length of the run in optimiser steps.
        milestones: fractions of the run in (0, 1), ascending.
        gamma: factor applied at each milestone.
        warmup: fraction of the run in which the rate climbs linearly from near 0.
    """
    _check_warmup(warmup)
    if list(milestones) != sorted(milestones) or any(not 0 < m < 1 for m in milestones):
        raise LandmarksError(
            f"scheduler.milestones: {list(milestones)} must ascend within (0, 1), as fractions of the run"
        )
    if not 0 < gamma < math.inf:
        raise LandmarksError(f"scheduler.gamma: {gamma} must be above 0; it multiplies the rate at each milestone")
    edges = [m * total_steps for m in milestones]
    return LambdaLR(
        optimizer, _with_warmup(lambda now: gamma ** sum(now >= edge for edge in edges), total_steps, warmup)
    )


def cosine(optimizer: Optimizer, total_steps: int, final: float = 0.0, warmup: float = 0.05) -> LambdaLR:
    """Decrease the learning rate along half a cosine (Loshchilov and Hutter, SGDR, 2017, without restarts).

    Args:
        optimizer: holds the base learning rates.
        total_steps: length of the run in optimiser steps.
        final: rate at the end, as a fraction of the base rate.
        warmup: fraction of the run in which the rate climbs linearly from near 0.
    """
    _check_warmup(warmup)
    if not 0 <= final <= 1:
        raise LandmarksError(f"scheduler.final: {final} must lie in [0, 1]; it is a fraction of the rate")
    warm_steps = warmup * total_steps

    def factor(now: int) -> float:
        progress = min(1.0, max(0.0, (now - warm_steps) / max(1.0, total_steps - warm_steps)))
        return final + (1 - final) * (1 + math.cos(math.pi * progress)) / 2

    return LambdaLR(optimizer, _with_warmup(factor, total_steps, warmup))


def onecycle(
    optimizer: Optimizer, total_steps: int, warmup: float = 0.3, start: float = 0.04, final: float = 4e-6
) -> LambdaLR:
    """Raise the learning rate along half a cosine, then decrease it to almost nothing (Smith and Topin, 2018).

    The rates are those of torch's `OneCycleLR`, with `optimizer.lr` as its `max_lr`, which it cannot change within a
    run; momentum stays as it is.

    Args:
        optimizer: holds the highest learning rates.
        total_steps: length of the run in optimiser steps.
        warmup: fraction of the run in which the rate rises, torch's `pct_start`.
        start: rate at the beginning, as a fraction of the highest, torch's 1 / `div_factor`.
        final: rate of the last step, as a fraction of the highest.
    """
    _check_warmup(warmup)
    for name, value in (("start", start), ("final", final)):
        if not 0 <= value <= 1:
            raise LandmarksError(f"scheduler.{name}: {value} must lie in [0, 1]; it is a fraction of the rate")
    peak, end = warmup * total_steps - 1, total_steps - 1

    def factor(now: int) -> float:
        first, last, progress = start, 1.0, now / peak if peak > 0 else 1.0
        if now > peak:
            first, last, progress = 1.0, final, min(1.0, (now - peak) / (end - peak))
        return last + (first - last) * (1 + math.cos(math.pi * progress)) / 2

    return LambdaLR(optimizer, factor)


def _with_warmup(factor: Callable[[int], float], total_steps: int, warmup: float) -> Callable[[int], float]:
    warm_steps = warmup * total_steps

    def warmed(now: int) -> float:
        return (now + 1) / (warm_steps + 1) * factor(now) if now < warm_steps else factor(now)

    return warmed


def _check_warmup(warmup: float) -> None:
    if not 0 <= warmup < 1:
        raise LandmarksError(f"scheduler.warmup: {warmup} must lie in [0, 1); it is a fraction of the run")
