"""A plan and its pictures, written as Google Landmarks v2 writes them.

Tars of `a/b/c/<id>.jpg` with an md5 file each, the tables of metadata/ and the v2.1 solutions of ground_truth/.
Fixed times and owners make the same pictures give the same bytes.
"""

import hashlib
import io
import tarfile
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from landmarks.data.demo.plan import NOTHING, SPLITS, TARS, Picture, Plan

WRITTEN = int(datetime(2019, 1, 1, tzinfo=UTC).timestamp())


class PictureTars:
    """All tars of a world, open for writing.

    Args:
        root: folder of the world.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._tars: dict[tuple[str, int], tarfile.TarFile] = {}
        for split in SPLITS:
            (root / split).mkdir(parents=True)
            for number in range(TARS[split]):
                path = self._path(split, number)
                self._tars[split, number] = tarfile.TarFile(path, "w", format=tarfile.USTAR_FORMAT)

    def _path(self, split: str, number: int) -> Path:
        return self.root / split / f"images_{number:03d}.tar"

    def add(self, picture: Picture, jpeg: bytes) -> None:
        """Put a picture where the plan wants it."""
        name = picture.image_id
        member = tarfile.TarInfo(f"{name[0]}/{name[1]}/{name[2]}/{name}.jpg")
        member.size, member.mtime, member.mode = len(jpeg), WRITTEN, 0o644
        self._tars[picture.split, picture.tar].addfile(member, io.BytesIO(jpeg))

    def __enter__(self) -> "PictureTars":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for (split, number), tar in self._tars.items():
            tar.close()
            if error is None:
                self._write_md5(split, number)

    def _write_md5(self, split: str, number: int) -> None:
        path = self._path(split, number)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "md5").hexdigest()
        folder = self.root / "md5sum" / split
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"md5.{path.stem}.txt").write_text(f"{digest}  {path.name}\n")


def write_tables(root: Path, plan: Plan, names: dict[int, str]) -> None:
    """Write metadata/ and ground_truth/.

    Args:
        root: folder of the world.
        plan: what was drawn.
        names: of the landmarks by their number.
    """
    train, index, test = (plan.of(split) for split in SPLITS)
    clean: defaultdict[int, list[str]] = defaultdict(list)
    for picture in train:
        if picture.label == picture.subject and picture.label in plan.clean:
            clean[plan.train_numbers[picture.label]].append(picture.image_id)
    found: defaultdict[int, list[str]] = defaultdict(list)
    for picture in index:
        if picture.label != NOTHING:
            found[picture.label].append(picture.image_id)

    meta, truth = root / "metadata", root / "ground_truth"
    _write(meta / "train.csv", "id,url,landmark_id",
           (f"{p.image_id},,{plan.train_numbers[p.label]}" for p in train))  # fmt: skip
    _write(meta / "train_clean.csv", "landmark_id,images",
           (f"{number},{' '.join(ids)}" for number, ids in sorted(clean.items())))  # fmt: skip
    _write(meta / "index.csv", "id", (p.image_id for p in index))
    _write(meta / "index_image_to_landmark.csv", "id,landmark_id",
           (f"{p.image_id},{plan.index_numbers[p.label]}" for p in index if p.label != NOTHING))  # fmt: skip
    _write(meta / "test.csv", "id", (p.image_id for p in test))
    for split, numbers in (("train", plan.train_numbers), ("index", plan.index_numbers)):
        lines = sorted((number, names[landmark]) for landmark, number in numbers.items())
        _write(meta / f"{split}_label_to_category.csv", "landmark_id,category",
               (f"{number},Category:{name}" for number, name in lines))  # fmt: skip

    _write(truth / "recognition_solution_v2.1.csv", "id,landmarks,Usage",
           (f"{p.image_id},{_recognised(p, plan)},{p.usage}" for p in test))  # fmt: skip
    _write(truth / "retrieval_solution_v2.1.csv", "id,images,Usage",
           (_retrieved(p, found.get(p.label, [])) for p in test))  # fmt: skip


def _recognised(picture: Picture, plan: Plan) -> str:
    """The train number of the landmark in a test picture; nothing if there is none or train does not know it."""
    if picture.usage == "Ignored" or picture.label not in plan.train_numbers:
        return ""
    return str(plan.train_numbers[picture.label])


def _retrieved(picture: Picture, positives: list[str]) -> str:
    if picture.usage == "Ignored" or not positives:
        return f"{picture.image_id},None,Ignored"
    return f"{picture.image_id},{' '.join(positives)},{picture.usage}"


def _write(path: Path, header: str, lines: Iterable[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\r\n".join([header, *lines]) + "\r\n", newline="")
