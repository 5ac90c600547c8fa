"""Every stage of retrieval leaves its input unchanged and refuses bad input with a message."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from corners import Corners
from images import image_set, png
from landmarks.errors import LandmarksError
from landmarks.recognition import RecognitionReranking
from landmarks.retrieval import (
    AsmkSearch,
    Cache,
    DatabaseAugmentation,
    Diffusion,
    Gallery,
    GuidedExpansion,
    LocalSearch,
    QueryExpansion,
    Ranking,
    RegionalDiffusion,
    Search,
    SearchState,
    SpatialVerification,
    Stage,
    stages,
)
from landmarks.retrieval.local import LocalFeatureStore
from landmarks.retrieval.search import ExactIndex
from resources import arrays_of, make_resources, stages_in

K, NUM_QUERIES, NUM_INDEX, REGIONS, DIM = 7, 5, 12, 3, 6

# Name to: how it is made (with a folder for what it keeps), and which arrays it cannot do without.
STAGES: dict[str, tuple[Callable[[Path], Stage], set[str]]] = {
    "search": (lambda folder: Search(), {"queries", "index"}),
    "qe": (lambda folder: QueryExpansion(k=3), {"queries", "index"}),
    "dba": (lambda folder: DatabaseAugmentation(k=3), {"queries", "index"}),
    "guided_expansion": (lambda folder: GuidedExpansion(k=3, min_inliers=1), {"queries", "index"}),
    "diffusion_offline": (lambda folder: Diffusion(k=4, query_k=3, truncation=6), {"queries", "index"}),
    "diffusion_joint": (lambda folder: Diffusion(k=4, truncation=6, mode="joint"), {"queries", "index"}),
    "diffusion_online": (lambda folder: Diffusion(k=4, query_k=3, mode="online"), {"queries", "index"}),
    "regional_short_lists": (
        lambda folder: RegionalDiffusion(candidates=5, k=4, query_k=3),
        {"query_regions", "index_regions"},
    ),
    "regional_whole": (
        lambda folder: RegionalDiffusion(candidates=None, k=4, query_k=3),
        {"query_regions", "index_regions"},
    ),
    "verification": (lambda folder: SpatialVerification(LocalFeatureStore(Corners(), folder), min_inliers=3), set()),
    "verification_by_inliers": (
        lambda folder: SpatialVerification(LocalFeatureStore(Corners(), folder), min_inliers=3, by_inliers=True),
        set(),
    ),
    "local_search": (lambda folder: LocalSearch(LocalFeatureStore(Corners(), folder)), set()),
    "local_search_asmk": (lambda folder: AsmkSearch(LocalFeatureStore(Corners(), folder)), set()),
    "recognition": (lambda folder: RecognitionReranking(k=3), {"queries", "index", "gallery"}),
}


def matrix(rows: int, seed: int, *shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal((rows, *shape)).astype(np.float32)


def make_state(num_queries: int = NUM_QUERIES, num_index: int = NUM_INDEX, k: int = K) -> SearchState:
    """Everything that any stage may ask for, with a ranking and inliers."""

    def images(count: int, seed: int) -> list[bytes | None]:
        pixels = np.random.default_rng(seed).integers(0, 256, (count, 8, 8, 3)).astype(np.uint8)
        return [png(one) for one in pixels]

    state = SearchState(
        matrix(num_queries, 0, DIM),
        matrix(num_index, 1, DIM),
        query_images=image_set(images(num_queries, 2)),
        index_images=image_set(images(num_index, 3), first_id=1000),
        query_regions=matrix(num_queries, 4, REGIONS, DIM),
        index_regions=matrix(num_index, 5, REGIONS, DIM),
        gallery=Gallery(matrix(20, 6, DIM), (np.arange(20) % 4).astype(np.int32), 4),
    )
    ranking = ExactIndex(k).search(state.queries, state.index)
    inliers = np.where(ranking.filled, np.arange(k, 0, -1, dtype=np.float32), -np.inf).astype(np.float32)
    return replace(state, ranking=ranking, verified=Ranking(ranking.indices, inliers))


def run(
    name: str,
    state: SearchState,
    folder: Path,
    k: int = K,
    workers: int = 1,
    cache: Cache | None = None,
    budget: int = 1024,
) -> SearchState:
    """The state after a stage, whose ranking is sound and as deep as was asked for."""
    resources = make_resources(ExactIndex(k, memory_budget_mb=budget), cache=cache, workers=workers)
    after = STAGES[name][0](folder)(state, resources)
    assert after.ranking.indices.shape == (len(state.queries), k)
    after.ranking.check(len(state.queries), len(state.index))
    assert len(after.queries) == len(state.queries) and len(after.index) == len(state.index)
    return after


def with_array(state: SearchState, name: str, change: Callable[[NDArray[Any]], NDArray[Any]]) -> SearchState:
    if name == "gallery":
        return replace(state, gallery=replace(state.gallery, descriptors=change(state.gallery.descriptors)))
    return replace(state, **{name: change(getattr(state, name))})


every_stage = pytest.mark.parametrize("name", STAGES)
every_needed_array = pytest.mark.parametrize(
    ("name", "array"), [(name, array) for name, (_, needed) in STAGES.items() for array in sorted(needed)]
)


def test_every_stage_is_tested(tmp_path):
    assert stages_in(stages) | {RecognitionReranking} == {type(make(tmp_path)) for make, _ in STAGES.values()}


@every_stage
def test_gives_a_sound_ranking_and_changes_nothing_that_it_was_given(name, tmp_path):
    state = make_state()
    before = {key: values.copy() for key, values in arrays_of(state).items()}
    for values in arrays_of(state).values():
        values.flags.writeable = False
    run(name, state, tmp_path)
    for key, values in arrays_of(state).items():
        assert np.array_equal(values, before[key]), key


@every_stage
def test_the_same_whatever_the_workers_the_budget_and_the_cache(name, tmp_path):
    cache = Cache(tmp_path / "cache")
    first = run(name, make_state(), tmp_path / "features", cache=cache).ranking
    # Images are spread over processes elsewhere; here only what threads do.
    workers = 1 if name.startswith(("verification", "local")) else 3
    for other in (
        run(name, make_state(), tmp_path / "features", cache=Cache(tmp_path / "cache")),
        run(name, make_state(), tmp_path / "features", workers=workers, budget=1),
    ):
        assert other.ranking is not None
        assert np.array_equal(first.indices, other.ranking.indices)
        assert np.array_equal(first.scores, other.ranking.scores)


@every_stage
def test_more_places_than_index_images(name, tmp_path):
    after = run(name, make_state(k=30), tmp_path, k=30)
    assert not after.ranking.filled[:, NUM_INDEX:].any()


@every_stage
@pytest.mark.parametrize("count", [0, 1])
def test_an_index_without_or_with_one_image(name, count, tmp_path):
    if name == "dba" and not count:  # nothing to average
        with pytest.raises(LandmarksError, match="the index has 0 images"):
            run(name, make_state(num_index=count), tmp_path)
        return
    after = run(name, make_state(num_index=count), tmp_path)
    assert (after.ranking.filled.sum(axis=1) <= count).all()
    if not name.startswith("local_search"):  # which may find nothing
        assert (after.ranking.filled.sum(axis=1) == count).all()


@every_stage
def test_no_queries(name, tmp_path):
    run(name, make_state(num_queries=0), tmp_path)


@every_stage
def test_a_ranking_without_a_result(name, tmp_path):
    state = make_state()
    empty = Ranking.empty(NUM_QUERIES, K)
    run(name, replace(state, ranking=empty, verified=empty), tmp_path)


@every_needed_array
@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0])
def test_rows_that_are_no_descriptors_are_named(name, array, value, tmp_path):
    def broken(values):
        return np.concatenate([values[:3], np.full_like(values[:1], value), values[4:]])

    row = 3 * REGIONS if "regions" in array else 3  # regions are counted through
    with pytest.raises(LandmarksError, match=rf"the first is row {row};"):
        run(name, with_array(make_state(), array, broken), tmp_path)


@every_needed_array
def test_other_dimensions_are_an_error(name, array, tmp_path):
    narrow = with_array(make_state(), array, lambda values: np.ascontiguousarray(values[..., :-1]))
    with pytest.raises(LandmarksError, match=r"dimensions|do not fit"):
        run(name, narrow, tmp_path)


@pytest.mark.parametrize("name", [name for name in STAGES if name.startswith(("verification", "local"))])
def test_images_that_are_missing_corrupt_or_blank(name, tmp_path):
    state = make_state()
    images: list[bytes | None] = [png(one) for one in np.random.default_rng(7).integers(1, 7, (NUM_INDEX, 8, 8, 3))]
    images[2], images[4], images[5] = None, b"no image", png(np.zeros((8, 8, 3), np.uint8))
    run(name, replace(state, index_images=image_set(images, first_id=1000)), tmp_path)


@pytest.mark.parametrize("name", [name for name in STAGES if not name.startswith(("search", "dba", "local_search"))])
def test_without_a_ranking_it_says_which_stage_comes_too_early(name, tmp_path):
    with pytest.raises(LandmarksError, match=r"stage .* needs a ranking: put a search before it"):
        run(name, replace(make_state(), ranking=None), tmp_path)


NAN, INF = float("nan"), float("inf")
# How a stage is made, how its messages begin, and each parameter with a value that makes no sense.
OUT_OF_RANGE = [
    (QueryExpansion, "query expansion: ", [("k", 0), ("alpha", -1), ("alpha", NAN), ("alpha", INF), ("rounds", 0)]),
    (QueryExpansion, "query expansion: ", [("weights", "ranks")]),
    (DatabaseAugmentation, "database augmentation: ", [("k", 0), ("weights", "ranks")]),
    (GuidedExpansion, "guided expansion: ", [("k", 0), ("min_inliers", -1), ("max_verified", 0)]),
    (Diffusion, "diffusion: ", [("k", 1), ("query_k", 0), ("truncation", 0), ("gamma", 0.0), ("alpha", 1.0)]),
    (Diffusion, "diffusion: ", [("iterations", 0), ("tolerance", -1e-9), ("mode", "offine")]),
    (RegionalDiffusion, "", [("candidates", 0), ("k", 1), ("query_k", 0), ("gamma", 0.0), ("alpha", 1.0)]),
    (RegionalDiffusion, "", [("iterations", 0), ("tolerance", -1.0), ("pooling", "mean"), ("regulariser", 0.0)]),
    (partial(LocalSearch, LocalFeatureStore(Corners())), "local search: ", [("features_per_image", 0)]),
    (partial(AsmkSearch, LocalFeatureStore(Corners())), "asmk: ", [("features_per_image", 0)]),
    (partial(SpatialVerification, LocalFeatureStore(Corners())), "verification: ", [("depth", 0), ("min_inliers", 0)]),
    (partial(SpatialVerification, LocalFeatureStore(Corners())), "verification: ", [("weight", -1.0), ("weight", NAN)]),
    (RecognitionReranking, "recognition re-ranking: ", [("k", 0), ("insert_threshold", NAN)]),
]


@pytest.mark.parametrize(
    ("make", "begin", "name", "value"),
    [(make, begin, *wrong) for make, begin, cases in OUT_OF_RANGE for wrong in cases],
)
def test_numbers_out_of_range_are_refused(make, begin, name, value):
    with pytest.raises(LandmarksError, match=f"{begin}.*{name}"):
        make(**{name: value})
