from dataclasses import replace

import numpy as np
import pytest

from landmarks.retrieval import Cache
from landmarks.retrieval.diffusion import OfflineParameters, diffused_rows, offline
from resources import make_resources

PARAMETERS = OfflineParameters(k=6, truncation=20, gamma=3.0, alpha=0.99, iterations=20, tolerance=1e-6)


@pytest.fixture
def rows():
    rows = np.random.default_rng(0).standard_normal((100, 6)).astype(np.float32)
    rows[50:60] = rows[:10]  # copies
    return rows


def dense(found):
    matrix = np.zeros((len(found.row_of),) * 2)
    for image, row in enumerate(found.row_of):
        kept = found.columns[row] >= 0
        matrix[image, found.columns[row][kept]] = found.values[row][kept]
    return matrix


def test_workers_and_chunks_change_not_a_bit(rows, monkeypatch):
    expected = diffused_rows(rows, PARAMETERS, make_resources(workers=1))
    monkeypatch.setattr(offline, "CHUNK", 7)
    found = diffused_rows(rows, PARAMETERS, make_resources(workers=3))
    for name in ("row_of", "columns", "values"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


def test_copies_share_a_row(rows):
    found = diffused_rows(rows, PARAMETERS, make_resources())
    np.testing.assert_array_equal(dense(found)[:10], dense(found)[50:60])
    for copies in (slice(10), slice(50, 60)):
        np.testing.assert_array_equal(found.columns[found.row_of[copies], 0], np.arange(50, 60))


@pytest.mark.parametrize("number", [0, 1, 2, 5])
def test_truncation_and_neighbours_beyond_the_set(rows, number):
    found = diffused_rows(rows[:number], PARAMETERS, make_resources())
    assert found.columns.shape == (number, max(1, number))
    assert (np.diag(dense(found)) >= 1).all()


def test_all_rows_alike_have_defined_values():
    rows = np.ones((30, 4), np.float32)
    values = dense(diffused_rows(rows, replace(PARAMETERS, truncation=8), make_resources()))
    assert np.isfinite(values).all()


def test_a_second_run_computes_nothing(rows, tmp_path, monkeypatch):
    first = diffused_rows(rows, PARAMETERS, make_resources(cache=Cache(tmp_path)))
    monkeypatch.setattr(offline, "_prepare", None)
    second = diffused_rows(rows, PARAMETERS, make_resources(cache=Cache(tmp_path)))
    np.testing.assert_array_equal(first.values, second.values)
