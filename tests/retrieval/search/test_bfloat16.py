import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from landmarks.retrieval.search import bfloat16, lowest_score, product_error, propose, rounded_rows, slice_rows

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
    queries = of_landmarks(rng, data.draw(st.integers(1, min(40, 2 * len(database)))), dim)
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


def as_key(values):
    """bfloat16 numbers from 0 as the int16 that stands for them."""
    return torch.tensor(values).bfloat16().view(torch.int16).numpy()


def as_number(keys):
    return (keys.astype(np.int32) << 16).view(np.float32).astype(np.float64)


def test_rows_are_rounded_and_what_is_lost_is_bounded_from_above():
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((1500, 33)).astype(np.float32)
    rows[0], rows[1] = 1, 1e-30 * rows[1]
    rounded, lost = rounded_rows(rows, 1504)
    np.testing.assert_array_equal(rounded[:1500].float().numpy(), torch.from_numpy(rows).bfloat16().float().numpy())
    assert not rounded[1500:].any()
    true = np.linalg.norm(rows.astype(np.float64) - rounded[:1500].double().numpy(), axis=1)
    assert (lost >= true).all() and (lost <= true * 1.001 + 1e-17).all()
    # Seldom more than half of what the format allows.
    assert np.median(lost[2:] / np.linalg.norm(rows[2:], axis=1)) < 0.5 * 2.0**-8


@pytest.mark.filterwarnings("error")
def test_rows_that_may_not_be_written_to_are_rounded_without_a_warning():
    rows = np.ones((4, 3), np.float32)
    rows.flags.writeable = False
    assert rounded_rows(rows, 4)[0].float().sum() == 12


@given(
    seed=st.integers(0, 2**32 - 1),
    dim=st.sampled_from([1, 2, 17, 512]),
    scale=st.sampled_from([1e-25, 1e-3, 1, 1e4]),
    same_sign=st.booleans(),
)
def test_no_product_is_further_off_than_the_bound(seed, dim, scale, same_sign):
    rng = np.random.default_rng(seed)
    # All just below a half between two bfloat16 numbers, all signs alike: roundings add up instead of cancelling.
    rows = np.float32(scale) * (1 + 2.0**-8 * rng.uniform(0.9, 1, (40, dim))).astype(np.float32)
    if not same_sign:
        rows = rows * rng.choice([-1, 1], rows.shape).astype(np.float32)
    rounded, lost = rounded_rows(rows, len(rows))
    lengths = np.linalg.norm(rows.astype(np.float64), axis=1) * (1 + 1e-6)
    error = product_error(dim, lengths, lost, lengths.max(), lost.max())
    true = rows.astype(np.float64) @ rows.astype(np.float64).T
    computed = (rounded @ rounded.T).double().numpy()
    before_rounding = rounded.double().numpy() @ rounded.double().numpy().T
    assert (np.abs(before_rounding - true) <= error[:, None]).all()
    assert (np.abs(computed - true) <= error[:, None] + 2.0**-8 * np.abs(computed)).all()


def test_the_bound_is_as_tight_as_it_says():
    error = product_error(512, np.ones(1), np.full(1, 0.0016), 1.0, 0.0016)
    assert 0.0032 < error[0] < 0.0034
    assert np.isinf(product_error(512, np.full(1, 2.0**70), np.zeros(1), 2.0**70, 0.0)[0])


@given(kth=st.floats(2.0**-20, 2.0**20, width=32), error=st.floats(2.0**-30, 1))
def test_the_lowest_score_lies_below_all_that_may_belong_to_the_nearest(kth, error):
    key = as_key([kth])
    floor = lowest_score(key, np.array([error]))
    # The k-th may be half a step lower before rounding, and truly lower by the error; another that is as large, too.
    half_step = (as_number(key) - as_number(key - 1))[0] / 2
    worst = as_number(key)[0] - half_step - 2 * error
    if worst > 2.0**-90:
        assert 0 <= floor[0] <= as_key([worst])[0] <= floor[0] + 1
    else:
        assert floor[0] < 0


def test_the_bound_needs_k_positive_scores_and_a_finite_error():
    floor = lowest_score(np.array([-1, 0, -30000, *as_key([1.0])], np.int16), np.array([0.1, 0.1, 0.1, np.inf]))
    assert (floor < 0).all()
