"""`landmarks import-paddle` as a person uses it. The real networks are in tests/interop/paddle/test_importing.py."""

from pathlib import Path

import pytest
import torch
from click.testing import Result

import landmarks
from commands import run
from landmarks.models import load_model
from paddle_files import write_combined, write_separate
from published_oracles import random_values, shrink_backbones

RETRIEVAL, CLASSIFIER = "res152_arcmargin_index", "res152_softmax_v1"


@pytest.fixture(autouse=True)
def small_backbones(monkeypatch: pytest.MonkeyPatch) -> None:
    shrink_backbones(monkeypatch)


def imported(*words: object, code: int = 0) -> Result:
    return run("import-paddle", *words, code=code)


def test_a_retrieval_model(tmp_path: Path) -> None:
    saved = write_separate(tmp_path / "saved", random_values(RETRIEVAL))
    for name in ("README", "fc_0.w_0_velocity_0"):
        (saved / name).write_text("no weights")
    target = tmp_path / "new folder" / "m.safetensors"
    done = imported(RETRIEVAL, saved, target, "--leave-out", "README", "--leave-out", "*_velocity_0")
    assert done.stdout.startswith(f"{RETRIEVAL}: ") and str(target) in done.stdout
    assert "(separate layout, 2 left out)" in done.stdout
    assert f"landmarks similarity '{target}' A.jpg B.jpg" in done.stdout
    record = landmarks.read_record(target)
    assert (record.name, record.task) == (RETRIEVAL, "retrieval")
    assert record.origin == {
        "source": "published 2019 weights",
        "loss": "arcmargin",
        "trained_on": "the index set of Google Landmarks",
    }
    assert load_model(target)(torch.zeros(1, 3, 64, 96)).shape == (1, 512)


def test_a_classifier_with_labels_and_names(tmp_path: Path) -> None:
    saved, target = write_combined(tmp_path / "saved", random_values(CLASSIFIER, 3)), tmp_path / "m.safetensors"
    done = imported(CLASSIFIER, saved, target)
    assert "It classifies 3 landmarks. Their landmark ids are unknown" in done.stdout and "--labels FILE" in done.stdout
    assert landmarks.read_record(target).labels == ()
    labels, categories = tmp_path / "labels.csv", tmp_path / "categories.csv"
    labels.write_text("class,landmark_id\n2,9\n0,7\n1,8\n")
    categories.write_text("landmark_id,category\n7,Category:Tower_Bridge\n9,Category:Nine\n")
    done = imported(CLASSIFIER, saved, target, "--labels", labels, "--overwrite")
    assert "--categories train_label_to_category.csv adds their names" in done.stdout
    done = imported(CLASSIFIER, saved, target, "--labels", labels, "--categories", categories, "--overwrite")
    assert "the names of all but 1" in done.stdout
    assert f"landmarks classify {target} IMAGE.jpg" in done.stdout
    record = landmarks.read_record(target)
    assert record.labels == ("7", "8", "9") and record.titles == ("Tower Bridge", "", "Nine")
    assert load_model(target)(torch.zeros(1, 3, 64, 96)).shape == (1, 3)
    labels.write_text("7\n8\n")
    done = imported(CLASSIFIER, saved, target, "--labels", labels, "--overwrite", code=2)
    assert "2 labels are given" in done.stderr and "has 3 classes" in done.stderr
    assert landmarks.read_record(target) == record


def test_mistakes_write_nothing(tmp_path: Path) -> None:
    values = random_values(RETRIEVAL)
    del values["conv2d_3.w_0"]
    saved, target = write_separate(tmp_path / "saved", values), tmp_path / "m.safetensors"
    there = tmp_path / "kept" / "there.safetensors"
    there.parent.mkdir()
    there.write_text("precious")
    for arguments, problem in (
        ((RETRIEVAL, saved, target), "1 missing: conv2d_3.w_0"),
        ((RETRIEVAL, saved.parent, tmp_path.parent / "m.safetensors"), "holds only folders"),
        ((RETRIEVAL, saved, tmp_path / "m.pt"), "ends in .safetensors"),
        ((RETRIEVAL, saved, there), "exists already"),
        ((RETRIEVAL, saved, target, "--labels", saved), "has no classes"),
        (("res152_arcmargim", saved, target), "did you mean 'res152_arcmargin'?"),
    ):
        done = imported(*arguments, code=2)
        assert problem in done.stderr and not done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept", "saved"]
    assert list(there.parent.iterdir()) == [there] and there.read_text() == "precious"
