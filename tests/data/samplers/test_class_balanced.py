from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landmarks.data.samplers import BalancedBatches, PairBatches, draw_landmarks
from landmarks.errors import LandmarksError

landmark_lists = st.lists(st.integers(-1, 12), min_size=4, max_size=120)


@given(
    marks=landmark_lists,
    each=st.integers(1, 5),
    share=st.integers(1, 3),
    world=st.integers(1, 3),
    power=st.sampled_from([0.0, 0.5, 1.0]),
    num_groups=st.integers(1, 3),
)
def test_a_step_holds_different_landmarks_and_as_many_images_of_each(
    marks: list[int], each: int, share: int, world: int, power: float, num_groups: int
) -> None:
    landmarks = np.array(marks, dtype=np.int32)
    groups = np.arange(len(marks)) * 7 % num_groups
    most = max(len(set(landmarks[groups == group].tolist()) - {-1}) for group in range(num_groups))
    options = {"groups": groups, "images_per_landmark": each, "size_power": power}
    if most < share * world:
        with pytest.raises(LandmarksError, match=f"{most} landmarks have 1 or more .* at most {most // world * each} "):
            BalancedBatches(landmarks, share * each, world_size=world, **options)
        return
    samplers = [
        BalancedBatches(landmarks, share * each, seed=5, rank=rank, world_size=world, **options)
        for rank in range(world)
    ]
    steps = list(zip(*samplers, strict=True))  # all ranks have the same number of batches
    assert len(steps) == len(samplers[0]) >= 1
    for step in steps:
        assert all(len(batch) == share * each for batch in step)
        drawn = np.array([row for batch in step for row, _ in batch]).reshape(-1, each)
        assert (landmarks[drawn] == landmarks[drawn][:, :1]).all() and (landmarks[drawn] >= 0).all()
        assert len(set(landmarks[drawn[:, 0]].tolist())) == share * world  # no landmark twice, on any rank
        (group,) = {int(groups[row]) for row in drawn.ravel()}
        for images in drawn.tolist():
            there = int(((landmarks == landmarks[images[0]]) & (groups == group)).sum())
            times = Counter(images).values()
            assert len(times) == min(each, there)  # different ones as long as there are
            assert max(times) - min(times) <= 1


def frequencies(sampler: BalancedBatches, epochs: int, num_images: int) -> np.ndarray:
    """How often each image is drawn in a batch, on average."""
    counts, batches = np.zeros(num_images), 0
    for epoch in range(epochs):
        sampler.set_epoch(epoch)
        for batch in sampler:
            batches += 1
            np.add.at(counts, [row for row, _ in batch], 1)
    return counts / batches


SIZES = [1, 2, 4, 9, 16]
LANDMARKS = np.repeat(np.arange(5, dtype=np.int32), SIZES)


@pytest.mark.parametrize(("power", "grouped"), [(0.0, False), (0.5, False), (1.0, False), (0.5, True)])
def test_landmarks_are_drawn_by_their_size_and_their_images_evenly(power: float, grouped: bool) -> None:
    groups = np.random.default_rng(4).integers(2, size=len(LANDMARKS)) if grouped else None
    sampler = BalancedBatches(LANDMARKS, 2, groups=groups, images_per_landmark=2, size_power=power)
    found = frequencies(sampler, 300, len(LANDMARKS))
    expected = np.array(SIZES) ** power / (np.array(SIZES) ** power).sum()
    assert np.bincount(LANDMARKS, found) / 2 == pytest.approx(expected, abs=0.02)
    for landmark, size in enumerate(SIZES):
        assert found[landmark == LANDMARKS] == pytest.approx(2 * expected[landmark] / size, rel=0.3)


def test_draws_without_replacement_are_by_weight_among_those_left() -> None:
    weights = np.array([4.0, 2.0, 1.0, 1.0])
    counts = np.zeros((4, 4))
    for seed in range(4000):
        first, second = draw_landmarks(np.random.default_rng(seed), weights, 2)
        counts[first, second] += 1
    expected = weights[:, None] / 8 * weights / (8 - weights)[:, None]
    np.fill_diagonal(expected, 0)
    assert counts / 4000 == pytest.approx(expected, abs=0.025)


def test_a_group_of_few_landmarks_is_left_out_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    groups = (LANDMARKS >= 3).astype(np.int64)  # two landmarks, 25 images
    sampler = BalancedBatches(LANDMARKS, 6, groups=groups, images_per_landmark=2, size_power=0.5)
    assert "25 of 32 training images are in groups of fewer than 3 landmarks" in caplog.text
    assert {int(groups[row]) for batch in sampler for row, _ in batch} == {0}
    assert len(sampler) == 7 // 6


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images_per_landmark": 4}, r"data\.batch_size is 6: .* multiple of sampler\.images_per_landmark, .* 4"),
        ({"images_per_landmark": 0}, r"sampler\.images_per_landmark"),
        ({"images_per_landmark": 2, "size_power": -1.0}, r"sampler\.size_power is -1\.0: it must be 0 or more"),
        ({"images_per_landmark": 1}, r"5 landmarks have 1 or more .* need 6 .* data\.batch_size to at most 5 "),
        ({"images_per_landmark": 1, "groups": LANDMARKS // 3}, "3 landmarks have 1 or more .* of one group, "),
    ],
)
def test_impossible_batches_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(LandmarksError, match=message):
        BalancedBatches(LANDMARKS, 6, **{"size_power": 0.5, **changes})  # type: ignore[arg-type]


@given(marks=landmark_lists, pairs=st.integers(1, 5), world=st.integers(1, 3), epoch=st.integers(0, 2))
def test_pairs_are_laid_out_anchor_positive(marks: list[int], pairs: int, world: int, epoch: int) -> None:
    landmarks = np.array(marks, dtype=np.int32)
    usable = [m for m in set(marks) - {-1} if marks.count(m) >= 2]
    if len(usable) < pairs * world:
        with pytest.raises(LandmarksError, match=f"{len(usable)} landmarks have 2 or more"):
            PairBatches(landmarks, pairs * 2, world_size=world)
        return
    samplers = [PairBatches(landmarks, pairs * 2, seed=5, rank=rank, world_size=world) for rank in range(world)]
    for sampler in samplers:
        sampler.set_epoch(epoch)
    steps = list(zip(*samplers, strict=True))  # all ranks have the same number of batches
    assert len(steps) == len(samplers[0]) >= 1
    for step in steps:
        drawn = [row for batch in step for row, _ in batch]
        anchors, positives = landmarks[drawn[::2]], landmarks[drawn[1::2]]
        assert (anchors == positives).all() and (anchors >= 0).all()
        assert len(set(anchors.tolist())) == pairs * world  # no landmark twice, on any rank
        assert len(set(drawn)) == len(drawn)  # two different images
        assert all(len(batch) == pairs * 2 for batch in step)


def test_the_draws_of_a_seed_stay_what_they_were() -> None:
    """Runs of the published recipe must not change with the code: these are the draws of its first version."""
    landmarks = np.repeat(np.arange(6, dtype=np.int32), [1, 2, 3, 4, 5, 6])
    sampler = PairBatches(landmarks, 4, seed=7)
    sampler.set_epoch(3)
    assert [[row for row, _ in batch] for batch in sampler] == [
        [9, 6, 17, 15],
        [15, 19, 7, 8],
        [15, 17, 6, 9],
        [12, 11, 1, 2],
        [7, 9, 1, 2],
    ]


def test_odd_batch_of_pairs_is_refused() -> None:
    with pytest.raises(LandmarksError, match="must be even"):
        PairBatches(np.array([0, 0], dtype=np.int32), 3)
