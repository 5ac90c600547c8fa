"""Write descriptor sets in Lightning's validation loop; all descriptors on disk are made here.

The data module provides a loader for each set. Every rank writes the descriptors of its share of the images to disk
batch by batch; then rank 0 joins the parts and opens the sets memory-mapped. So no image is embedded twice, and no rank
holds all descriptors in memory. Several machines need a shared run folder, as they do for checkpoints.
"""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from landmarks.config import versions
from landmarks.data import LandmarkDataModule
from landmarks.errors import LandmarksError
from landmarks.extraction.module import DescriptorModule
from landmarks.extraction.views import Embedded, Extraction
from landmarks.models import region_count, weights_hash
from landmarks.retrieval import ExtractionProtocol, JointWriter, Layer

WITH_REGIONS = ("queries", "index")  # no stage uses the regions of other sets
REGIONS = "_regions"


class DescriptorExtraction(pl.Callback):
    """Callback that writes the descriptors that are computed in validation.

    Args:
        folder: Folder for the sets, each under its name; regions go to ``<name>_regions``.
        extraction: Which views of an image are embedded.
        model_name: Name of the model in the protocol of the descriptors.
        dtype: Type of the descriptors on disk; regions are always float16.

    Attributes:
        seconds: Time that this rank spent on each set, by name.
        done: Ids uint64 [n] of the images of each set that were embedded earlier, by name.
    """

    def __init__(
        self,
        folder: str | Path,
        extraction: Extraction = Extraction(),  # noqa: B008 - frozen
        model_name: str = "model",
        dtype: Literal["float32", "float16"] = "float32",
    ) -> None:
        self.folder = Path(folder)
        self.extraction = extraction
        self.model_name = model_name
        self.dtype = dtype
        self.seconds: dict[str, float] = {}
        self.done: dict[str, NDArray[np.uint64]] = {}
        self._writers: dict[str, JointWriter] = {}
        self._since = 0.0
        self._stamps: dict[str, NDArray[np.uint64]] | None = None

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Set the views that the module embeds, for each loader."""
        data, module = data_of(trainer), module_of(pl_module)
        if data.scales != self.extraction.scales:
            raise LandmarksError(
                f"data.scales={list(data.scales)} and extraction.scales={list(self.extraction.scales)} differ; leave "
                "data.scales out"
            )
        module.extractions = [
            self.extraction if name in WITH_REGIONS else replace(self.extraction, regions=0) for name in data.evaluated
        ]

    def begin_afresh(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Remove the sets of an earlier evaluation, and open new ones for writing."""
        _share_buffers(trainer, module_of(pl_module))
        layers = self._layers(trainer, module_of(pl_module))
        if trainer.is_global_zero:
            for name in layers:
                for layer in layers[name]:
                    layer.clear()
        trainer.strategy.barrier()
        if self._stamps is None:  # only once in a run, because it may have to stat every file
            self._stamps = _stamps(trainer)
        self._writers = {
            name: JointWriter(layers[name], images.table.ids, trainer.global_rank, self._stamps[name])
            for name, images in data_of(trainer).evaluated.items()
        }
        self.seconds, self._since = {}, time.perf_counter()

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock here, so that the time to prepare an engine is counted for no set."""
        self._since = time.perf_counter()

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Write the descriptors of one batch."""
        name, images = list(data_of(trainer).evaluated.items())[dataloader_idx]
        embedded: list[tuple[Tensor, list[Tensor]]] = outputs["embedded"]
        for rows, layers in embedded:
            if not all(descriptors.isfinite().all() for descriptors in layers):
                raise _not_finite(trainer.global_step)
            ids = images.table.ids[rows.cpu().numpy()]
            self._writers[name].add(ids, *(descriptors.flatten(1).cpu().numpy() for descriptors in layers))
        now = time.perf_counter()
        self.seconds[name] = self.seconds.get(name, 0.0) + now - self._since
        self._since = now

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Close the sets and keep what is written, so that the same process can resume them."""
        for writer in self._writers.values():
            writer.close()
        self._writers = {}

    def finish(self, trainer: pl.Trainer) -> dict[str, Embedded]:
        """Join what all ranks wrote; return the sets by name on rank 0, and an empty dictionary on the others."""
        for writer in self._writers.values() if not trainer.is_global_zero else ():
            writer.close()
        trainer.strategy.barrier()
        found = {}
        for name, images in data_of(trainer).evaluated.items() if trainer.is_global_zero else ():
            self._writers[name].take_over()
            found[name] = Embedded(images, *self._writers[name].finish())
        self._writers = {}
        return found

    def _layers(self, trainer: pl.Trainer, module: DescriptorModule) -> dict[str, list[Layer]]:
        data = data_of(trainer)
        dim: Any = module.model.dim
        protocol = ExtractionProtocol(
            model=self.model_name,
            weights=weights_hash(module.model),
            input_size=data.preprocessing.short_side,
            resize=data.preprocessing.mode,
            scales=self.extraction.scales,
            flip=self.extraction.flip,
            data=data.source.name,
            precision=str(trainer.precision),
            versions=versions(),
        )
        layers = {}
        for name, extraction in zip(data.evaluated, module.extractions, strict=True):
            layers[name] = [Layer(self.folder / name, dim, replace(protocol, split=name), self.dtype)]
            if levels := extraction.regions:
                of_regions = replace(protocol, split=name, regions=levels)
                folder = self.folder / f"{name}{REGIONS}"
                layers[name].append(Layer(folder, region_count(levels) * dim, of_regions, "float16"))
        return layers


class ResumedExtraction(DescriptorExtraction):
    """Extraction that resumes what an interrupted run left in the folder.

    Call `finish` after `Trainer.validate`. It is not a hook, because Lightning skips the loop and its hooks on a rank
    that has nothing left to do.
    """

    replace_others = False
    """Whether sets that were made with other settings are replaced instead of refused."""

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Open the sets for writing and note which images they hold, before the loaders are made."""
        super().setup(trainer, pl_module, stage)
        module = module_of(pl_module)
        ids = {name: images.table.ids for name, images in data_of(trainer).evaluated.items()}
        _share_buffers(trainer, module)
        layers, stamps = self._layers(trainer, module), _stamps(trainer)
        if trainer.is_global_zero:  # takes over the parts of other ranks before these open new ones
            self._writers = {
                name: JointWriter.resumed(layers[name], ids[name], self.replace_others, stamps[name]) for name in ids
            }
        self.done = trainer.strategy.broadcast({name: writer.ids for name, writer in self._writers.items()})
        if not trainer.is_global_zero:
            self._writers = {
                name: JointWriter(layers[name], ids[name], trainer.global_rank, stamps[name]) for name in ids
            }
        self._since = time.perf_counter()


