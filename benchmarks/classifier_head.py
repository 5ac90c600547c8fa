"""What a classifier of 203,094 landmarks needs to train at batch 256, computed from parts that are measured here.

    python benchmarks/classifier_head.py

Three kinds of rows go to `benchmarks/results/classifier_head.csv`:

- *head*: real memory of a process of its own that takes one step (forward, backward, SGD) of the head alone, ours
  beside `nn.Linear` with cross entropy, at batch 256; above what the process held before the head was made.
- *network*: what ResNet152 keeps for the backward pass at 224 px in bfloat16 autocast, without weights: all storages
  that autograd saves, for one and for two images. The difference is what an image costs.
- *step*: a whole training step at batch 256, every allocation followed without being made (fake tensors have shapes
  but no memory). Its peak holds weights, momentum, gradients, activations, head, and what lives for a moment.

No GPU is used. A GPU adds its own context, the workspaces of convolutions, and gaps between allocations.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from machine import machine, write_csv
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.functional import cross_entropy
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from landmarks.losses import Softmax
from landmarks.models import published_net

LANDMARKS = 203_094
BATCH = 256
SIDE = 224
MIB = 2**20
CARD = 24 * 1024  # MiB
EXPERIMENTS: dict[str, int | None] = {"res152_softmax_v1": 256, "res152_softmax_v2": None}
FEATURES = 2048


class TorchHead(nn.Module):
    """The fully connected layer and cross entropy of torch."""

    def __init__(self, num_landmarks: int, dim: int) -> None:
        super().__init__()
        self.fc = nn.Linear(dim, num_landmarks)

    def forward(self, descriptors: Tensor, landmarks: Tensor) -> Tensor:
        return cross_entropy(self.fc(descriptors), landmarks)


HEADS: dict[str, Callable[[int, int], nn.Module]] = {"ours": Softmax, "torch": TorchHead}


def sgd(parameters: Iterator[nn.Parameter], **options: bool) -> torch.optim.SGD:
    return torch.optim.SGD(parameters, lr=0.01, momentum=0.9, weight_decay=1e-4, **options)


def measure_head(which: str, dim: int, optimizer_kind: str) -> dict[str, object]:
    """Real memory of this process, MiB above what it held before the head was made."""
    warm = HEADS[which](100, 8)  # loads libraries and starts threads
    warm(torch.randn(4, 8), torch.zeros(4, dtype=torch.int64)).backward()
    sgd(warm.parameters()).step()
    before = resident()
    head = HEADS[which](LANDMARKS, dim)
    weights = resident() - before
    options: dict[str, bool] = {} if optimizer_kind == "default" else {optimizer_kind: True}
    optimizer = sgd(head.parameters(), **options)
    descriptors = torch.randn(BATCH, dim, requires_grad=True)
    landmarks = torch.randint(LANDMARKS, (BATCH,))
    seconds, peaks = [], []
    for _ in range(2):  # the second step has momentum already
        optimizer.zero_grad()
        reset_peak()
        start = time.perf_counter()
        head(descriptors, landmarks).backward()
        seconds.append(time.perf_counter() - start)
        peaks.append(peak() - before)
        reset_peak()
        optimizer.step()
        peaks.append(peak() - before)
    parameters = sum(p.nbytes for p in head.parameters())
    momentum = sum(state["momentum_buffer"].nbytes for state in optimizer.state.values())
    gradient = sum(p.grad.nbytes for p in head.parameters() if p.grad is not None)
    return {
        "weights_mib": parameters / MIB,
        "gradient_mib": gradient / MIB,
        "momentum_mib": momentum / MIB,
        "weights_resident_mib": weights / MIB,
        "peak_loss_mib": peaks[2] / MIB,
        "peak_sgd_mib": peaks[3] / MIB,
        "seconds_loss": min(seconds),
    }


def resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def reset_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def peak() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def measure_network(checkpointing: bool) -> dict[str, object]:
    """What an image keeps for the backward pass, from two images against one; real tensors."""
    torch.manual_seed(0)
    net = published_net("res152", dim=None, checkpointing=checkpointing).to(memory_format=torch.channels_last)
    kept = [kept_bytes(net, images) for images in (1, 2)]
    each = kept[1] - kept[0]
    return {
        "images_1_mib": kept[0] / MIB,
        "images_2_mib": kept[1] / MIB,
        "each_image_mib": each / MIB,
        f"batch_{BATCH}_mib": (kept[0] + (BATCH - 1) * each) / MIB,
    }


def kept_bytes(net: nn.Module, count: int) -> int:
    images = torch.randn(count, 3, SIDE, SIDE).to(memory_format=torch.channels_last)
    own = {parameter.untyped_storage().data_ptr() for parameter in net.parameters()}
    kept: dict[int, tuple[int, Tensor]] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes(), tensor.detach()  # held, so that no address comes twice
        return tensor

    hooks = torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor)
    with hooks, torch.autocast("cpu", torch.bfloat16):
        output = net(images)
    assert output.requires_grad
    return sum(size for size, _ in kept.values())


class Allocations(TorchDispatchMode):
    """Adds up the storages that are alive, and remembers the most there were at once."""

    def __init__(self) -> None:
        super().__init__()
        self.alive = 0
        self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor):
                self.count(tensor)
        return result

    def count(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key not in self._known:
            size = storage.nbytes()
            self._known.add(key)
            self.alive += size
            self.peak = max(self.peak, self.alive)
            weakref.finalize(storage, self._freed, key, size)

    def _freed(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.alive -= size

    @contextmanager
    def phase(self) -> Iterator[list[int]]:
        """Gives the peak of a block, as the one entry of the list."""
        found: list[int] = []
        self.peak = self.alive
        yield found
        found.append(self.peak)


def measure_step(dim: int | None, checkpointing: bool, **options: bool) -> dict[str, object]:
    """Peaks of a whole step: the second one, which has momentum."""
    with FakeTensorMode(allow_non_fake_inputs=True), Allocations() as memory:
        net = published_net("res152", dim=dim, checkpointing=checkpointing)
        head = Softmax(LANDMARKS, dim or FEATURES)
        parameters = [*net.parameters(), *head.parameters()]
        optimizer = sgd(iter(parameters), **options)
        found: dict[str, object] = {}
        for _ in range(2):
            optimizer.zero_grad()
            images = torch.empty(BATCH, 3, SIDE, SIDE)
            landmarks = torch.empty(BATCH, dtype=torch.int64)
            before = memory.alive
            with memory.phase() as forward, torch.autocast("cpu", torch.bfloat16):
                descriptors = net(images).float()
                loss = head(descriptors, landmarks)
            kept = memory.alive
            with memory.phase() as backward:
                loss.backward()
            with memory.phase() as step:
                optimizer.step()
            found = {
                "weights_momentum_images_mib": before / MIB,
                "kept_for_backward_mib": (kept - before) / MIB,
                "peak_forward_mib": forward[0] / MIB,
                "peak_backward_mib": backward[0] / MIB,
                "peak_sgd_mib": step[0] / MIB,
                "peak_mib": max(*forward, *backward, *step) / MIB,
                "left_of_24_gib_mib": CARD - max(*forward, *backward, *step) / MIB,
            }
            del descriptors, loss, images, landmarks
    return found


CASES: list[dict[str, Any]] = [
    *(
        {"part": "head", "experiment": name, "dim": dim or FEATURES, "batch": BATCH, "head": which, "sgd": kind}
        for name, dim in EXPERIMENTS.items()
        for which, kind in (("torch", "default"), ("ours", "default"), ("ours", "fused"))
    ),
    *({"part": "network", "checkpointing": on} for on in (False, True)),
    *(
        {"part": "step", "experiment": name, "dim": dim or FEATURES, "batch": BATCH, "checkpointing": on, "sgd": kind}
        for name, dim in EXPERIMENTS.items()
        for on, kind in ((False, "foreach"), (True, "foreach"), (True, "fused"))
    ),
]


def measure(case: dict[str, Any]) -> dict[str, object]:
    if case["part"] == "head":
        return measure_head(case["head"], case["dim"], case["sgd"])
    if case["part"] == "network":
        return measure_network(case["checkpointing"])
    dim = None if case["dim"] == FEATURES else case["dim"]
    return measure_step(dim, case["checkpointing"], **{case["sgd"]: True})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", help=argparse.SUPPRESS)
    parser.add_argument("--only", choices=["head", "network", "step"], help="measure these rows alone, write nothing")
    options = parser.parse_args()
    if options.case:
        print(json.dumps(measure(json.loads(options.case))))
        return
    rows = []
    for case in CASES:
        if options.only not in (None, case["part"]):
            continue
        command = [sys.executable, __file__, "--case", json.dumps(case)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found = json.loads(done.stdout.splitlines()[-1])
        rounded = {key: round(value, 2 if value < 100 else 1) for key, value in found.items()}
        print(case, rounded, flush=True)
        rows.append({"landmarks": LANDMARKS, **case, **rounded, **machine(torch=torch.__version__)})
    if options.only is None:
        write_csv(Path(__file__).parent / "results" / "classifier_head.csv", rows)


if __name__ == "__main__":
    main()
