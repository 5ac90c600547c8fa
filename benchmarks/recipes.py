"""What a row of the leaderboard costs: arithmetic counted here, hours estimated from a throughput that was measured.

    python benchmarks/recipes.py --gldv2 GLDV2 [--cpu]

For each experiment, to `benchmarks/results/recipes.csv`: the multiplications and additions of an image in training and
in evaluation (counted by torch as the network runs without data, on the meta device), images of the whole run, and
hours of one GPU. These assume as many operations a second as in a throughput that was published for training: ResNet152
at 224 px, mixed precision, channels last, 501 images a second on an RTX 3090. Grouped convolutions (SE-ResNeXt) and
small batches use a card less well, newer cards are faster: such hours may be off by a factor of two.

Images of an evaluation are sized as published, so their area depends on their shapes: those of the queries and index
images in `--gldv2`. `--cpu` also times both on this machine, for the smaller networks.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import timm
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from machine import machine, write_csv
from omegaconf import DictConfig
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from landmarks.config import config_root, register_resolvers, register_search_path
from landmarks.data import GLDv2, Preprocessing, read_size

MEASURED = 501.0  # images a second
MEASURED_WITH = "resnet152"
EVALUATED = 117_577 + 761_757  # queries and index images of the full set
TRAINING = 3  # a forward pass, and twice as much backward
RECOMPUTED = 4  # with activation checkpointing


def forward_flops(net: nn.Module, height: int, width: int) -> int:
    """Of one image, a multiplication and an addition counted as two."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(torch.empty(1, 3, height, width, device="meta"))
    return counter.get_total_flops()


def mean_shape(root: Path, resize: Preprocessing) -> tuple[int, int]:
    """Height and width, multiples of 32, that stand for the mean area of evaluated images."""
    source = GLDv2(root)
    sets = (source.queries(), source.index())
    sizes = np.array([read_size(images, row) for images in sets for row in range(0, len(images), 2)])
    area = resize.shapes(sizes).prod(axis=1).mean()
    height = resize.short_side // 32 * 32
    return height, round(area / height / 32) * 32


def row(name: str, config: DictConfig, rate: float, shape: tuple[int, int]) -> dict[str, object]:
    with torch.device("meta"):
        net = instantiate(config.model, pretrained=False, checkpointing=False).eval()
    side = int(config.data.image_size)
    in_training = forward_flops(net, side, side)
    in_evaluation = forward_flops(net, *shape)
    steps, batch = int(config.trainer.max_steps), int(config.data.batch_size)
    passes = RECOMPUTED if config.model.checkpointing else TRAINING
    return {
        "experiment": name,
        "image_size": side,
        "gflops_training_image": round(passes * in_training / 1e9, 1),
        "steps": steps,
        "batch": batch,
        "images": steps * batch,
        "gpu_hours_training": round(steps * batch * passes * in_training / rate / 3600, 1),
        "evaluated_height": shape[0],
        "evaluated_width": shape[1],
        "gflops_evaluated_image": round(in_evaluation / 1e9, 1),
        "gpu_hours_extraction": round(EVALUATED * in_evaluation / rate / 3600, 1),
    }


def seconds_on_this_machine(config: DictConfig, shape: tuple[int, int]) -> dict[str, object]:
    """Seconds an image for a training step (batch 2) and for a forward pass (batch 1), float32, channels last."""
    net = instantiate(config.model, pretrained=False).to(memory_format=torch.channels_last)
    side = int(config.data.image_size)
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-6)

    def step() -> None:
        net(torch.randn(2, 3, side, side).contiguous(memory_format=torch.channels_last)).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()

    def forward() -> None:
        with torch.inference_mode():
            net(torch.randn(1, 3, *shape).contiguous(memory_format=torch.channels_last))

    found = {}
    for key, work, images in (("cpu_seconds_training", step, 2), ("cpu_seconds_extraction", forward, 1)):
        net.train(work is step)
        work()
        start = time.perf_counter()
        work()
        found[key] = round((time.perf_counter() - start) / images, 2)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gldv2", type=Path, required=True, help="Google Landmarks v2, or a part of it")
    parser.add_argument("--cpu", action="store_true", help="also time one step and one image here")
    arguments = parser.parse_args()
    register_search_path()
    register_resolvers()
    with torch.device("meta"):
        reference = timm.create_model(MEASURED_WITH).eval()
    rate = MEASURED * TRAINING * forward_flops(reference, 224, 224)
    rows = []
    for path in sorted((config_root() / "experiments").glob("*.yaml")):
        with initialize_config_dir(str(config_root() / "conf"), version_base="1.3"):
            config = compose("train", [f"experiments={path.stem}", f"data.root={arguments.gldv2}"])
        if config.get("published") is None or config.task == "detection":
            continue  # the cost of a detector depends on what it proposes
        mode = "aspect" if config.published.metric == "map@100" else "crop"
        short_side = int(config.data.resize.short_side or config.data.image_size)
        shape = (
            (short_side, short_side)
            if mode == "crop"
            else mean_shape(arguments.gldv2, Preprocessing("aspect", short_side))
        )
        found = row(path.stem, config, rate, shape)
        if arguments.cpu:
            found |= seconds_on_this_machine(config, shape)
        rows.append(found | machine())
        print(rows[-1], flush=True)
    write_csv(Path(__file__).parent / "results" / "recipes.csv", rows)


if __name__ == "__main__":
    main()
