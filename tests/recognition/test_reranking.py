import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landmarks.errors import LandmarksError
from landmarks.recognition import RecognitionReranking, reranking
from landmarks.retrieval import Cache, Gallery, Ranking, Search, SearchState, best
from landmarks.retrieval.search import ExactIndex
from resources import make_resources


def on_circle(degrees):
    radians = np.deg2rad(np.asarray(degrees, np.float64))
    return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)


def by_hand(depth, **parameters):
    """A query of landmark 7 and five index images, ever further away: of landmark 7, 4, 4, 7, 7."""
    gallery = Gallery(on_circle([1, 2, 3, 120, 121, 122, 90]), np.array([7, 7, 7, 7, 7, 7, 4], np.int32), 9)
    index = on_circle([20, 80, 85, 121, 150])
    state = SearchState(on_circle([0]), index, gallery=gallery)
    resources = make_resources(ExactIndex(k=depth))
    state = Search()(state, resources)
    assert state.ranking.indices.tolist() == [list(range(depth))]
    stage = RecognitionReranking(**parameters)
    assert stage.label_index(index, gallery, resources).landmarks.tolist() == [7, 4, 4, 7, 7]
    return stage(state, resources).ranking, state.ranking


def test_by_hand():
    # With one vote an image's score is the cosine to its nearest gallery image: row 3 has 1, row 4 cos 28° = 0.88.
    ranking, before = by_hand(5, k=1)
    assert ranking.indices.tolist() == [[0, 3, 4, 1, 2]]  # sorted: nothing is missing
    np.testing.assert_array_equal(ranking.scores, before.scores)  # places keep their scores
    ranking, before = by_hand(3, k=1)
    assert ranking.indices.tolist() == [[0, 3, 4]]  # both are missing, and come in for the images of landmark 4
    np.testing.assert_array_equal(ranking.scores, before.scores)
    assert by_hand(3, k=1, insert=False)[0].indices.tolist() == [[0, 1, 2]]
    assert by_hand(3, k=1, insert_threshold=1.95)[0].indices.tolist() == [[0, 3, 1]]  # 1 + 0.88 is too little
    assert by_hand(3, k=1, sort=False)[0].indices.tolist() == [[0, 3, 4]]
    assert by_hand(5, k=1, sort=False)[0].indices.tolist() == [[0, 1, 2, 3, 4]]


def brute_force(stage, ranking, queries, index):
    """The rules, one query and one image at a time."""
    rows = []
    for row, label, score in zip(ranking.indices, queries.landmarks, queries.scores, strict=True):
        found = [int(image) for image in row if image >= 0]
        if label < 0:
            rows.append(found)
            continue
        positive = [image for image in found if index.landmarks[image] == label]
        missed = [
            image
            for image in range(len(index.landmarks))
            if index.landmarks[image] == label
            and image not in found
            and float(score) + float(index.scores[image]) > stage.insert_threshold
        ]
        missed = sorted(missed, key=lambda image: -index.scores[image]) if stage.insert else []
        if stage.sort:
            new = positive + missed + [image for image in found if image not in positive]
        else:
            cut = max((found.index(image) + 1 for image in positive), default=0)
            new = found[:cut] + missed + found[cut:]
        rows.append(new[: ranking.depth])
    return rows


