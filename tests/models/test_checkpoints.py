"""Hashes of weights and the choice of what to resume; the rest is tested where it is used."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from landmarks.data.images import Preprocessing
from landmarks.errors import LandmarksError
from landmarks.models import (
    ModelRecord,
    build_loss,
    find_resume,
    open_checkpoint,
    open_model,
    read_model_record,
    weights_hash,
    write_model,
)
from landmarks.training import WholeFiles
from picture_models import NAMES, NETWORK, checkpoint_file


def test_the_hash_sees_every_weight_and_buffer() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    before = weights_hash(net)
    assert before == weights_hash(net.to(memory_format=torch.channels_last))
    net[1].running_mean[2] += 1e-3
    assert weights_hash(net) != before


def test_resume_last_is_the_newest_checkpoint_of_the_folder(tmp_path: Path) -> None:
    last = tmp_path / "checkpoints" / "last.ckpt"
    assert find_resume(None, last) is None
    WholeFiles().save_checkpoint({"state_dict": {}}, last)
    assert find_resume("last", last) == str(last)
    last.write_bytes(last.read_bytes()[:-9])
    with pytest.raises(LandmarksError, match=r"last\.ckpt: damaged"):
        find_resume("last", last)
    with pytest.raises(LandmarksError, match="there is no checkpoint"):
        find_resume(str(tmp_path / "other.ckpt"), last)


def test_a_checkpoint_of_another_program_is_named(tmp_path: Path) -> None:
    torch.save({"state_dict": {}}, tmp_path / "other.ckpt")
    with pytest.raises(LandmarksError, match="was not written by this version of landmarks"):
        open_model(tmp_path / "other.ckpt")
    torch.save([1, 2], tmp_path / "list.ckpt")
    with pytest.raises(LandmarksError, match="holds no state_dict"):
        open_model(tmp_path / "list.ckpt")


@pytest.mark.parametrize("loss", ["Softmax", "ArcMargin"])
def test_the_head_comes_with_the_network(tmp_path: Path, loss: str) -> None:
    path = checkpoint_file(tmp_path / "best.ckpt", loss, checkpointing=True, pretrained="gone.safetensors")
    state = open_checkpoint(path)["state_dict"]
    made: Any = build_loss({"loss": loss}, 4, 8)
    made.load_state_dict({k.removeprefix("loss."): v for k, v in state.items() if k.startswith("loss.")})
    trained = open_model(path)
    assert trained.head is not None
    assert torch.equal(trained.head.class_scores(torch.ones(2, 8)), made.class_scores(torch.ones(2, 8)))
    assert not trained.network.checkpointing  # a matter of training alone
    moved = trained.head.weight + 1  # type: ignore[attr-defined]
    trained.head.weight.data.copy_(moved)  # type: ignore[attr-defined]
    assert torch.equal(open_checkpoint(path)["state_dict"]["loss.weight"], made.weight)


def test_a_checkpoint_and_a_model_file_open_alike(tmp_path: Path) -> None:
    checkpoint_file(tmp_path / "best.ckpt", "ArcMargin")
    trained = open_model(tmp_path / "best.ckpt")
    assert (trained.preprocessing, trained.loss) == (Preprocessing("square", 96), "arcmargin")
    assert trained.head is not None and trained.landmark_names == NAMES
    prepared = Preprocessing("square", 96)
    record = trained.record
    assert record == ModelRecord(
        "tower run/1",
        "classification",
        NETWORK,
        prepared,
        {"loss": "ArcMargin"},
        4,
        NAMES,
        (),
        {"source": "trained with landmarks", "trained_on": "GLDv2, train_split=train_clean", "loss": "arcmargin"},
    )
    write_model(tmp_path / "run.safetensors", record, trained.network.state_dict(), trained.head.state_dict())
    opened = open_model(tmp_path / "run.safetensors")
    assert weights_hash(opened.network) == weights_hash(trained.network)
    assert (opened.preprocessing, opened.landmark_names) == (prepared, NAMES)
    assert opened.head is not None and opened.record == record
    assert read_model_record(tmp_path / "run.safetensors") == read_model_record(tmp_path / "best.ckpt") == record


@pytest.mark.parametrize("group", ["model", "loss"])
def test_nothing_that_a_checkpoint_names_is_called(group: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint_file(tmp_path / "best.ckpt", "ArcMargin")
    found = torch.load(tmp_path / "best.ckpt", weights_only=True)
    proof = tmp_path / "called"
    target = {"_target_": "os.mkdir", "_args_": [str(proof)]}
    found["landmarks"]["config"][group] = target
    torch.save(found, tmp_path / "best.ckpt")
    with pytest.raises(LandmarksError, match=r"asks to call os\.mkdir.*conf/" + group):
        open_model(tmp_path / "best.ckpt")
    assert not proof.exists()
    folder = tmp_path / "conf" / group  # whoever names it in a config of their own means it
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text("_target_: os.mkdir\n")
    monkeypatch.chdir(tmp_path)
    if group == "loss":  # one without class weights, and so none to build
        assert open_model(tmp_path / "best.ckpt").head is None
        return
    with pytest.raises(Exception, match="mkdir"):
        open_model(tmp_path / "best.ckpt")


@pytest.mark.parametrize("group", ["model", "loss"])
@pytest.mark.parametrize(
    "strange", [{"_target_": "os.mkdir", "path": "called"}, {"deep": [{"_target_": "os.mkdir"}]}, "${oc.env:HOME}"]
)
def test_nothing_within_what_is_ones_own_is_called(
    group: str, strange: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint_file(tmp_path / "best.ckpt", "ArcMargin")
    found = torch.load(tmp_path / "best.ckpt", weights_only=True)
    found["landmarks"]["config"][group] = {"_target_": "mynets.Net", "extra": strange}
    torch.save(found, tmp_path / "best.ckpt")
    (tmp_path / "conf" / group).mkdir(parents=True)
    (tmp_path / "conf" / group / "mine.yaml").write_text("_target_: mynets.Net\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(LandmarksError, match=r"asks to call (os\.mkdir|\$\{oc)"):
        open_model(tmp_path / "best.ckpt")
    assert not (tmp_path / "called").exists()


def test_a_checkpoint_that_does_not_say_its_sizes_is_named(tmp_path: Path) -> None:
    checkpoint_file(tmp_path / "best.ckpt", "ArcMargin")
    found = torch.load(tmp_path / "best.ckpt", weights_only=True)
    del found["landmarks"]["preprocessing"]
    torch.save(found, tmp_path / "best.ckpt")
    with pytest.raises(LandmarksError, match=r"best\.ckpt: does not say how its images were sized"):
        open_model(tmp_path / "best.ckpt")


def test_a_head_of_other_landmarks_is_refused(tmp_path: Path) -> None:
    checkpoint_file(tmp_path / "best.ckpt", "Softmax", classes=5)
    with pytest.raises(LandmarksError, match="its weights do not fit its own configuration"):
        open_model(tmp_path / "best.ckpt")
