"""Every margin equals its original, and every combination of options the plain dense definition."""

import json
import math
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from landmarks.losses import AdaCos, AdaFace, ArcMargin, CombinedMargin, CosFace, MarginHead
from landmarks.losses import cross_entropy as cross_entropy_module


class WithNoise:
    """Takes the place of random numbers."""

    noise: Tensor

    def _noise(self, count: int) -> Tensor:
        return self.noise


class NoisyCombined(WithNoise, CombinedMargin):
    pass


class NoisyCosFace(WithNoise, CosFace):
    pass


def dynamic(p: dict[str, float], centers: int) -> MarginHead:
    options = {"size_margin": p["dyn_a"], "size_power": p["dyn_lambda"], "sub_centers": centers}
    return ArcMargin(20, 16, p["dyn_b"], p["dyn_s"], sine_eps=0.0, **options)


def degrees(p: dict[str, float]) -> float:
    return math.radians(p["arcface_deg"])


HEADS: dict[str, Any] = {
    "cosface": lambda p: CosFace(20, 16, p["cosface_m"], p["s"]),
    "arcface": lambda p: ArcMargin(20, 16, degrees(p), p["s"], sine_eps=0.0),
    "subcenter": lambda p: ArcMargin(20, 16, degrees(p), p["s"], sine_eps=0.0, sub_centers=3),
    "arcface_clip": lambda p: CombinedMargin(20, 16, degrees(p), p["s"], cosine_margin=0.0, clip=1e-4),
    "arcface_insight": lambda p: CombinedMargin(20, 16, degrees(p), p["s"], cosine_margin=0.0, straight_through=True),
    "dynamic_sub_minmax": lambda p: dynamic(p, 3),
    "dynamic_sub_power": lambda p: dynamic(p, 3),
    "dynamic_power": lambda p: dynamic(p, 1),
    "adaface": lambda p: AdaFace(20, 16, p["ada_m"], p["s"], concentration=p["ada_h"], momentum=1.0),
    "adaface_ema": lambda p: AdaFace(20, 16, p["ada_m"], p["s"], concentration=p["ada_h"], momentum=p["ada_t"]),
    "elastic_arc": lambda p: NoisyCombined(20, 16, p["elastic_m"], p["s"], cosine_margin=0.0, margin_std=1.0),
    "elastic_arc_plus": lambda p: NoisyCombined(20, 16, p["elastic_m"], p["s"], cosine_margin=0.0, margin_std=1.0),
    "elastic_cos": lambda p: NoisyCosFace(20, 16, p["elastic_m"], p["s"], margin_std=1.0),
    "adacos_fixed": lambda p: CosFace(20, 16, 0.0, AdaCos(dynamic=False)),
    "adacos_step1": lambda p: CosFace(20, 16, 0.0, AdaCos()),
    "adacos_step2": lambda p: CosFace(20, 16, 0.0, AdaCos()),
}


@pytest.mark.parametrize("chunk", [7, 1024])
@pytest.mark.parametrize("kept", [0, 100])
@pytest.mark.parametrize("case", [0, 1])
@pytest.mark.parametrize("name", HEADS)
def test_values_and_gradients_of_the_originals(
    monkeypatch: pytest.MonkeyPatch, oracles: Path, name: str, case: int, kept: int, chunk: int
) -> None:
    monkeypatch.setattr("landmarks.losses.cross_entropy.KEPT_CLASSES", kept)
    arrays = np.load(oracles / f"margins/case{case}.npz")
    head: MarginHead = HEADS[name](json.loads((oracles / f"margins/case{case}.json").read_text())["parameters"])
    head.double().chunk = chunk
    head.weight.data.copy_(torch.tensor(arrays["w" if head.sub_centers == 1 else "w_sub"]))
    x, labels = torch.tensor(arrays["x"], requires_grad=True), torch.tensor(arrays["labels"])
    counts = torch.tensor(arrays["counts"])
    head.set_class_sizes(counts)
    if name.endswith("minmax"):  # the winners' code divides a range of margins by that of the sizes
        powers = counts.double() ** -head.size_power
        head.size_margin = 0.45 / float(powers.max() - powers.min())
        head.margin = 0.05 - head.size_margin * float(powers.min())
    if name.startswith("adacos_step"):
        head.adaptive_scale.fill_(head.scale.initial(20))
    if isinstance(head, WithNoise):
        margins = torch.tensor(arrays["elastic_margins"])
        if name.endswith("plus"):  # the original does not give each image the margin of its own rank
            cosine = (normalize(x) * normalize(head.weight)[labels]).sum(dim=1)
            margins = margins.sort().values[cosine.argsort(descending=True)]
        head.noise = margins - head.margin
    value = head(x, labels)
    if name == "adacos_step2":
        value = head(x, labels)
    value.backward()
    assert value.item() == pytest.approx(float(arrays[f"{name}.loss"]), rel=1e-9)
    for ours, key in ((x.grad, "grad_x"), (head.weight.grad, "grad_w")):
        theirs = arrays[f"{name}.{key}"]
        assert np.abs(ours.numpy() - theirs).max() <= 1e-9 * np.abs(theirs).max()
    if name.startswith("adacos"):
        assert float(head.current_scale) == pytest.approx(float(arrays[f"{name}.scale"]), rel=1e-9)
    if isinstance(head, AdaFace):
        assert float(head.length_mean) == pytest.approx(float(arrays[f"{name}.batch_mean"]), rel=1e-9)
        assert float(head.length_std) == pytest.approx(float(arrays[f"{name}.batch_std"]), rel=1e-9)


