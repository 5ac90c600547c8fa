"""Weights are those of the row, or refused before any work."""

import re
from pathlib import Path

import pytest
from torch import nn

from landmarks.data.images import Preprocessing
from landmarks.errors import LandmarksError
from landmarks.leaderboard import Row, parse_weights, read_rows, require_weights
from landmarks.losses import Softmax
from landmarks.models import ModelRecord, build_network, write_model

NETWORK = {"network": "timm_net", "name": "test_resnet", "dim": 32}
ROW = """
defaults:
  - override /data: gldv2
  - override /model: timm
  - override /loss: softmax
name: tiny
published: {metric: METRIC, public: 0.5, private: 0.6, source: made up}
model: {name: test_resnet, dim: 32}
data: {image_size: 64}
"""


@pytest.fixture
def rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Row]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "experiments").mkdir()
    for name, metric in (("tiny", "map@100"), ("tiny_classifier", "classifier_gap")):
        text = ROW.replace("METRIC", metric).replace("name: tiny\n", f"name: {name}\n")
        (tmp_path / "experiments" / f"{name}.yaml").write_text(f"# @package _global_{text}")
    return read_rows()


def model_file(path: Path, called: str = "tiny", **changes: object) -> Path:
    network = {**NETWORK, **changes}
    record = ModelRecord(called, "retrieval", network, Preprocessing("aspect", 64))
    write_model(path, record, build_network(network).state_dict())
    return path


def classifier_file(path: Path, labels: tuple[str, ...]) -> Path:
    record = ModelRecord(
        "tiny_classifier", "classification", NETWORK, Preprocessing("crop", 64), {"loss": "Softmax"}, 3, labels
    )
    head: nn.Module = Softmax(3, 32)
    write_model(path, record, build_network(NETWORK).state_dict(), head.state_dict())
    return path


def test_the_row_s_own_weights_are_taken(rows: dict[str, Row], tmp_path: Path) -> None:
    for options in ({}, {"pooling": "average", "dropout": 0.3}):  # defaults, spelt out; and what only trains
        path = model_file(tmp_path / "w.safetensors", **options)
        require_weights(rows["tiny"], path)


@pytest.mark.parametrize(
    ("name", "changes", "words"),
    [
        ("other", {}, "its name is other, not tiny"),
        ("tiny", {"dim": 16}, "another network than tiny: dim=16 instead of dim=32"),
        ("tiny", {"pooling": "gem"}, "pooling=gem instead of pooling=average"),
        ("tiny", {"name": "test_vit"}, "name=test_vit instead of name=test_resnet"),
    ],
)
def test_other_weights_are_refused(
    rows: dict[str, Row], tmp_path: Path, name: str, changes: dict[str, object], words: str
) -> None:
    with pytest.raises(LandmarksError, match=words):
        require_weights(rows["tiny"], model_file(tmp_path / "w.safetensors", name, **changes))


def test_another_kind_of_network_is_refused_by_its_name(rows: dict[str, Row], tmp_path: Path) -> None:
    path = model_file(tmp_path / "w.safetensors")
    with pytest.raises(LandmarksError, match="timm_net test_resnet instead of published_net res152"):
        require_weights(rows["res152_arcmargin"], path)


def test_classifiers_say_which_landmark_each_class_is(rows: dict[str, Row], tmp_path: Path) -> None:
    row = rows["tiny_classifier"]
    labelled = classifier_file(tmp_path / "labelled.safetensors", ("1", "2", "3"))
    require_weights(row, labelled)
    with pytest.raises(LandmarksError, match="does not record the landmark"):
        require_weights(row, classifier_file(tmp_path / "plain.safetensors", ()))
    with pytest.raises(LandmarksError, match="no class weights"):
        require_weights(row, model_file(tmp_path / "none.safetensors", "tiny_classifier"))
    with pytest.raises(LandmarksError, match="--labels FILE"):
        require_weights(rows["res152_softmax_v1"], tmp_path)


def test_folders_of_published_weights_are_imported_first(rows: dict[str, Row], tmp_path: Path) -> None:
    with pytest.raises(LandmarksError, match="no weights were published for tiny"):
        require_weights(rows["tiny"], tmp_path)
    words = f"import-paddle res152_arcmargin {tmp_path} res152_arcmargin.safetensors`"
    with pytest.raises(LandmarksError, match=re.escape(words)):
        require_weights(rows["res152_arcmargin"], tmp_path)


@pytest.mark.parametrize(
    ("given", "row", "words"),
    [
        (["nowhere.ckpt"], "tiny", "nowhere.ckpt does not exist"),
        (["here"], "second_place_2019_retrieval", "has several models"),
        (["tiny=here"], "second_place_2019_retrieval", "has no part tiny"),
        (["res152_npairs=here", "res152_npairs=here"], "second_place_2019_retrieval", "given twice"),
        (["a", "b"], "tiny", "given twice"),
    ],
)
def test_invalid_weights_are_refused(
    rows: dict[str, Row], tmp_path: Path, given: list[str], row: str, words: str
) -> None:
    for name in ("here", "a", "b"):
        (tmp_path / name).touch()
    with pytest.raises(LandmarksError, match=words):
        parse_weights(given, rows[row], rows)


def test_weights_are_named_or_not(rows: dict[str, Row], tmp_path: Path) -> None:
    odd = Path("a=b.ckpt")
    odd.touch()
    assert parse_weights([str(odd)], rows["tiny"], rows) == {"tiny": odd}
    assert parse_weights([f"tiny={odd}"], rows["tiny"], rows) == {"tiny": odd}
    assert parse_weights([f"res152_npairs={odd}"], rows["second_place_2019_retrieval"], rows) == {"res152_npairs": odd}
