"""How much of the test and index set is evaluated during training: all of it would take longer than an epoch.

Metrics on part of the index are higher than the final ones; they serve to compare epochs and runs.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from landmarks.data.source import GroundTruth, ImageSet
from landmarks.errors import LandmarksError


@dataclass(frozen=True)
class ValidationSize:
    """Sizes of the validation sets.

    Attributes:
        queries: "scored" for the queries that either task scores (public or private), "all" for the whole test split.
        index_distractors: Number of index images besides the correct images of the queries; None for the whole index.
        gallery_images: Number of gallery images, spread evenly over the landmarks; None for the whole gallery.
    """

    queries: Literal["scored", "all"] = "scored"
    index_distractors: int | None = None
    gallery_images: int | None = None

    def __post_init__(self) -> None:
        for field in ("index_distractors", "gallery_images"):
            value = getattr(self, field)
            if value is not None and value < 0:
                raise LandmarksError(f"data.validation.{field} is {value}: it must be 0 or more, or null for all")


def select_queries(images: ImageSet, truth: GroundTruth, size: ValidationSize) -> ImageSet:
    """Return the queries to evaluate; without ground truth all of them, since it decides which are scored."""
    solutions = [
        *([truth.retrieval.query_ids] if truth.retrieval else []),
        *([truth.recognition.image_ids] if truth.recognition else []),
    ]
    if size.queries == "all" or not solutions:
        return images
    return images.take(np.isin(images.table.ids, np.concatenate(solutions)))


def select_index(images: ImageSet, truth: GroundTruth, size: ValidationSize, seed: int) -> ImageSet:
    """Return the index images to search: all, or every correct one and a seeded sample of the others."""
    if size.index_distractors is None:
        return images
    positives = truth.retrieval.positives if truth.retrieval else np.empty(0, np.uint64)
    kept = np.isin(images.table.ids, positives)
    others = np.flatnonzero(~kept)
    random = np.random.default_rng([seed, 1])
    kept[random.choice(others, size=min(size.index_distractors, len(others)), replace=False)] = True
    return images.take(kept)


def select_gallery(images: ImageSet, size: ValidationSize, seed: int) -> ImageSet:
    """Select the gallery images that vote: all, or a seeded sample, even over the landmarks."""
    if size.gallery_images is None or size.gallery_images >= len(images):
        return images
    chance = np.random.default_rng([seed, 2]).random(len(images))
    drawn = pl.DataFrame({"landmark": images.table.landmarks, "chance": chance})
    turn = drawn.select(pl.col("chance").rank("ordinal").over("landmark"))["chance"].to_numpy()
    return images.take(np.sort(np.lexsort((chance, turn))[: size.gallery_images]))
