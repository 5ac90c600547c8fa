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
from landmarks.interop import embed_images, open_source, write_file
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


def trained(compose_config: Compose, tiny_run: list[str], run: Path, mode: Any, side: int, *sizes: str) -> Path:
    """The checkpoint of a run, evaluated at this resize and short side, which it and the stamp tell."""
    options = [*tiny_run, "evaluate_untrained=false", "data.image_size=64", f"data.resize.mode={mode}", *sizes]
    train(compose_config("train", *options, run_dir=run), run)
    assert protocol_of(run) == (side, mode)
    checkpoint = run / "checkpoints" / "best.ckpt"
    assert open_model(checkpoint).preprocessing == Preprocessing(mode, side)
    return checkpoint


def protocol_of(run_dir: Path) -> tuple[int, str]:
    (made,) = figures(run_dir)["protocol"]
    return made["input_size"], made["resize"]


def test_a_size_that_is_asked_for_by_name_wins(compose_config: Compose, tiny_run: list[str], tmp_path: Path) -> None:
    checkpoint = trained(compose_config, tiny_run, tmp_path / "run", "crop", 64)
    plain = [o for o in tiny_run if o.startswith(("data.root", "data.source", "data.num_workers", "trainer", "callb"))]
    options = [*plain, f"checkpoint={checkpoint}", "data.validation.queries=scored", "data.image_size=32"]
    evaluate_job(compose_config("evaluate", *options, run_dir=tmp_path / "evaluated"))
    assert protocol_of(tmp_path / "evaluated") == (32, "crop")


def test_every_job_sizes_images_as_the_run_did(compose_config: Compose, tiny_run: list[str], tmp_path: Path) -> None:
    run, (mode, side) = tmp_path / "run", ("aspect", 96)
    checkpoint = trained(compose_config, tiny_run, run, mode, side, "data.resize.short_side=96")
    in_training = figures(run)

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
    assert protocol_of(evaluated) == protocol_of(precomputed) == (side, mode)

    found = DescriptorSet.open(extracted / "queries")
    image = tmp_path / "image.jpg"
    image.write_bytes(read(compose_config, data, found.ids[:1]))
    files = [checkpoint]
    for kind in ("safetensors", "onnx"):
        files.append(tmp_path / f"model.{kind}")
        write_file(open_source(checkpoint, "retrieval"), files[-1], kind)
    for path in files:
        embedder = open_model(path, "descriptors", onnx=True)
        assert embedder.preprocessing == Preprocessing(mode, side)
        (row,) = embed_images(embedder, [image])
        np.testing.assert_allclose(row, found.descriptors[0], rtol=1e-3, atol=1e-3 * np.abs(row).max())


def read(compose_config: Compose, data: list[str], ids: np.ndarray) -> bytes:
    queries = open_data_set(compose_config("evaluate", *data).data).queries()
    return queries.take(queries.table.find(ids)).read(0)
