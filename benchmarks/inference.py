"""Milliseconds an image of every way to compute descriptors, side by side, with what each way costs beforehand.

    python benchmarks/inference.py                 # all networks at 224 px; --quick tries it and writes nothing
    python benchmarks/inference.py --device cuda   # on a GPU

Each network is measured in a process of its own. The ways take turns, one batch each, round after round, so that
other work on the machine and a processor that slows down meet all of them; the fastest batch of each counts. `ratio`
is its speed over eager's, `ready_seconds` what compiling or exporting took, `difference` the largest to eager in
spreads of the descriptors (`landmarks.models.agreement`), over images of three shapes. Weights are random, except for
batch norm's statistics, which come from two passes over made-up images so that the numbers stay in their usual range.

On processors these ways are measured: eager with images and weights in torch's usual order (the base of all ratios),
channels_last (`inference=eager`), torch.compile (`inference=compile`), the program of `landmarks export --format
torch`, ONNX Runtime (`inference=onnx`), the same with threads that spin, and bfloat16 autocast. On GPUs: eager,
channels_last and compile, in float32 and in bfloat16. Rows go to `benchmarks/results/inference.csv` or
`inference_cuda.csv`.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from machine import machine, write_csv
from torch import Tensor, nn

from landmarks.models import DescriptorNet, largest_difference, published_net, timm_net, trial_images

NETWORKS: dict[str, Callable[[], DescriptorNet]] = {
    "res152": lambda: published_net("res152"),
    "se_x152": lambda: published_net("se_x152"),
    "inceptionv4": lambda: published_net("inceptionv4"),
    "res18": lambda: timm_net("resnet18d", dim=256),
}
Way = Callable[[Tensor], Tensor]


def prepared(name: str) -> DescriptorNet:
    """A network with random weights and the statistics that go with them."""
    torch.manual_seed(0)
    net = NETWORKS[name]().train()
    with torch.no_grad():
        for images in trial_images()[:1] * 2:
            net(images)
    return net.eval()


def channels_last(net: nn.Module) -> Way:
    net = net.to(memory_format=torch.channels_last)
    return lambda images: net(images.contiguous(memory_format=torch.channels_last))


def compiled(net: nn.Module) -> Way:
    net.compile(dynamic=True)
    return channels_last(net)


def exported(net: nn.Module) -> Way:
    from landmarks.models import exported_program

    return exported_program(net).module()


def onnx(net: nn.Module, spinning: bool = False) -> Way:
    from landmarks.models import OnnxNetwork, onnx_model, to_bytes

    return OnnxNetwork(to_bytes(onnx_model(net, "descriptors")), spinning=spinning)


def in_bf16(way: Callable[[nn.Module], Way]) -> Callable[[nn.Module], Way]:
    def make(net: nn.Module) -> Way:
        plain, device = way(net), next(net.parameters()).device.type

        def computed(images: Tensor) -> Tensor:
            with torch.autocast(device, torch.bfloat16):
                return plain(images).float()

        return computed

    return make


WAYS: dict[str, dict[str, Callable[[nn.Module], Way]]] = {
    "cpu": {
        "eager": lambda net: net,
        "channels_last": channels_last,
        "compile": compiled,
        "exported": exported,
        "onnxruntime": onnx,
        "onnxruntime, spinning": lambda net: onnx(net, spinning=True),
        "bf16": in_bf16(channels_last),
    },
    "cuda": {
        "eager": lambda net: net,
        "channels_last": channels_last,
        "compile": compiled,
        "bf16": in_bf16(channels_last),
        "bf16, compile": in_bf16(compiled),
    },
}


def measure(name: str, device: str, side: int, batch: int, rounds: int) -> Iterator[dict[str, object]]:
    """Rows of one network."""
    images = torch.randn(batch, 3, side, side, generator=torch.Generator().manual_seed(1)).to(device)
    reference = prepared(name)
    ways, ready = {}, {}
    for way, make in WAYS[device].items():
        net = prepared(name).to(device)
        start = time.perf_counter()
        with torch.inference_mode(way != "exported"):
            ways[way] = make(net)
            compute(ways[way], images)
            ready[way] = time.perf_counter() - start
            compute(ways[way], images)  # compiled for any size by now
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    with torch.inference_mode():
        for _ in range(rounds):
            for way, computed in ways.items():
                start = time.perf_counter()
                compute(computed, images)
                seconds[way].append(time.perf_counter() - start)
    base = min(seconds["eager"])
    for way, computed in ways.items():
        with exact_products():
            difference = largest_difference(reference, lambda x, c=computed: c(x.to(device)).cpu())
        yield {
            "network": name,
            "side": side,
            "batch": batch,
            "way": way,
            "ms_an_image": round(1000 * min(seconds[way]) / batch, 2),
            "ratio": round(base / min(seconds[way]), 2),
            "ready_seconds": round(ready[way], 1),
            "difference": f"{difference:.1e}",
        }


def compute(way: Way, images: Tensor) -> None:
    way(images)
    if images.is_cuda:
        torch.cuda.synchronize()


@contextmanager
def exact_products() -> Iterator[None]:
    """Comparisons without TF32, which GPUs may use in convolutions."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def about(device: str) -> dict[str, object]:
    import onnxruntime

    versions = {"torch": torch.__version__, "onnxruntime": onnxruntime.__version__}
    gpu = {"gpu": torch.cuda.get_device_name()} if device == "cuda" else {}
    return {"threads": torch.get_num_threads(), **gpu, **machine(**versions)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=list(WAYS), default="cpu")
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--quick", action="store_true", help="res18 alone, small images, writes nothing")
    parser.add_argument("--out", type=Path, help="where the CSV goes")
    parser.add_argument("--network", choices=list(NETWORKS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.network:
        for row in measure(options.network, options.device, options.side, options.batch, options.rounds):
            print(json.dumps({**row, **about(options.device)}))
        return
    settings = {"side": options.side, "batch": options.batch, "rounds": options.rounds}
    if options.quick:
        settings |= {"side": 128, "batch": 2, "rounds": 3}
    rows = []
    for name in ["res18"] if options.quick else NETWORKS:
        command = [sys.executable, __file__, "--network", name, "--device", options.device]
        command += [f"--{key}={value}" for key, value in settings.items()]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        for row in map(json.loads, done.stdout.splitlines()):
            rows.append(row)
            print(*(f"{key} {row[key]}" for key in list(row)[:8]), sep="  ", flush=True)
    if not options.quick:
        name = "inference.csv" if options.device == "cpu" else f"inference_{options.device}.csv"
        write_csv(options.out or Path(__file__).parent / "results" / name, rows)


if __name__ == "__main__":
    main()