def dense(head: MarginHead, x: Tensor, labels: Tensor, sizes: Tensor, noise: Tensor, scale: float) -> Tensor:
    """The definition of all options, with every intermediate [B, C] in full and all gradients by autograd."""
    length = x.detach().norm(dim=1)
    rows = normalize(head.weight.view(head.num_landmarks, -1, head.dim), dim=2)
    cosines = torch.einsum("bd,ckd->bck", normalize(x), rows).amax(dim=2)
    cosine = cosines[torch.arange(len(x)), labels]
    if head.sort_margins:
        farther = (cosine[:, None] < cosine).sum(dim=1)  # how many images are nearer to their landmark
        noise = noise.sort().values[farther]
    margin = head.margin + head.size_margin * sizes[labels] ** -head.size_power + head.margin_std * noise
    match head:
        case CosFace():
            replaced = cosine - margin
        case CombinedMargin():
            angle = head.angle_factor * cosine.acos() + margin
            replaced = (angle if head.clip is None else angle.clamp(head.clip, math.pi - head.clip)).cos()
            replaced = replaced - head.cosine_margin
        case ArcMargin():
            sine = (1 - cosine**2 + head.sine_eps).sqrt()
            replaced = cosine * margin.cos() - sine * margin.sin()
            if head.easy_margin:
                replaced = torch.where(cosine > 0, replaced, cosine)
            else:
                replaced = torch.where(cosine > (math.pi - margin).cos(), replaced, cosine - margin * margin.sin())
        case AdaFace():
            length = length.clamp(1e-3, 100)
            mean = head.momentum * length.mean() + (1 - head.momentum) * 20
            std = head.momentum * length.std() + (1 - head.momentum) * 100
            z = ((length - mean) / (std + 1e-3) * head.concentration).clamp(-1, 1)
            angle = cosine.clamp(-0.999, 0.999).acos() - margin * z
            replaced = angle.clamp(1e-3, math.pi - 1e-3).cos() - margin - margin * z
        case _:
            raise TypeError(type(head))
    if isinstance(head.scale, AdaCos) and head.scale.dynamic:
        others = cosines.detach().scatter(1, labels[:, None], -torch.inf)
        angle = cosine.detach().acos().sort().values[(len(x) - 1) // 2]
        scale = ((scale * others).exp().sum(dim=1).mean().log() / angle.clamp(max=math.pi / 4).cos()).item()
    logits = scale * cosines.scatter(1, labels[:, None], replaced[:, None])
    return cross_entropy(logits, labels, label_smoothing=head.label_smoothing)


KINDS = st.one_of(
    st.builds(lambda: (CosFace, {})),
    st.builds(
        lambda easy, eps: (ArcMargin, {"easy_margin": easy, "sine_eps": eps}),
        st.booleans(),
        st.sampled_from([1e-6, 0.0]),
    ),
    st.builds(
        lambda factor, taken, clip: (
            CombinedMargin,
            {"angle_factor": factor, "cosine_margin": taken, "clip": clip},
        ),
        st.sampled_from([1.0, 1.35]),
        st.sampled_from([0.0, 0.2]),
        st.sampled_from([None, 1e-4]),
    ),
    st.builds(
        lambda h, momentum: (AdaFace, {"concentration": h, "momentum": momentum}),
        st.sampled_from([0.333, 5.0]),
        st.sampled_from([0.01, 1.0]),
    ),
)


@given(
    seed=st.integers(0, 2**20),
    batch=st.integers(2, 9),
    classes=st.integers(3, 11),
    kind=KINDS,
    margin=st.sampled_from([0.0, 0.3, 1.2]),
    scale=st.sampled_from([1.0, 30.0, AdaCos(), AdaCos(dynamic=False)]),
    sub_centers=st.sampled_from([1, 2, 3]),
    label_smoothing=st.sampled_from([0.0, 0.1, 0.7]),
    size_margin=st.sampled_from([0.0, 0.5]),
    size_power=st.sampled_from([0.25, 1.0]),
    margin_std=st.sampled_from([0.0, 0.05]),
    sort_margins=st.booleans(),
    chunk=st.integers(1, 12),
    kept=st.booleans(),
)
def test_any_combination_equals_the_plain_definition(
    seed: int, batch: int, classes: int, kind: tuple[type[MarginHead], dict[str, Any]], kept: bool, **options: Any
) -> None:
    torch.manual_seed(seed)
    head = kind[0](classes, 6, **kind[1], **options).double()
    sizes = torch.randint(1, 50, (classes,))
    head.set_class_sizes(sizes)
    noise = torch.zeros(batch)
    if head.margin_std:
        noise = torch.randn(batch, generator=torch.Generator().manual_seed(int(head.margin_seed)))
    scale = float(head.current_scale)
    x = torch.randn(batch, 6, dtype=torch.float64, requires_grad=True)
    labels = torch.randint(classes, (batch,))
    with patch.object(cross_entropy_module, "KEPT_CLASSES", 100 if kept else 0):
        value = head(x, labels)
        ours = torch.autograd.grad(value, (x, head.weight))
    expected = dense(head, x, labels, sizes.double(), noise.double(), scale)
    theirs = torch.autograd.grad(expected, (x, head.weight))
    torch.testing.assert_close(value, expected, rtol=1e-9, atol=1e-12)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-7, atol=1e-10)
