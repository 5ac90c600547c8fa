"""Cleans a train set by its table and descriptors: neighbours, bars, rule, verification; says what fell, and why."""

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
    """What came of N images with label and descriptor, of `landmarks_before` landmarks with and without descriptors.

    Verdicts are uint8 [N] of `Verdict`, neighbours a Ranking [N, K] of the same landmark, bars what these had to beat.
    """

    images: LandmarkImages
    verdicts: NDArray[np.uint8]
    neighbours: Ranking
    bars: Bars
    rule: AgreementRule
    landmarks_before: int

    @property
    def kept(self) -> NDArray[np.bool_]:
        """Which images stay, bool [N]."""
        return self.verdicts == Verdict.KEPT

    def as_json(self) -> dict[str, Any]:
        """Counts, before and after and by the reason of the fall."""
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

    For 4,132,914 images at 512-d, by what `benchmarks/cleaning.py` measures: 3 minutes of one core for the products
    within landmarks and 38 for those with a sample of 65,536; with all images N² products, by the times of exact
    search in 761,757 a day and a half of two cores, without a GPU. Memory: `resources`' budget, the sample, and about
    100 bytes an image; on disk 130 bytes an image in the cache. Verification adds a tenth of a second an image and
    some milliseconds a pair, about five days of one core, and 140 KB an image on disk, 580 GB.

    Args:
        table: images and landmarks.
        stored: their descriptors.
        resources: `index` searches the sample, `neighbours` all images; the rest is kept in the cache.
        rule: what agreement means; by default `AgreementRule()`.
        sample: images that stand for all others; None takes all.
        verification: look at local features, too.
        open_images: opens the images for that; only then needed.
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
            f"no landmark is left of {len(images)} images: ask for less with --min-images, --min-agreeing or a "
            "higher --chance, or look whether the descriptors tell landmarks apart"
        )
    return Cleaned(images, verdicts, neighbours, bars, rule, int(np.count_nonzero(table.counts())))


def _warn_if_capped(rule: AgreementRule, images: LandmarkImages, bars: Bars) -> None:
    """A list of neighbours that is too short to be beyond chance is no error: the rule is then only less strict."""
    required = asdict(rule) | {"same_class": len(images)}
    capped = AgreementRule(**required).required(images.counts, bars.numbers) > rule.same_class
    if capped.any():
        log.warning(
            "%d landmarks are so large, or the sample so small, that %d agreeing neighbours may be chance: take a "
            "larger --sample, or more --same-class",
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
    """Decide which images of a Google Landmarks v2 folder's or address's train.csv to keep. See `clean_images`."""
    layout = open_layout(open_root(root))
    if not layout.has_table("train"):
        raise LandmarksError(
            f"{layout.root / 'metadata' / 'train.csv'}: not there; `landmarks data download --root FOLDER --split "
            "metadata` fetches it"
        )
    table = read_labels(layout.table("train"))
    stored = DescriptorSet.open(descriptors)
    return clean_images(table, stored, resources, rule, sample, verification, lambda: train_images(root))


def make_resources(search: str, memory_mb: int, workers: int | None, seed: int) -> Resources:
    """Return what to search with; `search` is one of `SEARCHES`, for a search in all images."""
    neighbours = SEARCHES[search](memory_budget_mb=memory_mb)
    return Resources(ExactIndex(memory_budget_mb=memory_mb), neighbours, Cache(), workers or available_cores(), seed)


def train_images(root: str) -> ImageSet:
    """Open the images of train.csv that are there."""
    return GLDv2(root, train_split="train", missing="skip").train()


def refuse_existing(out: Path, force: bool) -> None:
    """Raise LandmarksError if `out` cannot be written, or not without `force`."""
    if out.is_dir():
        raise LandmarksError(f"--out {out} is a folder: name the file to write")
    if out.exists() and not force:
        raise LandmarksError(f"--out {out} exists already: remove it, name another file, or replace it with --force")


def write_cleaned(cleaned: Cleaned, out: Path) -> None:
    """Write the images that stay as train_clean.csv is."""
    kept, images = cleaned.kept, cleaned.images
    write_clean(out, images.ids[kept], images.landmark_names[images.landmarks[kept]])
