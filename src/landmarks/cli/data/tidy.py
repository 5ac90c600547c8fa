"""`landmarks data tidy`: from the full train set to a clean one, without labels by hand."""

import json
import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from landmarks.cli.data.endings import named_endings
from landmarks.cli.data.tidy_display import print_tidied, progress_told
from landmarks.errors import LandmarksError

if TYPE_CHECKING:
    from landmarks.cleaning.clean import Tidied
    from landmarks.data.source import ImageSet
    from landmarks.data.table import ImageTable
    from landmarks.retrieval.resources import Resources


class Search(StrEnum):
    """How the neighbours among all pictures are found."""

    exact = "exact"
    hnsw = "hnsw"
    ivf_pq = "ivf_pq"


RULE, PROOF, WORK = "Rule", "Verification", "Work"
KEPT = "What was found is kept; the same command goes on from there."

Root = Annotated[str, typer.Option(help="Folder or address of the data set.", show_default=False)]
Descriptors = Annotated[
    Path,
    typer.Option(
        metavar="SET",
        show_default=False,
        help="Descriptors of the train pictures: `landmarks extract … data.source.train_split=train splits=[train]`.",
    ),
]
Out = Annotated[
    Path, typer.Option(metavar="FILE", help="The list to write, as train_clean.csv is.", show_default=False)
]
Force = Annotated[bool, typer.Option("--force", help="Replace a list that is there.")]
MinImages = Annotated[int, typer.Option(min=1, help="Landmarks with fewer pictures fall.", rich_help_panel=RULE)]
Outsiders = Annotated[
    int,
    typer.Option(
        min=1, help="A fellow agrees if it is nearer than so many pictures of other landmarks.", rich_help_panel=RULE
    ),
]
MinAgreeing = Annotated[
    int, typer.Option(min=1, help="Pictures of the landmark that must agree.", rich_help_panel=RULE)
]
Chance = Annotated[
    float,
    typer.Option(min=0, max=1, help="How likely a wrong picture may find so many; 1: no matter.", rich_help_panel=RULE),
]
GroupShare = Annotated[
    float,
    typer.Option(
        min=0,
        max=1,
        help="Groups fall that are smaller than this share of their landmark's largest; 1: all but the largest.",
        rich_help_panel=RULE,
    ),
]
MinSimilarity = Annotated[
    float, typer.Option(min=-1, max=1, help="Cosine below which nobody agrees.", rich_help_panel=RULE)
]
Fellows = Annotated[
    int, typer.Option(min=1, help="Nearest pictures of the landmark that are looked at.", rich_help_panel=RULE)
]
Verify = Annotated[
    bool,
    typer.Option("--verify", help="Ask for points that move alike, too: days, and stricter.", rich_help_panel=PROOF),
]
Partners = Annotated[
    int, typer.Option(min=1, help="Agreeing pictures that each is compared with.", rich_help_panel=PROOF)
]
MinInliers = Annotated[int, typer.Option(min=1, help="Points that must move alike.", rich_help_panel=PROOF)]
MinVerified = Annotated[int, typer.Option(min=1, help="Pictures with so many points.", rich_help_panel=PROOF)]
Sample = Annotated[
    int, typer.Option(min=0, help="Pictures drawn to stand for all others; 0: all, N² products.", rich_help_panel=WORK)
]
SearchBy = Annotated[Search, typer.Option(help="How all pictures are searched, with --sample 0.", rich_help_panel=WORK)]
Seed = Annotated[int, typer.Option(min=0, help="Of the sample.", rich_help_panel=WORK)]
MemoryMb = Annotated[int, typer.Option(min=64, help="MiB of working memory of a search.", rich_help_panel=WORK)]
Workers = Annotated[
    int | None,
    typer.Option(min=1, help="Processes that verify; as many as cores if not given.", rich_help_panel=WORK),
]
Sheet = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Draw what stays and what falls of a landmark into this PNG file.")
]
SheetLandmark = Annotated[
    str | None, typer.Option(metavar="NUMBER", help="That landmark; the one that lost most if not given.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def tidy(
    root: Root,
    descriptors: Descriptors,
    out: Out,
    force: Force = False,
    min_images: MinImages = 2,
    outsiders: Outsiders = 8,
    min_agreeing: MinAgreeing = 2,
    chance: Chance = 0.05,
    group_share: GroupShare = 0.2,
    min_similarity: MinSimilarity = -1.0,
    fellows: Fellows = 16,
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
    sheet_landmark: SheetLandmark = None,
    as_json: AsJson = False,
) -> None:
    """Keep the pictures of train.csv that agree with others of their landmark, and write them as train_clean.csv is.

    A picture stays if enough pictures of its landmark are nearer to it than pictures of other landmarks are, in a group
    that is large enough. The rule is ours, its values chosen on planted wrong labels; landmarks.cleaning.rule describes
    it. Interrupt it at any time: the same command goes on from there, and most
    other values of the rule need no new search.

    Use the list with data.source.train_split=train data.source.include=FILE, or put it in place of
    metadata/train_clean.csv.
    """
    from landmarks.cleaning.clean import tidy as tidy_train
    from landmarks.cleaning.rule import AgreementRule
    from landmarks.cleaning.verification import Verification
    from landmarks.data.gldv2.clean_table import write_clean
    from landmarks.retrieval.descriptors.descriptor_set import DescriptorSet

    stderr = Console(stderr=True, soft_wrap=True, highlight=False)
    with named_endings(stderr, KEPT), progress_told():
        start = time.monotonic()
        _refuse_existing(out, force)
        rule = AgreementRule(fellows, outsiders, min_agreeing, chance, group_share, min_images, min_similarity)
        tidied = tidy_train(
            _table(root),
            DescriptorSet.open(descriptors),
            _resources(search, memory_mb, workers, seed),
            rule,
            sample or None,
            Verification(partners, min_inliers, min_verified) if verify else None,
            lambda: _images(root),
        )
        kept, pictures = tidied.kept, tidied.pictures
        if sheet is not None:
            _draw(root, tidied, sheet_landmark, sheet)
            stderr.print(f"drawn: {sheet}", markup=False)
        write_clean(out, pictures.ids[kept], pictures.landmark_names[pictures.landmarks[kept]])
    report = {"out": str(out), **tidied.as_json(), "seconds": round(time.monotonic() - start, 1)}
    if as_json:
        typer.echo(json.dumps(report, indent=1))
    else:
        print_tidied(report)


def _refuse_existing(out: Path, force: bool) -> None:
    if out.is_dir():
        raise LandmarksError(f"--out {out} is a folder: name the file to write")
    if out.exists() and not force:
        raise LandmarksError(f"--out {out} exists already: remove it, name another file, or replace it with --force")


def _table(root: str) -> "ImageTable":
    from landmarks.data.gldv2.layout import GLDv2Layout
    from landmarks.data.gldv2.tables import read_labels
    from landmarks.data.roots import open_root

    layout = GLDv2Layout(open_root(root))
    if not layout.has_table("train"):
        raise LandmarksError(
            f"{layout.root / 'metadata' / 'train.csv'}: not there; `landmarks data download --root FOLDER --split "
            "metadata` fetches it"
        )
    return read_labels(layout.table("train"))


def _images(root: str) -> "ImageSet":
    from landmarks.data.gldv2.source import GLDv2

    return GLDv2(root, train_split="train", missing="skip").train()


def _resources(search: Search, memory_mb: int, workers: int | None, seed: int) -> "Resources":
    from landmarks.data.processes import available_cores
    from landmarks.retrieval.cache import Cache
    from landmarks.retrieval.resources import Resources
    from landmarks.retrieval.search.approximate.hnsw import HnswIndex
    from landmarks.retrieval.search.approximate.ivf_pq import IvfPqIndex
    from landmarks.retrieval.search.index import ExactIndex

    kinds = {Search.exact: ExactIndex, Search.hnsw: HnswIndex, Search.ivf_pq: IvfPqIndex}
    neighbours = kinds[search](memory_budget_mb=memory_mb)
    return Resources(ExactIndex(memory_budget_mb=memory_mb), neighbours, Cache(), workers or available_cores(), seed)


def _draw(root: str, tidied: "Tidied", name: str | None, out: Path) -> None:
    import numpy as np

    from landmarks.data.images.decode import decode
    from landmarks.report.cleaning import draw_tidied, sheet_landmark
    from landmarks.report.tiles import PICTURE

    images = _images(root)

    def read(image_id: int) -> Any:
        row = int(images.table.find(np.array([image_id], np.uint64))[0])
        if row < 0:
            raise LandmarksError("not there")
        return decode(images.read(row), PICTURE)

    draw_tidied(tidied, sheet_landmark(tidied, name), read, out)
