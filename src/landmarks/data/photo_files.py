"""Finds photographs on the disk, and warns of other files and of duplicates between splits."""

import logging
import os
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path

from landmarks.data.images import heif_is_read
from landmarks.errors import LandmarksError, counted, shown

SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif")
HEIF_SUFFIXES = (".heic", ".heif", ".hif")
INDEX_NAMES = {"index", "database", "db", "gallery"}
SPLIT_NAMES = INDEX_NAMES | {"train", "training", "val", "valid", "validation", "test", "testing", "query", "queries"}
NAMED = 5  # most duplicates that a warning names

log = logging.getLogger(__name__)


def find_photos(root: Path, apart: Collection[Path] = ()) -> dict[str, list[Path]]:
    """Return images by landmark folder, both sorted by name, without empty folders and those in `apart`.

    One warning counts the files that are not images of a known format, another one counts and names what is not a
    regular file, such as a pipe or a broken link.
    """
    if not root.is_dir():
        raise LandmarksError(f"{shown(root)} is not a folder; it should hold one folder per landmark")
    others = {path.resolve() for path in apart}
    entries = sorted(path for path in root.iterdir() if not path.name.startswith("."))
    loose = sum(_is_image(path.name) and path.is_file() for path in entries)
    if loose:
        log.warning("%s: %d images are in no landmark's folder and are left out", shown(root), loose)
    passed, odd = Counter[str](), list[Path]()
    folders = [path for path in entries if path.is_dir() and path.resolve() not in others]
    found = {path.name: _images_below(path, passed, odd) for path in folders}
    _warn_of_others(root, passed, odd)
    empty = [name for name, paths in found.items() if not paths]
    if empty:
        log.warning("%s: %d folders hold no image, first %r", shown(root), len(empty), empty[0])
    return {name: paths for name, paths in found.items() if paths}


def find_images(root: Path) -> list[Path]:
    """Return all images in a folder and its subfolders, sorted by path, without hidden files; links are followed.

    It warns like `find_photos`.
    """
    if not root.is_dir():
        raise LandmarksError(f"{shown(root)} is not a folder")
    passed, odd = Counter[str](), list[Path]()
    found = _images_below(root, passed, odd)
    _warn_of_others(root, passed, odd)
    return sorted(found)


def known_suffixes() -> tuple[str, ...]:
    """Return the suffixes of the files that are read as images."""
    return SUFFIXES + HEIF_SUFFIXES if heif_is_read() else SUFFIXES


def _is_image(name: str) -> bool:
    return _suffix(name) in known_suffixes()


def _suffix(name: str) -> str:
    return os.path.splitext(name.strip())[1].lower()  # noqa: PTH122 - a Path for each of millions would take minutes


def _warn_of_others(root: Path, passed: Counter[str], odd: Sequence[Path]) -> None:
    if odd:
        kind = "left out, because pipes, devices and broken links are not files"
        log.warning("%s: %s", shown(root), counted(kind, [_below(root, path) for path in odd], NAMED))
    if not passed:
        return
    counts = ", ".join(f"{count} {shown(suffix) or 'without a suffix'}" for suffix, count in passed.most_common())
    heic = any(suffix in HEIF_SUFFIXES for suffix in passed)
    hint = "; pip install 'landmarks[heif]' reads HEIC" if heic else ""
    log.warning(
        "%s: %d files are not images of a known format and are left out: %s%s",
        shown(root),
        passed.total(),
        counts,
        hint,
    )


def _images_below(folder: Path, passed: Counter[str], odd: list[Path]) -> list[Path]:
    """Return all images below a folder, sorted, without hidden ones; links are followed, each folder is read once.

    Other files are counted in `passed`. What has an image's suffix but is not a regular file is added to `odd`,
    because opening a pipe would block.
    """
    found: list[Path] = []
    visited: set[tuple[int, int]] = set()
    for here, folders, files in os.walk(folder, followlinks=True):
        status = Path(here).stat()
        if (status.st_dev, status.st_ino) in visited:  # a link to a parent folder
            folders.clear()
            continue
        visited.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        names = sorted(name for name in files if not name.startswith("."))
        for path in (Path(here, name) for name in names if _is_image(name)):
            (found if os.path.isfile(path) else odd).append(path)  # noqa: PTH113 - False where Path would raise
        passed.update(_suffix(name) for name in names if not _is_image(name))
    return found


def warn_of_duplicates(root: Path, splits: Mapping[str, Sequence[Path]]) -> None:
    """Warn of files that are in two splits, as links or byte for byte, because a query is then found by its own copy.

    Only files of equal size are read. A path may be in both train and index, because the user has listed it twice.
    """
    by_size: dict[int, list[tuple[str, Path]]] = defaultdict(list)
    for split, paths in splits.items():
        for path in paths:
            try:
                by_size[path.stat().st_size].append((split, path))
            except OSError:
                continue  # reported when it is read
    duplicates = []
    for files in by_size.values():
        by_content: dict[bytes, list[tuple[str, Path]]] = defaultdict(list)
        for split, path in files if len({split for split, _ in files}) > 1 else ():
            by_content[_content(path)].append((split, path))
        for same in by_content.values():
            other = next(
                (one for one in same if one[0] != same[0][0] and (one[1] != same[0][1] or one[0] == "query")), None
            )
            if other is not None:
                duplicates.append(
                    f"{_below(root, same[0][1])} ({same[0][0]}) and {_below(root, other[1])} ({other[0]})"
                )
    if duplicates:
        log.warning(
            "%s: %d images are in several splits, as links to one file or byte for byte, and raise the metrics: %s; "
            "remove all but one of each",
            shown(root),
            len(duplicates),
            "; ".join(duplicates[:NAMED] + ["…"] * (len(duplicates) > NAMED)),
        )


def _content(path: Path) -> bytes:
    try:
        return blake2b(path.read_bytes(), digest_size=16).digest()
    except OSError:
        return os.fsencode(path)


def _below(root: Path, path: Path) -> str:
    return shown(path.relative_to(root) if path.is_relative_to(root) else path)
