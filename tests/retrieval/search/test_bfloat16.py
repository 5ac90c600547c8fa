import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from landmarks.retrieval.search import bfloat16, propose, slice_rows

MIB = 2**20


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def of_landmarks(rng, rows, dim):
    landmarks = rng.standard_normal((max(1, rows // 10), dim))
    return unit(landmarks[rng.integers(0, len(landmarks), rows)] + rng.standard_normal((rows, dim)))


def nearest(queries, database, k):
    """All rows whose exact score reaches the k-th, as sets."""
    scores = (queries.astype(np.float64) @ database.astype(np.float64).T).astype(np.float32)
    kth = np.sort(scores, axis=1)[:, -k]
    return [set(np.flatnonzero(row >= least)) for row, least in zip(scores, kth, strict=True)]


def lists(proposal):
    found = [[] for _ in proposal.doubtful]
    for query, row in zip(proposal.query.tolist(), proposal.row.tolist(), strict=True):
        found[query].append(row)
    return found


@given(data=st.data())
def test_every_list_holds_all_nearest_and_no_row_twice(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    dim, k = data.draw(st.sampled_from([8, 64])), data.draw(st.sampled_from([1, 5, 20]))
    database = of_landmarks(rng, data.draw(st.integers(16 * k, 1500)), dim)
    if data.draw(st.booleans()):
        database = np.repeat(database[: len(database) // 3 + 1], 3, axis=0)[: len(database)]
    queries = of_landmarks(rng, data.draw(st.integers(1, 40)), dim)
    queries[::2] = database[: len(queries[::2])]
    normalize = data.draw(st.booleans())
    if not normalize:
        database = database * rng.uniform(0.5, 2, (len(database), 1)).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bfloat16, "QUERIES", data.draw(st.sampled_from([7, 512])))
        patch.setattr(bfloat16, "most_candidates", lambda k: 10**6)
        rows = data.draw(st.sampled_from([16 * k, 8192]))
        proposal = propose(queries, database, k, normalize, rows)
    if proposal is None:
        return
    for found, expected, doubtful in zip(
        lists(proposal), nearest(queries, database, k), proposal.doubtful, strict=True
    ):
        assert len(set(found)) == len(found)
        assert not found if doubtful else expected <= set(found)


def test_neighbours_that_rounding_puts_behind_others_are_proposed():
    # Truly 1.0039 and 1.0035 times as long as ones, in bfloat16 1 and 1.0068 times.
    database = np.ones((400, 64), np.float32)
    database[:3] += 2.0**-8 * np.float32(0.99)
    database[3:, 8:] += 2.0**-8 * np.float32(1.02)
    proposal = propose(np.full((1, 64), 63 / 64, np.float32), database, 3, False, 400)
    assert {0, 1, 2} <= set(proposal.row)


def test_few_candidates_are_proposed_beside_the_nearest():
    rng = np.random.default_rng(0)
    database, queries = of_landmarks(rng, 5000, 256), of_landmarks(rng, 600, 256)
    proposal = propose(queries, database, 50, True, 1000)
    assert not proposal.doubtful.any()
    assert 50 * 600 <= len(proposal.query) < 110 * 600


def test_queries_with_too_many_candidates_are_doubtful_and_most_of_them_end_the_search():
    rng = np.random.default_rng(0)
    database = of_landmarks(rng, 6000, 64)
    database[1000:] = unit(np.ones((5000, 64)) + 1e-4 * rng.standard_normal((5000, 64)))
    queries = database[[0, 1, 2, 3000]]
    proposal = propose(queries, database, 3, True, 2000)
    assert proposal.doubtful.tolist() == [False, False, False, True]
    assert 3 not in proposal.query
    assert propose(database[2998:3001], database, 3, True, 2000) is None
    # Too many only in sum, not in one slice of rows.
    scattered = database[np.random.default_rng(1).permutation(np.r_[:1000, 1000:1800])]
    proposal = propose(np.concatenate([database[:3], database[1500:1501]]), scattered, 3, True, 400)
    assert proposal.doubtful.tolist() == [False, False, False, True]


def test_negative_and_enormous_products_are_doubtful():
    rng = np.random.default_rng(0)
    database = of_landmarks(rng, 400, 16)
    database[:, 0] = 3
    away = np.zeros((1, 16), np.float32)
    away[0, 0] = -1
    assert propose(away, unit(database), 3, True, 400) is None
    assert propose(np.float32(1e30) * database[:2], np.float32(1e12) * database, 3, False, 400) is None


def test_small_sets_and_budgets_are_left_to_float32():
    assert slice_rows(512, 100, 10**6, 512 * MIB) == 8192
    assert slice_rows(512, 100, 1599, 512 * MIB) == 0
    assert slice_rows(512, 100, 10**6, MIB) == 0
    assert slice_rows(512, 3, 10**6, 2 * MIB) in range(48, 8192, 8)


def test_torch_keeps_its_settings_and_units_are_found_or_not():
    before = torch.get_num_threads(), torch.get_float32_matmul_precision()
    rng = np.random.default_rng(0)
    propose(of_landmarks(rng, 5, 8), of_landmarks(rng, 100, 8), 2, True, 100)
    assert (torch.get_num_threads(), torch.get_float32_matmul_precision()) == before
    assert bfloat16.has_bfloat16_units() in (True, False)
