"""Labelled descriptors for tests of cleaning: landmarks as directions, images around them, some labels wrong."""

from typing import NamedTuple

import numpy as np

from landmarks.data import ImageTable
from landmarks.retrieval.descriptors import DescriptorSet, ExtractionProtocol

PROTOCOL = ExtractionProtocol("made up", "none", 64, "none", data="gldv2", split="train")


class Labelled(NamedTuple):
    """A table, descriptors of its images in another order, and which labels are wrong."""

    table: ImageTable
    embedded: DescriptorSet
    wrong: np.ndarray


def labelled(sizes: list[int], wrong: int = 0, noise: float = 0.4, dim: int = 16, seed: int = 0) -> Labelled:
    """Landmarks of these sizes; `wrong` images get the label of the next landmark, and keep their looks."""
    rng = np.random.default_rng(seed)
    truth = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    labels = truth.copy()
    mislabelled = rng.permutation(len(truth))[:wrong]
    labels[mislabelled] = (labels[mislabelled] + 1) % len(sizes)
    looks = rng.standard_normal((len(sizes), dim))[truth] + noise * rng.standard_normal((len(truth), dim))
    ids = rng.permutation(np.arange(1, len(truth) + 1)).astype(np.uint64)
    names = np.array([str(10 * number) for number in range(len(sizes))])
    order = rng.permutation(len(truth))
    embedded = DescriptorSet(ids[order], looks[order].astype(np.float32), PROTOCOL, "A/train")
    return Labelled(ImageTable(ids, labels.astype(np.int32), names), embedded, labels != truth)
