import cv2
import numpy as np
import pytest

from landmarks.errors import LandmarksError
from landmarks.local_features import RootSift

KIND = RootSift.kind


def textured(height: int = 240, width: int = 320, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).uniform(0, 255, (height // 8, width // 8, 3)).astype(np.uint8)
    return cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)


def test_descriptors_are_roots_of_opencvs_histograms() -> None:
    image = textured()
    features = RootSift(max_features=50)(image)
    sift = cv2.SIFT_create(enable_precise_upscale=True)
    points, histograms = sift.detectAndCompute(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), None)
    assert len(features) == 50 < len(points)
    expected = np.sqrt(histograms / np.abs(histograms).sum(axis=1, keepdims=True))
    strongest = sorted(range(len(points)), key=lambda i: -points[i].response)[:40]
    for i in strongest:
        same_place = np.flatnonzero(np.abs(features.points - points[i].pt).max(axis=1) < 1e-3)
        errors = np.abs(features.descriptors[same_place] / KIND.quantum - expected[i]).max(axis=1)
        assert errors.min() <= 0.51 / KIND.quantum
        assert features.scales[same_place][errors.argmin()] == pytest.approx(points[i].size)


def test_lengths_are_one_and_types_are_those_of_the_interface() -> None:
    features = RootSift()(textured())
    assert features.descriptors.dtype == np.uint8 and features.descriptors.shape == (len(features), KIND.dim)
    assert features.points.dtype == features.scales.dtype == np.float32
    assert np.linalg.norm(features.descriptors / KIND.quantum, axis=1) == pytest.approx(1, abs=0.02)
    assert features.size == (240, 320)


def test_strongest_come_first() -> None:
    image = textured()
    few, many = RootSift(max_features=20)(image), RootSift(max_features=60)(image)
    assert np.array_equal(few.points, many.points[:20])
    assert np.array_equal(few.descriptors, many.descriptors[:20])


def test_shrunk_images_give_points_in_pixels_of_the_original() -> None:
    large = cv2.resize(textured(), (1280, 960), interpolation=cv2.INTER_CUBIC)
    small, shrunk = RootSift(max_features=300)(textured()), RootSift(max_features=300, long_side=320)(large)
    assert shrunk.size == (960, 1280)
    expected = (small.points[:100] + 0.5) * 4 - 0.5
    nearest = np.abs(expected[:, None] - shrunk.points[None]).max(axis=2).min(axis=1)
    assert np.median(nearest) < 1.0
    assert np.median(shrunk.scales) == pytest.approx(4 * np.median(small.scales), rel=0.1)


def test_the_same_image_gives_the_same_features_with_any_number_of_threads() -> None:
    photo = textured(480, 640)
    threads = cv2.getNumThreads()
    try:
        cv2.setNumThreads(1)
        one = RootSift()(photo)
        cv2.setNumThreads(4)
        four = RootSift()(photo)
    finally:
        cv2.setNumThreads(threads)
    assert len(one) > 20
    for name in ("points", "scales", "descriptors"):
        assert np.array_equal(getattr(one, name), getattr(four, name))


@pytest.mark.parametrize("shape", [(1, 1), (3, 500), (15, 15), (500, 15), (16, 16), (1, 5000)])
def test_tiny_images_have_none_or_few(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 255, (*shape, 3)).astype(np.uint8)
    features = RootSift()(image)
    assert features.size == shape
    assert features.descriptors.shape == (len(features), KIND.dim)
    if min(shape) < 16:
        assert len(features) == 0


def test_blank_and_long_narrow_images_have_none() -> None:
    assert len(RootSift()(np.full((100, 100, 3), 128, np.uint8))) == 0
    assert RootSift(long_side=16)(np.zeros((16, 5000, 3), np.uint8)).size == (16, 5000)


@pytest.mark.parametrize(
    "parameters",
    [{"max_features": 0}, {"long_side": 8}, {"contrast_threshold": -1.0}, {"edge_threshold": float("nan")}],
)
def test_parameters_out_of_range_are_refused(parameters: dict[str, float]) -> None:
    with pytest.raises(LandmarksError, match="RootSIFT"):
        RootSift(**parameters)  # type: ignore[arg-type]


def test_signature_tells_settings_apart() -> None:
    assert RootSift().signature() != RootSift(max_features=10).signature()
    assert RootSift().signature()["opencv"] == cv2.__version__
