"""A monitored metric that cannot be computed is refused before any work; others are found afterwards."""

import pytest

from landmarks.errors import LandmarksError
from landmarks.evaluation import check_monitor, choose_monitor, known_scores, metric_value


def test_a_metric_that_cannot_be_computed_is_refused() -> None:
    check_monitor("public/classifier_gap", recognised=True, predictions=True)
    check_monitor("public/gap", recognised=True, predictions=False)
    check_monitor("private/map@100", recognised=False, predictions=False)
    with pytest.raises(LandmarksError, match="monitor=public/classifier_gap: there is no classifier to compute"):
        check_monitor("public/classifier_gap", recognised=True, predictions=False)
    with pytest.raises(LandmarksError, match=r"monitor=private/gap: there is no such metric; there are: .*all/map@100"):
        check_monitor("private/gap", recognised=False, predictions=False, split="all")


@pytest.mark.parametrize(
    ("splits", "chosen"), [(["all"], "all"), (["public"], "public"), (["public", "private"], "private")]
)
def test_the_monitored_metric_falls_back_to_an_existing_split(splits: list[str], chosen: str) -> None:
    assert choose_monitor("private/map@10", {split: {"map@10": 0.5} for split in splits}) == f"{chosen}/map@10"
    assert choose_monitor("private/map@10", {}) == "private/map@10"


def test_an_unknown_figure_is_named_with_the_known_ones() -> None:
    assert metric_value({}, "public/mAP") is None
    with pytest.raises(LandmarksError, match=r"monitor=public/mAP: .*public/map@100"):
        metric_value({"public": {"map@100": 0.5}}, "public/mAP")


def test_figures_of_splits_without_queries_are_left_out() -> None:
    scores = {"public": {"map@100": 0.5, "gap": 0.25}, "private": {"gap": float("nan")}}
    assert known_scores(scores) == {"public": {"map@100": 0.5, "gap": 0.25}}
