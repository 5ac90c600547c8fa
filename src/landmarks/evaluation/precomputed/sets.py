"""Opens one side of a search: a file, a folder of a descriptor set, or several of them to be joined."""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

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
    common_pictures,
    join_rows,
    rows_in_budget,
)
from landmarks.storage import Column

CHUNK_BYTES = 64 * MIB

log = logging.getLogger(__name__)


def in_search_order(array: NDArray[Any], name: str, cache: Cache) -> Descriptors:
    """Return an array [N, …] as a search reads it, float32 or float16 in rows: itself, or a copy in the cache."""
    wanted = np.dtype(np.float16) if array.dtype.itemsize == 2 else np.dtype(np.float32)
    if array.dtype == wanted and array.flags.c_contiguous:
        return array
    log.info("%s: %s is read as %s, from a copy in the cache", name, _layout(array), wanted)

    def make(start: int, stop: int) -> dict[str, NDArray[Any]]:
        with np.errstate(over="ignore"):  # becomes infinity, which is refused
            return {"descriptors": array[start:stop].astype(wanted)}

    chunk = rows_in_budget(array.nbytes // len(array), CHUNK_BYTES)
    column = Column(wanted, array.shape[1:])
    kept = cache.rows("converted", len(array), {"descriptors": column}, make, chunk, [array], {"dtype": str(wanted)})
    return kept["descriptors"]


def joined_copy(
    parts: Sequence[Descriptors], rows: Sequence[NDArray[np.int64] | None], weights: Sequence[float], cache: Cache
) -> Descriptors:
    """Join several models' descriptors of the same images in the cache: float32 [N, sum of dimensions].

    `rows` says which row of each part every image has, int64 [N]; None where they are all rows in order.
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


# Share of the pictures that may be absent from one of several sets; they are left out.
MAX_MISSING = 0.01


@dataclass(frozen=True)
class PrecomputedSet:
    """Descriptors of some images as files, and what is known of the images."""

    key: str  # of the configuration, such as ``"descriptors.queries"``
    parts: tuple[NDArray[Any], ...]  # a matrix of each model, at least one; as they lie on the disk
    # of each part the row of every picture, int64 [N]; None where they are all rows in order
    rows: tuple[NDArray[np.int64] | None, ...]
    names: tuple[str, ...]  # where each part comes from
    protocols: tuple[ExtractionProtocol | None, ...]  # what made each part; None for plain files
    ids: NDArray[np.uint64] | None  # uint64 [N], or None where they are not known
    images: ImageSet | None = None  # in the order of the descriptors, where a stage asks for them
    regions: NDArray[Any] | None = None  # [N, R, D], where a stage asks for them; as they lie on the disk
    sets: tuple[DescriptorSet, ...] = ()  # those parts that are folders of sets

    def __len__(self) -> int:
        return len(self.parts[0] if self.rows[0] is None else self.rows[0])

    @property
    def known_ids(self) -> NDArray[np.uint64]:
        """The ids."""
        if self.ids is None:
            raise LandmarksError(f"{self.key}: the ids of the pictures are needed")
        return self.ids

    def read(self, weights: Sequence[float] | None, cache: Cache) -> EvaluationSet:
        """Look at every row, join what is to be joined, and give it as a search reads it; copies lie in the cache."""
        parts = [_checked(part, name, cache) for part, name in zip(self.parts, self.names, strict=True)]
        used = [1.0] * len(parts) if weights is None else [float(weight) for weight in weights]
        descriptors = parts[0] if len(parts) == 1 else joined_copy(parts, self.rows, used, cache)
        regions = None if self.regions is None else _checked(self.regions, f"regions of {self.key}", cache)
        return EvaluationSet(descriptors, self.ids, self.images, regions, self.protocols)

    def record(self, cache: Cache) -> list[dict[str, Any]]:
        """Say for `metrics.json` what each part is: file, shape, content, and protocol where that is known."""
        return [
            {
                "file": name,
                "shape": list(part.shape),
                "dtype": str(part.dtype),
                "content": cache.key([part], {}),
                "protocol": None if protocol is None else asdict(protocol),
            }
            for name, part, protocol in zip(self.names, self.parts, self.protocols, strict=True)
        ]

    @property
    def fact(self) -> str:
        """Say for people what the parts are."""
        parts = zip(self.names, self.parts, strict=True)
        return ", ".join(f"{name} ({' x '.join(map(str, part.shape))}, {part.dtype})" for name, part in parts)

    @property
    def title(self) -> str:
        """The parts' names, cut to what people need to tell them apart."""
        return " + ".join("/".join(Path(name).absolute().parts[-2:]) for name in self.names)


def open_set(key: str, given: str | Sequence[str], ids_file: str | None) -> PrecomputedSet:
    """Open descriptors without reading them: an ``.npy`` file [N, D], a folder of a set, or several of either."""
    paths = [Path(path).expanduser() for path in ([given] if isinstance(given, str) else given)]
    if not paths:
        raise LandmarksError(f"{key}: an empty list; name at least one file or folder")
    sets = [DescriptorSet.open(path) if path.is_dir() else None for path in paths]
    known = [found for found in sets if found is not None]
    if ids_file is not None and known:
        raise LandmarksError(f"{key}: {known[0].name} brings its own ids; leave out {ids_file}")
    for found in known:
        if found.protocol.regions:
            raise LandmarksError(f"{key}: {found.name} holds regions; give descriptors of whole pictures here")
    ids = None
    rows: list[NDArray[np.int64] | None] = [None] * len(paths)
    if len(known) == len(paths) > 1:  # models describe pictures in orders of their own
        ids = common_pictures(known, MAX_MISSING)
        rows = [None if np.array_equal(found.ids, ids) else found.rows(ids) for found in known]
    parts = [
        _map_matrix(key, path) if found is None else found.descriptors for path, found in zip(paths, sets, strict=True)
    ]
    if ids is None:
        _require_same_pictures(key, paths, parts, known)
        ids = known[0].ids if known else None
    if ids_file is not None:
        ids = read_ids(Path(ids_file).expanduser(), len(parts[0]))
    protocols = tuple(None if found is None else found.protocol for found in sets)
    return PrecomputedSet(key, tuple(parts), tuple(rows), tuple(map(str, paths)), protocols, ids, sets=tuple(known))


def require_comparable(queries: PrecomputedSet, others: PrecomputedSet) -> None:
    """Refuse sets that cannot be searched against each other."""
    if len(queries.parts) != len(others.parts):
        raise LandmarksError(
            f"{queries.key} joins {len(queries.parts)} sets and {others.key} {len(others.parts)}; give both the same "
            "models in the same order"
        )
    for number, (mine, theirs) in enumerate(zip(queries.parts, others.parts, strict=True)):
        names = f"{queries.names[number]} and {others.names[number]}"
        if mine.shape[1] != theirs.shape[1]:
            raise LandmarksError(
                f"{names} have {mine.shape[1]} and {theirs.shape[1]} dimensions: extract both with the same model"
            )
        made, other = queries.protocols[number], others.protocols[number]
        differences = made.differences(other) if made and other else []
        if differences:
            raise LandmarksError(f"{names} were not made alike ({'; '.join(differences)}): extract one of them again")


def _require_same_pictures(
    key: str, paths: Sequence[Path], parts: Sequence[NDArray[Any]], known: Sequence[DescriptorSet]
) -> None:
    """Plain files say nothing of their pictures: they must be as many, and beside sets in their order."""
    for path, part in zip(paths, parts, strict=True):
        if len(part) != len(parts[0]):
            raise LandmarksError(
                f"{key}: {paths[0]} has {len(parts[0])} rows and {path} {len(part)}; only descriptors of the same "
                "pictures can be joined"
            )
    for found in known:
        if not np.array_equal(found.ids, known[0].ids):
            raise LandmarksError(
                f"{key}: {known[0].name} and {found.name} hold their pictures in different orders, and the .npy files "
                "beside them have no ids: give all as folders of descriptor sets"
            )


def _checked(array: NDArray[Any], name: str, cache: Cache) -> Descriptors:
    ordered = in_search_order(array, name, cache)
    check_rows(ordered.reshape(-1, ordered.shape[-1]), name, normalize=True)
    return ordered


def _map_matrix(key: str, path: Path) -> NDArray[Any]:
    if not path.exists():
        raise LandmarksError(f"{key}: {path} is not there; give an .npy file or the folder of a descriptor set")
    return map_floats(path, 2, "[N, D]")
