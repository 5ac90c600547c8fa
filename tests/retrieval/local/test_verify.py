import numpy as np
import pytest

from images import motion_between, scene, seen_from_elsewhere
from landmarks.local_features import Geometry, Matcher, RootSift
from landmarks.retrieval import Cache
from landmarks.retrieval.local import LocalFeatureTable, count_inliers, verify, verify_pair
from local_tables import table_of
from resources import make_resources

SCENES = 4


@pytest.fixture(scope="module")
def tables() -> tuple[LocalFeatureTable, LocalFeatureTable]:
    """Features of some scenes, and of the same scenes seen from elsewhere."""
    sift = RootSift(max_features=200)
    scenes = [scene(seed) for seed in range(SCENES)]
    first = table_of([sift(image) for image in scenes])
    return first, table_of([sift(seen_from_elsewhere(image)) for image in scenes])


def all_pairs() -> np.ndarray:
    return np.stack(np.divmod(np.arange(SCENES**2), SCENES), axis=1).astype(np.int32)


@pytest.mark.parametrize("match", ["mutual", "ratio"])
@pytest.mark.parametrize("model", ["affine", "homography"])
def test_only_the_same_scene_has_inliers(tables, match, model):
    counts = count_inliers(*tables, all_pairs(), Matcher(match), Geometry(model), make_resources(workers=1))
    counts = counts.reshape(SCENES, SCENES)
    assert counts.diagonal().min() > 20
    assert counts[~np.eye(SCENES, dtype=bool)].max() < 8


def test_counts_are_the_same_with_any_number_of_processes_and_in_any_order(tables, monkeypatch):
    pairs, alone = all_pairs(), make_resources(workers=1)
    one = count_inliers(*tables, pairs, Matcher(), Geometry(), alone)
    monkeypatch.setattr(verify, "JOB", 3)
    two = count_inliers(*tables, pairs, Matcher(), Geometry(), make_resources(workers=2))
    monkeypatch.setattr(verify, "CHUNK", 7)
    back = count_inliers(*tables, pairs[::-1].copy(), Matcher(), Geometry(), alone)
    assert np.array_equal(one, two) and np.array_equal(one, back[::-1])


def test_counts_are_kept_and_found_by_images_and_parameters(tables, tmp_path):
    resources = make_resources(cache=Cache(tmp_path), workers=1)

    def entries() -> int:
        return len(list(tmp_path.iterdir()))

    first = count_inliers(*tables, all_pairs(), Matcher(), Geometry(), resources)
    again = count_inliers(*tables, all_pairs(), Matcher(), Geometry(), resources)
    assert np.array_equal(first, again) and entries() == 1
    count_inliers(*tables, all_pairs(), Matcher("mutual"), Geometry(), resources)
    count_inliers(*tables, all_pairs(), Matcher(), Geometry(threshold=5), resources)
    count_inliers(*tables, all_pairs()[1:].copy(), Matcher(), Geometry(), resources)
    changed = tables[1].take(np.arange(SCENES))
    changed.keys[0] = 9
    count_inliers(tables[0], changed, all_pairs(), Matcher(), Geometry(), resources)
    assert entries() == 5


def test_no_pairs_and_images_without_features(tables):
    resources = make_resources(workers=1)
    assert len(count_inliers(*tables, np.empty((0, 2), np.int32), Matcher(), Geometry(), resources)) == 0
    blank = table_of([RootSift()(np.zeros((64, 64, 3), np.uint8))])
    pairs = np.array([[0, 0], [0, 1]], np.int32)
    assert count_inliers(blank, tables[1], pairs, Matcher(), Geometry(), resources).tolist() == [0, 0]


def test_a_turned_and_enlarged_scene_is_recognised():
    sift = RootSift(max_features=200)
    first, second = sift(scene(0)), sift(seen_from_elsewhere(scene(0)))
    matches, verdict = verify_pair(first, second, Matcher(), Geometry(threshold=4))
    assert verdict.count > 20
    expected = motion_between(12, 1.1, *first.size)
    moved = first.points[matches.first] @ expected[:, :2].T + expected[:, 2]
    errors = np.linalg.norm(moved - second.points[matches.second], axis=1)
    assert np.median(errors[verdict.inliers]) < 1.0
    # In coordinates of the reference size, which are 1024 / 200 times larger.
    assert verdict.model[:, :2] == pytest.approx(expected[:, :2], abs=0.02)
    assert verdict.model[:, 2] == pytest.approx(expected[:, 2] * 1024 / 200, abs=8)
