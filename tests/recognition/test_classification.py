"""Classes in chunks and images in blocks give what the dense softmax gives, ties included."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from landmarks.errors import LandmarksError
from landmarks.losses import ArcMargin, Softmax
from landmarks.recognition import classification, classify, likeliest
from landmarks.retrieval.descriptors import DescriptorSet, ExtractionProtocol


def head_of(kind: type[Softmax | ArcMargin], classes: int, dim: int, seed: int) -> Softmax | ArcMargin:
    """With coarse weights, so that many classes are equal."""
    head, random = kind(classes, dim), torch.Generator().manual_seed(seed)
    for parameter in head.parameters():
        parameter.data = torch.randint(-2, 3, parameter.shape, generator=random).float()
    return head


@given(
    kind=st.sampled_from([Softmax, ArcMargin]),
    rows=st.integers(0, 9),
    classes=st.integers(1, 40),
    dim=st.integers(1, 4),
    k=st.integers(1, 12),
    images=st.integers(1, 5),
    chunk=st.integers(1, 17),
    half=st.booleans(),
    seed=st.integers(0, 99),
)
def test_equals_the_dense_softmax(
    kind: type[Softmax], rows: int, classes: int, dim: int, k: int, images: int, chunk: int, half: bool, seed: int
) -> None:
    head = head_of(kind, classes, dim, seed)
    values = np.random.default_rng(seed).integers(-3, 4, (rows, dim)) * 0.5
    descriptors = values.astype(np.float16 if half else np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(classification, "IMAGES", images)
        patch.setattr(classification, "CLASSES", chunk)
        landmarks, probabilities = likeliest(descriptors, head, k)
    scores = head.class_scores(torch.from_numpy(descriptors).float()).detach().numpy()
    dense = np.exp(scores.astype(np.float64) - scores.max(axis=1, keepdims=True, initial=-np.inf))
    dense /= dense.sum(axis=1, keepdims=True)
    assert landmarks.shape == probabilities.shape == (rows, min(k, classes))
    assert landmarks.dtype == np.int32 and probabilities.dtype == np.float32
    expected = -np.sort(-dense, axis=1)[:, : min(k, classes)]
    np.testing.assert_allclose(probabilities, expected, rtol=2e-5, atol=1e-30)
    np.testing.assert_allclose(
        np.take_along_axis(dense, landmarks.astype(int), axis=1), expected, rtol=2e-5, atol=1e-30
    )
    if kind is Softmax:  # sums of small halves are exact, so equal scores are equal bits
        order = np.lexsort((np.broadcast_to(np.arange(classes), scores.shape), -scores), axis=1)
        assert np.array_equal(landmarks, order[:, : min(k, classes)])


class Watched(Softmax):
    """Remembers the most scores that were asked for at once."""

    most = 0

    def class_scores(self, descriptors: torch.Tensor, start: int = 0, stop: int | None = None) -> torch.Tensor:
        scores = super().class_scores(descriptors, start, stop)
        self.most = max(self.most, scores.numel())
        return scores


def test_no_more_scores_at_once_than_stated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classification, "IMAGES", 8)
    monkeypatch.setattr(classification, "CLASSES", 64)
    head = Watched(1000, 3)
    likeliest(np.ones((50, 3), np.float32), head, 4)
    assert head.most == 8 * 64


def embedded(values: np.ndarray, **protocol: object) -> DescriptorSet:
    made = ExtractionProtocol(model="m", weights="w", input_size=64, resize="square", **protocol)
    return DescriptorSet(np.arange(len(values), dtype=np.uint64), values.astype(np.float32), made, "queries")


def test_names_and_ids_go_with_them() -> None:
    head = Softmax(3, 3)
    head.weight.data = 10 * torch.eye(3)
    found = classify(embedded(np.eye(3)[[2, 0]]), head, np.array(["7", "5", "9"]), k=10)
    assert found.landmark_names[found.landmarks[:, 0]].tolist() == ["9", "7"] and found.landmarks.shape == (2, 3)
    assert found.ids.tolist() == [0, 1] and found.probabilities[:, 0] == pytest.approx(0.99991, abs=1e-5)


def test_sums_of_views_fit_directions_only() -> None:
    names = np.array(["a", "b", "c"])
    for protocol in ({"flip": True}, {"scales": (1.0, 1.4)}):
        with pytest.raises(
            LandmarksError, match=r"queries: sums of several normalised views .* Softmax.*scales=\[1\.0\]"
        ):
            classify(embedded(np.eye(3), **protocol), Softmax(3, 3), names)
        assert len(classify(embedded(np.eye(3), **protocol), ArcMargin(3, 3), names).ids) == 3


def test_what_does_not_belong_together_is_named() -> None:
    with pytest.raises(LandmarksError, match="do not fit a classifier of 3 landmarks by 4 values"):
        classify(embedded(np.eye(3)), Softmax(3, 4), np.array(["a", "b", "c"]))
    with pytest.raises(LandmarksError, match="2 landmark names"):
        classify(embedded(np.eye(3)), Softmax(3, 3), np.array(["a", "b"]))
    with pytest.raises(LandmarksError, match="request 1 or more"):
        classify(embedded(np.eye(3)), Softmax(3, 3), np.array(["a", "b", "c"]), k=0)
    diverged = Softmax(3, 3)
    diverged.bias.data[1] = torch.nan
    with pytest.raises(LandmarksError, match="s scores are not finite: the training diverged"):
        classify(embedded(np.eye(3)), diverged, np.array(["a", "b", "c"]))
