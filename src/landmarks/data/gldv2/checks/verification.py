"""Checks a Google Landmarks v2 folder: tables against images, and on request every image.

Training stops at the first error. This check collects all errors, so that one download or one repair fixes them.
Whether training can start is decided by the same rules as in `GLDv2`, see `Findings.can_train`.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from landmarks.data.gldv2.checks.containers import Inventory, take_inventory
from landmarks.data.gldv2.checks.findings import (
    CHECKED_SPLITS,
    FOLDER,
    IMAGE_FAULTS,
    MAX_UNREADABLE,
    NEEDED,
    Fault,
    FileProblem,
    Findings,
    Split,
)
from landmarks.data.gldv2.checks.images import ContainerCheck, check_containers
from landmarks.data.gldv2.checks.tables import Tables, table_findings
from landmarks.data.gldv2.indexing import show_tars
from landmarks.data.gldv2.local import open_layout
from landmarks.data.gldv2.release import parse_md5
from landmarks.data.roots import Root
from landmarks.errors import LandmarksError
from landmarks.ids import find_sorted, parse_ids
from landmarks.progress import Progress
from landmarks.storage import derived_folder


def verify(root: Root, progress: Progress, splits: Sequence[Split] | None = None, workers: int = 0) -> Findings:
    """Check a folder in the official layout.

    Args:
        root: The folder, or the address of one that contains tars.
        progress: Shows how many tars are read and how many images decoded.
        splits: Splits to check, all of which must be usable for training to start. None checks all splits, of which
            those that `data=gldv2` uses by default must be usable.
        workers: Processes that decode the images not decoded by an earlier check; 0 decodes none.

    Returns:
        All findings.

    Raises:
        LandmarksError: There is no such folder, it is at an address without tars, or the findings cannot be written.
    """
    if isinstance(root, Path) and not root.is_dir():
        raise LandmarksError(f"{root}: there is no such folder; give the one that contains train, metadata and so on")
    chosen = [split for split in CHECKED_SPLITS if split in (splits or CHECKED_SPLITS)]
    layout = open_layout(root)
    tables = Tables(layout)
    found = [finding for split in chosen for finding in table_findings(tables, split)]
    counts = {}
    inventories = []
    for folder in dict.fromkeys(FOLDER[split] for split in chosen):
        inventory = take_inventory(layout, folder, show_tars(progress, folder))
        sharing = [split for split in chosen if FOLDER[split] == folder]
        found += _container_findings(root, inventory, sharing)
        for split in sharing:
            there = find_sorted(inventory.ids, tables.ids(split)) >= 0
            images = tables.images_a_landmark(split)
            counts[split] = {
                "listed": len(there),
                "present": int(there.sum()),
                "without_landmark": max(0, len(there) - int(images.sum())),
                "landmarks": len(images),
                "landmarks_with_one_image": int((images == 1).sum()),
            }
            found += _compare(tables, inventory, split)
        inventories.append((inventory, sharing))
    if workers:
        containers = [container for inventory, _ in inventories for container in inventory.containers]
        show = partial(progress.show, "decoding images", unit="images")
        checks = check_containers(containers, derived_folder(root) / "checks", workers, show)
        for inventory, sharing in inventories:
            here = {container.name: checks[container.name] for container in inventory.containers}
            found += _md5_problems(root, here, sharing)
            found += _image_faults(here, sharing, tables)
    return Findings(
        root=str(root),
        deep=workers > 0,
        needed=tuple(split for split in chosen if splits or split in NEEDED),
        counts=counts,
        faults=tuple(one for one in found if isinstance(one, Fault) and len(one.ids)),
        problems=tuple(one for one in found if isinstance(one, FileProblem)),
    )


def _container_findings(root: Root, inventory: Inventory, sharing: list[Split]) -> Iterator[Fault | FileProblem]:
    """Find faults of the tars or folders that one or more splits share."""
    blocks, folder = frozenset(sharing), inventory.folder
    if not inventory.containers and not inventory.refused:
        yield FileProblem(
            f"{root / folder}: no tar and no extracted folder; `landmarks data download --root {root} "
            f"--split {folder}` downloads them",
            blocks,
        )
    yield from (FileProblem(refused, blocks) for refused in inventory.refused)
    ids, where = inventory.twice()
    yield Fault("stored_twice", sharing[0], ids, where, blocks)


def _compare(tables: Tables, inventory: Inventory, split: Split) -> Iterator[Fault]:
    """Compare the table of a split with the images that exist."""
    ids = tables.ids(split)
    absent = ids[find_sorted(inventory.ids, ids) < 0]
    yield Fault("missing", split, absent, [f"not in {inventory.folder}/"] * len(absent), frozenset([split]))
    if split != "train_clean" and tables.check(split).is_known:  # train_clean lists only part of train
        yield Fault("unlisted", split, *inventory.unlisted(ids))


def _md5_problems(root: Root, checks: Mapping[str, ContainerCheck], sharing: list[Split]) -> Iterator[FileProblem]:
    for name, check in checks.items():
        folder, _, tar = name.partition("/")
        published = root / "md5sum" / folder / f"md5.{tar.removesuffix('.tar')}.txt"
        expected = parse_md5(published.read_text(errors="replace"), tar) if check.md5 and published.is_file() else None
        if expected not in (None, check.md5):
            yield FileProblem(
                f"{root / name}: its MD5 is {check.md5}, the published one {expected}; remove the tar and "
                f"`landmarks data download --root {root} --split {folder}` downloads it again",
                frozenset(sharing),
            )


def _image_faults(checks: Mapping[str, ContainerCheck], sharing: list[Split], tables: Tables) -> Iterator[Fault]:
    """Group the bad images of a folder by fault, for each split that they belong to."""
    for kind in IMAGE_FAULTS:
        bad = [
            (image_id, f"{name}, {reason}")
            for name, check in checks.items()
            for image_id, fault, reason in check.bad
            if fault == kind
        ]
        ids = parse_ids([image_id for image_id, _ in bad])
        for split in sharing:
            rows = np.flatnonzero(find_sorted(tables.ids(split), ids) >= 0)  # images in no table are ignored
            stops = kind == "unreadable" and len(rows) > MAX_UNREADABLE
            yield Fault(kind, split, ids[rows], [bad[row][1] for row in rows], frozenset([split] if stops else []))
