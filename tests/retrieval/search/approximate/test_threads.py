import faiss
import pytest

from landmarks.retrieval.search.approximate import on_one_thread


def test_one_thread_inside_and_as_many_as_before_outside():
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(3)
    try:
        with pytest.raises(ZeroDivisionError), on_one_thread():
            assert faiss.omp_get_max_threads() == 1
            _ = 1 / 0
        assert faiss.omp_get_max_threads() == 3
        with on_one_thread(wanted=False):
            assert faiss.omp_get_max_threads() == 3
    finally:
        faiss.omp_set_num_threads(before)
