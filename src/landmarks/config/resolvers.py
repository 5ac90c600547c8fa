"""Resolvers for values in YAML files that depend on the machine or on another value."""

import os
import re
from importlib.resources import files
from typing import Literal

from omegaconf import OmegaConf

from landmarks.metrics import best_mode


def best_precision(accelerator: str = "auto") -> str:
    """Return `bf16-mixed` if the GPU supports bfloat16, otherwise `32-true`.

    CPUs use bfloat16 only if asked to (`trainer.precision=bf16-mixed`), because few of them are faster with it.
    """
    import torch

    return "bf16-mixed" if on_gpu(accelerator) and torch.cuda.is_bf16_supported() else "32-true"


def on_gpu(accelerator: str = "auto") -> bool:
    """Return whether a run with this `trainer.accelerator` computes on a GPU."""
    import torch  # here, because it takes seconds and not every command needs it

    return accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()


def workers(most: int) -> int:
    """Return the number of processes that read images: at most `most`, and at most one per available core."""
    return min(most, available_cores())


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def file_name(text: str) -> str:
    """Turn any text, such as a list of overrides, into a part of a file name."""
    return re.sub(r"[^\w.,=+-]+", "-", text).strip("-")[:120] or "default"


def demo_data(name: Literal["world", "boxes"]) -> str:
    """Return the folder of a data set that comes with the package, see `data/demo/README.md` there."""
    return str(files("landmarks") / "data" / "demo" / name)


def register_resolvers() -> None:
    """Register `${best_mode:…}`, `${best_precision:…}` and the others with OmegaConf; a second call is harmless."""
    OmegaConf.register_new_resolver("best_mode", best_mode, replace=True)
    OmegaConf.register_new_resolver("best_precision", best_precision, replace=True)
    OmegaConf.register_new_resolver("on_gpu", on_gpu, replace=True)
    OmegaConf.register_new_resolver("demo_data", demo_data, replace=True)
    OmegaConf.register_new_resolver("workers", workers, replace=True)
    OmegaConf.register_new_resolver("file_name", file_name, replace=True)
