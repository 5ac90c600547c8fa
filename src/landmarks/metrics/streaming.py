"""The same figures as torchmetrics `Metric` classes, for validation loops and several processes.

Retrieval figures keep sums and counts, so ranks simply add up, whatever number of queries each has seen. GAP
needs all predictions in one order, so it keeps them, on the CPU, a few bytes an image. Every query or image
must be seen by one rank only: shard without padding, as a padded sample would count twice.

Each class computes one split: give it the rows of the public queries, and another instance the private ones.
torchmetrics' own retrieval metrics are not used: they keep a row for every (query, document) pair, divide by
the positives found, and know neither repeated images nor the order of ties.
"""

from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric

from landmarks.metrics import recognition, retrieval


class MeanOverQueries(Metric):
    """Base of the retrieval means: a sum and a count that add up over batches and ranks."""

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    total: Tensor
    count: Tensor

    def __init__(self, k: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.k = _at_least_one(k)
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def _add(self, values: np.ndarray) -> None:
        self.total += float(values.sum())
        self.count += len(values)

    def compute(self) -> Tensor:
        """Mean over all queries seen, float64 []; NaN before the first."""
        return self.total / self.count


class RetrievalMAPAtK(MeanOverQueries):
    """mAP@k of landmark retrieval; `landmarks.metrics.average_precision` is the definition.

    Args:
        k: ranks that count.
        kwargs: of `torchmetrics.Metric`.

    Example:
        >>> metric = RetrievalMAPAtK(k=100)
        >>> metric.update(torch.tensor([[True, False, True]]), torch.tensor([2]))
        >>> round(metric.compute().item(), 4)
        0.8333
    """

    def __init__(self, k: int = retrieval.K, **kwargs: Any) -> None:
        super().__init__(k, **kwargs)

    def update(self, relevant: Tensor, num_positives: Tensor) -> None:
        """Add queries.

        Args:
            relevant: bool [B, K], ranks with a new correct image, from `landmarks.metrics.relevance`.
            num_positives: int [B], correct images of each query, at least 1.
        """
        self._add(retrieval.average_precision(relevant.cpu().numpy(), num_positives.cpu().numpy(), self.k))


class RetrievalPrecisionAtK(MeanOverQueries):
    """Mean precision of the first k ranks; empty ranks and repeated images are wrong.

    Args:
        k: ranks that count.
        kwargs: of `torchmetrics.Metric`.
    """

    def update(self, relevant: Tensor) -> None:
        """Add queries: bool [B, K], ranks with a new correct image."""
        self._add(retrieval.precision_at(relevant.cpu().numpy(), self.k))


class FirstCorrectPosition(Metric):
    """Mean or median rank of the first correct image; k + 1 where the first k ranks hold none.

    A histogram of the k + 1 positions is the whole state, so the median is exact over any number of ranks.

    Args:
        statistic: which one.
        k: ranks that count.
        kwargs: of `torchmetrics.Metric`.
    """

    is_differentiable = False
    higher_is_better = False
    full_state_update = False
    histogram: Tensor

    def __init__(self, statistic: Literal["mean", "median"] = "mean", k: int = retrieval.K, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if statistic not in ("mean", "median"):
            raise ValueError(f"statistic is {statistic!r}; give 'mean' or 'median'")
        self.statistic = statistic
        self.k = _at_least_one(k)
        self.add_state("histogram", torch.zeros(k + 2, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, relevant: Tensor) -> None:
        """Add queries: bool [B, K], ranks with a new correct image."""
        positions = retrieval.first_correct_position(relevant.cpu().numpy(), self.k)
        counts = np.bincount(positions, minlength=self.k + 2)
        self.histogram += torch.from_numpy(counts).to(self.histogram.device)

    def compute(self) -> Tensor:
        """The statistic over all queries seen, float64 []; NaN before the first."""
        counts = self.histogram.double()
        total = counts.sum()
        positions = torch.arange(len(counts), dtype=torch.float64, device=counts.device)
        if self.statistic == "mean" or total == 0:
            return (positions * counts).sum() / total
        up_to = self.histogram.cumsum(0)
        # Both middle queries, the same one twice if the number is odd.
        middle = torch.stack([(up_to[-1] - 1) // 2, up_to[-1] // 2])
        return torch.searchsorted(up_to, middle, right=True).double().mean()


class GlobalAveragePrecision(Metric):
    """GAP of landmark recognition over all predictions seen; `global_average_precision` is the definition.

    Args:
        ignore_non_landmark: leave out predictions on images that have no landmark.
        kwargs: of `torchmetrics.Metric`.

    Example:
        >>> metric = GlobalAveragePrecision()
        >>> metric.update(
        ...     image_ids=torch.tensor([1, 2]),
        ...     landmarks=torch.tensor([7, 8]),
        ...     scores=torch.tensor([0.9, 0.8]),
        ...     correct=torch.tensor([True, False]),
        ...     has_landmark=torch.tensor([True, True]),
        ... )
        >>> metric.compute().item()
        0.5
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    num_landmark_images: Tensor

    _DTYPES = {  # noqa: RUF012 - never changed
        "image_ids": torch.int64,
        "landmarks": torch.int64,
        "scores": torch.float64,
        "correct": torch.bool,
    }

    def __init__(self, ignore_non_landmark: bool = False, **kwargs: Any) -> None:
        super().__init__(compute_on_cpu=True, **kwargs)
        self.ignore_non_landmark = ignore_non_landmark
        for name in self._DTYPES:
            self.add_state(name, [], dist_reduce_fx="cat")
        self.add_state("num_landmark_images", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(
        self, image_ids: Tensor, landmarks: Tensor, scores: Tensor, correct: Tensor, has_landmark: Tensor
    ) -> None:
        """Add images, each once, also those without a prediction.

        Args:
            image_ids: int64 [B], the bits of the uint64 ids: `torch.from_numpy(ids.view(numpy.int64))`.
            landmarks: int [B], predicted landmark, -1 for no prediction.
            scores: float [B].
            correct: bool [B], from `landmarks.metrics.correctness`.
            has_landmark: bool [B], whether the image shows a landmark at all.
        """
        used = (landmarks >= 0) & (has_landmark | (not self.ignore_non_landmark))
        given = {"image_ids": image_ids, "landmarks": landmarks, "scores": scores, "correct": correct}
        for name, dtype in self._DTYPES.items():
            getattr(self, name).append(given[name][used].detach().to("cpu", dtype))
        self.num_landmark_images += has_landmark.sum()

    def sync(self, *args: Any, **kwargs: Any) -> None:
        """Gather over ranks; a rank without images takes part with empty arrays of the right dtype."""
        for name, dtype in self._DTYPES.items():
            # NCCL moves nothing that lies on the CPU, hence `self.device`.
            setattr(self, name, [self._joined(name).to(self.device, dtype)])
        super().sync(*args, **kwargs)

    def compute(self) -> Tensor:
        """GAP of all predictions seen, float64 []; NaN while no image has a landmark."""
        image_ids, landmarks, scores, correct = (self._joined(name).cpu().numpy() for name in self._DTYPES)
        gap = recognition.global_average_precision(
            scores, correct, int(self.num_landmark_images), image_ids.view(np.uint64), landmarks
        )
        return torch.tensor(gap, dtype=torch.float64)

    def _joined(self, name: str) -> Tensor:
        """One state as a tensor: a list of batches before ranks are gathered, a tensor after."""
        state = getattr(self, name)
        if isinstance(state, Tensor):
            return state
        return torch.cat(state) if state else torch.empty(0, dtype=self._DTYPES[name])


def _at_least_one(k: int) -> int:
    if k < 1:
        raise ValueError(f"k is {k}; give the number of ranks that count, at least 1")
    return k
