import json
import subprocess
import sys
from typing import ClassVar

import numpy as np
import pytest
from hydra.utils import instantiate

from landmarks.errors import LandmarksError
from landmarks.retrieval import Cost, Pipeline, QueryExpansion, Search, SearchState, anonymous_mb, pipeline
from landmarks.retrieval.search import ExactIndex, HnswIndex


@pytest.fixture
def state():
    rng = np.random.default_rng(0)
    return SearchState(*(rng.standard_normal((n, 8)).astype(np.float32) for n in (4, 50)))


def test_every_stage_is_scored_and_compared_with_the_one_before(state):
    seen = []

    def score(after, ranking):
        assert after.ranking is ranking
        seen.append(ranking)
        return {"public/map@100": 0.25 * len(seen), "private/map@100": 0.5}

    result = Pipeline(ExactIndex(k=9), {"search": Search(), "qe": QueryExpansion()}).run(state, score)
    assert [report.stage for report in result.stages] == ["search", "qe"]
    assert result.stages[0].changes == {}
    assert result.stages[1].scores == {"public/map@100": 0.5, "private/map@100": 0.5}
    assert result.stages[1].changes == {"public/map@100": 0.25, "private/map@100": 0.0}
    assert seen[1] is result.ranking and not np.array_equal(seen[0].scores, seen[1].scores)
    assert state.ranking is None


def test_without_a_scorer_there_are_costs_but_no_figures(state):
    (report,) = Pipeline(ExactIndex(), {"search": Search()}).run(state).stages
    assert report.scores == {} and report.seconds > 0


def test_no_stages_or_no_ranking_are_errors(state):
    with pytest.raises(LandmarksError, match="no stages"):
        Pipeline(ExactIndex(), {})
    with pytest.raises(LandmarksError, match="needs a ranking"):
        Pipeline(ExactIndex(), {"nothing": lambda state, resources: state}).run(state)


@pytest.mark.parametrize(
    ("name", "stages"),
    [
        ("global", ["search"]),
        ("qe", ["search", "qe"]),
        ("dba_qe", ["search", "dba", "qe"]),
        ("diffusion", ["search", "diffusion"]),
    ],
)
def test_configs_make_pipelines_in_order(compose_config, state, name, stages, tmp_path):
    chosen = [f"pipeline={name}", "index=torch", "index@neighbours=hnsw"]
    config = compose_config("train", *chosen, "index.k=7", run_dir=tmp_path)
    pipeline = instantiate(config.pipeline)
    assert list(pipeline.stages) == stages and isinstance(pipeline.resources.neighbours, HnswIndex)
    assert pipeline.run(state).ranking.indices.shape == (4, 7)


def test_what_a_stage_needs_is_missed_before_any_work():
    class Verify:
        needs: ClassVar = frozenset({"images"})

        def __call__(self, state, resources):
            return state

    def forbidden(state, resources):
        raise AssertionError("work was begun")

    pipeline = Pipeline(ExactIndex(), {"search": forbidden, "verify": Verify()})
    assert pipeline.needs == {"images"}
    pipeline.require(["regions", "images"])
    with pytest.raises(LandmarksError, match="stage verify needs image files of the queries"):
        pipeline.require(["regions"])
    with pytest.raises(LandmarksError, match="stage verify needs image files of the queries"):
        pipeline.run(SearchState(np.ones((1, 2), np.float32), np.ones((3, 2), np.float32)))


def test_a_stage_set_to_null_is_left_out():
    assert list(Pipeline(ExactIndex(), {"search": Search(), "qe": None}).stages) == ["search"]


# In a process of its own: memory that other tests' threads give back meanwhile would hide the rise. It waits for the
# sampling thread instead of trusting it to run within some time, which a busy machine does not promise.
RISE = """
import json, time
import numpy as np
from landmarks.retrieval.pipeline import Cost

with Cost() as cost:
    before = cost.peak_mb
    block = np.ones(512 * 2**20 // 8)
    while cost.peak_mb < before + 256 and time.perf_counter() - cost._start < 60:
        time.sleep(0.01)
    del block
print(json.dumps([cost.seconds, cost.rise_mb, cost.peak_mb]))
"""


@pytest.mark.skipif(anonymous_mb() is None, reason="needs Linux, which tells the memory of a process")
def test_memory_freed_before_the_end_is_seen():
    done = subprocess.run([sys.executable, "-c", RISE], capture_output=True, text=True, check=True)
    seconds, rise_mb, peak_mb = json.loads(done.stdout)
    assert 0 < seconds < 60
    assert 256 <= rise_mb < 700
    assert peak_mb >= rise_mb


def test_without_proc_memory_is_unknown(tmp_path, monkeypatch):
    monkeypatch.setattr(pipeline, "STATUS", tmp_path / "absent")
    with Cost() as cost:
        pass
    assert cost.peak_mb is None and cost.rise_mb is None and cost.seconds >= 0
