import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landmarks.data.samplers import PairBatches
from landmarks.errors import LandmarksError

landmark_lists = st.lists(st.integers(-1, 12), min_size=4, max_size=120)


@given(marks=landmark_lists, pairs=st.integers(1, 5), world=st.integers(1, 3), epoch=st.integers(0, 2))
def test_pairs_are_laid_out_anchor_positive(marks: list[int], pairs: int, world: int, epoch: int) -> None:
    landmarks = np.array(marks, dtype=np.int32)
    usable = [m for m in set(marks) - {-1} if marks.count(m) >= 2]
    if len(usable) < pairs * world:
        with pytest.raises(LandmarksError, match=f"{len(usable)} landmarks have 2 or more"):
            PairBatches(landmarks, pairs * 2, world_size=world)
        return
    samplers = [PairBatches(landmarks, pairs * 2, 5, rank, world) for rank in range(world)]
    for sampler in samplers:
        sampler.set_epoch(epoch)
    steps = list(zip(*samplers, strict=True))  # all ranks have the same number of batches
    assert len(steps) == len(samplers[0]) >= 1
    for step in steps:
        drawn = [row for batch in step for row, _ in batch]
        anchors, positives = landmarks[drawn[::2]], landmarks[drawn[1::2]]
        assert (anchors == positives).all() and (anchors >= 0).all()
        assert len(set(anchors.tolist())) == pairs * world  # no landmark twice, on any rank
        assert len(set(drawn)) == len(drawn)  # two different pictures
        assert all(len(batch) == pairs * 2 for batch in step)


def test_the_draws_of_a_seed_stay_what_they_were() -> None:
    """Runs of the released recipe must not change with the code: these are the draws of its first version."""
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


def test_pairs_reach_every_picture_evenly() -> None:
    landmarks = np.array([0] * 4 + [1] * 2 + [2] + [-1] * 3 + [3] * 6, dtype=np.int32)
    sampler = PairBatches(landmarks, 4)
    counts, steps = np.zeros(len(landmarks)), 0
    for epoch in range(600):
        sampler.set_epoch(epoch)
        for batch in sampler:
            steps += 1
            counts[[row for row, _ in batch]] += 1
    assert counts[landmarks == 2].sum() == counts[landmarks == -1].sum() == 0
    for landmark in (0, 1, 3):
        pictures = counts[landmarks == landmark] / steps
        assert pictures == pytest.approx(np.full(len(pictures), 2 * 2 / 3 / len(pictures)), rel=0.15)


def test_two_hundred_thousand_landmarks() -> None:
    landmarks = np.repeat(np.arange(200_000, dtype=np.int32), 2)
    batch = next(iter(PairBatches(landmarks, 256)))
    assert len({int(landmarks[row]) for row, _ in batch}) == 128


def test_odd_batch_of_pairs_is_refused() -> None:
    with pytest.raises(LandmarksError, match="must be even"):
        PairBatches(np.array([0, 0], dtype=np.int32), 3)