@given(data=st.data())
def test_equals_brute_force(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    num_index, depth, landmarks = (data.draw(st.integers(1, top)) for top in (30, 12, 4))
    sort, insert = data.draw(st.sampled_from([(True, True), (True, False), (False, True)]))
    stage = RecognitionReranking(sort=sort, insert=insert, insert_threshold=0.6)
    gallery = Gallery(
        rng.choice([-1.0, 0.5, 1.0], (8, 3)).astype(np.float32),
        rng.integers(-1, landmarks, 8).astype(np.int32),
        landmarks,
    )
    queries, index = (rng.choice([-1.0, 0.5, 1.0], (n, 3)).astype(np.float32) for n in (6, num_index))
    scores = rng.choice(np.array([0.1, 0.2, 0.3, -np.inf], np.float32), (6, num_index))
    rows = np.where(np.isneginf(scores), -1, np.arange(num_index))
    ranking = best(rows, scores, depth)  # with gaps
    resources = make_resources(ExactIndex(memory_budget_mb=1))
    found = stage(SearchState(queries, index, ranking, gallery=gallery), resources).ranking
    labels = stage.label_index(index, gallery, resources), stage.label_index(queries, gallery, resources)
    expected = brute_force(stage, ranking, labels[1], labels[0])
    assert [[int(image) for image in row if image >= 0] for row in found.indices] == expected
    found.check(6, num_index)
    kept = ranking.filled & found.filled
    np.testing.assert_array_equal(found.scores[kept], ranking.scores[kept])


def test_labels_of_the_index_are_kept(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    gallery = Gallery(rng.standard_normal((9, 4)).astype(np.float32), rng.integers(0, 3, 9).astype(np.int32), 3)
    index = rng.standard_normal((20, 4)).astype(np.float32)
    resources = make_resources(cache=Cache(tmp_path))
    expected = RecognitionReranking().label_index(index, gallery, make_resources())
    monkeypatch.setattr(reranking, "GROUP", 6)
    for _ in range(2):
        found = RecognitionReranking().label_index(index, gallery, resources)
        np.testing.assert_array_equal(found.landmarks, expected.landmarks)
        np.testing.assert_array_equal(found.scores, expected.scores)
    assert len(list(tmp_path.iterdir())) == 1
    other = Gallery(gallery.descriptors, (gallery.landmarks + 1) % 3, 3)
    moved = RecognitionReranking().label_index(index, other, resources)
    np.testing.assert_array_equal(moved.landmarks, (found.landmarks + 1) % 3)


def test_small_and_bad_input():
    state = SearchState(np.ones((2, 2), np.float32), np.ones((1, 2), np.float32))
    resources = make_resources(ExactIndex(k=4))
    with pytest.raises(LandmarksError, match="needs a ranking"):
        RecognitionReranking()(state, resources)
    state = Search()(state, resources)
    with pytest.raises(LandmarksError, match="labelled train images"):
        RecognitionReranking()(state, resources)

    def with_gallery(descriptors, landmarks, ranking=state.ranking, index=state.index):
        gallery = Gallery(np.asarray(descriptors, np.float32), np.array(landmarks, np.int32), 5)
        return RecognitionReranking()(SearchState(state.queries, index, ranking, gallery=gallery), resources).ranking

    assert with_gallery(np.ones((1, 2)), [3]).indices.tolist() == state.ranking.indices.tolist()
    assert with_gallery(np.ones((0, 2)), []).indices.tolist() == state.ranking.indices.tolist()
    assert with_gallery(np.ones((1, 2)), [-1]).indices.tolist() == state.ranking.indices.tolist()
    # Nothing was retrieved, and the image comes in with the score 0.
    filled = with_gallery(np.ones((1, 2)), [3], Ranking.empty(2, 4))
    assert filled.indices[:, 0].tolist() == [0, 0] and filled.scores[:, 0].tolist() == [0, 0]
    none = np.ones((0, 2), np.float32)
    assert not with_gallery(np.ones((1, 2)), [3], Ranking.empty(2, 4), none).filled.any()
    with pytest.raises(LandmarksError, match=r"search in the gallery: .* the index 3"):
        with_gallery(np.ones((1, 3)), [3])
    with pytest.raises(LandmarksError, match=r"search in the gallery: .* NaN"):
        with_gallery([[np.nan, 1]], [3])


def test_both_steps_off_are_refused():
    with pytest.raises(LandmarksError, match="sort and insert are both off"):
        RecognitionReranking(sort=False, insert=False)
