"""Seconds and memory of one training step of the class-weight losses, beside the plain way to write them.

    python benchmarks/losses.py

Each row is measured in a process of its own. Seconds are those of the fastest of several steps (forward and
backward), for other work on the machine only ever adds to them; `load` is how many processes wanted the processor
then, ours included. Memory is the peak above weights and inputs; the gradient of the weights is part of it. Rows
go to `benchmarks/results/losses.csv`, or `losses_cuda.csv` with `--device cuda`.
"""

import argparse
import csv
import math
import multiprocessing
import os
import platform
import resource
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, linear, normalize, one_hot

from landmarks.losses import ArcMargin, Softmax

SIZES = ["classes", "dim", "batch"]
HEADER = ["loss", "implementation", *SIZES, "value", "seconds", "peak_mb", "load", "machine", "torch", "python"]
DIM = 512
BATCH = 256
CASES = [
    (loss, implementation, classes)
    for classes in (1_000, 8_192, 81_313, 203_094)
    for loss, implementation in (
        ("arcmargin", "one-hot"),
        ("arcmargin", "ours"),
        ("softmax", "torch"),
        ("softmax", "ours"),
    )
]


class OneHotArcMargin(ArcMargin):
    """ArcMargin as it is mostly written: one-hot labels and every intermediate [B, C] in full."""

    def forward(self, descriptors: Tensor, landmarks: Tensor) -> Tensor:
        cosine = linear(normalize(descriptors), normalize(self.weight))
        phi = cosine * math.cos(self.margin) - torch.sqrt(1 - cosine**2 + 1e-6) * math.sin(self.margin)
        shifted = cosine - math.sin(math.pi - self.margin) * self.margin
        phi = torch.where(cosine > math.cos(math.pi - self.margin), phi, shifted)
        hot = one_hot(landmarks, len(self.weight))
        return cross_entropy(self.scale * (hot * phi + (1 - hot) * cosine), landmarks)


class TorchSoftmax(Softmax):
    """The fully connected layer and cross entropy of torch."""

    def forward(self, descriptors: Tensor, landmarks: Tensor) -> Tensor:
        return cross_entropy(linear(descriptors, self.weight, self.bias), landmarks)


LOSSES: dict[tuple[str, str], Callable[[int, int], nn.Module]] = {
    ("arcmargin", "one-hot"): OneHotArcMargin,
    ("arcmargin", "ours"): ArcMargin,
    ("softmax", "torch"): TorchSoftmax,
    ("softmax", "ours"): Softmax,
}


def measure(loss: str, implementation: str, classes: int, device: str, steps: int) -> tuple[float, float, float]:
    """The loss itself, seconds of the fastest step, and peak MB above weights and inputs."""
    build = LOSSES[loss, implementation]
    step(build(100, DIM).to(device), *batch(100, device))  # loads libraries and starts threads
    torch.manual_seed(0)
    module = build(classes, DIM).to(device)
    descriptors, landmarks = batch(classes, device)
    before = used_bytes(device)
    seconds = []
    for _ in range(steps + 1):
        module.zero_grad(set_to_none=True)
        start = time.perf_counter()
        value = step(module, descriptors, landmarks)
        seconds.append(time.perf_counter() - start)
    return value, min(seconds[1:]), (peak_bytes(device) - before) / 1e6


def batch(classes: int, device: str) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(1)
    descriptors = torch.randn(BATCH, DIM, generator=random).to(device).requires_grad_()
    return descriptors, torch.randint(classes, (BATCH,), generator=random).to(device)


def step(module: nn.Module, descriptors: Tensor, landmarks: Tensor) -> float:
    descriptors.grad = None
    loss = module(descriptors, landmarks)
    loss.backward()
    return loss.item()  # waits for the device


def used_bytes(device: str) -> int:
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def peak_bytes(device: str) -> int:
    if device == "cuda":
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def machine(device: str) -> str:
    if device == "cuda":
        return torch.cuda.get_device_name()
    names = [
        line.split(":")[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return f"{names[0]} ({len(names)} cores, {torch.get_num_threads()} threads)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--out", type=Path, help="where the CSV goes")
    options = parser.parse_args()
    name = "losses.csv" if options.device == "cpu" else f"losses_{options.device}.csv"
    out = options.out or Path(__file__).parent / "results" / name
    out.parent.mkdir(parents=True, exist_ok=True)
    processes = multiprocessing.get_context("spawn")
    with out.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        for case in CASES:
            with processes.Pool(1) as pool:
                value, seconds, megabytes = pool.apply(measure, (*case, options.device, options.steps))
            figures = [DIM, BATCH, f"{value:.4f}", f"{seconds:.4f}", f"{megabytes:.0f}", f"{os.getloadavg()[0]:.1f}"]
            versions = [torch.__version__, platform.python_version()]
            writer.writerow([*case, *figures, machine(options.device), *versions])
            file.flush()
            print(f"{case[0]:10} {case[1]:8} {case[2]:8,} classes  {seconds:7.3f} s  {megabytes:7.0f} MB")


if __name__ == "__main__":
    main()
