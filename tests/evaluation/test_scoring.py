"""From descriptor sets to figures, on descriptors whose answer is known."""

from dataclasses import replace

import numpy as np
import pytest

from landmarks.data import GroundTruth, ImageSet, ImageTable
from landmarks.errors import LandmarksError
from landmarks.evaluation import Inputs, Result, evaluate_descriptors, metric_value
from landmarks.extraction import Embedded
from landmarks.metrics import RecognitionSolution, RetrievalSolution
from landmarks.recognition import NeighbourVotes
from landmarks.retrieval import Pipeline, Ranking, Resources, Search, SearchState, Stage
from landmarks.retrieval.descriptors import DescriptorSet, ExtractionProtocol
from landmarks.retrieval.search import ExactIndex

LANDMARKS = 3


class Numbers:
    """A source as far as scoring needs one: landmark i is called 100 + i."""

    name = "numbers"

    def submission_landmark(self, landmark: np.ndarray, landmark_names: np.ndarray | None = None) -> np.ndarray:
        return np.where(landmark >= 0, landmark.astype(np.int64) + 100, -1)


class Anywhere:
    """A store of images that nobody reads."""

    def locate(self, ids: np.ndarray) -> np.ndarray:
        return np.zeros(len(ids), np.int32)


def ids(first: int, count: int) -> np.ndarray:
    return np.arange(first, first + count, dtype=np.uint64)


def embedded(first: int, landmarks: list[int], seed: int, weights: str = "w") -> Embedded:
    """Descriptors close to the axis of their landmark; regions are the descriptor thrice."""
    noise = np.random.default_rng(seed).normal(0, 0.01, (len(landmarks), LANDMARKS + 1))
    vectors = np.eye(LANDMARKS + 1)[landmarks] + noise
    protocol = ExtractionProtocol(model="m", weights=weights, input_size=64, resize="square")
    vectors = vectors.astype(np.float32)
    found = [DescriptorSet(ids(first, len(landmarks)), values, protocol) for values in (vectors, np.tile(vectors, 3))]
    return Embedded(ImageSet(ImageTable.unlabelled(found[0].ids), Anywhere()), *found)


def solutions(queries: list[int], index: list[int]) -> GroundTruth:
    """All queries public but the last, which is private."""
    public = np.array([True] * (len(queries) - 1) + [False])
    positives = [np.flatnonzero(np.array(index) == landmark) + 1000 for landmark in queries]
    start = np.concatenate([[0], np.cumsum([len(p) for p in positives])])
    none = np.empty(0, np.uint64)
    query_ids = ids(0, len(queries))
    return GroundTruth(
        RetrievalSolution(query_ids, public, start, np.concatenate(positives).astype(np.uint64), none),
        RecognitionSolution(query_ids, public, np.arange(len(queries) + 1), np.array(queries) + 100, none),
    )


def evaluate(queries: Embedded, index: Embedded, truth: GroundTruth, stage: Stage | None = None) -> Result:
    gallery_landmarks = [2, 1, 0, 0, 1, 2]
    gallery = embedded(2000, gallery_landmarks, seed=3)
    # the table in another order than the descriptors
    order = np.array([3, 1, 5, 0, 2, 4])
    table = ImageTable(
        gallery.descriptors.ids[order],
        np.array(gallery_landmarks, np.int32)[order],
        np.array([str(i) for i in range(LANDMARKS)]),
    )
    gallery = replace(gallery, images=ImageSet(table, Anywhere()))
    searcher = ExactIndex(k=100, backend="torch")
    pipeline = Pipeline(searcher, {"search": Search(), "stage": stage})
    recognition = Pipeline(searcher, {"search": Search(k=2), "votes": NeighbourVotes(k=2)})
    sets = {"queries": queries, "index": index, "gallery": gallery}
    return evaluate_descriptors(Inputs.extracted(sets, Numbers(), truth), pipeline, recognition)  # type: ignore[arg-type]


def test_clean_descriptors_score_one() -> None:
    landmarks, index = [0, 1, 2, 0], [0, 0, 1, 2, 2, 1, 0]
    outcome = evaluate(embedded(0, landmarks, 1), embedded(1000, index, 2), solutions(landmarks, index))
    for split in ("public", "private"):
        assert outcome.scores[split]["map@100"] == 1.0
        assert outcome.scores[split]["gap"] == 1.0
    assert outcome.recognised is not None
    assert outcome.recognised.submission.landmarks.tolist() == [100, 101, 102, 100]
    assert outcome.stages[0].scores == {"public/map@100": 1.0, "private/map@100": 1.0}


