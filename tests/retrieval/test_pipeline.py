import json
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from landmarks.errors import LandmarksError
from landmarks.retrieval.index import ExactIndex
from landmarks.retrieval.pipeline import Pipeline
from landmarks.retrieval.stages.qe import QueryExpansion
from landmarks.retrieval.stages.search import Search
from landmarks.retrieval.state import SearchState

CONF = Path(__file__).resolve().parents[2] / "conf"


@pytest.fixture
def state():
    rng = np.random.default_rng(0)
    return SearchState(*(rng.standard_normal((n, 8)).astype(np.float32) for n in (4, 50)))


def test_every_stage_is_scored_and_compared_with_the_one_before(state):
    seen = []

    def score(ranking):
        seen.append(ranking)
        return {"public/map@100": 0.25 * len(seen), "private/map@100": 0.5}

    result = Pipeline(ExactIndex(k=9), {"search": Search(), "qe": QueryExpansion()}).run(state, score)
    assert [report.stage for report in result.stages] == ["search", "qe"]
    assert result.stages[0].changes == {}
    assert result.stages[1].scores == {"public/map@100": 0.5, "private/map@100": 0.5}
    assert result.stages[1].changes == {"public/map@100": 0.25, "private/map@100": 0.0}
    assert seen[1] is result.ranking and not np.array_equal(seen[0].scores, seen[1].scores)
    assert json.loads(json.dumps([report.to_dict() for report in result.stages]))[0]["stage"] == "search"
    assert state.ranking is None


def test_without_a_scorer_there_are_costs_but_no_figures(state):
    (report,) = Pipeline(ExactIndex(), {"search": Search()}).run(state).stages
    assert report.scores == {} and report.seconds > 0


def test_no_stages_or_no_ranking_are_errors(state):
    with pytest.raises(LandmarksError, match="no stages"):
        Pipeline(ExactIndex(), {})
    with pytest.raises(LandmarksError, match="needs a ranking"):
        Pipeline(ExactIndex(), {"nothing": lambda state, searcher: state}).run(state)


@pytest.mark.parametrize("index", ["exact", "torch"])
@pytest.mark.parametrize(
    ("name", "stages"),
    [("global", ["search"]), ("qe", ["search", "qe"]), ("dba", ["search", "dba"]), ("dba_qe", ["search", "dba", "qe"])],
)
def test_configs_make_pipelines_in_order(state, index, name, stages):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose(overrides=[f"+index={index}", f"+pipeline={name}", "index.k=7"])
    pipeline = instantiate(config.pipeline)
    assert list(pipeline.stages) == stages
    assert pipeline.run(state).ranking.indices.shape == (4, 7)


def test_a_stage_parameter_is_set_by_name():
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose(overrides=["+index=exact", "+pipeline=qe", "pipeline.stages.qe.alpha=0"])
    assert instantiate(config.pipeline).stages["qe"].alpha == 0
