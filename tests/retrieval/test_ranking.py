import io
import zipfile

import numpy as np
import pytest

from landmarks.errors import LandmarksError
from landmarks.retrieval import Ranking, best


def random_ranking(rng, queries, index_size, depth):
    """Few distinct scores, so that ties are common."""
    scores = rng.integers(0, 4, (queries, index_size)).astype(np.float32)
    return best(np.tile(np.arange(index_size), (queries, 1)), scores, depth)


def test_rules_of_a_ranking_are_checked():
    def ranking(indices, scores):
        return Ranking(np.array(indices, np.int32), np.array(scores, np.float32))

    ranking([[3, -1]], [[0.5, -np.inf]])
    with pytest.raises(LandmarksError, match="query row 1 is not in order"):
        ranking([[1, 2], [1, 2]], [[0.5, 0.4], [0.4, 0.5]])
    with pytest.raises(LandmarksError, match="query row 0 has an index below -1"):
        ranking([[1, -2]], [[0.5, 0.4]])
    with pytest.raises(LandmarksError, match="empty place"):
        ranking([[1, -1]], [[0.5, 0.4]])
    with pytest.raises(LandmarksError, match="NaN"):
        ranking([[1]], [[np.nan]])
    with pytest.raises(LandmarksError, match="int32"):
        Ranking(np.zeros((1, 1), np.int64), np.zeros((1, 1), np.float32))
    with pytest.raises(LandmarksError, match=r"\[Q, K\]"):
        ranking([[1]], [[0.5, 0.4]])
    with pytest.raises(LandmarksError, match="twice"):
        ranking([[1, 1]], [[0.5, 0.4]]).check(1, 2)
    with pytest.raises(LandmarksError, match="outside the index of 1"):
        ranking([[1]], [[0.5]]).check(1, 1)
    with pytest.raises(LandmarksError, match="the query set has 2"):
        ranking([[1]], [[0.5]]).check(2, 2)


def test_a_file_gives_the_same_ranking(tmp_path):
    ranking = random_ranking(np.random.default_rng(0), 4, 5, 7)
    ranking.save(tmp_path / "ranking.npz")
    loaded = Ranking.load(tmp_path / "ranking.npz")
    np.testing.assert_array_equal(loaded.indices, ranking.indices)
    np.testing.assert_array_equal(loaded.scores, ranking.scores)
    assert [path.name for path in tmp_path.iterdir()] == ["ranking.npz"]


def test_damaged_files_are_refused(tmp_path):
    path = tmp_path / "ranking.npz"
    random_ranking(np.random.default_rng(0), 4, 5, 7).save(path)
    whole = path.read_bytes()
    for length in (0, 10, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(LandmarksError, match=r"ranking\.npz: not a readable ranking"):
            Ranking.load(path)
    with pytest.raises(LandmarksError, match="not a readable ranking"):
        Ranking.load(tmp_path / "absent.npz")


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_header_cannot_ask_for_more_memory_than_the_file_has(tmp_path, compression):
    header = io.BytesIO()
    fields = {"descr": "<i4", "fortran_order": False, "shape": (10**9, 10**9)}
    np.lib.format.write_array_header_1_0(header, fields)
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", compression) as archive:
        archive.writestr("indices.npy", header.getvalue())
        archive.writestr("scores.npy", header.getvalue())
    with pytest.raises(LandmarksError, match="bomb"):
        Ranking.load(tmp_path / "bomb.npz")


def test_objects_are_never_unpickled(tmp_path):
    np.savez(tmp_path / "evil.npz", indices=np.array([{}], dtype=object), scores=np.zeros((1, 1), np.float32))
    with pytest.raises(LandmarksError, match="evil"):
        Ranking.load(tmp_path / "evil.npz")
