"""Cleans a train set using its labels and descriptors, and counts the removed images by reason."""

import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landmarks.cleaning.images import LandmarkImages, match
from landmarks.cleaning.neighbours import Bars, other_class_bars, same_class_neighbours
from landmarks.cleaning.rule import AgreementRule, Verdict
from landmarks.cleaning.verification import Verification
from landmarks.config import available_cores
from landmarks.data import (
    GLDv2,
    ImageSet,
    ImageTable,
    open_layout,
    open_root,
    read_labels,
    write_clean,
)
from landmarks.errors import LandmarksError
from landmarks.retrieval import Cache, DescriptorSet, ExactIndex, HnswIndex, IvfPqIndex, Ranking, Resources

log = logging.getLogger(__name__)

SAMPLE = 65_536
SEARCHES = {"exact": ExactIndex, "hnsw": HnswIndex, "ivf_pq": IvfPqIndex}


@dataclass(frozen=True, eq=False)
class Cleaned:
    """The result of cleaning.

    Attributes:
        images: The N images with label and descriptor.
        verdicts: Values of `Verdict`, uint8 [N].
        neighbours: Nearest images of the same landmark, Ranking [N, K].
        bars: Similarities that these neighbours must reach to agree.
        rule: The rule by which images were kept.
        landmarks_before: Number of landmarks in the table.
    """

    images: LandmarkImages
    verdicts: NDArray[np.uint8]
    neighbours: Ranking
    bars: Bars
    rule: AgreementRule
    landmarks_before: int

    @property
    def kept(self) -> NDArray[np.bool_]:
        """Whether each image is kept, bool [N]."""
        return self.verdicts == Verdict.KEPT

    def as_json(self) -> dict[str, Any]:
        """Return the numbers of images and landmarks before and after, and of removed images by reason."""
        kept, images = self.kept, self.images
        landmarks = int(np.count_nonzero(np.bincount(images.landmarks[kept])))
        return {
            "images": {"before": len(images) + images.not_embedded, "kept": int(kept.sum())},
            "landmarks": {"before": self.landmarks_before, "kept": landmarks},
            "fell": {
                "no_descriptor": images.not_embedded,
                **{
                    verdict.name.lower(): int((self.verdicts == verdict).sum())
                    for verdict in Verdict
                    if verdict is not Verdict.KEPT
                },
            },
        }


def clean_images(
    table: ImageTable,
    stored: DescriptorSet,
    resources: Resources,
    rule: AgreementRule | None = None,
    sample: int | None = SAMPLE,
    verification: Verification | None = None,
    open_images: Callable[[], ImageSet] | None = None,
) -> Cleaned:
    """Decide which images of a labelled table to keep.

    The cost for 4,132,914 images at 512-d, extrapolated from `benchmarks/cleaning.py`: 3 minutes on one core for the
    products within landmarks and 38 for those with a sample of 65,536. With all images these are N² products, a day
    and a half on two cores without a GPU, extrapolated from exact search in 761,757 images. Memory: the budget of
    `resources`, the sample, and about 100 bytes per image; the cache takes 130 bytes per image on disk. Verification
    adds a tenth of a second per image and some milliseconds per pair, about five days on one core, and 140 KB per image
    on disk, 580 GB.

    Args:
        table: Images and landmarks.
        stored: Their descriptors.
        resources: `index` searches the sample, `neighbours` all images; intermediate results are cached.
        rule: The rule by which images agree; by default `AgreementRule()`.
        sample: Number of images that represent other landmarks; None takes all images.
        verification: Also verifies images by local features; None does not.
        open_images: Opens the images; only needed for verification.

    Returns:
        A verdict for each image with label and descriptor.

    Raises:
        LandmarksError: The descriptors do not fit the table, the sample is too small, or no image is kept.
    """
    rule = rule or AgreementRule()
    images = match(table, stored)
    if images.not_embedded:
        log.info("%s images have no descriptor and are left out", f"{images.not_embedded:,}")
    neighbours = same_class_neighbours(images, rule.same_class, resources)
    bars = other_class_bars(images, rule.other_class, sample, rule.same_class, resources)
    _warn_if_capped(rule, images, bars)
    verdicts = rule.verdicts(images, neighbours, bars)
    if verification is not None:
        assert open_images is not None, "verification needs images"
        verdicts = verification.verdicts(images, open_images(), verdicts, rule, neighbours, bars, resources)
    verdicts = rule.small_landmarks(images, verdicts)
    if not (verdicts == Verdict.KEPT).any():
        raise LandmarksError(
            f"none of {len(images)} images is kept: lower --min-images or --min-agreeing or raise --chance, or check "
            "that the descriptors distinguish landmarks"
        )
    return Cleaned(images, verdicts, neighbours, bars, rule, int(np.count_nonzero(table.counts())))


