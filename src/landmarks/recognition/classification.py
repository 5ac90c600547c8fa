"""What a classifier says of embedded images, without ever holding a score for every image and landmark.

117,577 images times 203,094 landmarks are 96 GB of float32. Here images pass by in blocks and landmarks in chunks:
each chunk adds to the sum that the softmax divides by, and leaves its best few behind.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from landmarks.errors import LandmarksError
from landmarks.losses import ClassHead
from landmarks.recognition.predictions import Predictions
from landmarks.retrieval import Descriptors, DescriptorSet, Progress

IMAGES = 1024
CLASSES = 4096
"""Scores at a time: IMAGES x CLASSES of float32 are 16 MiB, and some passes need two or three times that."""

_HIGHEST = 0x7FFFFFFF


def classify(found: DescriptorSet, head: ClassHead, landmark_names: NDArray[np.str_], k: int = 10) -> Predictions:
    """The k likeliest landmarks of embedded images, with probabilities of a softmax over all landmarks.

    Args:
        found: descriptors as the network gives them, which is what its head was trained on.
        head: of the network that embedded the images; computes where its weights lie.
        landmark_names: str [C], what the head's classes are called.
        k: landmarks of each image; no more than there are.
    """
    protocol = found.protocol
    require_views(head, protocol.scales, protocol.flip, found.name)
    if found.dim != head.dim or len(landmark_names) != head.num_landmarks:
        raise LandmarksError(
            f"{found.name}: descriptors of {found.dim} values and {len(landmark_names)} landmark names do not fit a "
            f"classifier of {head.num_landmarks} landmarks by {head.dim} values"
        )
    landmarks, probabilities = likeliest(found.descriptors, head, k, found.name)
    return Predictions(found.ids, landmarks, probabilities, landmark_names, f"predictions for {found.name}")


def require_views(head: ClassHead, scales: tuple[float, ...], flip: bool, name: str) -> None:
    """Refuse sums of normalised views where the head reads lengths: they are nothing that it was trained on."""
    if head.reads_length and (len(scales) > 1 or flip):
        views = f"extraction.scales={list(scales)} extraction.flip={str(flip).lower()}"
        raise LandmarksError(
            f"{name}: sums of several normalised views ({views}) do not fit a classifier of {type(head).__name__}, "
            "which reads descriptors as the network gives them: predict with extraction.scales=[1.0] "
            "extraction.flip=false, or with a model whose loss reads directions alone, such as arcmargin"
        )


def to_device(head: ClassHead, accelerator: str) -> None:
    """Move a head's weights to the GPU if there is one, unless the trainer's accelerator is "cpu"."""
    if accelerator != "cpu" and torch.cuda.is_available():
        head.to("cuda")


def likeliest(
    descriptors: Descriptors, head: ClassHead, k: int, name: str = "descriptors"
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Find the best k classes of each row [N, D] by the dense softmax.

    Returns classes int32 and probabilities float32, both [N, min(k, C)], the likeliest first; of equal scores the lower
    class. Raises LandmarksError for k below 1, and for scores that are not finite; `name` says of what.
    """
    if k < 1:
        raise LandmarksError(f"predictions: {k} landmarks of each image asked for; ask for 1 or more")
    k = min(k, head.num_landmarks)
    device = head.weight.device
    found = np.empty((len(descriptors), k), np.int32), np.empty((len(descriptors), k), np.float32)
    progress = Progress("images classified", len(descriptors))
    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")  # training may have allowed TF32
    try:
        for start in range(0, len(descriptors), IMAGES):
            block = torch.from_numpy(descriptors[start : start + IMAGES].astype(np.float32)).to(device)
            with torch.inference_mode():
                best, probabilities = _of_block(block, head, k, max(CLASSES, k))
            if not probabilities.isfinite().all():
                raise LandmarksError(
                    f"{name}: the classifier gives scores that are not finite: training has diverged, or the "
                    "descriptors are not those of its network"
                )
            found[0][start : start + len(block)] = best.cpu().numpy()
            found[1][start : start + len(block)] = probabilities.cpu().numpy()
            progress.advance(len(block))
    finally:
        torch.set_float32_matmul_precision(precision)
    return found


def _of_block(block: Tensor, head: ClassHead, k: int, chunk: int) -> tuple[Tensor, Tensor]:
    """Classes and probabilities [B, k] of descriptors [B, D]."""
    log_sum = block.new_full((len(block),), -torch.inf, dtype=torch.float64)  # of the exponentials of scores so far
    worst = block.new_full((len(block),), -torch.inf)  # the k-th best score so far
    best = torch.empty(0)
    for start in range(0, head.num_landmarks, chunk):
        scores = head.class_scores(block, start, min(start + chunk, head.num_landmarks))
        top = scores.amax(dim=1)
        log_sum = torch.logaddexp(log_sum, (scores - top[:, None]).exp_().sum(dim=1).double().log() + top)
        if start == 0:
            best = _best_keys(scores, start, k)
        else:  # a class of an equal score comes later, so it stands behind; few rows have a better one
            rows = (top > worst).nonzero()[:, 0]
            new = _best_keys(scores[rows], start, min(k, scores.shape[1]))
            best[rows] = torch.cat([best[rows], new], dim=1).topk(k).values
        worst = _unpacked(best[:, -1])[1]
    classes, scores = _unpacked(best)
    return classes, (scores - log_sum[:, None]).exp().clamp_(max=1.0).float()


def _best_keys(scores: Tensor, start: int, k: int) -> Tensor:
    """The k best of scores [B, c] of classes from `start`, as keys [B, k], best first."""
    found = scores.topk(k)
    keys = _keys(found.values, start + found.indices)
    # Which of equal scores `topk` takes is not said. Where equals of the last one were left out, all are compared.
    tied = ((scores >= found.values[:, -1:]).sum(dim=1) > k).nonzero()[:, 0]
    if len(tied):
        classes = torch.arange(start, start + scores.shape[1], device=scores.device)
        keys[tied] = _keys(scores[tied], classes).topk(k).values
    return keys.sort(dim=1, descending=True).values


def _keys(scores: Tensor, classes: Tensor) -> Tensor:
    """Scores float32 and classes as int64 that sort by score, then by falling class."""
    # Bits of a float32 that is not negative sort as an integer does; of a negative one all but the sign are turned.
    bits = (scores + 0.0).view(torch.int32)  # -0 becomes 0
    rising = torch.where(bits >= 0, bits, bits ^ _HIGHEST).long()
    return (rising << 32) + (_HIGHEST - classes)


def _unpacked(keys: Tensor) -> tuple[Tensor, Tensor]:
    """Classes int32 and scores float32 of keys."""
    rising = (keys >> 32).int()
    scores = torch.where(rising >= 0, rising, rising ^ _HIGHEST).view(torch.float32)
    return (_HIGHEST - (keys & 0xFFFFFFFF)).int(), scores
