"""Every stage of recognition leaves its input unchanged, loses no query, and handles corner cases."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from corners import Corners
from found import found_objects
from images import image_set, png
from landmarks.errors import LandmarksError
from landmarks.recognition import (
    ClassifierJoin,
    ConfidenceCalibration,
    DistractorPush,
    NeighbourVerification,
    NeighbourVotes,
    NonLandmarkFilter,
    NonLandmarkRule,
    Predictions,
    RecognitionState,
    stages,
)
from landmarks.retrieval import Cache, Gallery, Pipeline, Ranking, Search, Stage
from landmarks.retrieval.local import LocalFeatureStore
from landmarks.retrieval.search import ExactIndex
from resources import arrays_of, make_resources, stages_in

K, QUERIES, GALLERY, LANDMARKS, DIM = 6, 9, 24, 5, 6

# Name to how it is made, with a folder for what it keeps.
STAGES: dict[str, Callable[[Path], Stage[RecognitionState]]] = {
    "search": lambda folder: Search(K),
    "votes": lambda folder: NeighbourVotes(3),
    "votes_by_rank": lambda folder: NeighbourVotes(K, power=0, weights="rank"),
    "verification": lambda folder: NeighbourVerification(LocalFeatureStore(Corners(), folder), min_inliers=3),
    "classifier": lambda folder: ClassifierJoin(),
    "classifier_product": lambda folder: ClassifierJoin(0, factor=1, new_candidates=False),
    "calibration": lambda folder: ConfidenceCalibration(k=K),
    "filter": lambda folder: NonLandmarkFilter(NonLandmarkRule({"for": ["Tower"]}, {"against": ["Dog"]})),
    "filter_pushes": lambda folder: NonLandmarkFilter(
        NonLandmarkRule({"for": ["Tower"]}, {"against": ["Dog"]}), "push_down"
    ),
    "distractors": lambda folder: DistractorPush(1),
}
every_stage = pytest.mark.parametrize("name", STAGES)
LATER = [name for name in STAGES if name not in ("search", "votes", "votes_by_rank")]


def matrix(rows: int, seed: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal((rows, DIM)).astype(np.float32)


def make_state(queries: int = QUERIES, gallery: int = GALLERY, landmarks: list[int] | None = None) -> RecognitionState:
    """Everything that any stage may ask for, with neighbours and candidates."""
    rng = np.random.default_rng(0)

    def images(count: int) -> list[bytes | None]:
        return [png(one) for one in rng.integers(0, 256, (count, 8, 8, 3)).astype(np.uint8)]

    labels = np.arange(gallery) % (LANDMARKS + 1) - 1 if landmarks is None else np.array(landmarks)
    ids = np.arange(queries, dtype=np.uint64)
    probabilities = -np.sort(-rng.random((queries, 3)).astype(np.float32) / 3, axis=1)
    said = np.stack([rng.permutation(7)[:3] for _ in range(queries)]) if queries else np.zeros((0, 3))
    dogs = [(i, "Dog", 0.9, (0.0, 0.0, 1.0, 1.0)) for i in range(0, queries, 3)]
    state = RecognitionState.begin(
        ids,
        matrix(queries, 1),
        Gallery(matrix(gallery, 2), labels.astype(np.int32), LANDMARKS),
        np.array([f"l{number}" for number in range(LANDMARKS)]),
        query_images=image_set(images(queries), first_id=500),
        index_images=image_set(images(gallery), first_id=1000),
        predictions=Predictions(
            ids[1:], said[1:].astype(np.int32), probabilities[1:], np.array([f"l{number}" for number in range(2, 9)])
        ),
        detections=found_objects(dogs, ids[: max(1, queries - 1)].tolist()),
    )
    return before(state)


def with_gallery(state: RecognitionState, gallery: Gallery) -> RecognitionState:
    return replace(state, index=gallery.descriptors, gallery=gallery)


def before(state: RecognitionState) -> RecognitionState:
    resources = make_resources(ExactIndex(K))
    return NeighbourVotes(3)(Search(K)(state, resources), resources)


def run(
    name: str, state: RecognitionState, folder: Path, workers: int = 1, cache: Cache | None = None, budget: int = 1024
) -> Ranking:
    """The candidates after a stage; sound, by the checks of the state and of the candidates."""
    after = STAGES[name](folder)(state, make_resources(ExactIndex(K, memory_budget_mb=budget), cache, workers))
    assert np.array_equal(after.query_ids, state.query_ids) and after.candidates is not None
    assert after.candidates.indices.max(initial=-1) < len(after.landmark_names)
    assert after.landmark_names[:LANDMARKS].tolist() == state.landmark_names.tolist()
    return after.candidates


def same(one: Ranking, other: Ranking) -> bool:
    return np.array_equal(one.indices, other.indices) and np.array_equal(one.scores, other.scores)


def test_every_stage_is_tested(tmp_path: Path) -> None:
    assert stages_in(stages) == {type(make(tmp_path)) for name, make in STAGES.items() if name != "search"}


@every_stage
def test_changes_nothing_that_it_was_given(name: str, tmp_path: Path) -> None:
    state = make_state()
    earlier = {key: values.copy() for key, values in arrays_of(state).items()}
    assert {"state.predictions.probabilities", "state.candidates.scores", "state.gallery.landmarks"} <= set(earlier)
    for values in arrays_of(state).values():
        values.flags.writeable = False
    run(name, state, tmp_path)
    for key, values in arrays_of(state).items():
        assert np.array_equal(values, earlier[key]), key


@every_stage
def test_the_same_whatever_the_workers_the_budget_and_the_cache(name: str, tmp_path: Path) -> None:
    first = run(name, make_state(), tmp_path / "features", cache=Cache(tmp_path / "cache"))
    workers = 1 if name == "verification" else 3  # images are spread over processes elsewhere
    assert same(first, run(name, make_state(), tmp_path / "features", cache=Cache(tmp_path / "cache")))
    assert same(first, run(name, make_state(), tmp_path / "features", workers=workers, budget=1))


@every_stage
@pytest.mark.parametrize(
    "state",
    [
        lambda: make_state(queries=1),
        lambda: make_state(gallery=1),
        lambda: make_state(gallery=2, landmarks=[0, 0]),
        lambda: make_state(landmarks=[-1] * GALLERY),
        lambda: make_state(queries=1, gallery=1, landmarks=[-1]),
        lambda: before(with_gallery(make_state(), Gallery(np.ones((GALLERY, DIM), np.float32),
                                                          np.arange(GALLERY, dtype=np.int32) % LANDMARKS, 5))),
    ],
    ids=["one query", "one gallery image", "one landmark", "no landmark", "hardly anything", "ties"],
)  # fmt: skip
def test_corner_cases(name: str, state: Callable[[], RecognitionState], tmp_path: Path) -> None:
    given = state()
    after = run(name, given, tmp_path)
    assert after.num_queries == len(given.query_ids) and not np.isnan(after.confidence).any()


@every_stage
def test_neither_neighbours_nor_candidates_of_any_query(name: str, tmp_path: Path) -> None:
    nothing = Ranking(np.full((QUERIES, 1), -1, np.int32), np.full((QUERIES, 1), -np.inf, np.float32))
    state = replace(make_state(), ranking=Ranking.empty(QUERIES, K), candidates=nothing)
    after = run(name, state, tmp_path)
    if name != "classifier":  # which alone finds something
        assert not after.filled.any()


@pytest.mark.parametrize("name", LATER)
def test_taken_out_it_leaves_the_earlier_result(name: str, tmp_path: Path) -> None:
    bare = replace(make_state(), ranking=None, candidates=None)
    chosen = {"search": Search(K), "votes": NeighbourVotes(3), name: STAGES[name](tmp_path)}
    whole = Pipeline(ExactIndex(K), chosen, workers=1).run(bare)
    without = Pipeline(ExactIndex(K), {**chosen, name: None}, workers=1).run(bare)
    shorter = Pipeline(ExactIndex(K), dict(list(chosen.items())[:2]), workers=1).run(bare)
    assert same(without.ranking, shorter.ranking)
    assert [report.stage for report in whole.stages] == ["search", "votes", name]


@pytest.mark.parametrize("name", LATER)
def test_a_stage_before_its_input_is_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(LandmarksError, match=r"stage .* needs (candidates|a ranking): put a"):
        STAGES[name](tmp_path)(replace(make_state(), ranking=None, candidates=None), make_resources())


@pytest.mark.parametrize("name", ["verification", "classifier", "filter"])
def test_what_is_missing_is_named_before_any_work(name: str, tmp_path: Path) -> None:
    bare = replace(make_state(), query_images=None, predictions=None, detections=None, queries=np.ones((QUERIES, 2)))
    chosen = {"search": Search(K), "votes": NeighbourVotes(3), name: STAGES[name](tmp_path)}
    with pytest.raises(LandmarksError, match=f"stage {name} needs"):
        Pipeline(ExactIndex(K), chosen, workers=1).run(bare)


NAN, INF = float("nan"), float("inf")
OUT_OF_RANGE = {
    Search: ("k is 0", [{"k": 0}]),
    NeighbourVotes: ("k=0", [{"k": 0}]),
    partial(NeighbourVerification, LocalFeatureStore(Corners())): (
        "verification",
        [{"depth": 0}, {"k": 0}, {"min_inliers": 0}, {"min_inliers": 80}, {"weight": -1.0}, {"weight": NAN}],
    ),
    DistractorPush: ("distractors", [{"limit": 0}, *({"per_gallery_image": wrong} for wrong in (-1.0, NAN, INF))]),
    ConfidenceCalibration: (
        "calibration",
        [{"sample": 1}, {"hidden": -0.1}, {"hidden": NAN}, {"k": 2}, {"votes": 0}, {"regularisation": 0.0},
         {"regularisation": NAN}, {"max_images": 0}],
    ),
    ClassifierJoin: (
        "classifier",
        [{"weight": -1.0}, {"weight": NAN}, {"factor": INF}, {"min_probability": 1.5}, {"min_probability": NAN}],
    ),
}  # fmt: skip


@pytest.mark.parametrize("make", OUT_OF_RANGE)
def test_numbers_out_of_range_are_refused(make: Callable[..., object]) -> None:
    message, cases = OUT_OF_RANGE[make]
    for wrong in cases:
        with pytest.raises(LandmarksError, match=message):
            make(**wrong)
