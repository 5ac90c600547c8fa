"""The types of the top-level keys; all other keys are typed by the constructors they belong to."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Shared:
    """Keys that training and evaluation share. Groups are checked node by node, hence `Any`."""

    name: str
    seed: int
    run_dir: str
    monitor: str
    channels_last: bool
    compile: bool
    data: Any
    augmentation: Any
    sampler: Any
    trainer: Any
    callbacks: Any
    index: Any
    pipeline: Any
    votes: Any


@dataclass(frozen=True)
class Published:
    """The figures that were published for a run, with what they were measured on."""

    metric: str
    public: float | None
    private: float | None
    source: str


@dataclass(frozen=True)
class TrainSettings(Shared):
    """Top-level keys of `conf/train.yaml`."""

    evaluate_untrained: bool
    resume: str | None
    model: Any
    loss: Any
    optimizer: Any
    scheduler: Any
    logger: Any
    published: Published | None = None


@dataclass(frozen=True)
class EvaluateSettings(Shared):
    """Top-level keys of `conf/evaluate.yaml`."""

    checkpoint: str
