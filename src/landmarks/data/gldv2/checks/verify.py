"""Checks a Google Landmarks v2 folder: tables against pictures, and on request every picture itself.

Training stops at the first thing that is wrong. Here all of it is collected, so that one download or one repair mends
it. Whether training can start is judged as `GLDv2` judges it, see `Findings.can_train`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landmarks.data.gldv2.checks.containers import Container
from landmarks.data.gldv2.checks.findings import (
    FOLDER,
    MAX_UNREADABLE,
    NEEDED,
    PICTURE_FAULTS,
    SPLITS,
    Fault,
    FileProblem,
    Findings,
    Split,
    SplitCounts,
)
from landmarks.data.gldv2.checks.inventory import Inventory, take_inventory
from landmarks.data.gldv2.checks.pictures import check_containers
from landmarks.data.gldv2.checks.records import ContainerCheck, find_checked
from landmarks.data.gldv2.checks.table_findings import Tables, table_findings
from landmarks.data.gldv2.layout import GLDv2Layout
from landmarks.data.gldv2.release import parse_md5
from landmarks.data.roots import Root
from landmarks.data.stores.offsets import OnTar
from landmarks.errors import LandmarksError
from landmarks.ids import find_sorted
from landmarks.storage import derived_folder

OnPictures = Callable[[int, int], None]


def verify(
    root: Root,
    splits: Sequence[Split] | None = None,
    workers: int = 0,
    on_tar: OnTar | None = None,
    on_pictures: OnPictures = lambda done, total: None,
) -> Findings:
    """Check a folder in the official layout.

    Args:
        root: The folder, or the address of one that holds tars.
        splits: What to check, and what must be usable for training to start. None checks all splits; needed are then
            those that `data=gldv2` uses by default.
        workers: Processes that decode the pictures not decoded by an earlier check; 0 decodes none.
        on_tar: Told of each tar whose headers had to be read, see `update_offsets`.
        on_pictures: Told how many of the pictures to be decoded now are done.

    Raises:
        LandmarksError: There is no such folder, or something cannot be kept in its derived folder.
    """
    if isinstance(root, Path) and not root.is_dir():
        raise LandmarksError(f"{root}: there is no such folder; give the one that holds train, metadata and so on")
    chosen = [split for split in SPLITS if split in (splits or SPLITS)]
    sharing: dict[str, list[Split]] = {}
    for split in chosen:
        sharing.setdefault(FOLDER[split], []).append(split)
    layout = GLDv2Layout(root)
    tables = Tables(layout)
    found = [finding for split in chosen for finding in table_findings(tables, split)]
    inventories = {folder: take_inventory(layout, folder, on_tar) for folder in sharing}
    for folder, inventory in inventories.items():
        found += _inventory_findings(root, inventory, sharing[folder])
    counts = {}
    for split in chosen:
        inventory = inventories[FOLDER[split]]
        there = find_sorted(inventory.ids, tables.ids(split)) >= 0
        counts[split] = _count(tables, split, there)
        found += _compare(tables, inventory, split, there)
    if workers:
        containers = [container for inventory in inventories.values() for container in inventory.containers]
        checks = _decode(root, containers, workers, on_pictures)
        for folder, splits_there in sharing.items():
            here = [check for check in checks if check.name.startswith(f"{folder}/")]
            found += _picture_findings(root, here, splits_there, tables)
    return Findings(
        root=str(root),
        deep=workers > 0,
        needed=tuple(split for split in chosen if splits or split in NEEDED),
        counts=counts,
        faults=tuple(one for one in found if isinstance(one, Fault) and len(one.ids)),
        problems=_merged(one for one in found if isinstance(one, FileProblem)),
    )


def _merged(problems: Iterable[FileProblem]) -> tuple[FileProblem, ...]:
    """One problem for each message, with all that it blocks."""
    blocks: dict[str, frozenset[Split]] = {}
    for problem in problems:
        blocks[problem.message] = blocks.get(problem.message, frozenset()) | problem.blocks
    return tuple(FileProblem(message, splits) for message, splits in blocks.items())


def _inventory_findings(root: Root, inventory: Inventory, sharing: list[Split]) -> Iterator[Fault | FileProblem]:
    """What is wrong with tars, for all splits that lie in them."""
    blocks = frozenset(sharing)
    folder = inventory.folder
    if inventory.is_empty:
        yield FileProblem(
            f"{root / folder}: no tar and no extracted folder; `landmarks data download --root {root} "
            f"--split {folder}` fetches them",
            blocks,
        )
    yield from (FileProblem(refused, blocks) for refused in inventory.refused)
    ids, where = inventory.twice()
    yield Fault("stored_twice", sharing[0], ids, where, blocks)


def _compare(tables: Tables, inventory: Inventory, split: Split, there: NDArray[np.bool_]) -> Iterator[Fault]:
    """Compare the table of a split with the pictures that are there; `there` says it of each in the table."""
    ids, folder = tables.ids(split), inventory.folder
    absent = ids[~there]
    yield Fault("missing", split, absent, [f"not in {folder}/"] * len(absent), frozenset([split]))
    check = tables.check(split)
    if split != "train_clean" and check is not None and check.is_known:  # the rest of train is no fault of train_clean
        yield Fault("unlisted", split, *inventory.unlisted(ids))


def _count(tables: Tables, split: Split, there: NDArray[np.bool_]) -> SplitCounts:
    images = tables.images_a_landmark(split)
    return SplitCounts(
        listed=len(there),
        present=int(there.sum()),
        without_landmark=max(0, len(there) - int(images.sum())),
        landmarks=len(images),
        single=int((images == 1).sum()),
    )


def _decode(root: Root, containers: Sequence[Container], workers: int, on_pictures: OnPictures) -> list[ContainerCheck]:
    """Decode all pictures that no earlier check of the same tar or folder has decoded."""
    records = derived_folder(root) / "checks"
    known = find_checked(containers, records)
    new = [container for container in containers if container.name not in known]
    total, done = sum(len(container.ids) for container in new), 0

    def count(pictures: int) -> None:
        nonlocal done
        done += pictures
        on_pictures(done, total)

    count(0)
    if new:
        known |= {check.name: check for check in check_containers(new, records, workers, count)}
    return [known[container.name] for container in containers]


def _picture_findings(
    root: Root, checks: Sequence[ContainerCheck], sharing: list[Split], tables: Tables
) -> Iterator[Fault | FileProblem]:
    """What decoding a folder showed, for each split that its pictures belong to."""
    for check in checks:
        folder, _, name = check.name.partition("/")
        published = root / "md5sum" / folder / f"md5.{name.removesuffix('.tar')}.txt"
        expected = parse_md5(published.read_text(errors="replace"), name) if check.md5 and published.is_file() else None
        if expected not in (None, check.md5):
            yield FileProblem(
                f"{root / check.name}: its MD5 is {check.md5}, the published one {expected}; remove the tar and "
                f"`landmarks data download --root {root} --split {folder}` fetches it again",
                frozenset(sharing),
            )
    bad = [(picture, f"{check.name}, {picture.reason}") for check in checks for picture in check.bad]
    for kind in PICTURE_FAULTS:
        these = [(picture.image_id, where) for picture, where in bad if picture.fault == kind]
        ids = np.array([image_id for image_id, _ in these], dtype=np.uint64)
        for split in sharing:
            rows = np.flatnonzero(find_sorted(tables.ids(split), ids) >= 0)  # what no table names is nobody's picture
            stops = kind == "unreadable" and len(rows) > MAX_UNREADABLE
            blocks = frozenset([split] if stops else [])
            yield Fault(kind, split, ids[rows], [these[row][1] for row in rows], blocks)
