"""Recognition figures against a slow reference written from the definition."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from landmarks.errors import FormatError
from landmarks.metrics import (
    RecognitionSolution,
    RecognitionSubmission,
    correctness,
    global_average_precision,
    score_recognition,
)

Truth = dict[int, tuple[bool, list[int]]]
Answers = dict[int, tuple[int, float]]


def solution_of(truth: Truth, ignored: list[int]) -> RecognitionSolution:
    return RecognitionSolution(
        np.array(list(truth), np.uint64),
        np.array([public for public, _ in truth.values()], np.bool_),
        np.concatenate([[0], np.cumsum([len(shown) for _, shown in truth.values()])]).astype(np.int64),
        np.array([landmark for _, shown in truth.values() for landmark in shown], np.int64),
        np.array(ignored, np.uint64),
    )


def submission_of(answers: Answers) -> RecognitionSubmission:
    return RecognitionSubmission(
        np.array(list(answers), np.uint64),
        np.array([landmark for landmark, _ in answers.values()], np.int64),
        np.array([score for _, score in answers.values()], np.float64),
    )


def reference(truth: Truth, answers: Answers) -> dict[str, dict[str, float]]:
    result = {}
    for name, wanted in (("public", True), ("private", False)):
        shown = {image: landmarks for image, (public, landmarks) in truth.items() if public == wanted}
        images = sum(1 for landmarks in shown.values() if landmarks)
        if images == 0:
            continue
        given = [(i, *answers[i]) for i in answers if i in shown and answers[i][0] >= 0]
        ranked = sorted(given, key=lambda answer: (-answer[2], f"{answer[0]:016x}", answer[1]))

        def gap(
            ranked: list[tuple[int, int, float]],
            shown: dict[int, list[int]] = shown,
            images: int = images,
        ) -> float:
            total = 0.0
            for i in range(1, len(ranked) + 1):
                correct = [landmark in shown[image] for image, landmark, _ in ranked[:i]]
                total += sum(correct) / i if correct[-1] else 0
            return total / images

        result[name] = {
            "gap": gap(ranked),
            "gap_ignoring_non_landmark": gap([answer for answer in ranked if shown[answer[0]]]),
            "top1": sum(landmark in shown[image] for image, landmark, _ in ranked) / images,
        }
    return result


TRUTHS = st.dictionaries(
    st.sampled_from([*range(8), *range(2**64 - 8, 2**64)]),
    st.tuples(st.booleans(), st.lists(st.integers(0, 3), max_size=2, unique=True)),
)
SCORES = st.sampled_from([0.0, -0.0, 0.5, 0.25, -3.0, 1e300])  # few, so that ties are common


@st.composite
def cases(draw: st.DrawFn) -> tuple[Truth, Answers]:
    truth = draw(TRUTHS)
    answered = draw(st.lists(st.sampled_from([*truth, 100, 101]), unique=True))
    return truth, {image: (draw(st.integers(-1, 3)), draw(SCORES)) for image in answered}


@settings(max_examples=200)
@given(cases(), st.randoms(use_true_random=False))
def test_equals_the_reference_in_any_order_of_lines(case: tuple[Truth, Answers], random: object) -> None:
    truth, answers = case
    lines = list(answers.items())
    random.shuffle(lines)  # type: ignore[attr-defined]
    found = score_recognition(solution_of(truth, [100, 101]), submission_of(dict(lines)))
    expected = reference(truth, answers)
    for split, figures in found.items():
        if split in expected:
            assert figures == pytest.approx(expected[split], abs=1e-12)
        else:
            assert all(math.isnan(value) for value in figures.values())


def test_ties_go_by_image_then_by_landmark() -> None:
    def gap(correct: list[bool], images: list[int], landmarks: list[int]) -> float:
        ids = np.array(images, np.uint64)
        return global_average_precision(np.ones(2), np.array(correct), 1, ids, np.array(landmarks))

    high = 2**63  # would sort first if ids were signed
    assert gap([True, False], [1, high], [5, 5]) == 1
    assert gap([True, False], [high, 1], [5, 5]) == 0.5
    assert gap([True, False], [1, 1], [5, 6]) == 1
    assert gap([True, False], [1, 1], [6, 5]) == 0.5


def test_unanswered_images_count_and_answers_without_landmark_are_wrong() -> None:
    solution = solution_of({1: (True, [4]), 2: (True, []), 3: (True, [4])}, [])
    figures = score_recognition(solution, submission_of({1: (4, 0.1), 2: (4, 0.9)}))["public"]
    assert figures == {"gap": 0.25, "gap_ignoring_non_landmark": 0.5, "top1": 0.5}


def test_correctness_accepts_each_landmark_of_an_image() -> None:
    solution = solution_of({1: (True, [9, 4]), 2: (False, [])}, [3])
    ids = np.array([1, 1, 1, 1, 2, 3], np.uint64)
    found = correctness(solution, ids, np.array([4, 9, 5, -1, 4, 4]))
    assert found.tolist() == [True, True, False, False, False, False]


def test_an_unknown_image_is_named() -> None:
    with pytest.raises(FormatError, match="000000000000002a is not in the solution"):
        score_recognition(solution_of({1: (True, [7])}, []), submission_of({42: (7, 0.5)}))
