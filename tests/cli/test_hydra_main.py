"""Mistakes on the command line give a short message with a suggestion and status 2, before any work."""

from pathlib import Path

import pytest
from hydra.errors import InstantiationException
from lightning_fabric.utilities.exceptions import MisconfigurationException
from omegaconf import DictConfig

from landmarks.cli.evaluate import evaluate
from landmarks.cli.hydra_main import run_hydra
from landmarks.cli.train import train
from landmarks.config import explain, mistake_behind
from landmarks.errors import LandmarksError


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to run in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["train.py"])
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["model=res19"], ["no model=res19", "did you mean 'res18'", "inceptionv4"]),
        (["loss.margn=0.3"], ["loss.margn", "did you mean 'margin'"]),
        (["dta=gldv2"], ["dta", "did you mean 'data'"]),
        (["experiments=res152_npair"], ["did you mean 'res152_npairs'"]),
        (["optimizer.lr=fast"], ["optimizer.lr", "'fast'"]),
        (["data=gldv2"], ["data.root: no value given", "data.root=VALUE"]),
        (["data=gldv2", "data.root=nowhere"], ["data.root=nowhere: there is no such folder"]),
        (["data=folder", "data.root="], ["data.root= is empty: name a folder or an address"]),
        (["data=gldv2", "data.root=."], ["data.root=. is not a complete", "train_clean.csv"]),
        (["resume=a.ckpt", "model.pretrained=b"], ["resume=a.ckpt: there is no", "model.pretrained=b: there is no"]),
        (["data=folder", "data.root=nowhere", "data.source.table=t"], ["nowhere", "data.source.table=t: there is no"]),
        (["data=gldv2", "data.root=.", "data.source.train_split=trian"], ["train_split", "'train_clean'"]),
        (["resume=last"], ["resume=last", "hydra.run.dir"]),
        (["data=folder", "data.root=.", "data.batch_size=0"], ["data.batch_size is 0"]),
    ],
)
def test_a_mistake_gives_a_short_message_that_names_it(
    arguments: list[str], words: list[str], elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        train([*arguments, "trainer.accelerator=cpu"])
    assert ended.value.code == 2
    screen = capsys.readouterr().err
    assert len(screen.splitlines()) <= 24 and screen.startswith("Error ")
    for word in words:
        assert word in screen


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["checkpoint=nowhere.ckpt"], "checkpoint nowhere.ckpt: there is no such file"),
        ([], "name what to evaluate: a checkpoint"),
        ([], "evaluate.py descriptors.queries=Q.npy descriptors.index=I.npy"),
        (["checkpoint=a", "descriptors.queries=b", "descriptors.use_data=true"], "checkpoint and descriptors.queries"),
        (["descriptors.queries=Q.npy", "descriptors.index=I.npy"], "descriptors.queries: Q.npy does not exist"),
        (["descriptors.querys=Q.npy"], "descriptors.querys: no such key; did you mean"),
    ],
)
def test_evaluate_wants_a_checkpoint_or_descriptors_that_are_there(
    arguments: list[str], words: str, elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        evaluate(arguments)
    assert ended.value.code == 2
    assert words in capsys.readouterr().err


def test_a_sweep_continues_after_a_failed_job_and_names_it_at_the_end(
    elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = []

    def job(config: DictConfig) -> None:
        seen.append(config.seed)
        if config.seed == 1:
            raise LandmarksError("seed=1 brings bad luck")

    with pytest.raises(SystemExit) as ended:
        run_hydra(job, "train", ["-m", "seed=0,1,2"])
    assert ended.value.code == 2 and seen == [0, 1, 2]
    assert "seed=1 brings bad luck" in capsys.readouterr().err


def test_what_lightning_refuses_is_a_mistake_and_other_errors_are_defects() -> None:
    refused = MisconfigurationException("No supported gpu backend found!")
    in_a_constructor = InstantiationException("Error in call to target 'pytorch_lightning.Trainer'")
    in_a_constructor.__cause__ = refused
    assert mistake_behind(refused) is mistake_behind(in_a_constructor) is refused
    assert mistake_behind(RuntimeError("shapes")) is None
    in_a_constructor.__cause__ = RuntimeError("shapes")
    assert mistake_behind(in_a_constructor) is None


def test_without_a_gpu_it_says_what_to_type() -> None:
    assert explain(MisconfigurationException("No supported gpu backend found!")).endswith("trainer.accelerator=cpu")
