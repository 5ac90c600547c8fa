"""Hashes of weights and the choice of what to resume; the rest is tested where it is used."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import nn

from landmarks.data.images import Preprocessing
from landmarks.errors import LandmarksError
from landmarks.losses import ClassHead
from landmarks.models import (
    RECORD_VERSION,
    ModelRecord,
    find_resume,
    open_checkpoint,
    open_model,
    read_model_record,
    weights_hash,
    write_model,
)
from landmarks.training import WholeFiles


def test_the_hash_sees_every_weight_and_buffer() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    before = weights_hash(net)
    assert before == weights_hash(net.to(memory_format=torch.channels_last))
    net[1].running_mean[2] += 1e-3
    assert weights_hash(net) != before


def test_resume_last_is_the_newest_checkpoint_of_the_folder(tmp_path: Path) -> None:
    assert find_resume(None, tmp_path) is None
    last = tmp_path / "checkpoints" / "last.ckpt"
    WholeFiles().save_checkpoint({"state_dict": {}}, last)
    assert find_resume("last", tmp_path) == str(last)
    last.write_bytes(last.read_bytes()[:-9])
    with pytest.raises(LandmarksError, match=r"last\.ckpt: damaged"):
        find_resume("last", tmp_path)
    with pytest.raises(LandmarksError, match="there is no checkpoint"):
        find_resume(str(tmp_path / "other.ckpt"), tmp_path)


def test_a_truncated_checkpoint_is_named(tmp_path: Path) -> None:
    path = tmp_path / "best.ckpt"
    torch.save({"state_dict": {"a": torch.zeros(10_000)}}, path)
    path.write_bytes(path.read_bytes()[:20_000])
    with pytest.raises(LandmarksError, match=r"best\.ckpt"):
        open_checkpoint(path)


def test_a_checkpoint_of_another_program_is_named(tmp_path: Path) -> None:
    torch.save({"state_dict": {}}, tmp_path / "other.ckpt")
    with pytest.raises(LandmarksError, match="was not written by this version of landmarks"):
        open_model(tmp_path / "other.ckpt")
    torch.save([1, 2], tmp_path / "list.ckpt")
    with pytest.raises(LandmarksError, match="holds no state_dict"):
        open_model(tmp_path / "list.ckpt")


MODEL = {
    "_target_": "landmarks.models.timm_net",
    "name": "test_resnet",
    "dim": 8,
    "pretrained": "gone.safetensors",
}
NAMES = ["1501", "0", "index:7", "Tour Eiffel"]


def written(path: Path, loss: str, classes: int = len(NAMES), **model: object) -> nn.Module:
    """Write a checkpoint as a run would, and give its loss."""
    node = {"_target_": f"landmarks.losses.{loss.lower()}.{loss}", "_partial_": True}
    data = {"image_size": 64, "resize": {"mode": "square"}, "source": {"train_split": "train"}}
    config = {"name": "run", "model": {**MODEL, **model}, "loss": node, "data": data}
    torch.manual_seed(1)
    made: nn.Module = instantiate(OmegaConf.create(node))(num_landmarks=classes, dim=8)
    net = instantiate(OmegaConf.create(MODEL), pretrained=False)
    state = {
        f"{prefix}.{k}": v for prefix, part in (("model", net), ("loss", made)) for k, v in part.state_dict().items()
    }
    record = {"record_version": RECORD_VERSION, "config": config, "landmark_names": NAMES}
    WholeFiles().save_checkpoint({"state_dict": state, "landmarks": record}, path)
    return made


@pytest.mark.parametrize("loss", ["Softmax", "ArcMargin"])
def test_the_head_comes_with_the_network(tmp_path: Path, loss: str) -> None:
    made = written(tmp_path / "best.ckpt", loss, checkpointing=True)
    trained = open_model(tmp_path / "best.ckpt")
    assert isinstance(made, ClassHead) and trained.head is not None
    assert torch.equal(trained.head.class_scores(torch.ones(2, 8)), made.class_scores(torch.ones(2, 8)))
    assert trained.landmark_ids.tolist() == [1501, 0, -1, -1] and trained.landmark_ids.dtype == np.int64
    assert not trained.network.checkpointing  # a matter of training alone
    moved = trained.head.weight + 1  # type: ignore[attr-defined]
    trained.head.weight.data.copy_(moved)  # type: ignore[attr-defined]
    assert torch.equal(open_checkpoint(tmp_path / "best.ckpt")["state_dict"]["loss.weight"], made.weight)


def test_a_checkpoint_and_a_model_file_open_alike(tmp_path: Path) -> None:
    written(tmp_path / "best.ckpt", "ArcMargin")
    trained = open_model(tmp_path / "best.ckpt")
    assert (trained.preprocessing, trained.loss) == (Preprocessing("square", 64), "arcmargin")
    assert trained.head is not None and trained.landmark_names == tuple(NAMES)
    prepared = Preprocessing("square", 64)
    record = trained.record
    assert record == ModelRecord(
        "run",
        "classification",
        {"network": "timm_net", "name": "test_resnet", "dim": 8},
        prepared,
        {"loss": "ArcMargin"},
        4,
        tuple(NAMES),
        (),
        {"source": "trained with landmarks", "trained_on": "unknown, train_split=train", "loss": "arcmargin"},
    )
    write_model(tmp_path / "run.safetensors", record, trained.network.state_dict(), trained.head.state_dict())
    opened = open_model(tmp_path / "run.safetensors")
    assert weights_hash(opened.network) == weights_hash(trained.network)
    assert (opened.preprocessing, opened.landmark_names) == (prepared, tuple(NAMES))
    assert opened.head is not None and opened.record == record
    assert read_model_record(tmp_path / "run.safetensors") == read_model_record(tmp_path / "best.ckpt") == record


@pytest.mark.parametrize("group", ["model", "loss"])
def test_nothing_that_a_checkpoint_names_is_called(group: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path / "best.ckpt", "ArcMargin")
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
    written(tmp_path / "best.ckpt", "ArcMargin")
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
    written(tmp_path / "best.ckpt", "ArcMargin")
    found = torch.load(tmp_path / "best.ckpt", weights_only=True)
    found["landmarks"]["config"]["data"] = {"source": {}}
    torch.save(found, tmp_path / "best.ckpt")
    with pytest.raises(LandmarksError, match=r"best\.ckpt: does not say how its images were sized"):
        open_model(tmp_path / "best.ckpt")


def test_no_head_where_the_loss_has_none(tmp_path: Path) -> None:
    written(tmp_path / "best.ckpt", "NPairs")
    assert open_model(tmp_path / "best.ckpt").head is None


def test_a_head_of_other_landmarks_is_refused(tmp_path: Path) -> None:
    written(tmp_path / "best.ckpt", "Softmax", classes=5)
    with pytest.raises(LandmarksError, match="its weights do not fit its own configuration"):
        open_model(tmp_path / "best.ckpt")