def _warn_if_capped(rule: AgreementRule, images: LandmarkImages, bars: Bars) -> None:
    """Warn if lists of neighbours are too short to exclude chance; the rule is then only less strict."""
    required = asdict(rule) | {"same_class": len(images)}
    capped = AgreementRule(**required).required(images.counts, bars.numbers) > rule.same_class
    if capped.any():
        log.warning(
            "%d landmarks are so large, or the sample is so small, that %d neighbours may agree by chance: raise "
            "--sample or --same-class",
            np.count_nonzero(capped),
            rule.same_class,
        )


def clean_gldv2(
    root: str,
    descriptors: Path,
    resources: Resources,
    rule: AgreementRule,
    sample: int | None,
    verification: Verification | None,
) -> Cleaned:
    """Decide which images to keep of train.csv in a Google Landmarks v2 folder or at an address.

    Args:
        root: The folder or address.
        descriptors: The descriptor set of the images in train.csv.
        resources: See `clean_images`, like the other arguments.
        rule: The rule by which images agree.
        sample: Number of images that represent other landmarks; None takes all images.
        verification: Also verifies images by local features; None does not.
    """
    layout = open_layout(open_root(root))
    if not layout.has_table("train"):
        raise LandmarksError(
            f"{layout.root / 'metadata' / 'train.csv'} is missing; `landmarks data download --root FOLDER --split "
            "metadata` downloads it"
        )
    table = read_labels(layout.table("train"))
    stored = DescriptorSet.open(descriptors)
    return clean_images(table, stored, resources, rule, sample, verification, lambda: train_images(root))


def make_resources(search: str, memory_mb: int, workers: int | None, seed: int) -> Resources:
    """Make the resources for cleaning.

    Args:
        search: The search among all images, one of `SEARCHES`.
        memory_mb: Memory budget, MB.
        workers: Number of processes; None uses all cores.
        seed: Seed of the sample.
    """
    neighbours = SEARCHES[search](memory_budget_mb=memory_mb)
    return Resources(ExactIndex(memory_budget_mb=memory_mb), neighbours, Cache(), workers or available_cores(), seed)


def train_images(root: str) -> ImageSet:
    """Open the images of train.csv that exist below a folder or address."""
    return GLDv2(root, train_split="train", missing="skip").train()


def refuse_existing(out: Path, force: bool) -> None:
    """Raise LandmarksError if `out` is a folder, or exists and `force` is false."""
    if out.is_dir():
        raise LandmarksError(f"--out {out} is a folder: give the file to write")
    if out.exists() and not force:
        raise LandmarksError(f"--out {out} exists already: remove it, give another file, or replace it with --force")


def write_cleaned(cleaned: Cleaned, out: Path) -> None:
    """Write the kept images in the format of train_clean.csv. Raises LandmarksError if it cannot be written."""
    kept, images = cleaned.kept, cleaned.images
    write_clean(out, images.ids[kept], images.landmark_names[images.landmarks[kept]])