def test_a_query_that_could_not_be_read_counts_as_unanswered() -> None:
    landmarks, index = [0, 1, 2, 0], [0, 0, 1, 2, 2, 1, 0]
    truth = solutions(landmarks, index)
    outcome = evaluate(embedded(0, landmarks[:2], 1), embedded(1000, index, 2), truth)
    assert outcome.scores["public"]["map@100"] == pytest.approx(2 / 3)
    assert outcome.scores["private"]["map@100"] == 0.0
    assert outcome.scores["public"]["gap"] == pytest.approx(2 / 3)


def test_without_truth_there_are_submissions_and_no_figures() -> None:
    landmarks, index = [0, 1], [0, 1]
    outcome = evaluate(embedded(0, landmarks, 1), embedded(1000, index, 2), GroundTruth())
    assert outcome.scores == {}
    assert metric_value(outcome.scores, "public/map@100") is None
    assert outcome.retrieval is not None and len(outcome.retrieval.query_ids) == 2


def test_other_protocols_are_refused() -> None:
    landmarks, index = [0, 1], [0, 1]
    with pytest.raises(LandmarksError, match="weights"):
        evaluate(embedded(0, landmarks, 1, "other"), embedded(1000, index, 2), solutions(landmarks, index))


class Looks:
    """A stage that keeps what it is shown."""

    state: SearchState | None = None

    def __call__(self, state: SearchState, resources: Resources) -> SearchState:
        self.state = state
        return state


class Swaps:
    """A stage that exchanges the first two results of some queries."""

    def __init__(self, rows: list[int]) -> None:
        self.rows = rows

    def __call__(self, state: SearchState, resources: Resources) -> SearchState:
        ranking = state.require_ranking("swaps")
        indices = ranking.indices.copy()
        indices[self.rows, :2] = indices[self.rows, 1::-1]
        return state.with_ranking(Ranking(indices, ranking.scores))


def test_queries_that_a_stage_changed_most_are_kept_with_both_rankings() -> None:
    landmarks, index = [0, 1, 2, 0, 1, 1], [0, 1, 2]
    stage = Swaps([1, 2, 4, 5])
    outcome = evaluate(embedded(0, landmarks, 1), embedded(1000, index, 2), solutions(landmarks, index), stage)
    (effect,) = outcome.effects
    assert effect.stage == "stage" and effect.features is None
    assert effect.before.tolist() == [1.0] * 6 and effect.after.tolist() == [1.0, 0.5, 0.5, 1.0, 0.5, 0.5]
    assert effect.chosen.tolist() == [1, 2, 4]
    before, after = (ranking.indices for ranking in effect.rankings)
    assert before[:, 0].tolist() == [1, 2, 1] and after[:, 1].tolist() == [1, 2, 1]
    assert np.mean(effect.after) == pytest.approx((outcome.scores["public"]["map@100"] * 5 + 0.5) / 6)


def test_labels_and_one_stage_have_effects_and_none() -> None:
    queries, index = embedded(0, [0, 1], 1), embedded(1000, [0, 1, 1], 2)
    by_labels = GroundTruth(labels=(np.array([0, 2]), np.array([0, 1, 1])))
    (effect,) = evaluate(queries, index, by_labels, Swaps([0])).effects
    assert effect.queries.tolist() == [0] and effect.chosen.tolist() == [0]
    assert (effect.before.tolist(), effect.after.tolist()) == ([1.0], [0.5])
    assert evaluate(queries, index, by_labels).effects == ()
    assert evaluate(queries, index, GroundTruth(), Swaps([0])).effects == ()


def test_stages_get_images_regions_and_gallery_in_the_order_of_the_descriptors() -> None:
    queries, index = embedded(0, [0, 1], 1), embedded(1000, [2, 1, 0], 2)
    backwards = ImageTable.unlabelled(index.images.table.ids[::-1].copy())
    looks = Looks()
    evaluate(queries, replace(index, images=ImageSet(backwards, Anywhere())), solutions([0, 1], [2, 1, 0]), looks)
    state = looks.state
    assert state is not None and state.index_images is not None and state.gallery is not None
    assert state.index_images.table.ids.tolist() == index.descriptors.ids.tolist()
    assert np.array_equal(state.index_regions, np.repeat(index.descriptors.descriptors[:, None], 3, axis=1))
    assert state.gallery.landmarks.tolist() == [2, 1, 0, 0, 1, 2]
    evaluate(replace(queries, regions=None), index, GroundTruth(), looks)
    assert looks.state is not None and looks.state.query_regions is None