class RemainingImages(pl.LightningDataModule):
    """Data module that reads those images of each set that are not embedded yet."""

    def __init__(self, data: LandmarkDataModule, extraction: ResumedExtraction) -> None:
        super().__init__()
        self.data = data
        self.extraction = extraction
        self.allow_zero_length_dataloader_with_multiple_devices = True  # a rank may have nothing left to do

    def val_dataloader(self) -> list[DataLoader[Any]]:
        """Return the loaders of this rank, one for each set."""
        assert self.trainer is not None
        ranks, done = (self.trainer.global_rank, self.trainer.world_size), self.extraction.done
        return [self.data.eval_loader(images, done[name], ranks) for name, images in self.data.evaluated.items()]


def data_of(trainer: pl.Trainer) -> LandmarkDataModule:
    """Return the trainer's data module as a `LandmarkDataModule`."""
    data = trainer.datamodule  # type: ignore[attr-defined]
    data = data.data if isinstance(data, RemainingImages) else data
    assert isinstance(data, LandmarkDataModule)
    return data


def module_of(pl_module: pl.LightningModule) -> DescriptorModule:
    """Return the trainer's module as a `DescriptorModule`."""
    assert isinstance(pl_module, DescriptorModule)
    return pl_module


def _stamps(trainer: pl.Trainer) -> dict[str, NDArray[np.uint64]]:
    """Return stamps that tell when the file behind an id has changed; only rank 0 reads them, as it takes long."""
    sets = data_of(trainer).evaluated if trainer.is_global_zero else {}
    found: dict[str, NDArray[np.uint64]] = trainer.strategy.broadcast(
        {name: images.stamps() for name, images in sets.items()}
    )
    return found


def _share_buffers(trainer: pl.Trainer, module: DescriptorModule) -> None:
    """Copy the statistics of rank 0, which a checkpoint holds, to all ranks; without this each rank has its own."""
    if trainer.world_size > 1:
        for buffer in module.model.buffers():
            torch.distributed.broadcast(buffer, 0)


def _not_finite(steps: int) -> LandmarksError:
    if steps:
        return LandmarksError(
            f"The network gives descriptors that are not finite, after {steps} steps: training "
            "has diverged. Lower optimizer.lr, lengthen scheduler.warmup, or set trainer.gradient_clip_val=1."
        )
    return LandmarksError(
        "The network gives descriptors that are not finite: try trainer.precision=32, and check its weights."
    )
