"""Rows carry the published figures, fit the configurations they name, and join those of the working directory."""

from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import DictConfig

from landmarks.errors import LandmarksError
from landmarks.leaderboard import find_row, read_rows, task_of

Compose = Callable[..., DictConfig]
PUBLISHED = {
    "res152_arcmargin": (0.2676, 0.3020),
    "res152_arcmargin_index": (0.2476, 0.2707),
    "res152_npairs": (0.2597, 0.2870),
    "res200_arcmargin": (0.2670, 0.3042),
    "se_x152_arcmargin": (0.2670, 0.2914),
    "inceptionv4_arcmargin": (0.2685, 0.2933),
    "res152_softmax_v1": (None, None),
    "res152_softmax_v2": (None, None),
    "res50_oid_v4_detector": (0.55, None),
    "second_place_2019_retrieval": (0.3204, 0.3438),
    "second_place_2019_recognition": (0.5207, 0.5308),
    "first_place_2019_retrieval": (0.3569, 0.3723),
    "best_ensemble": (0.3563, 0.3714),
    "best_single_model": (0.331, 0.364),
}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def own_row(text: str, name: str = "mine") -> Path:
    path = Path("experiments") / f"{name}.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def test_every_published_figure_is_there() -> None:
    rows = read_rows()
    assert {name: (row.public, row.private) for name, row in rows.items()} == PUBLISHED
    assert rows["inceptionv4_arcmargin"].sizes["inceptionv4_arcmargin"] == {555}
    assert not rows["best_ensemble"].models and not rows["first_place_2019_retrieval"].models
    assert {row.task for row in rows.values()} == {"retrieval", "recognition", "detection"}


def test_parts_of_systems_are_rows_and_their_stages_those_of_the_pipelines(compose_config: Compose) -> None:
    rows = read_rows()
    for row in rows.values():
        assert all(part in rows for part in row.parts)
        assert row.begins_with is None or row.begins_with in rows
        if row.pipeline:
            group = "recognition" if row.metric == "gap" else "pipeline"
            config = compose_config("evaluate", f"{group}={row.pipeline}")
            assert tuple(config[group].stages) == row.stages
            assert all(row.sizes[model] for model in row.models)


def test_rows_of_the_working_directory_join_ours_and_replace_none() -> None:
    own_row("name: mine\npublished: {metric: gap, public: 0.1, private: null, source: me}\ndata: {image_size: 64}\n")
    own_row("name: res152_arcmargin\npublished: {metric: gap, public: 1, private: 1, source: me}\n", "other")
    own_row("name: without figures\n", "plain")
    rows = read_rows()
    assert rows["mine"].stages == ("search", "votes") and rows["mine"].sizes == {"mine": {64}}
    assert {name: (row.public, row.private) for name, row in rows.items() if name != "mine"} == PUBLISHED


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("published: {metric: gap, public: much, private: 1, source: me}\nname: mine", "mine.yaml.*public"),
        ("published: {metric: gap, public: 1, private: 1}\nname: mine", "mine.yaml.*source"),
        ("published: {metric: gap, public: 1, private: 1, source: me}", "needs a name"),
        ("published: {metric: gap, public: 1, private: 1, source: me}\nname: ${other}", "needs a name"),
        ("published: [", "mine.yaml: cannot be read"),
        ("[" * 5000, "mine.yaml: cannot be read"),
        ("[1, 2]", "mine.yaml: expected keys"),
        (
            "published: {metric: gap, public: 1, private: 1, source: me}\nname: mine\ndata: gldv2",
            "mine.yaml: data: exp",
        ),
        ("published: {metric: gap, public: 1, private: 1, source: me}\nname: mine\ndata: {resize: [1]}", "data.resize"),
    ],
)
def test_files_that_cannot_be_rows_are_named(text: str, words: str) -> None:
    own_row(text)
    with pytest.raises(LandmarksError, match=words):
        read_rows()


def test_a_misspelt_row_gets_a_suggestion() -> None:
    with pytest.raises(LandmarksError, match=r"no row res152_arcmargn; did you mean 'res152_arcmargin'\?") as caught:
        find_row(read_rows(), "res152_arcmargn")
    assert "best_ensemble" not in str(caught.value)  # which nobody can run


@pytest.mark.parametrize(
    ("metric", "task"),
    [
        ("map@100", "retrieval"),
        ("precision@10", "retrieval"),
        ("gap", "recognition"),
        ("classifier_top1", "recognition"),
        ("v2_map@0.5", "detection"),
    ],
)
def test_figures_belong_to_tasks(metric: str, task: str) -> None:
    assert task_of(metric) == task
