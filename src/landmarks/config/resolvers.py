"""Values that a YAML file asks for because they depend on the machine or on another value."""

import os
import re
from importlib.resources import files
from typing import Literal

from omegaconf import OmegaConf

from landmarks.metrics import best_mode


def best_precision(accelerator: str = "auto") -> str:
    """Return `bf16-mixed` where the GPU computes in bfloat16, else `32-true`.

    On processors bfloat16 stays a choice (`trainer.precision=bf16-mixed`): few of them gain from it.
    """
    import torch

    return "bf16-mixed" if on_gpu(accelerator) and torch.cuda.is_bf16_supported() else "32-true"


def on_gpu(accelerator: str = "auto") -> bool:
    """Say whether a run with that `trainer.accelerator` computes on a GPU."""
    import torch  # takes seconds, which commands without a network need not wait for

    return accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()


def workers(most: int) -> int:
    """Return how many processes read images: `most`, or as many as there are cores that this process may use."""
    return min(most, available_cores())


def available_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def file_name(text: str) -> str:
    """Turn any text, such as a list of overrides, into something that can be part of a file name."""
    return re.sub(r"[^\w.,=+-]+", "-", text).strip("-")[:120] or "default"


def demo_data(name: Literal["world", "boxes"]) -> str:
    """Return the folder of a data set that comes with the package, see `data/demo/README.md` there."""
    return str(files("landmarks") / "data" / "demo" / name)


def register_resolvers() -> None:
    """Make `${best_mode:…}`, `${best_precision:…}`, … known to OmegaConf, once or again."""
    OmegaConf.register_new_resolver("best_mode", best_mode, replace=True)
    OmegaConf.register_new_resolver("best_precision", best_precision, replace=True)
    OmegaConf.register_new_resolver("on_gpu", on_gpu, replace=True)
    OmegaConf.register_new_resolver("demo_data", demo_data, replace=True)
    OmegaConf.register_new_resolver("workers", workers, replace=True)
    OmegaConf.register_new_resolver("file_name", file_name, replace=True)
