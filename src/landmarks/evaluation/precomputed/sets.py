"""Open the queries, the index or the gallery: a file, a folder of a descriptor set, or several of them to be joined."""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from landmarks.data import ImageSet
from landmarks.errors import LandmarksError
from landmarks.evaluation.inputs import EvaluationSet
from landmarks.evaluation.precomputed.files import map_floats, read_ids
from landmarks.retrieval import (
    MIB,
    Cache,
    Descriptors,
    DescriptorSet,
    ExtractionProtocol,
    check_rows,
    common_images,
    join_rows,
    rows_in_budget,
)
from landmarks.storage import Column

CHUNK_BYTES = 64 * MIB
# Share of the images that may be absent from one of several sets; they are left out.
MAX_MISSING = 0.01

log = logging.getLogger(__name__)


class Part(NamedTuple):
    """The descriptors of one model, as they are stored."""

    matrix: NDArray[Any]  # [M, D]
    name: str  # path of the file or folder
    protocol: ExtractionProtocol | None = None  # how they were extracted; None for a plain file
    rows: NDArray[np.int64] | None = None  # [N], the row of every image; None for all rows in order

    def __str__(self) -> str:
        return f"{self.name} ({' x '.join(map(str, self.matrix.shape))}, {self.matrix.dtype})"


@dataclass(frozen=True)
class PrecomputedSet:
    """Descriptors of a set of images as files that are not read yet, with ids and images as far as they are known."""

    key: str  # key of the configuration, such as ``"descriptors.queries"``
    parts: tuple[Part, ...]  # one for each model, at least one
    ids: NDArray[np.uint64] | None  # uint64 [N], or None if unknown
    images: ImageSet | None = None  # in the order of the descriptors, if a stage asks for them
    regions: NDArray[Any] | None = None  # [N, R, D] as stored, if a stage asks for them
    sets: tuple[DescriptorSet, ...] = ()  # those parts that are folders of descriptor sets

    def __len__(self) -> int:
        first = self.parts[0]
        return len(first.matrix if first.rows is None else first.rows)

    @property
    def known_ids(self) -> NDArray[np.uint64]:
        """The ids; raises LandmarksError if they are unknown."""
        if self.ids is None:
            raise LandmarksError(f"{self.key}: the ids of the images are needed")
        return self.ids

    def read(self, weights: Sequence[float] | None, cache: Cache) -> EvaluationSet:
        """Check every row, join the parts with `weights`, and return arrays that can be searched.

        Parts that must be converted or joined are copied into the cache.
        """
        matrices = [_checked(part.matrix, part.name, cache) for part in self.parts]
        used = [1.0] * len(matrices) if weights is None else [float(weight) for weight in weights]
        rows = [part.rows for part in self.parts]
        descriptors = matrices[0] if len(matrices) == 1 else joined_copy(matrices, rows, used, cache)
        regions = None if self.regions is None else _checked(self.regions, f"regions of {self.key}", cache)
        return EvaluationSet(descriptors, self.ids, self.images, regions, tuple(part.protocol for part in self.parts))

    def record(self, cache: Cache) -> list[dict[str, Any]]:
        """Describe each part for `metrics.json`: file, shape, type, content hash, and protocol if it is known."""
        return [
            {
                "file": part.name,
                "shape": list(part.matrix.shape),
                "dtype": str(part.matrix.dtype),
                "content": cache.key([part.matrix], {}),
                "protocol": None if part.protocol is None else asdict(part.protocol),
            }
            for part in self.parts
        ]

    @property
    def title(self) -> str:
        """The parts' names, each shortened to its last two path components."""
        return " + ".join("/".join(Path(part.name).absolute().parts[-2:]) for part in self.parts)


def open_set(key: str, given: str | Sequence[str], ids_file: str | None) -> PrecomputedSet:
    """Open descriptors without reading them: an ``.npy`` file [N, D], a folder of a set, or several of either."""
    paths = [Path(path).expanduser() for path in ([given] if isinstance(given, str) else given)]
    if not paths:
        raise LandmarksError(f"{key}: the list is empty; name at least one file or folder")
    sets = [DescriptorSet.open(path) if path.is_dir() else None for path in paths]
    known = [found for found in sets if found is not None]
    if ids_file is not None and known:
        raise LandmarksError(f"{key}: {known[0].name} has its own ids; leave out {ids_file}")
    for found in known:
        if found.protocol.regions:
            raise LandmarksError(f"{key}: {found.name} holds regions; give descriptors of whole images here")
    parts = [
        Part(_map_matrix(key, path), str(path)) if found is None else Part(found.descriptors, str(path), found.protocol)
        for path, found in zip(paths, sets, strict=True)
    ]
    ids = known[0].ids if known else None
    if len(known) == len(paths) > 1:  # each set may hold the images in another order
        ids = common = common_images(known, MAX_MISSING)
        moved = [None if np.array_equal(found.ids, common) else found.rows(common) for found in known]
        parts = [part._replace(rows=rows) for part, rows in zip(parts, moved, strict=True)]
    else:
        _require_same_images(key, parts, known)
    if ids_file is not None:
        ids = read_ids(Path(ids_file).expanduser(), len(parts[0].matrix))
    return PrecomputedSet(key, tuple(parts), ids, sets=tuple(known))


