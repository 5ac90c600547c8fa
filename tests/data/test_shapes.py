"""Which pictures go together; what the batches hold is tested with the data module."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from torch.utils.data import BatchSampler

from landmarks.data.derived import derived_folder
from landmarks.data.pictures.aspect import group_shapes
from landmarks.data.pictures.sizes import picture_sizes
from landmarks.data.pictures.transforms import EvalResize
from landmarks.data.roots import Root, open_root
from landmarks.data.samplers.shapes import ShapeBatches
from landmarks.data.shapes import PictureShapes
from landmarks.data.source import ImageSet
from landmarks.data.stores.files import FileStore
from landmarks.data.table import ImageTable

ADDRESS = open_root("https://example.org/gldv2")


@pytest.fixture
def images(tmp_path: Path, make: SimpleNamespace) -> ImageSet:
    """Six pictures, wide and high by turns."""
    paths = [tmp_path / f"{number}.jpg" for number in range(6)]
    for number, path in enumerate(paths):
        path.write_bytes(make.jpeg(number, *((60, 120) if number % 2 else (120, 60))))
    table = ImageTable.unlabelled(np.arange(6, dtype=np.uint64))
    return ImageSet(table, FileStore(table.ids, paths))


def test_wide_and_high_pictures_train_apart(images: ImageSet, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    shapes = group_shapes(3, 96)
    groups = PictureShapes(tmp_path, 0).aspect_groups(images, shapes)
    (high, wide) = (shapes[groups[row]] for row in (0, 1))
    assert high[0] > high[1] and wide[0] < wide[1] and groups.tolist() == [groups[0], groups[1]] * 3
    assert "3 pictures" in caplog.text and "leave out 0 %" in caplog.text


@pytest.mark.parametrize(
    ("root", "mode", "known", "kind"),
    [
        (Path("photos"), "released", False, ShapeBatches),
        (Path("photos"), "square", False, BatchSampler),
        (ADDRESS, "released", False, BatchSampler),
        (ADDRESS, "released", True, ShapeBatches),
    ],
)
def test_sizes_are_asked_for_where_they_help_and_are_cheap(
    images: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: Root, mode: str, known: bool, kind: type
) -> None:
    monkeypatch.setenv("LANDMARKS_CACHE", str(tmp_path / "cache"))
    if known:
        picture_sizes(images, derived_folder(root) / "sizes")
    batches = PictureShapes(root, 0).evaluation_batches(images, EvalResize(64, mode), 2)  # type: ignore[arg-type]
    assert isinstance(batches, kind)
    assert sorted(row for batch in batches for row in batch) == list(range(6))
    if kind is ShapeBatches:
        assert all(len({row % 2 for row in batch}) == 1 for batch in batches)
