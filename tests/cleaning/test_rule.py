from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from labelled import labelled
from landmarks.cleaning import (
    AgreementRule,
    Bars,
    LandmarkImages,
    Verdict,
    match,
    other_class_bars,
    same_class_neighbours,
)
from landmarks.cleaning import rule as rules
from landmarks.errors import LandmarksError
from landmarks.retrieval import Ranking
from resources import make_resources

FIXED = AgreementRule(same_class=4, other_class=1, min_agreeing=1, chance=1.0, group_share=0.0)


def drawn(sizes: list[int], links: list[tuple[int, int]], bar: float = 0.5) -> tuple:
    """Landmarks of these sizes with the given neighbours above the bar; the others lie below it."""
    count = sum(sizes)
    images = match(*labelled(sizes)[:2])
    lists = [[j for i, j in links if i == row] for row in range(count)]
    indices = np.full((count, 4), -1, np.int32)
    scores = np.full((count, 4), -np.inf, np.float32)
    for row, chosen in enumerate(lists):
        indices[row, : len(chosen)], scores[row, : len(chosen)] = chosen, 0.9
        rest = [j for j in range(count) if j != row and j not in chosen]
        if len(chosen) < 4 and rest and images.landmarks[rest[0]] == images.landmarks[row]:
            indices[row, len(chosen)], scores[row, len(chosen)] = rest[0], 0.1
    bars = Bars(np.full(count, bar, np.float32), np.full(len(sizes), 50), 1)
    return images, Ranking(indices, scores), bars


def cycle(*rows: int) -> list[tuple[int, int]]:
    return list(zip(rows, (*rows[1:], rows[0]), strict=True))


def test_an_image_needs_neighbours_above_the_bar() -> None:
    found = drawn([5], [*cycle(0, 1, 2), (3, 0)])
    kept = Verdict.KEPT
    assert FIXED.verdicts(*found).tolist() == [kept, kept, kept, kept, Verdict.DISAGREEING]
    two = replace(FIXED, min_agreeing=2)
    assert two.verdicts(*drawn([5], [*cycle(0, 1, 2), *cycle(2, 1, 0), (3, 0)])).tolist() == [0, 0, 0, 1, 1]
    assert replace(FIXED, min_similarity=0.95).verdicts(*found).tolist() == [1] * 5
    assert replace(FIXED, min_similarity=0.05).verdicts(*found).tolist() == [0, 0, 0, 0, 1]  # the higher bar counts


def test_groups_are_removed_below_a_share_of_the_largest() -> None:
    found = drawn([8], [*cycle(0, 1, 2, 3, 4), *cycle(5, 6), (7, 6)])
    group, kept = Verdict.SMALL_GROUP, Verdict.KEPT
    assert (FIXED.verdicts(*found) == kept).all()
    assert (replace(FIXED, group_share=0.6).verdicts(*found) == kept).all()  # 3 of 5
    assert replace(FIXED, group_share=0.61).verdicts(*found).tolist() == [kept] * 5 + [group] * 3
    assert replace(FIXED, group_share=1.0).verdicts(*found).tolist() == [kept] * 5 + [group] * 3


def test_groups_of_one_landmark_do_not_measure_those_of_another() -> None:
    found = drawn([6, 2], [*cycle(0, 1, 2, 3, 4, 5), *cycle(6, 7)])
    assert (replace(FIXED, group_share=1.0).verdicts(*found) == Verdict.KEPT).all()


def test_landmarks_with_too_few_kept_images_are_removed() -> None:
    images, *found = drawn([4, 3, 1], cycle(0, 1, 2))
    verdicts = FIXED.verdicts(images, *found)
    kept, alone, small = Verdict.KEPT, Verdict.DISAGREEING, Verdict.SMALL_LANDMARK
    assert FIXED.small_landmarks(images, verdicts).tolist() == [kept, kept, kept, alone, alone, alone, alone, small]
    four = replace(FIXED, min_images=4)
    assert four.small_landmarks(images, verdicts).tolist() == [small, small, small, alone, small, small, small, small]


