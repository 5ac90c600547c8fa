"""mAP@100, GAP and related metrics as torchmetrics `Metric` classes, for validation loops and several processes.

A metric stores all answers on the CPU and scores them with the functions on arrays; the answers of a full test split
take 100 MB for retrieval and 3 MB for recognition. So several processes give bit for bit the same results as one, and a
query that occurs twice, for example because a sampler pads, counts once. torchmetrics' own retrieval metrics are not
used because they divide by the positives found and handle neither repeated images nor the order of ties.
"""

from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchmetrics import Metric

from landmarks.metrics.recognition import score_recognition
from landmarks.metrics.retrieval import score_retrieval
from landmarks.metrics.solutions import RecognitionSolution, RetrievalSolution
from landmarks.metrics.submissions import RecognitionSubmission, RetrievalSubmission

Values = NDArray[Any] | Tensor
Scores = dict[str, dict[str, float]]  # {"public": {"map@100": …}, "private": …}


class ArraysMetric(Metric):
    """The base class of metrics whose states are arrays, concatenated over batches and ranks.

    Subclasses define `_DTYPES`, the dtype of each state by name.
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    _DTYPES: ClassVar[dict[str, torch.dtype]]

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(compute_on_cpu=True, **kwargs)
        for name in self._DTYPES:
            self.add_state(name, [], dist_reduce_fx="cat")

    def sync(self, *args: Any, **kwargs: Any) -> None:
        """Gather the states of all ranks; a rank without answers contributes empty arrays of the right dtype."""
        for name, dtype in self._DTYPES.items():
            # NCCL cannot gather CPU tensors, hence `self.device`.
            setattr(self, name, [torch.from_numpy(self._joined(name)).to(self.device, dtype)])
        super().sync(*args, **kwargs)

    def _add(self, **values: NDArray[Any]) -> None:
        for name, array in values.items():
            getattr(self, name).append(torch.from_numpy(np.ascontiguousarray(array)).to(self._DTYPES[name]))

    def _joined(self, name: str) -> NDArray[Any]:
        """Return a state as an array; it is a list of batches before ranks are gathered, a tensor after."""
        state = getattr(self, name)
        if isinstance(state, Tensor):
            return state.cpu().numpy()
        return torch.cat([torch.empty(0, dtype=self._DTYPES[name]), *(part.cpu() for part in state)]).numpy()


class _AnswersMetric(ArraysMetric):
    """The base class of metrics with names such as `public/map@100`."""

    def scores(self) -> Scores:
        """Compute the metrics as numbers, by split."""
        scores: Scores = {}
        for name, value in self.compute().items():
            split, _, figure = name.partition("/")
            scores.setdefault(split, {})[figure] = value.item()
        return scores


class RetrievalMetric(_AnswersMetric):
    """mAP@100 and related metrics of landmark retrieval, as defined by `landmarks.metrics.score_retrieval`.

    Args:
        solution: the ground truth; queries without a ranking score 0.
        kwargs: arguments of `torchmetrics.Metric`.
    """

    _DTYPES: ClassVar = {"query_ids": torch.int64, "counts": torch.int64, "image_ids": torch.int64}

    def __init__(self, solution: RetrievalSolution, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.solution = solution

    def update(self, query_ids: Values, ranked_ids: Values, valid: Values | None = None) -> None:
        """Add the rankings of some queries.

        Args:
            query_ids: [B], uint64 or int64 with the same bits.
            ranked_ids: [B, K], ids of index images, best first, of the same types.
            valid: bool [B, K], False where a rank is empty; None if all are filled.
        """
        ranked = _ids(ranked_ids)
        filled = np.ones(ranked.shape, np.bool_) if valid is None else _array(valid)
        self._add(query_ids=_ids(query_ids), counts=filled.sum(axis=1), image_ids=ranked[filled])

    def compute(self) -> dict[str, Tensor]:
        """Compute metrics such as `private/map@100` of all rankings, float64 []; NaN in a split without queries."""
        query_ids, counts, image_ids = map(self._joined, self._DTYPES)
        kept = _first_of_each(query_ids)
        images = image_ids[np.repeat(kept, counts)].view(np.uint64)
        start = np.concatenate([[0], np.cumsum(counts[kept])])
        submission = RetrievalSubmission(query_ids[kept].view(np.uint64), start, images)
        return _named(score_retrieval(self.solution, submission))


class RecognitionMetric(_AnswersMetric):
    """GAP and related metrics of landmark recognition, as defined by `landmarks.metrics.score_recognition`.

    Args:
        solution: the ground truth; its images without a prediction count as unanswered.
        kwargs: arguments of `torchmetrics.Metric`.
    """

    _DTYPES: ClassVar = {"image_ids": torch.int64, "landmarks": torch.int64, "confidences": torch.float64}

    def __init__(self, solution: RecognitionSolution, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.solution = solution

    def update(self, image_ids: Values, landmarks: Values, scores: Values) -> None:
        """Add the predictions for some images.

        Args:
            image_ids: [B], uint64 or int64 with the same bits.
            landmarks: int [B], official landmark numbers, -1 for no prediction.
            scores: float [B], confidences; higher is more certain.
        """
        self._add(image_ids=_ids(image_ids), landmarks=_array(landmarks), confidences=_array(scores))

    def compute(self) -> dict[str, Tensor]:
        """Compute metrics such as `private/gap` of all predictions, float64 []; NaN in a split without landmarks."""
        image_ids, landmarks, confidences = map(self._joined, self._DTYPES)
        kept = _first_of_each(image_ids)
        submission = RecognitionSubmission(image_ids[kept].view(np.uint64), landmarks[kept], confidences[kept])
        return _named(score_recognition(self.solution, submission))


def _array(values: Values) -> NDArray[Any]:
    return values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)


def _ids(values: Values) -> NDArray[np.int64]:
    """Return ids as int64 with the same bits, the only integers that every backend can gather."""
    return _array(values).astype(np.int64, copy=False)


def _first_of_each(ids: NDArray[np.int64]) -> NDArray[np.bool_]:
    kept = np.zeros(len(ids), np.bool_)
    kept[np.unique(ids, return_index=True)[1]] = True
    return kept


def _named(scores: Scores) -> dict[str, Tensor]:
    return {
        f"{split}/{name}": torch.tensor(value, dtype=torch.float64)
        for split, figures in scores.items()
        for name, value in figures.items()
    }
