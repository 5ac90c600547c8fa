"""The size and resize that a run was evaluated with go with its weights into every other job."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omegaconf import DictConfig

from landmarks.data.images import Preprocessing
from landmarks.evaluation import evaluate_job
from landmarks.evaluation.precomputed import evaluate_precomputed_job
from landmarks.evaluation.precomputed import open_source as open_data_set
from landmarks.extraction import extract_job
from landmarks.interop import describe_pictures, open_source, write_file
from landmarks.models import open_model
from landmarks.retrieval.descriptors import DescriptorSet
from landmarks.training import train

Compose = Callable[..., DictConfig]
METRICS = ("map@100", "gap")


def figures(run_dir: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run_dir / "metrics.json").read_text())
    return found


def scores(found: dict[str, Any], kind: str) -> dict[str, float]:
    return {f"{split}/{name}": found[kind][split][name] for split in ("public", "private") for name in METRICS}


@pytest.mark.parametrize(
    ("sizes", "used"),
    [
        (["data.image_size=64", "data.resize.short_side=96", "data.resize.mode=released"], ("released", 96)),
        (["data.image_size=64", "data.resize.mode=crop"], ("crop", 64)),
    ],
)
def test_every_job_sizes_images_as_the_run_did(
    compose_config: Compose, tiny_run: list[str], tmp_path: Path, sizes: list[str], used: tuple[Any, int]
) -> None:
    run = tmp_path / "run"
    train(compose_config("train", *tiny_run, "evaluate_untrained=false", *sizes, run_dir=run), run)
    in_training = figures(run)
    mode, side = used
    assert [(one["input_size"], one["resize"]) for one in in_training["protocol"]] == [(side, mode)]
    checkpoint = run / "checkpoints" / "best.ckpt"
    assert open_model(checkpoint).preprocessing == Preprocessing(mode, side)

    data = [o for o in tiny_run if o.startswith(("data.root", "data.source", "data.num_workers"))]
    plain = [*data, *(o for o in tiny_run if o.startswith(("trainer", "callbacks")))]
    evaluated, extracted, precomputed = (tmp_path / name for name in ("evaluated", "extracted", "precomputed"))
    options = [*plain, f"checkpoint={checkpoint}", "data.validation.queries=scored"]
    evaluate_job(compose_config("evaluate", *options, run_dir=evaluated))
    assert scores(figures(evaluated), "scores") == pytest.approx(scores(in_training, "trained"), abs=1e-6)
    extract_job(compose_config("extract", *plain, f"checkpoint={checkpoint}", run_dir=extracted))
    sets = [f"descriptors.{name}={extracted / name}" for name in ("queries", "index", "gallery")]
    evaluate_precomputed_job(
        compose_config("evaluate", *plain, *sets, "descriptors.use_data=true", run_dir=precomputed)
    )
    assert scores(figures(precomputed), "scores") == pytest.approx(scores(in_training, "trained"), abs=1e-6)
    for folder in (evaluated, precomputed):
        assert [(one["input_size"], one["resize"]) for one in figures(folder)["protocol"]] == [(side, mode)]

    evaluate_job(compose_config("evaluate", *options, "data.image_size=32", run_dir=evaluated))  # asked for by name
    assert [(one["input_size"], one["resize"]) for one in figures(evaluated)["protocol"]] == [(32, mode)]

    found = DescriptorSet.open(extracted / "queries")
    image = tmp_path / "image.jpg"
    image.write_bytes(read(compose_config, data, found.ids[:1]))
    files = [checkpoint]
    for kind in ("safetensors", "onnx"):
        files.append(tmp_path / f"model.{kind}")
        write_file(open_source(checkpoint, "retrieval"), files[-1], kind)
    for path in files:
        describer = open_model(path, "descriptors", onnx=True)
        assert describer.preprocessing == Preprocessing(mode, side)
        (row,) = describe_pictures(describer, [image])
        np.testing.assert_allclose(row, found.descriptors[0], rtol=1e-3, atol=1e-3 * np.abs(row).max())


def read(compose_config: Compose, data: list[str], ids: np.ndarray) -> bytes:
    queries = open_data_set(compose_config("evaluate", *data).data).queries()
    return queries.take(queries.table.find(ids)).read(0)
