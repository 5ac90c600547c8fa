"""Hashes of weights and the choice of what to resume; the rest is tested where it is used."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from image_models import NAMES, NETWORK, checkpoint_file
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
    with pytest.raises(LandmarksError, match=r"last\.ckpt: corrupt"):
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


def ask(path: Path, group: str, node: dict[str, object]) -> Path:
    """A checkpoint whose record names something of somebody's."""
    checkpoint_file(path, "ArcMargin")
    found = torch.load(path, weights_only=True)
    found["landmarks"]["config"][group] = node
    torch.save(found, path)
    return path


def add_files(folder: Path, group: str, target: str) -> None:
    """What makes `target` a choice of a folder: a stranger's folder brings them, too."""
    (folder / "conf" / group).mkdir(parents=True)
    (folder / "conf" / group / "mine.yaml").write_text(f"_target_: {target}\n")


@pytest.mark.parametrize("group", ["model", "loss"])
def test_nothing_that_a_checkpoint_names_is_called(group: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    proof = tmp_path / "called"
    path = ask(tmp_path / "best.ckpt", group, {"_target_": "os.mkdir", "_args_": [str(proof)]})
    add_files(tmp_path, group, "os.mkdir")
    monkeypatch.chdir(tmp_path)
    for opened in (open_model, read_model_record):
        with pytest.raises(LandmarksError, match=r"best\.ckpt: asks to call os\.mkdir.* do not open the file"):
            opened(path)
    assert not proof.exists()
    if group == "loss":  # one without class weights, and so none to build
        assert open_model(path, trust=["os.mkdir"]).head is None
        return
    with pytest.raises(LandmarksError, match="mkdir"):
        open_model(path, trust=["os.mkdir"])


@pytest.mark.parametrize("group", ["model", "loss"])
@pytest.mark.parametrize(
    ("strange", "said"),
    [
        ({"_target_": "os.mkdir", "path": "called"}, r"asks to call os\.mkdir"),
        ({"deep": [{"_target_": "os.mkdir"}]}, r"asks to call os\.mkdir"),
        ("${oc.env:HOME}", r"asks for \$\{oc\.env:HOME\}"),
    ],
)
def test_nothing_within_what_is_trusted_is_called(
    group: str, strange: object, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = ask(tmp_path / "best.ckpt", group, {"_target_": "mynets.Net", "extra": strange})
    (tmp_path / "mynets.py").write_text("from pathlib import Path\nPath('called').touch()\nclass Net:\n    pass\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(LandmarksError, match=said):
        open_model(path, trust=["mynets.Net"])
    assert not (tmp_path / "called").exists()  # not even imported


def test_one_message_says_all_that_is_to_be_trusted(tmp_path: Path) -> None:
    path = ask(tmp_path / "best.ckpt", "model", {"_target_": "mynets.Net", "part": {"_target_": "mynets.Part"}})
    found = torch.load(path, weights_only=True)
    found["landmarks"]["config"]["loss"] = {"_target_": "mylosses.Mine"}
    torch.save(found, path)
    with pytest.raises(LandmarksError) as caught:
        open_model(path)
    assert "--trust mynets.Net --trust mynets.Part --trust mylosses.Mine " in str(caught.value)
    assert "trust=[mynets.Net,mynets.Part,mylosses.Mine]" in str(caught.value)
    with pytest.raises(LandmarksError, match=r"mylosses\.Mine cannot be imported .* run this in the folder"):
        open_model(path, trust=["mynets.Net", "mynets.Part", "mylosses.Mine"])


@pytest.mark.parametrize("name", ["builtins.open", "os.system", "torch.hub.load", "numpy.fromfile", "_ctypes.dlopen"])
def test_parts_of_python_and_of_libraries_are_not_offered_for_trust(name: str, tmp_path: Path) -> None:
    path = ask(tmp_path / "best.ckpt", "model", {"_target_": name})
    with pytest.raises(LandmarksError, match=rf"{name} could do anything") as caught:
        open_model(path)
    assert f"--trust {name}" not in str(caught.value) and f"trust=[{name}]" not in str(caught.value)


def test_invalid_names_are_not_offered_for_trust(tmp_path: Path) -> None:
    path = ask(tmp_path / "best.ckpt", "model", {"_target_": "mynets.Net;rm -r"})
    with pytest.raises(LandmarksError, match="do not trust the file") as caught:
        open_model(path)
    assert "--trust" not in str(caught.value)


def test_nested_networks_download_no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "wrapping.py").write_text(WRAPPING)
    monkeypatch.syspath_prepend(tmp_path)
    inner = {"_target_": "landmarks.models.timm_net", "name": "test_resnet", "dim": 8, "pooling": "gem"}
    node = {"_target_": "wrapping.Wrapper", "inner": {**inner, "pretrained": "gone.pth"}}
    path = ask(tmp_path / "best.ckpt", "model", node)
    found = torch.load(path, weights_only=True)
    found["state_dict"] = {k.replace("model.", "model.inner.", 1): v for k, v in found["state_dict"].items()}
    torch.save(found, path)
    assert open_model(path, trust=["wrapping.Wrapper"]).network.dim == 8
    del found["state_dict"]["model.inner.fc.weight"]
    torch.save(found, path)
    with pytest.raises(LandmarksError, match=r"1 missing: inner\.fc\.weight"):
        open_model(path, trust=["wrapping.Wrapper"])


WRAPPING = """
import torch

class Wrapper(torch.nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner, self.dim = inner, inner.dim
        self.rates = [x.item() for x in torch.linspace(0, 1, 3)]  # no values without memory

    def forward(self, images):
        return self.inner(images)
"""


def test_files_do_not_resolve_environment_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_TOKEN", "hunter2")
    word = "run_${oc.env:MY_TOKEN}"
    path = checkpoint_file(tmp_path / "best.ckpt", "ArcMargin")
    found = torch.load(path, weights_only=True)
    found["landmarks"]["config"] |= {"name": word, "data": {"source": {"name": word}}}
    torch.save(found, path)
    opened = open_model(path)
    assert opened.name == word and opened.record.origin["trained_on"] == word
    write_model(tmp_path / "a.safetensors", opened.record, opened.network.state_dict(), opened.head.state_dict())  # type: ignore[union-attr]
    assert open_model(tmp_path / "a.safetensors").record == opened.record
    found["landmarks"]["config"]["model"]["name"] = "${oc.env:MY_TOKEN}"
    torch.save(found, path)
    with pytest.raises(LandmarksError, match="asks for") as caught:
        open_model(path)
    assert "hunter2" not in str(caught.value)


def test_a_checkpoint_that_does_not_say_its_sizes_is_named(tmp_path: Path) -> None:
    checkpoint_file(tmp_path / "best.ckpt", "ArcMargin")
    found = torch.load(tmp_path / "best.ckpt", weights_only=True)
    del found["landmarks"]["preprocessing"]
    torch.save(found, tmp_path / "best.ckpt")
    with pytest.raises(LandmarksError, match=r"best\.ckpt: .* preprocessing: Field required"):
        open_model(tmp_path / "best.ckpt")


def test_a_head_of_other_landmarks_is_refused(tmp_path: Path) -> None:
    checkpoint_file(tmp_path / "best.ckpt", "Softmax", classes=5)
    with pytest.raises(LandmarksError, match=r"best\.ckpt: its weights do not fit its .*classifier\.weight"):
        open_model(tmp_path / "best.ckpt")
