from pathlib import Path

import numpy as np
import pytest

from images import image_set, png, scene, seen_from_elsewhere
from labelled import PROTOCOL
from landmarks.cleaning import AgreementRule, Bars, LandmarkImages, Verdict, Verification, match
from landmarks.data import ImageSet, ImageTable
from landmarks.errors import LandmarksError
from landmarks.local_features import RootSift
from landmarks.retrieval import Ranking
from landmarks.retrieval.descriptors import DescriptorSet
from landmarks.retrieval.local import LocalFeatureStore
from resources import make_resources

RULE = AgreementRule(same_class=2, other_class=1, min_agreeing=1, chance=1.0, group_share=0.0)


@pytest.fixture
def agreeing() -> tuple[LandmarkImages, ImageSet, Ranking, Bars]:
    """Four images whose descriptors all agree; the first two show one scene, the others two more."""
    first = scene(1)
    source = image_set([png(one) for one in (first, seen_from_elsewhere(first), scene(2), scene(3))])
    matrix = np.eye(4, 8, dtype=np.float32) + 1
    table = ImageTable(source.table.ids, np.zeros(4, np.int32), np.array(["7"]))
    images = match(table, DescriptorSet(source.table.ids, matrix, PROTOCOL))
    neighbours = Ranking(np.array([[1, 2], [0, 3], [3, 0], [2, 1]], np.int32), np.full((4, 2), 0.9, np.float32))
    return images, source, neighbours, Bars(np.full(4, 0.5, np.float32), np.full(1, 9), 1)


def verified(folder: Path, agreeing: tuple, verdicts: list[int], **options: int) -> list[int]:
    images, source, neighbours, bars = agreeing
    proof = Verification(features=LocalFeatureStore(RootSift(max_features=200), folder), **options)
    kinds = np.array(verdicts, np.uint8)
    return proof.verdicts(images, source, kinds, RULE, neighbours, bars, make_resources(workers=1)).tolist()


def test_images_without_matching_points_are_removed(tmp_path: Path, agreeing: tuple) -> None:
    kept, bare = int(Verdict.KEPT), int(Verdict.UNVERIFIED)
    assert verified(tmp_path, agreeing, [kept] * 4) == [kept, kept, bare, bare]
    assert verified(tmp_path, agreeing, [kept] * 4, min_verified=2) == [bare] * 4
    assert verified(tmp_path, agreeing, [kept] * 4, min_inliers=10_000) == [bare] * 4


def test_only_kept_images_are_verified(tmp_path: Path, agreeing: tuple) -> None:
    kept, gone, bare = int(Verdict.KEPT), int(Verdict.DISAGREEING), int(Verdict.UNVERIFIED)
    assert verified(tmp_path, agreeing, [kept, gone, kept, gone]) == [bare, gone, bare, gone]
    assert verified(tmp_path, agreeing, [gone] * 4) == [gone] * 4


def test_missing_images_are_an_error(tmp_path: Path, agreeing: tuple) -> None:
    images, source, *rest = agreeing
    with pytest.raises(LandmarksError, match="1 of 4 images to verify are missing"):
        verified(tmp_path, (images, source.take(np.arange(3)), *rest), [0] * 4)


def test_numbers_below_one_are_refused() -> None:
    with pytest.raises(LandmarksError, match="1 or more"):
        Verification(partners=0)