def require_comparable(queries: PrecomputedSet, others: PrecomputedSet) -> None:
    """Refuse sets that cannot be searched against each other."""
    if len(queries.parts) != len(others.parts):
        raise LandmarksError(
            f"{queries.key} joins {len(queries.parts)} sets and {others.key} {len(others.parts)}; give both the same "
            "models in the same order"
        )
    for mine, theirs in zip(queries.parts, others.parts, strict=True):
        names, dims = f"{mine.name} and {theirs.name}", (mine.matrix.shape[1], theirs.matrix.shape[1])
        if dims[0] != dims[1]:
            raise LandmarksError(f"{names} have {dims[0]} and {dims[1]} dimensions: extract both with the same model")
        differences = mine.protocol.differences(theirs.protocol) if mine.protocol and theirs.protocol else []
        if differences:
            raise LandmarksError(f"{names} were made differently ({'; '.join(differences)}): extract one of them again")


def _require_same_images(key: str, parts: Sequence[Part], known: Sequence[DescriptorSet]) -> None:
    """Check that parts without ids can be joined row by row: same length, and the same order in all descriptor sets."""
    first = parts[0]
    for part in parts:
        if len(part.matrix) != len(first.matrix):
            raise LandmarksError(
                f"{key}: {first.name} has {len(first.matrix)} rows and {part.name} {len(part.matrix)}; only "
                "descriptors of the same images can be joined"
            )
    for found in known:
        if not np.array_equal(found.ids, known[0].ids):
            raise LandmarksError(
                f"{key}: {known[0].name} and {found.name} hold their images in different orders, and the .npy files "
                "beside them have no ids: give all as folders of descriptor sets"
            )


def _checked(array: NDArray[Any], name: str, cache: Cache) -> Descriptors:
    ordered = in_search_order(array, name, cache)
    check_rows(ordered.reshape(-1, ordered.shape[-1]), name, normalize=True)
    return ordered


def _map_matrix(key: str, path: Path) -> NDArray[Any]:
    if not path.exists():
        raise LandmarksError(f"{key}: {path} does not exist; give an .npy file or the folder of a descriptor set")
    return map_floats(path, 2, "[N, D]")


def in_search_order(array: NDArray[Any], name: str, cache: Cache) -> Descriptors:
    """Return an array [N, …] as float32 or float16 in C order: itself, or a converted copy in the cache."""
    wanted = np.dtype(np.float16) if array.dtype.itemsize == 2 else np.dtype(np.float32)
    if array.dtype == wanted and array.flags.c_contiguous:
        return array
    log.info("%s: %s is read as %s, from a copy in the cache", name, _layout(array), wanted)

    def make(start: int, stop: int) -> dict[str, NDArray[Any]]:
        with np.errstate(over="ignore"):  # overflow gives infinity, which `check_rows` refuses
            return {"descriptors": array[start:stop].astype(wanted)}

    chunk = rows_in_budget(array.nbytes // len(array), CHUNK_BYTES)
    column = Column(wanted, array.shape[1:])
    kept = cache.rows("converted", len(array), {"descriptors": column}, make, chunk, [array], {"dtype": str(wanted)})
    return kept["descriptors"]


def joined_copy(
    parts: Sequence[Descriptors], rows: Sequence[NDArray[np.int64] | None], weights: Sequence[float], cache: Cache
) -> Descriptors:
    """Join several models' descriptors of the same images into float32 [N, sum of D], in the cache.

    `rows` holds for each part the rows [N] to take, or None for all of them.
    """
    moved = [found for found in rows if found is not None]
    count = len(moved[0] if moved else parts[0])
    dim = sum(part.shape[1] for part in parts)

    def make(start: int, stop: int) -> dict[str, NDArray[Any]]:
        taken = [slice(start, stop) if found is None else found[start:stop] for found in rows]
        return {"descriptors": join_rows([part[found] for part, found in zip(parts, taken, strict=True)], weights)}

    parameters = {"weights": list(weights), "moved": [found is not None for found in rows]}
    chunk = rows_in_budget(8 * dim, CHUNK_BYTES)
    column = Column(np.float32, (dim,))
    kept = cache.rows("joined", count, {"descriptors": column}, make, chunk, [*parts, *moved], parameters)
    return kept["descriptors"]


def _layout(array: NDArray[Any]) -> str:
    return f"{array.dtype}{'' if array.flags.c_contiguous else ' in Fortran order'}"