@given(data=st.data())
def test_groups_are_the_connected_components(data: st.DataObject) -> None:
    count = data.draw(st.integers(2, 30))
    pairs = st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)).filter(lambda pair: pair[0] != pair[1])
    links = data.draw(st.lists(pairs, max_size=40, unique=True))
    links = [link for n, link in enumerate(links) if sum(i == link[0] for i, _ in links[:n]) < 4]
    share = data.draw(st.sampled_from([0.0, 0.3, 1.0]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rules, "BLOCK", 7)
        verdicts = replace(FIXED, group_share=share).verdicts(*drawn([count], links))
    stays = np.zeros(count, bool)
    stays[[i for i, _ in links]] = True
    joined = [(i, j) for i, j in links if stays[i] and stays[j]] or [(0, 0)]
    graph = coo_matrix((np.ones(len(joined)), np.transpose(joined)), (count, count))
    groups = connected_components(graph, directed=False)[1]
    sizes = np.bincount(groups[stays], minlength=count)[groups]
    expected = np.where(stays, np.where(sizes < share * sizes[stays].max(initial=0), 2, 0), 1)
    assert verdicts.tolist() == expected.tolist()


def test_what_is_required_grows_with_the_landmark_and_falls_with_the_sample() -> None:
    rule = AgreementRule(same_class=100)
    sizes = np.array([1, 2, 3, 20, 1000, 10_000])
    few, many = rule.required(sizes, np.full(6, 4_000)), rule.required(sizes, np.full(6, 4_000_000))
    assert few.tolist()[:4] == [1, 1, 2, 2] and (np.diff(few) >= 0).all() and few[-1] > 20
    assert many.tolist() == [1, 1, 2, 2, 2, 2]
    assert AgreementRule(same_class=5).required(sizes, np.full(6, 4_000)).max() == 5
    fixed = replace(rule, chance=1.0)
    assert fixed.required(sizes, np.full(6, 4_000)).tolist() == [1, 1, 2, 2, 2, 2]


@pytest.mark.parametrize(("own", "others", "rank"), [(30, 60, 4), (300, 400, 8), (10, 500, 2)])
def test_the_probability_by_chance_is_exact(own: int, others: int, rank: int) -> None:
    """Both classes in random order: how often is the number of the own before the b-th of the other enough?"""
    rng = np.random.default_rng(0)
    rule = AgreementRule(same_class=1000, other_class=rank, min_agreeing=1, chance=0.05)
    needed = rule.required(np.array([own + 1]), np.array([others]))[0]
    keys = rng.random((4000, own + others))
    bars = np.sort(keys[:, own:], axis=1)[:, rank - 1 : rank]
    before = (keys[:, :own] < bars).sum(axis=1)
    assert (before >= needed).mean() <= 0.06
    assert (before >= needed - 1).mean() > 0.05 or needed == 1


def fates_of(rule: AgreementRule, images: LandmarkImages, sample: int | None = None) -> np.ndarray:
    resources = make_resources()
    neighbours = same_class_neighbours(images, rule.same_class, resources)
    bars = other_class_bars(images, rule.other_class, sample, rule.same_class, resources)
    return rule.small_landmarks(images, rule.verdicts(images, neighbours, bars))


@pytest.mark.parametrize("sample", [None, 100])
@pytest.mark.parametrize("scale", [1.0, 0.2])
def test_wrong_labels_are_found_at_any_level_of_similarity(sample: int | None, scale: float) -> None:
    """A constant added to all descriptors brings all similarities near to 1; the order, and the rule, remain."""
    table, embedded, wrong = labelled([40, 25, 60, 12, 30], wrong=25, noise=0.5)
    matrix = np.array(embedded.descriptors) * np.float32(scale)
    if scale < 1:
        matrix += 3
    images = match(table, replace(embedded, descriptors=matrix))
    kept = fates_of(AgreementRule(), images, sample) == Verdict.KEPT
    wrong = wrong[table.find(images.ids)]
    assert (kept & ~wrong).sum() / kept.sum() > 0.97 and (kept & ~wrong).sum() / (~wrong).sum() > 0.9


@pytest.mark.parametrize(
    "wrong",
    [
        {"other_class": 0},
        {"min_agreeing": 0},
        {"min_agreeing": 17},
        {"min_images": 0},
        {"chance": 0.0},
        {"chance": 1.5},
        {"group_share": -0.1},
        {"min_similarity": 2.0},
    ],
)
def test_parameters_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(LandmarksError, match=next(iter(wrong))):
        AgreementRule(**wrong)
