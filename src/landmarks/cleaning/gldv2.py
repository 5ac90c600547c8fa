"""Tidies the train set of a Google Landmarks v2 folder or address: from its files to a list as train_clean.csv is."""

from pathlib import Path

from landmarks.cleaning.clean import Tidied, tidy
from landmarks.cleaning.rule import AgreementRule
from landmarks.cleaning.verification import Verification
from landmarks.data import GLDv2, GLDv2Layout, ImageSet, available_cores, open_root, read_labels, write_clean
from landmarks.errors import LandmarksError
from landmarks.retrieval import Cache, DescriptorSet, ExactIndex, HnswIndex, IvfPqIndex, Resources

SEARCHES = {"exact": ExactIndex, "hnsw": HnswIndex, "ivf_pq": IvfPqIndex}


def tidy_gldv2(
    root: str,
    descriptors: Path,
    resources: Resources,
    rule: AgreementRule,
    sample: int | None,
    verification: Verification | None,
) -> Tidied:
    """Decide which images of train.csv to keep. See `tidy`.

    Raises:
        LandmarksError: There is no such table, no such descriptors, or nothing that agrees.
    """
    layout = GLDv2Layout(open_root(root))
    if not layout.has_table("train"):
        raise LandmarksError(
            f"{layout.root / 'metadata' / 'train.csv'}: not there; `landmarks data download --root FOLDER --split "
            "metadata` fetches it"
        )
    table = read_labels(layout.table("train"))
    described = DescriptorSet.open(descriptors)
    return tidy(table, described, resources, rule, sample, verification, lambda: train_images(root))


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


def write_tidied(tidied: Tidied, out: Path) -> None:
    """Write the images that stay as train_clean.csv is."""
    kept, images = tidied.kept, tidied.pictures
    write_clean(out, images.ids[kept], images.landmark_names[images.landmarks[kept]])
