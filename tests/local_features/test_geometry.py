import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landmarks.errors import LandmarksError
from landmarks.local_features import MINIMAL, Geometry, Model

SIZE = (768, 1024)
BOTH = (SIZE, SIZE)
AFFINE = np.array([[0.9, 0.25, 40.0], [-0.2, 1.1, 90.0], [0.0, 0.0, 1.0]])
HOMOGRAPHY = np.array([[0.9, 0.2, 30.0], [-0.1, 1.0, 60.0], [1e-4, -2e-4, 1.0]])
MODELS: tuple[Model, ...] = ("affine", "homography", "fundamental")


def planted(
    motion: np.ndarray, inliers: int, outliers: int, seed: int, noise: float = 1.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points in two images, and which of the pairs follow the motion."""
    rng = np.random.default_rng(seed)
    first = rng.uniform((50, 50), (950, 700), (inliers + outliers, 2))
    moved = np.c_[first, np.ones(len(first))] @ motion.T
    second = moved[:, :2] / moved[:, 2:] + rng.normal(0, noise, first.shape)
    second[inliers:] = rng.uniform(0, (1024, 768), (outliers, 2))
    order = rng.permutation(len(first))
    return first[order].astype(np.float32), second[order].astype(np.float32), order < inliers


def two_views(count: int, outliers: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A cloud of points in space seen by two cameras."""
    rng = np.random.default_rng(seed)
    space = rng.uniform((-3, -2, 6), (3, 2, 14), (count + outliers, 3))
    turned = space @ cv2.Rodrigues(np.array([0.05, -0.2, 0.03]))[0].T + (1.5, 0.1, 0.2)
    first, second = (800 * p[:, :2] / p[:, 2:] + (512, 384) + rng.normal(0, 0.3, (len(p), 2)) for p in (space, turned))
    second[count:] = rng.uniform(0, (1024, 768), (outliers, 2))
    return first.astype(np.float32), second.astype(np.float32), np.arange(len(space)) < count


@given(st.integers(0, 100_000), st.integers(20, 80), st.integers(0, 80), st.sampled_from(["affine", "homography"]))
def test_planted_motions_are_found(seed, inliers, outliers, model):
    # Where fewer than a third are right, 2000 draws of four pairs sometimes hold none of right ones alone.
    outliers = min(outliers, 2 * inliers)
    first, second, true = planted(AFFINE if model == "affine" else HOMOGRAPHY, inliers, outliers, seed)
    verdict = Geometry(model, threshold=8)(first, second, BOTH, seed)
    assert verdict.inliers[true].mean() >= 0.95
    assert verdict.inliers[~true].sum() <= 3 + outliers // 20
    assert verdict.count == verdict.inliers.sum()


@pytest.mark.parametrize("seed", range(5))
def test_a_cloud_of_points_fits_a_fundamental_matrix_and_no_affine_motion(seed):
    first, second, true = two_views(60, 40, seed)
    verdict = Geometry("fundamental", threshold=3)(first, second, BOTH)
    assert verdict.inliers[true].mean() > 0.9
    assert Geometry("affine", threshold=3)(first, second, BOTH).count < 40


@pytest.mark.parametrize("model", MODELS)
def test_counts_repeat_whatever_was_estimated_before(model):
    geometry = Geometry(model, threshold=4)
    cases = [planted(HOMOGRAPHY, 12, 80, seed)[:2] for seed in range(8)]
    forward = [geometry(*case, BOTH, seed=3).inliers.tolist() for case in cases]
    cv2.setRNGSeed(99)
    backward = [geometry(*case, BOTH, seed=3).inliers.tolist() for case in reversed(cases)]
    assert forward == backward[::-1]


@pytest.mark.parametrize("model", MODELS)
def test_the_seed_reaches_the_estimator(model):
    geometry = Geometry(model, threshold=4, min_inliers=0, chance=0, max_iterations=20)
    first, second, _ = planted(HOMOGRAPHY, 60, 120, 0, noise=2)
    assert len({tuple(geometry(first, second, BOTH, seed).inliers.tolist()) for seed in range(10)}) > 1


@pytest.mark.parametrize("model", ["affine", "homography"])
def test_random_pairs_have_no_inliers(model):
    counts = [Geometry(model, threshold=8)(*planted(AFFINE, 0, 100, seed)[:2], BOTH).count for seed in range(20)]
    assert np.mean(np.array(counts) > 0) <= 0.2 and max(counts) < 8


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("count", [0, 1, 2, 3, 5])
def test_too_few_pairs_are_no_evidence(model, count):
    first, second, _ = planted(AFFINE, count, 0, 0)
    verdict = Geometry(model)(first, second, BOTH)
    assert verdict.model is None and verdict.inliers.tolist() == [False] * count


@pytest.mark.parametrize("model", MODELS)
def test_the_fewest_pairs_that_count(model):
    first, second, _ = planted(AFFINE, MINIMAL[model] + 3, 0, 1, noise=0.1)
    assert Geometry(model)(first, second, BOTH).count >= (0 if model == "fundamental" else MINIMAL[model] + 3)


@pytest.mark.parametrize("model", MODELS)
def test_points_on_a_line_are_refused(model):
    x = np.linspace(50, 950, 40)
    first = np.c_[x, 0.5 * x + 20].astype(np.float32)
    assert Geometry(model)(first, first + np.float32(7), BOTH).count == 0


@pytest.mark.parametrize("model", MODELS)
def test_many_features_at_one_point_count_once(model):
    first, second, _ = planted(AFFINE, 20, 0, 0)
    once = Geometry(model)(first, second, BOTH)
    again = Geometry(model)(np.repeat(first, 3, axis=0), np.repeat(second, 3, axis=0), BOTH)
    assert once.count == again.count == 20
    assert Geometry(model)(np.repeat(first[:2], 20, axis=0), np.repeat(second[:2], 20, axis=0), BOTH).count == 0


@pytest.mark.parametrize("model", ["affine", "homography"])
def test_a_mirrored_image_is_refused(model):
    first, second, _ = planted(np.array([[-1.0, 0, 1000], [0, 1, 0], [0, 0, 1]]), 40, 0, 0, noise=0.2)
    assert Geometry(model)(first, second, BOTH).count == 0


@pytest.mark.parametrize("factors", [(0.1, 0.1), (1.0, 0.15)])  # ten times smaller; seen from the side
def test_inliers_speak_for_a_motion_that_distorts_a_lot(factors):
    first, second, _ = planted(np.diag([*factors, 1.0]), 40, 0, 0, noise=0.05)
    assert Geometry("homography", threshold=4)(first, second, BOTH).count == 40


def test_inliers_count_against_what_agrees_by_chance():
    first, second, true = planted(AFFINE, 20, 180, 0)
    found = Geometry("affine", threshold=4, min_inliers=0, chance=0)(first, second, BOTH).count
    assert found >= true.sum() == 20
    for settings in ({"chance": (found + 1) / 200, "min_inliers": 0}, {"chance": 0, "min_inliers": found + 1}):
        assert Geometry("affine", threshold=4, **settings)(first, second, BOTH).count == 0
    exactly = Geometry("affine", threshold=4, chance=(found - 5) / 200, min_inliers=5)
    assert exactly(first, second, BOTH).count == found


def test_turned_images_are_accepted():
    motion = np.array([[0.0, -1.0, 768.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    first, second, _ = planted(motion, 40, 0, 0)
    assert Geometry("affine")(first, second, (SIZE, SIZE[::-1])).count == 40


def test_the_size_of_an_image_makes_no_difference():
    first, second, _ = planted(AFFINE, 40, 40, 0, noise=4)
    geometry = Geometry("affine", threshold=6)
    large = geometry(first * np.float32(4), second, ((4 * SIZE[0], 4 * SIZE[1]), SIZE))
    assert np.array_equal(large.inliers, geometry(first, second, BOTH).inliers)
    assert 10 < large.count < 40


def test_non_finite_and_empty_images_do_no_harm():
    assert Geometry()(np.zeros((10, 2), np.float32), np.zeros((10, 2), np.float32), ((0, 0), (0, 0))).count == 0


@pytest.mark.parametrize(
    "parameters",
    [
        {"model": "similarity"},
        {"threshold": 0},
        {"threshold": float("nan")},
        {"max_iterations": 0},
        {"confidence": 1},
        {"min_inliers": -1},
        {"chance": 1},
    ],
)
def test_parameters_out_of_range_are_refused(parameters):
    with pytest.raises(LandmarksError, match="geometry"):
        Geometry(**parameters)
