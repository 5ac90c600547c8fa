import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from landmarks.errors import LandmarksError
from landmarks.retrieval import Cache, all_neighbours
from landmarks.retrieval.search import ExactIndex
from resources import assert_same_ranking, make_resources


def test_every_image_gets_its_nearest_others():
    rows = np.random.default_rng(0).standard_normal((40, 6)).astype(np.float32)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    products = unit @ unit.T
    np.fill_diagonal(products, -np.inf)
    found = all_neighbours(rows, 5, make_resources(), group=7)
    np.testing.assert_array_equal(found.indices, np.argsort(-products, axis=1)[:, :5])
    np.testing.assert_allclose(found.scores, -np.sort(-products, axis=1)[:, :5], atol=1e-6)


def test_copies_and_small_sets():
    rows = np.ones((6, 3), np.float32)
    found = all_neighbours(rows, 3, make_resources())
    assert not (found.indices == np.arange(6)[:, None]).any()
    assert (found.indices >= 0).all()
    assert all_neighbours(rows[:1], 3, make_resources()).indices.tolist() == [[-1, -1, -1]]


def test_an_empty_index_and_no_neighbours_are_errors():
    rows = np.ones((4, 3), np.float32)
    with pytest.raises(LandmarksError, match="the index has 0 images"):
        all_neighbours(rows[:0], 3, make_resources())
    with pytest.raises(LandmarksError, match="k is 0"):
        all_neighbours(rows, 0, make_resources())
    with pytest.raises(LandmarksError, match="index descriptors: 4 of 4 rows hold only zeros"):
        all_neighbours(0 * rows, 3, make_resources())


# A searcher that tells each group it is asked for, and stays in the third one until the process is killed.
KILLED = """
import sys, time
import numpy as np
from landmarks.retrieval.cache import Cache
from landmarks.retrieval.search.index import ExactIndex
from landmarks.retrieval.neighbours import all_neighbours
from resources import make_resources

class Slow(ExactIndex):
    calls = 0
    def search(self, *arguments):
        Slow.calls += 1
        print("group", flush=True)
        if Slow.calls == 3:
            time.sleep(600)
        return super().search(*arguments)

all_neighbours(np.load(sys.argv[1]), 3, make_resources(Slow(), Cache(sys.argv[2])), group=10)
"""


def test_a_kill_loses_one_group_and_the_rest_is_as_if_nothing_had_happened(tmp_path):
    rows = np.random.default_rng(0).standard_normal((40, 6)).astype(np.float32)
    np.save(tmp_path / "rows.npy", rows)
    support = Path(__file__).resolve().parents[2] / "support"
    command = [sys.executable, "-c", KILLED, str(tmp_path / "rows.npy"), str(tmp_path / "cache")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(support), *sys.path])}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        for _ in range(3):
            assert process.stdout.readline() == "group\n"
        process.kill()
    assert process.returncode == -signal.SIGKILL

    starts = []

    class Counting(ExactIndex):
        def search(self, queries, *arguments):
            starts.append(int(np.flatnonzero((rows == queries[0]).all(axis=1))[0]))
            return super().search(queries, *arguments)

    resumed = all_neighbours(rows, 3, make_resources(Counting(), Cache(tmp_path / "cache")), group=10)
    assert starts == [20, 30]
    whole = all_neighbours(rows, 3, make_resources())
    assert_same_ranking(resumed, whole)
