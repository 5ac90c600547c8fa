"""Classifies embedded images without holding the scores of all images and landmarks.

117,577 images times 203,094 landmarks are 96 GB of float32. Here images are processed in blocks and landmarks in
chunks: each chunk adds to the softmax's sum, and only its best scores are kept.
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
    """Predict the k most likely landmarks of embedded images, with probabilities of a softmax over all landmarks.

    Args:
        found: descriptors as the network computes them, on which its head was trained.
        head: head of the network that embedded the images; runs on the device of its weights.
        landmark_names: str [C], names of the head's classes.
        k: landmarks per image, at most C.

    Returns:
        Predictions in the order of `found`.

    Raises:
        LandmarksError: the descriptors or names do not fit the head, see also `require_views` and `likeliest`.
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
    """Raise a LandmarksError for sums of several normalised views if the head depends on the length of descriptors.

    Args:
        head: the head, trained on descriptors of single views.
        scales: factors of the input size whose descriptors are added up.
        flip: whether descriptors of mirrored images are added too.
        name: what the descriptors are called in the message.
    """
    if head.reads_length and (len(scales) > 1 or flip):
        views = f"extraction.scales={list(scales)} extraction.flip={str(flip).lower()}"
        raise LandmarksError(
            f"{name}: sums of several normalised views ({views}) do not fit a classifier of {type(head).__name__}, "
            "which depends on their length: predict with extraction.scales=[1.0] extraction.flip=false, or with a "
            "model whose loss depends on directions alone, such as arcmargin"
        )


def to_device(head: ClassHead, accelerator: str) -> None:
    """Move a head's weights to the GPU if there is one, unless the trainer's accelerator is "cpu"."""
    if accelerator != "cpu" and torch.cuda.is_available():
        head.to("cuda")


def likeliest(
    descriptors: Descriptors, head: ClassHead, k: int, name: str = "descriptors"
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Find the k most likely classes of each row by the exact softmax over all classes.

    Args:
        descriptors: [N, D].
        head: a head of C classes; runs on the device of its weights.
        k: classes per row.
        name: what the descriptors are called in errors.

    Returns:
        Classes int32 and probabilities float32, both [N, min(k, C)], most likely first, equal scores by class.

    Raises:
        LandmarksError: k is below 1, or scores are not finite.
    """
    if k < 1:
        raise LandmarksError(f"predictions: {k} landmarks per image requested; request 1 or more")
    k = min(k, head.num_landmarks)
    device = head.weight.device
    found = np.empty((len(descriptors), k), np.int32), np.empty((len(descriptors), k), np.float32)
    progress = Progress("images classified", len(descriptors))
    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")  # training may have enabled TF32
    try:
        for start in range(0, len(descriptors), IMAGES):
            block = torch.from_numpy(descriptors[start : start + IMAGES].astype(np.float32)).to(device)
            with torch.inference_mode():
                best, probabilities = _of_block(block, head, k, max(CLASSES, k))
            if not probabilities.isfinite().all():
                raise LandmarksError(
                    f"{name}: the classifier's scores are not finite: the training diverged, or the descriptors are "
                    "not those of its network"
                )
            found[0][start : start + len(block)] = best.cpu().numpy()
            found[1][start : start + len(block)] = probabilities.cpu().numpy()
            progress.advance(len(block))
    finally:
        torch.set_float32_matmul_precision(precision)
    return found


def _of_block(block: Tensor, head: ClassHead, k: int, chunk: int) -> tuple[Tensor, Tensor]:
    """Compute the most likely classes and their probabilities [B, k] of descriptors [B, D]."""
    log_sum = block.new_full((len(block),), -torch.inf, dtype=torch.float64)  # of the exponentials of scores so far
    worst = block.new_full((len(block),), -torch.inf)  # the k-th best score so far
    best = torch.empty(0)
    for start in range(0, head.num_landmarks, chunk):
        scores = head.class_scores(block, start, min(start + chunk, head.num_landmarks))
        top = scores.amax(dim=1)
        log_sum = torch.logaddexp(log_sum, (scores - top[:, None]).exp_().sum(dim=1).double().log() + top)
        if start == 0:
            best = _best_keys(scores, start, k)
        else:  # only better scores matter, since ties go to earlier classes; few rows have any
            rows = (top > worst).nonzero()[:, 0]
            new = _best_keys(scores[rows], start, min(k, scores.shape[1]))
            best[rows] = torch.cat([best[rows], new], dim=1).topk(k).values
        worst = _unpacked(best[:, -1])[1]
    classes, scores = _unpacked(best)
    return classes, (scores - log_sum[:, None]).exp().clamp_(max=1.0).float()


def _best_keys(scores: Tensor, start: int, k: int) -> Tensor:
    """Return the k best of scores [B, c] of classes from `start`, as keys [B, k], best first."""
    found = scores.topk(k)
    keys = _keys(found.values, start + found.indices)
    # `topk` does not define which of equal scores it returns. If it left out equals of the last one, compare all.
    tied = ((scores >= found.values[:, -1:]).sum(dim=1) > k).nonzero()[:, 0]
    if len(tied):
        classes = torch.arange(start, start + scores.shape[1], device=scores.device)
        keys[tied] = _keys(scores[tied], classes).topk(k).values
    return keys.sort(dim=1, descending=True).values


def _keys(scores: Tensor, classes: Tensor) -> Tensor:
    """Encode scores float32 and classes as int64 keys that sort by score, then by descending class."""
    # The bits of a non-negative float32 sort like an integer; those of a negative one are inverted but for the sign.
    bits = (scores + 0.0).view(torch.int32)  # -0 becomes 0
    rising = torch.where(bits >= 0, bits, bits ^ _HIGHEST).long()
    return (rising << 32) + (_HIGHEST - classes)


def _unpacked(keys: Tensor) -> tuple[Tensor, Tensor]:
    """Decode keys to classes int32 and scores float32."""
    rising = (keys >> 32).int()
    scores = torch.where(rising >= 0, rising, rising ^ _HIGHEST).view(torch.float32)
    return (_HIGHEST - (keys & 0xFFFFFFFF)).int(), scores
