"""Defines the types of the top-level keys; other keys are typed by the constructors that they belong to."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

Task = Literal["landmarks", "detection"]
"""Task of a run: retrieval and recognition of landmarks, or detection."""

Inference = Literal["eager", "compile", "onnx"]
"""Engine that computes descriptors, see `landmarks.extraction.inference`."""


Count = Annotated[int, Field(ge=1)]
Length = Count | Literal[-1]  # -1: no limit
Share = Count | Annotated[float, Field(gt=0, le=1)]
Finite = Annotated[float, Field(allow_inf_nan=False)]

RANGES: dict[str, Any] = {
    "seed": Annotated[int, Field(ge=0, lt=2**32)],
    "data.image_size": Count | None,
    "data.num_workers": Annotated[int, Field(ge=0)],
    "optimizer.lr": Finite,
    "optimizer.weight_decay": Finite,
    "sampler.size_power": Finite,
    "trainer.max_epochs": Length | None,
    "trainer.max_steps": Length,
    "trainer.accumulate_grad_batches": Count,
    "trainer.gradient_clip_val": Annotated[float, Field(ge=0)] | None,
    "trainer.check_val_every_n_epoch": Count | None,
    "trainer.val_check_interval": Share | str | dict[str, Any] | None,
    "trainer.log_every_n_steps": Count,
    "trainer.limit_train_batches": Share | None,
    "trainer.limit_val_batches": Share | None,
    "callbacks.last.minutes": Annotated[float, Field(ge=0)],
}
"""Valid values of keys that libraries do not check, or check too late; any key may be missing."""


@dataclass(frozen=True)
class Shared:
    """Top-level keys of both training and evaluation; groups are `Any`, because they are checked node by node."""

    name: str
    seed: int
    run_dir: str
    trust: list[str]
    monitor: str
    channels_last: bool
    data: Any
    augmentation: Any
    sampler: Any
    trainer: Any
    callbacks: Any
    index: Any
    neighbours: Any
    cache: Any
    extraction: Any
    pipeline: Any
    local_features: Any
    recognition: Any
    predictions: str | None
    detections: str | None


@dataclass(frozen=True)
class Published:
    """Published values of a metric, and the publication they are from."""

    metric: str
    public: float | None
    private: float | None
    source: str


@dataclass(frozen=True)
class TrainSettings(Shared):
    """Top-level keys of `conf/train.yaml`."""

    job: Literal["train"]
    task: Task
    compile: bool
    evaluate_untrained: bool
    resume: str | None
    overwrite: bool
    model: Any
    loss: Any
    local_loss: Any
    sharding: Any
    optimizer: Any
    scheduler: Any
    parameters: Any
    logger: Any
    levers: Any = None
    published: Published | None = None


@dataclass(frozen=True)
class DetectorSettings(TrainSettings):
    """Top-level keys of `conf/train.yaml` for a detector, which does not use some groups."""

    loss: None
    augmentation: None
    sampler: None
    index: None
    neighbours: None
    pipeline: None
    local_features: None
    recognition: None


@dataclass(frozen=True)
class EvaluateSettings(Shared):
    """Top-level keys of `conf/evaluate.yaml`."""

    job: Literal["evaluate"]
    inference: Inference
    checkpoint: str | None
    descriptors: "DescriptorSettings"


@dataclass(frozen=True)
class DetectorEvaluateSettings:
    """The top-level keys of `conf/evaluate.yaml` that a detector uses."""

    job: Literal["evaluate"]
    name: str
    seed: int
    run_dir: str
    trust: list[str]
    channels_last: bool
    inference: Inference
    checkpoint: str
    data: Any
    trainer: Any
    callbacks: Any


@dataclass(frozen=True)
class DescriptorSettings:
    """Keys of `descriptors` in `conf/evaluate.yaml`; `landmarks.evaluation.precomputed` reads them."""

    queries: str | list[str] | None
    index: str | list[str] | None
    gallery: str | list[str] | None
    weights: list[float] | None
    query_ids: str | None
    index_ids: str | None
    gallery_ids: str | None
    query_labels: str | None
    index_labels: str | None
    gallery_labels: str | None
    query_regions: str | None
    index_regions: str | None
    solution: str | None
    recognition_solution: str | None
    use_data: bool


@dataclass(frozen=True)
class ExtractSettings:
    """Top-level keys of `conf/extract.yaml`."""

    job: Literal["extract"]
    seed: int
    run_dir: str
    trust: list[str]
    channels_last: bool
    inference: Inference
    checkpoint: str
    splits: list[Literal["queries", "index", "gallery", "train"]]
    dtype: Literal["float32", "float16"]
    predictions: int
    name: str
    data: Any
    augmentation: Any
    sampler: Any
    trainer: Any
    callbacks: Any
    extraction: Any
