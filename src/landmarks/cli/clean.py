"""`landmarks data clean`: clean the full train set without hand labels."""

import json
import logging
import time
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from landmarks.cli.console import AsJson, DataRoot, named_endings
from landmarks.terminal import Console


class Search(StrEnum):
    """Search for neighbours among all images."""

    exact = "exact"
    hnsw = "hnsw"
    ivf_pq = "ivf_pq"


rule, proof, work = (partial(typer.Option, rich_help_panel=panel) for panel in ("Rule", "Verification", "Work"))
KEPT = "Intermediate results are kept; run the same command again to resume."

Descriptors = Annotated[
    Path,
    typer.Option(
        metavar="SET",
        show_default=False,
        help="Descriptors of the train images: `landmarks extract … data.source.train_split=train splits=[train]`.",
    ),
]
Out = Annotated[
    Path, typer.Option(metavar="FILE", help="The list to write, in the format of train_clean.csv.", show_default=False)
]
Force = Annotated[bool, typer.Option("--force", help="Replace an existing list.")]
MinImages = Annotated[int, rule(min=1, help="Remove landmarks with fewer images.")]
OtherClass = Annotated[
    int,
    rule(min=1, help="A neighbour of the same class agrees if it is nearer than the Nth image of another landmark."),
]
MinAgreeing = Annotated[int, rule(min=1, help="Number of images of the landmark that must agree.")]
Chance = Annotated[
    float, rule(min=0, max=1, help="Highest probability that a wrong image has so many agreeing ones; 1: no limit.")
]
GroupShare = Annotated[
    float,
    rule(
        min=0,
        max=1,
        help="Remove groups smaller than this share of their landmark's largest group; 1: all but the largest.",
    ),
]
MinSimilarity = Annotated[float, rule(min=-1, max=1, help="Cosine below which images never agree.")]
SameClass = Annotated[int, rule(min=1, help="Number of nearest images of the landmark that are considered.")]
Verify = Annotated[
    bool, proof("--verify", help="Also verify images spatially by local features: stricter, takes days.")
]
Partners = Annotated[int, proof(min=1, help="Number of agreeing images to compare each image with.")]
MinInliers = Annotated[int, proof(min=1, help="Number of inliers that verify a pair of images.")]
MinVerified = Annotated[int, proof(min=1, help="Number of images that must be verified with an image.")]
Sample = Annotated[
    int, work(min=0, help="Size of the sample in which images of other landmarks are searched; 0: all, N² products.")
]
SearchBy = Annotated[Search, work(help="How all images are searched, with --sample 0.")]
Seed = Annotated[int, work(min=0, help="Seed of the sample.")]
MemoryMb = Annotated[int, work(min=64, help="Working memory of a search in MiB.")]
Workers = Annotated[int | None, work(min=1, help="Number of processes that verify; by default the number of cores.")]
Sheet = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Draw kept and removed images of a landmark into this PNG file.")
]
SheetLandmark = Annotated[
    str | None,
    typer.Option("--sheet-landmark", metavar="NUMBER", help="Landmark to draw; by default the one that lost most."),
]


def clean(
    root: DataRoot,
    descriptors: Descriptors,
    out: Out,
    force: Force = False,
    min_images: MinImages = 2,
    other_class: OtherClass = 8,
    min_agreeing: MinAgreeing = 2,
    chance: Chance = 0.05,
    group_share: GroupShare = 0.2,
    min_similarity: MinSimilarity = -1.0,
    same_class: SameClass = 16,
    verify: Verify = False,
    partners: Partners = 5,
    min_inliers: MinInliers = 8,
    min_verified: MinVerified = 1,
    sample: Sample = 65_536,
    search: SearchBy = Search.exact,
    seed: Seed = 0,
    memory_mb: MemoryMb = 1024,
    workers: Workers = None,
    sheet: Sheet = None,
    landmark: SheetLandmark = None,
    as_json: AsJson = False,
) -> None:
    """Keep the images of train.csv that agree with others of their landmark, and write a list like train_clean.csv.

    An image is kept if enough images of its landmark are nearer to it than images of other landmarks, in a group that
    is large enough. The defaults were chosen on synthetic wrong labels; landmarks.cleaning.rule explains the rule. An
    interrupted run is resumed by the same command, and most other values of the rule need no new search.

    Use the list with data.source.train_split=train data.source.include=FILE, or put it in place of
    metadata/train_clean.csv.
    """
    from landmarks.cleaning import (
        AgreementRule,
        Verification,
        clean_gldv2,
        make_resources,
        refuse_existing,
        train_images,
        write_cleaned,
    )
    from landmarks.progress import show_progress
    from landmarks.report import cleaned_table, draw_cleaned, reader, sheet_landmark

    with named_endings(KEPT) as stderr, show_progress(stderr, log_level=logging.INFO):
        start = time.monotonic()
        refuse_existing(out, force)
        rule = AgreementRule(same_class, other_class, min_agreeing, chance, group_share, min_images, min_similarity)
        verification = Verification(partners, min_inliers, min_verified) if verify else None
        resources = make_resources(search, memory_mb, workers, seed)
        cleaned = clean_gldv2(root, descriptors, resources, rule, sample or None, verification)
        if sheet is not None:
            draw_cleaned(cleaned, sheet_landmark(cleaned, landmark), reader(train_images(root)), sheet)
            stderr.print(f"drawn: {sheet}", markup=False)
        write_cleaned(cleaned, out)
    report = {"out": str(out), **cleaned.as_json(), "seconds": round(time.monotonic() - start, 1)}
    if as_json:
        typer.echo(json.dumps(report, indent=1))
    else:
        console = Console(highlight=False)
        console.print(cleaned_table(report))
        console.print(f"The list is {report['out']}", soft_wrap=True, markup=False)
