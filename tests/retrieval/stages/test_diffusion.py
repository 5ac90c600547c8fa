import numpy as np
import pytest

from landmarks.retrieval import Diffusion, Search, SearchState
from landmarks.retrieval.search import ExactIndex
from landmarks.retrieval.stages import diffusion
from resources import make_resources


def make_state(num_queries, num_index, dim=6, depth=10, seed=0):
    rng = np.random.default_rng(seed)
    queries, index = (rng.standard_normal((number, dim)).astype(np.float32) for number in (num_queries, num_index))
    return Search()(SearchState(queries, index), make_resources(ExactIndex(k=depth)))


def test_whole_graph_diffusion_helps_on_real_photographs(oracles):
    folder = oracles / "reranking"
    labels, query_labels = (np.load(folder / f"{name}_labels.npy") for name in ("index", "query"))

    def mean_average_precision(ranking):
        right = labels[ranking.indices] == query_labels[:, None]
        precision = np.cumsum(right, axis=1) / np.arange(1, 101)
        positives = np.minimum(np.bincount(labels)[query_labels], 100)
        return ((precision * right).sum(axis=1) / positives).mean()

    state = SearchState(*(np.load(folder / f"{name}.npy") for name in ("queries", "index")))
    resources = make_resources()
    searched = Search()(state, resources)
    ranking = Diffusion(mode="online")(searched, resources).ranking
    assert mean_average_precision(ranking) > mean_average_precision(searched.ranking) + 0.05


def dense_system(descriptors, k, gamma, alpha):
    """``I - alpha S`` written down plainly."""
    unit = descriptors / np.linalg.norm(descriptors, axis=1, keepdims=True)
    similarity = (unit @ unit.T).astype(np.float64)
    np.fill_diagonal(similarity, -np.inf)
    threshold = -np.sort(-similarity, axis=1)[:, min(k, len(unit)) - 2][:, None]
    near = similarity >= threshold
    affinity = np.where(near & near.T, np.maximum(similarity, 0), 0) ** gamma
    scale = np.maximum(affinity.sum(axis=1), 1e-12) ** -0.5
    return np.eye(len(unit)) - alpha * affinity * scale * scale[:, None]


def start(state, query_k, gamma):
    unit = [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (state.queries, state.index)]
    similarity = np.maximum(unit[0] @ unit[1].T, 0) ** gamma
    return np.where(similarity >= -np.sort(-similarity, axis=1)[:, query_k - 1 : query_k], similarity, 0)


def assert_ranks(ranking, scores):
    """The ranking holds the largest of these scores [Q, N] as far as they are above 0."""
    expected = -np.sort(-scores, axis=1)[:, : ranking.depth]
    sure = expected > 1e-4
    np.testing.assert_allclose(ranking.scores[sure], expected[sure], rtol=1e-4, atol=1e-5)
    picked = np.take_along_axis(scores, ranking.indices, axis=1)
    np.testing.assert_allclose(picked[sure], expected[sure], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("mode", ["offline", "online"])
def test_equals_a_dense_solution_where_nothing_is_truncated(mode, seed):
    state = make_state(7, 60, seed=seed)
    stage = Diffusion(6, 4, 2.0, 0.9, truncation=100, mode=mode, iterations=300, tolerance=1e-10)
    scores = np.linalg.solve(dense_system(state.index, 6, 2.0, 0.9), start(state, 4, 2.0).T).T
    assert_ranks(stage(state, make_resources()).ranking, scores)


@pytest.mark.parametrize("seed", range(3))
def test_joint_equals_dense_solutions_of_both_sets(seed, monkeypatch):
    monkeypatch.setattr(diffusion, "MIB", (8, 64, 2**20)[seed])  # blocks of a few rows, of more, of all
    state = make_state(7, 60, seed=seed)
    stage = Diffusion(6, gamma=2.0, alpha=0.9, truncation=100, mode="joint", iterations=300, tolerance=1e-10)
    rows = np.linalg.inv(dense_system(np.concatenate([state.queries, state.index]), 6, 2.0, 0.9))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    assert_ranks(stage(state, make_resources()).ranking, rows[:7] @ rows[7:].T)


@pytest.mark.parametrize("mode", ["offline", "joint", "online"])
def test_images_out_of_reach_follow_in_their_order(mode):
    # Three places at right angles, two of which no diffusion from the query's comes to.
    index = np.repeat(np.eye(3, dtype=np.float32), 4, axis=0) + 0.01 * np.tri(12, 3, dtype=np.float32)
    state = Search()(SearchState(index[:1], index), make_resources(ExactIndex(k=12)))
    ranking = Diffusion(4, 2, truncation=4, mode=mode)(state, make_resources()).ranking
    reached = ranking.scores[0] > 0
    assert set(ranking.indices[0, reached]) <= {0, 1, 2, 3} and reached.sum() >= 2
    behind = [i for i in state.ranking.indices[0] if i not in ranking.indices[0, reached]]
    assert ranking.indices[0, ~reached].tolist() == behind
