"""Extraction of descriptor sets: what is written, and that a killed extraction ends as an undisturbed one."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig
from PIL import Image

from landmarks.config import ConfigError
from landmarks.data.images import Preprocessing, decode
from landmarks.errors import LandmarksError
from landmarks.evaluation.precomputed import evaluate_precomputed_job
from landmarks.extraction import DescriptorModule, TooManyUnreadableError, extract_job
from landmarks.losses import Softmax
from landmarks.models import open_model
from landmarks.recognition import read_predictions
from landmarks.retrieval.descriptors import DescriptorSet, OtherSetError, regions_of

Compose = Callable[..., DictConfig]
Extract = Callable[..., dict[str, DescriptorSet]]
# Runs the command line of its arguments and kills itself after that many batches.
KILLED = """
import os, signal, sys
from landmarks.retrieval.descriptors.joint_writer import JointWriter
add, left = JointWriter.add, [int(sys.argv.pop(1))]
def add_and_count(self, ids, *rows):
    add(self, ids, *rows)
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
JointWriter.add = add_and_count
from landmarks.cli.main import main
main()
"""


@pytest.fixture
def extract(compose_config: Compose, overrides: list[str], tmp_path: Path) -> Extract:
    """`extract("out", *overrides)`: the sets written into that folder."""

    def run(folder: str, *more: str) -> dict[str, DescriptorSet]:
        extract_job(compose_config("extract", *overrides, *more, run_dir=tmp_path / folder))
        return {
            path.parent.name: DescriptorSet.open(path.parent) for path in (tmp_path / folder).glob("*/descriptors.npy")
        }

    return run


def same(one: dict[str, DescriptorSet], other: dict[str, DescriptorSet]) -> bool:
    return one.keys() == other.keys() and all(
        np.array_equal(found.descriptors[np.argsort(found.ids)], other[name].descriptors[np.argsort(other[name].ids)])
        for name, found in one.items()
    )


def test_one_view_is_what_the_network_gives(
    extract: Extract, tiny_world: Path, tmp_path: Path, compose_config: Compose, overrides: Sequence[str]
) -> None:
    (found,) = extract("out", "splits=[index]").values()
    config = compose_config(
        "extract", *overrides, "data.image_size=64", "data.resize.mode=square", "splits=[]", run_dir=tmp_path
    )
    data = instantiate(config.data)
    data.setup()
    module = DescriptorModule(open_model(tmp_path / "net.ckpt").network).eval()
    resize = Preprocessing("square", 64)
    assert found.ids.tolist() == data.index_set.table.ids.tolist()
    for start in range(0, len(found), 4):
        rows = range(start, min(start + 4, len(found)))
        images = np.stack([resize(decode(data.index_set.read(row))) for row in rows])
        with torch.inference_mode():
            expected = module(torch.from_numpy(images).permute(0, 3, 1, 2))
        assert np.array_equal(found.descriptors[start : start + 4], expected.numpy())
    assert (found.protocol.split, found.protocol.data, found.protocol.input_size) == ("index", "demo", 64)


def test_a_killed_extraction_ends_as_an_undisturbed_one(
    extract: Extract, overrides: Sequence[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    views = ["splits=[queries,index]", "extraction.scales=[1,1.5]", "extraction.flip=true", "extraction.regions=2"]
    whole = extract("whole", *views)
    command = [o for o in overrides if not o.startswith("trainer.devices")]
    command += [*views, "trainer=ddp", "trainer.devices=2", "trainer.sync_batchnorm=false"]
    killed = subprocess.Popen(
        [sys.executable, "-c", KILLED, "6", "extract", *command, f"hydra.run.dir={tmp_path / 'parts'}"],
        cwd=tmp_path,
        start_new_session=True,
        stderr=subprocess.PIPE,
    )
    assert killed.stderr is not None
    try:
        assert killed.wait(timeout=300) == -signal.SIGKILL, killed.stderr.read().decode()
    finally:
        with suppress(ProcessLookupError):
            os.killpg(killed.pid, signal.SIGKILL)  # the other rank
    assert "GPU available" not in (tmp_path / "parts" / "run.log").read_text(), "Lightning talks"
    assert (tmp_path / "parts" / "index.partial").is_dir() and not (tmp_path / "parts" / "index").exists()
    assert same(extract("parts", *views), whole)
    assert not list((tmp_path / "parts").glob("*.partial"))
    capsys.readouterr()
    assert same(extract("parts", *views), whole)
    assert capsys.readouterr().out.count("all there") == 2

    assert set(whole) == {"queries", "queries_regions", "index", "index_regions"}
    regions = regions_of(whole["index"], whole["index_regions"])
    assert regions.shape == (len(whole["index"]), 5, 32) and regions.dtype == np.float16
    assert isinstance(regions.base, np.memmap)  # aligned, not a copy
    assert whole["index"].protocol.scales == (1.0, 1.5) and whole["index"].protocol.flip
    assert (whole["index"].protocol.regions, whole["index_regions"].protocol.regions) == (0, 2)


def test_half_precision_without_a_gpu_is_refused_before_work(extract: Extract, tmp_path: Path) -> None:
    with pytest.raises(LandmarksError, match=r"trainer\.precision=16-mixed: processors have no such mode"):
        extract("out", "trainer.precision=16-mixed", "trainer.accelerator=cpu")
    assert not (tmp_path / "out").exists()


def test_replaced_images_are_not_taken_for_those_embedded(
    compose_config: Compose, overrides: list[str], tiny_world: Path, tmp_path: Path
) -> None:
    roots = [tmp_path / "one", tmp_path / "two"]
    for root in roots:
        shutil.copytree(tiny_world, root)

    def extract(root: Path) -> None:
        data = [f"data.root={root}", "splits=[queries]"]
        extract_job(compose_config("extract", *overrides, *data, run_dir=tmp_path / "out"))

    extract(roots[0])
    extract(roots[0])
    with pytest.raises(OtherSetError, match=r"of its \d+ images have changed"):
        extract(roots[1])
    tar = next((roots[0] / "test").glob("*.tar"))
    os.utime(tar, (1, 1))
    with pytest.raises(OtherSetError, match="another root, size or time"):
        extract(roots[0])


def test_the_train_split_in_half_the_bytes(extract: Extract, capsys: pytest.CaptureFixture[str]) -> None:
    found = extract("out", "splits=[train]", "dtype=float16", "extraction.regions=2")
    assert list(found) == ["train"] and found["train"].descriptors.dtype == np.float16
    assert "images/s" in capsys.readouterr().out


def test_queries_and_index_are_embedded_and_searched_without_train_images(
    compose_config: Compose, overrides: list[str], tiny_world: Path, tmp_path: Path
) -> None:
    root = tmp_path / "part"
    for name in ("metadata", "ground_truth", "index", "test"):
        shutil.copytree(tiny_world / name, root / name)
    for path in (root / "metadata").glob("train*.csv"):
        path.unlink()
    data = [*overrides, "data=gldv2", f"data.root={root}"]

    def extract(folder: str, splits: str) -> None:
        extract_job(compose_config("extract", *data, f"splits=[{splits}]", run_dir=tmp_path / folder))

    with pytest.raises(LandmarksError, match=r"train_clean\.csv"):
        extract("all", "queries,index,gallery")
    extract("sets", "queries,index")
    given = [f"descriptors.{name}={tmp_path / 'sets' / name}" for name in ("queries", "index")]
    more = ["descriptors.use_data=true", "data=gldv2", f"data.root={root}"]
    evaluate_precomputed_job(compose_config("evaluate", *given, *more, run_dir=tmp_path / "found"))
    assert "map@100" in json.loads((tmp_path / "found" / "metrics.json").read_text())["scores"]["private"]


def test_predictions_of_the_classifier(
    extract: Extract, tmp_path: Path, compose_config: Compose, overrides: list[str]
) -> None:
    config = compose_config("extract", *overrides, "predictions=3", "splits=[queries]", run_dir=tmp_path / "out")
    with pytest.raises(LandmarksError, match=r"net\.ckpt has no classifier \(loss: arcmargin\)"):
        extract_job(config)

    content = torch.load(tmp_path / "net.ckpt", weights_only=True)
    names = ["17", "4", "99", "index:4"]
    content["landmarks"]["landmark_names"] = names
    content["landmarks"]["config"]["loss"] = {"_target_": "landmarks.losses.Softmax", "_partial_": True}
    content["state_dict"] |= {f"loss.{key}": value for key, value in Softmax(4, 32).state_dict().items()}
    torch.save(content, tmp_path / "net.ckpt")
    with pytest.raises(LandmarksError, match=r"predictions=3: sums of several normalised views"):
        extract("out", "predictions=3", "extraction.flip=true")
    with pytest.raises(LandmarksError, match="predictions=-1: ask for 1"):
        extract("out", "predictions=-1")
    assert not (tmp_path / "out").exists()  # before any work

    sets = extract("out", "splits=[queries,index]", "predictions=3")
    for _ in range(2):
        found = read_predictions(tmp_path / "out" / "queries_predictions")
        scores = open_model(tmp_path / "net.ckpt").head.class_scores(
            torch.tensor(np.array(sets["queries"].descriptors))
        )
        expected = scores.softmax(dim=1).topk(3)
        assert np.array_equal(found.ids, sets["queries"].ids) and found.landmark_names.tolist() == names
        assert np.array_equal(found.landmarks, expected.indices)
        np.testing.assert_allclose(found.probabilities, expected.values.detach(), rtol=1e-5)
        (tmp_path / "out" / "queries_predictions" / "ids.npy").write_bytes(b"corrupt")
        extract("out", "splits=[queries]", "predictions=3")  # nothing is embedded again, but all predicted
    assert len(read_predictions(tmp_path / "out" / "index_predictions").ids) == len(sets["index"])


def test_a_set_made_otherwise_is_not_overwritten(extract: Extract, tmp_path: Path) -> None:
    before = extract("out", "splits=[queries]")
    with pytest.raises(OtherSetError, match="flip: False != True"):
        extract("out", "splits=[queries]", "extraction.flip=true")
    assert same(before, {"queries": DescriptorSet.open(tmp_path / "out" / "queries")})


def test_unreadable_images_count_again_when_it_goes_on(
    compose_config: Compose, overrides: Sequence[str], tmp_path: Path
) -> None:
    photos = tmp_path / "photos"
    for number in range(24):
        path = photos / f"{number % 2}" / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (40, 60, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
        if number == 5:
            path.write_bytes(path.read_bytes()[:300])
    general = [o for o in overrides if not o.startswith("data.root")]

    def extracted(limit: int) -> int:
        data = ["data=folder", f"data.root={photos}", f"data.max_unreadable={limit}", "data.eval_batch_size=1"]
        splits = "splits=[train,index,queries]"
        extract_job(compose_config("extract", *general, *data, splits, run_dir=tmp_path / "out"))
        return sum(len(DescriptorSet.open(tmp_path / "out" / name)) for name in ("train", "index", "queries"))

    with pytest.raises(TooManyUnreadableError):
        extracted(0)
    assert extracted(1) == extracted(1) == 23
    with pytest.raises(TooManyUnreadableError):
        extracted(0)


def test_mistakes_are_found_before_any_work(compose_config: Compose, extract: Extract, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="checkpoint: no value given"):
        extract_job(compose_config("extract", run_dir=tmp_path))
    with pytest.raises(ConfigError, match="splits"):
        extract("out", "splits=[test]")
    with pytest.raises(LandmarksError, match="splits"):
        extract("out", "splits=[]")
