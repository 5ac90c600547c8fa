"""Embed the images of a data set with a trained network, on any number of devices; interrupted runs can be resumed.

This is the job of `landmarks extract`, and the first step of an evaluation.
"""

import logging
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pytorch_lightning as pl
from hydra.utils import instantiate
from omegaconf import DictConfig
from pytorch_lightning.utilities import rank_zero_only
from rich.markup import escape
from rich.table import Table

from landmarks.config import ExtractSettings, check_config, refuse_missing, write_record
from landmarks.data import LandmarkDataModule
from landmarks.errors import LandmarksError
from landmarks.extraction.callback import RemainingImages, ResumedExtraction
from landmarks.extraction.inference import OnnxInference
from landmarks.extraction.launch import ranks_launched, require_precision
from landmarks.extraction.module import DescriptorModule
from landmarks.extraction.unreadable import UnreadableImages
from landmarks.extraction.views import Embedded, Extraction
from landmarks.models import OpenedModel, open_model, require_size
from landmarks.recognition import classify, refuse_other_folder, require_views, to_device, write_predictions
from landmarks.retrieval import DescriptorSet
from landmarks.terminal import Console

PREDICTIONS = "_predictions"
"""Ending of the name of a set's folder of predictions."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Extracted:
    """The result of an extraction."""

    sets: dict[str, Embedded]  # the sets by name; empty on all ranks but the first
    rates: dict[str, float]  # images per second for each set of which something was left to do
    unreadable: dict[str, str]  # why images were left out, by id


def extract_job(config: DictConfig) -> None:
    """Open the checkpoint, check the configuration and extract; see `extract`."""
    refuse_missing(config)
    trained = open_model(config.checkpoint, "descriptors", trust=config.trust)
    check_config(config, ExtractSettings)
    if not config.splits:
        raise LandmarksError("splits is empty: name some of queries, index, gallery and train")
    run_dir = Path(config.run_dir)
    if config.predictions:
        check_predictions(config, trained)
    extract(config, run_dir, trained)


def extract(config: DictConfig, run_dir: Path, trained: OpenedModel | None = None) -> None:
    """Write the descriptor sets of the named splits into the run folder, and print a table of them.

    If predictions are asked for, every run computes them anew from the descriptors, which takes little time.

    Args:
        config: As composed from `conf/extract.yaml`.
        run_dir: The run folder; sets that an interrupted run left there are resumed.
        trained: The network; by default that of `config.checkpoint`.

    Raises:
        LandmarksError: The configuration, the model and the data do not fit together, the folder holds sets that were
            made with other settings, or too many images are unreadable.
    """
    trained = trained or open_model(config.checkpoint, "descriptors", trust=config.trust)
    data: LandmarkDataModule = instantiate(config.data, _partial_=True)(
        trained=trained.preprocessing, splits=config.splits, scales=config.extraction.scales
    )
    data.prepare_data()
    data.setup("validate")
    extracted = embed(config, run_dir, trained, data, run_dir, dtype=config.dtype)
    if extracted.sets:
        Console().print(_overview(extracted))
        if config.predictions:
            for name, found in extracted.sets.items():
                folder = run_dir / f"{name}{PREDICTIONS}"
                predict(found.descriptors, trained, config.predictions, folder, config.trainer.accelerator)
        Console().print(f"The sets are in [bold]{escape(str(run_dir))}[/]", soft_wrap=True)


def embed(
    config: DictConfig,
    run_dir: Path,
    trained: OpenedModel,
    data: LandmarkDataModule,
    folder: Path,
    dtype: Literal["float32", "float16"] = "float32",
    replace_others: bool = False,
) -> Extracted:
    """Embed all images of `data.evaluated` that are not in `folder` yet.

    Args:
        config: The trainer, callbacks, extraction, engine and seed.
        run_dir: The run folder, for the record of the run.
        trained: The network.
        data: The data module, after `setup`.
        folder: Gets a descriptor set for each name of `data.evaluated`.
        dtype: Type of the descriptors on disk.
        replace_others: Replace sets that were made with other settings instead of raising.

    Returns:
        The sets (on rank 0), the speed, and the images that were left out.

    Raises:
        LandmarksError: The network cannot take images of this size, sets were made with other settings, or too many
            images are unreadable.
    """
    pl.seed_everything(config.seed, workers=True, verbose=False)
    if data.preprocessing != trained.preprocessing or data.scales != (1.0,):  # other sizes than in training
        data.fit_network(getattr(trained.network, "input_multiple", 1))
        for key, shape in data.input_shapes(training=False):
            require_size(trained.network, key, shape)
    module = DescriptorModule(
        trained.network, channels_last=config.channels_last, compile=config.inference == "compile"
    )
    views: Extraction = instantiate(config.extraction)
    extraction = ResumedExtraction(folder, views, trained.name, dtype)
    extraction.replace_others = replace_others
    unreadable: UnreadableImages = instantiate(config.callbacks.unreadable)
    engine = [OnnxInference(views)] if config.inference == "onnx" else []
    progress = [
        instantiate(node) for node in (config.callbacks.progress,) if node and config.trainer.enable_progress_bar
    ]
    trainer: pl.Trainer = instantiate(
        config.trainer,
        callbacks=[*engine, extraction, unreadable, *progress],
        logger=False,
        enable_checkpointing=False,
        default_root_dir=str(run_dir),
    )
    require_precision(config.trainer, trainer)
    rank_zero_only(write_record)(config, run_dir)
    to_go_on = f"The same command goes on where it stopped, with hydra.run.dir={run_dir}."
    with ranks_launched(trainer.strategy, run_dir, to_go_on), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Total length of")
        counts = ", ".join(f"{len(images)} {name}" for name, images in data.evaluated.items())
        log.info("Embedding with %s: %s", trained.name, counts)
        if data.preprocessing != (made_for := trained.preprocessing):
            log.info("Preprocessing is %s; the model was trained with %s", data.preprocessing, made_for)
        trainer.validate(module, RemainingImages(data, extraction), verbose=False)
        sets = extraction.finish(trainer)
    rates = {
        name: (len(found.descriptors) - len(extraction.done[name])) / extraction.seconds[name]
        for name, found in sets.items()
        if extraction.seconds.get(name)
    }
    return Extracted(sets, rates, unreadable.reasons)


def _overview(extracted: Extracted) -> Table:
    table = Table(title="Descriptor sets", title_justify="left")
    for heading in ("set", "rows", "dim", "type", "MiB", "images/s", "unreadable"):
        table.add_column(heading, justify="left" if heading == "set" else "right")
    for name, found in extracted.sets.items():
        rate = f"{extracted.rates[name]:.1f}" if name in extracted.rates else "all there"
        table.add_row(*_cells(found.descriptors), rate, str(len(found.images) - len(found.descriptors)))
        if found.regions is not None:
            table.add_row(*_cells(found.regions), "", "")
    return table


def _cells(found: DescriptorSet) -> tuple[str, ...]:
    values = found.descriptors
    return Path(found.name).name, str(len(found)), str(found.dim), str(values.dtype), f"{values.nbytes / 2**20:.1f}"


def check_predictions(config: DictConfig, trained: OpenedModel) -> None:
    """Raise LandmarksError if the predictions that are asked for cannot be computed or written."""
    if config.predictions < 0:
        raise LandmarksError(
            f"predictions={config.predictions}: ask for 1 landmark or more for each image, or 0 for no predictions"
        )
    if trained.head is None:
        raise LandmarksError(
            f"predictions={config.predictions}: {config.checkpoint} has no classifier (loss: {trained.loss}): use a "
            "checkpoint whose loss has class weights, such as softmax, or leave predictions at 0"
        )
    views = config.extraction
    require_views(trained.head, tuple(views.scales), views.flip, f"predictions={config.predictions}")
    for name in config.splits:
        refuse_other_folder(Path(config.run_dir) / f"{name}{PREDICTIONS}")


def predict(found: DescriptorSet, trained: OpenedModel, k: int, folder: Path, accelerator: str) -> None:
    """Write the k likeliest landmarks of embedded images into a folder, replacing those of an earlier run."""
    assert trained.head is not None
    to_device(trained.head, accelerator)
    predictions = classify(found, trained.head, np.array(trained.landmark_names), k)
    write_predictions(folder, predictions, found.protocol)
    likeliest = float(np.median(predictions.probabilities[:, 0]))
    log.info("%s: %d images, median probability of the likeliest landmark %.3f", folder, len(found), likeliest)
