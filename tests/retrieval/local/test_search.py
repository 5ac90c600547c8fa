import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landmarks.errors import LandmarksError
from landmarks.local_features import FeatureKind, LocalFeatures
from landmarks.retrieval import Cache, Ranking
from landmarks.retrieval.local import (
    InvertedFile,
    LocalFeatureTable,
    Voting,
    search,
    search_by_votes,
)
from local_tables import features_of, table_of
from resources import make_resources

KIND = FeatureKind("made up", 3, "uint8", 4.0)


def table(counts: list[int], seed: int, top: int = 4) -> LocalFeatureTable:
    """Features of 3 elements, below `top` so that many are alike."""
    rng = np.random.default_rng(seed)
    features = [features_of(rng.integers(0, top, (count, 3)), KIND) for count in counts]
    return table_of(features, rng.integers(1, 256, (len(counts), 16)).astype(np.uint8))


def run(queries, index, voting, depth: int = 5, cache: Cache | None = None, workers: int = 1) -> Ranking:
    resources = make_resources(cache=cache, workers=workers)
    return search_by_votes(queries, index, voting, InvertedFile(), depth, resources)


def brute_force(queries: LocalFeatureTable, index: LocalFeatureTable, voting: Voting, depth: int) -> list[list[float]]:
    """Votes of every image, one loop after another, best first."""
    all_scores = []
    vectors = index.descriptors[:].astype(float)
    owners = index.images(np.arange(len(vectors)))
    for query in range(len(queries)):
        given: dict[int, tuple[float, int]] = {}  # index feature: its best vote and who gave it
        for number, feature in enumerate(queries.of(query).descriptors.astype(float)):
            distances = np.linalg.norm(vectors - feature, axis=1) / 4
            nearest = np.sort(distances)
            bound = min([voting.max_distance, *nearest[voting.neighbours : voting.neighbours + 1]])
            for row in np.flatnonzero(distances < bound):
                vote = bound - distances[row]
                if vote > given.get(row, (0.0, -1))[0] + 1e-9:
                    given[row] = (vote, number)
        best: dict[tuple[int, int], float] = {}  # query feature and image: its best vote
        for row, (vote, number) in given.items():
            pair = (number, int(owners[row]))
            best[pair] = max(vote, best.get(pair, 0.0))
        scores = np.zeros(len(index.counts))
        for (_, image), vote in best.items():
            scores[image] += vote / (index.counts[image] + voting.smoothing)
        all_scores.append(scores.tolist())
    return all_scores


@given(
    seed=st.integers(0, 10**6),
    counts=st.lists(st.integers(0, 9), min_size=1, max_size=6),
    asked=st.lists(st.integers(0, 9), min_size=1, max_size=3),
    neighbours=st.integers(1, 8),
    max_distance=st.sampled_from([0.1, 0.5, 1.0, 60.0]),
    limit=st.integers(1, 10),
    top=st.sampled_from([2, 4, 200]),
)
def test_the_same_votes_as_counted_one_by_one(seed, counts, asked, neighbours, max_distance, limit, top):
    index = table(counts, seed, top).strongest(limit)
    queries = table(asked, seed + 1, top)
    voting = Voting(neighbours, max_distance, 2.0)
    ranking = run(queries, index, voting)
    ranking.check(len(asked), len(counts))
    for query, expected in enumerate(brute_force(queries, index, voting, 5)):
        ordered = sorted((score for score in expected if score > 1e-7), reverse=True)[:5]
        filled = ranking.scores[query][ranking.filled[query] & (ranking.scores[query] > 1e-7)]
        np.testing.assert_allclose(filled, ordered, rtol=1e-4, atol=1e-6)
        shown = ranking.indices[query][: len(filled)]
        np.testing.assert_allclose(filled, np.array(expected)[shown], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("images", "found"), [(4, [0, 1, 2]), (9, [-1, -1, -1])])
def test_equal_votes_stand_in_the_order_of_rows_and_what_is_found_everywhere_says_nothing(images, found):
    same = features_of(np.array([[1, 2, 3]]))
    index = table_of([same] * images)
    ranking = run(table_of([same]), index, Voting(neighbours=8), depth=3)
    assert ranking.indices.tolist() == [found] and len(set(ranking.scores[0].tolist())) == 1


def test_repeated_structure_votes_once():
    def image(windows: int) -> LocalFeatures:
        return features_of(np.array([[40, 40, 40]] * windows + [[200, 0, 90]]))

    index = table_of([image(1), image(8)])
    few = run(table_of([image(1)]), index, Voting(neighbours=50, smoothing=0))
    # Both features vote once for each image: 2 votes of 2 features, 2 of 9.
    assert few.indices[0, :2].tolist() == [0, 1]
    np.testing.assert_allclose(few.scores[0, :2], [0.8, 2 * 0.8 / 9], rtol=1e-6)
    # Eight windows of the query are one vote for the one window of the first image.
    many = run(table_of([image(8)]), index, Voting(neighbours=50, smoothing=0))
    np.testing.assert_allclose(many.scores[0, 0], 0.8, rtol=1e-6)


def test_chunks_and_threads_do_not_matter(monkeypatch):
    index = table([30] * 20, 0, 200).strongest(25)
    queries = table([25, 0, 30, 1, 40], 1, 200)
    voting = Voting(neighbours=9, max_distance=60)
    expected = run(queries, index, voting)
    assert expected.filled[0].all() and not expected.filled[1].any()
    monkeypatch.setattr(search, "CHUNK", 2)
    found = run(queries, index, voting, workers=2)
    assert np.array_equal(found.indices, expected.indices) and np.array_equal(found.scores, expected.scores)


def test_nothing_to_search_for_or_in():
    some, none = table([4, 2], 0), table([0, 0], 1)
    assert not run(none, some, Voting()).filled.any()
    assert not run(some, none, Voting()).filled.any()
    assert run(some, some.take(np.array([0])), Voting(), depth=3).indices.shape == (2, 3)


def test_a_second_run_neither_searches_nor_opens_an_index(tmp_path, monkeypatch):
    index, queries = table([9] * 8, 0, 200), table([9] * 3, 1, 200)
    expected = run(queries, index, Voting(), cache=Cache(tmp_path))

    def forbidden(*_: object) -> None:
        raise AssertionError("opened again")

    monkeypatch.setattr(search, "open_index", forbidden)
    assert np.array_equal(run(queries, index, Voting(), cache=Cache(tmp_path)).scores, expected.scores)
    for other in (Voting(neighbours=7), Voting(max_distance=0.7), Voting(smoothing=1)):
        with pytest.raises(AssertionError):
            run(queries, index, other, cache=Cache(tmp_path))
    with pytest.raises(AssertionError):  # another image under the same number of features
        run(queries, table([9] * 8, 7, 200), Voting(), cache=Cache(tmp_path))


@pytest.mark.parametrize(
    "wrong", [{"neighbours": 0}, {"max_distance": 0.0}, {"max_distance": float("nan")}, {"smoothing": -1.0}]
)
def test_parameters_out_of_range(wrong):
    with pytest.raises(LandmarksError, match=next(iter(wrong))):
        Voting(**wrong)
