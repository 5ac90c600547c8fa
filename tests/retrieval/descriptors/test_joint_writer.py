"""Sets that several processes write together, and what is left of them after kills at bad moments."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landmarks.errors import LandmarksError
from landmarks.retrieval.descriptors import (
    DescriptorSet,
    DescriptorWriter,
    ExtractionProtocol,
    JointWriter,
    Layer,
    OtherSetError,
)

PROTOCOL = ExtractionProtocol("res152", "ab12", 448, "aspect", split="index")
IDS = np.arange(40, dtype=np.uint64) * 3 + 1


def layers(folder: Path, **changes: object) -> list[Layer]:
    whole = Layer(folder / "index", 3, replace(PROTOCOL, **changes))
    return [whole, Layer(folder / "index_regions", 6, replace(PROTOCOL, regions=2, **changes), "float16")]


def values(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    column = ids[:, None].astype(np.float32)
    return np.tile(column, 3), np.tile(column + 0.5, 6)


def write(writer: JointWriter, ids: np.ndarray) -> None:
    writer.add(ids, *values(ids))
    writer.close()


def check(found: list[DescriptorSet], ids: np.ndarray) -> None:
    whole, regions = found
    assert sorted(whole.ids.tolist()) == sorted(ids.tolist()) and np.array_equal(whole.ids, regions.ids)
    for part, expected in zip(found, values(whole.ids), strict=True):
        assert np.array_equal(part.descriptors, expected)


@given(shares=st.lists(st.sets(st.integers(0, 39)), min_size=1, max_size=4))
def test_rank_zero_takes_over_what_all_wrote_once(tmp_path_factory, shares):
    folder = tmp_path_factory.mktemp("set")  # ranks of two runs: some images are in several shares
    for rank, share in enumerate(shares):
        write(JointWriter(layers(folder), IDS, rank), IDS[sorted(share)])
    writer = JointWriter.resumed(layers(folder), IDS)
    assert sorted(writer.ids.tolist()) == sorted(IDS[sorted(set().union(*shares))].tolist())
    rest = ~np.isin(IDS, writer.ids)
    writer.add(IDS[rest], *values(IDS[rest]))
    check(writer.finish(), IDS)
    assert sorted(path.name for path in folder.iterdir()) == ["index", "index_regions"]


def test_a_kill_between_two_layers_loses_the_last_rows_only(tmp_path):
    write(JointWriter(layers(tmp_path), IDS), IDS[:6])
    regions = layers(tmp_path)[1]
    with DescriptorWriter(regions.folder, 40, regions.dim, regions.protocol, regions.dtype) as alone:
        alone.add(IDS[6:10], values(IDS[6:10])[1])
    writer = JointWriter.resumed(layers(tmp_path), IDS)
    assert writer.ids.tolist() == IDS[:6].tolist()
    write(writer, IDS[6:])
    check(JointWriter.resumed(layers(tmp_path), IDS).finish(), IDS)


def test_a_kill_while_finishing_or_taking_over_does_no_harm(tmp_path):
    write(JointWriter(layers(tmp_path), IDS), IDS[:20])
    write(JointWriter(layers(tmp_path), IDS, rank=1), IDS[10:30])  # half of it taken over already
    first = JointWriter.resumed(layers(tmp_path), IDS)
    first._writers[0].finish()  # the regions' files are not finished
    first.close()
    assert (tmp_path / "index").is_dir() and (tmp_path / "index_regions.partial").is_dir()
    check(JointWriter.resumed(layers(tmp_path), IDS).finish(), IDS[:30])


def test_a_finished_set_can_be_extended(tmp_path):
    write(JointWriter(layers(tmp_path), IDS), IDS[:20])
    check(JointWriter.resumed(layers(tmp_path), IDS).finish(), IDS[:20])
    writer = JointWriter.resumed(layers(tmp_path), IDS)
    assert len(writer.ids) == 20
    write(writer, IDS[20:])
    check(JointWriter.resumed(layers(tmp_path), IDS).finish(), IDS)


@pytest.mark.parametrize("finished", [True, False])
def test_other_sets_are_refused_or_replaced_as_asked(tmp_path, finished):
    writer = JointWriter(layers(tmp_path), IDS)
    writer.add(IDS[:5], *values(IDS[:5]))
    writer.finish() if finished else writer.close()
    before = sorted(tmp_path.rglob("*"))
    others = [
        (layers(tmp_path, weights="cd34"), IDS, "weights: 'ab12' != 'cd34'"),
        (layers(tmp_path, precision="bf16-mixed"), IDS, "precision"),
        ([replace(layers(tmp_path)[0], dtype="float16")], IDS, "float16"),
        (layers(tmp_path), IDS[3:], "3 of its images are not among those to embed"),
    ]
    for other, ids, words in others[:3]:
        with pytest.raises(OtherSetError, match=words):
            JointWriter.resumed(other, ids)
        assert sorted(tmp_path.rglob("*")) == before
    with pytest.raises(OtherSetError, match=others[3][2]):
        JointWriter.resumed(*others[3][:2])
    writer = JointWriter.resumed(layers(tmp_path, weights="cd34"), IDS, replace_others=True)
    assert len(writer.ids) == 0
    write(writer, IDS)
    check(JointWriter.resumed(layers(tmp_path, weights="cd34"), IDS).finish(), IDS)


@pytest.mark.parametrize("finished", [True, False])
def test_a_set_of_changed_files_is_refused_or_replaced_and_one_with_more_files_is_resumed(tmp_path, finished):
    stamps = IDS * 7
    writer = JointWriter(layers(tmp_path), IDS[20:], stamps=stamps[20:])
    writer.add(IDS[20:], *values(IDS[20:]))
    writer.finish() if finished else writer.close()
    changed = stamps.copy()
    changed[25] += 1
    with pytest.raises(OtherSetError, match=rf"the files of 1 of its 20 images have changed .*{IDS[25]:016x}"):
        JointWriter.resumed(layers(tmp_path), IDS, stamps=changed)
    elsewhere = stamps.copy()
    elsewhere[:10] += 1  # images that are not embedded yet
    grown = JointWriter.resumed(layers(tmp_path), IDS, stamps=elsewhere)
    assert len(grown.ids) == 20
    write(grown, IDS[:20])
    (found, _) = JointWriter.resumed(layers(tmp_path), IDS, stamps=elsewhere).finish()
    assert found.stamps is not None and found.changed(IDS, elsewhere).tolist() == []
    assert found.changed(IDS, stamps).tolist() == IDS[:10].tolist()
    assert len(JointWriter.resumed(layers(tmp_path), IDS, replace_others=True, stamps=stamps).ids) == 0


def test_a_set_without_stamps_is_not_resumed(tmp_path):
    writer = JointWriter(layers(tmp_path), IDS)
    writer.add(IDS[:5], *values(IDS[:5]))
    writer.close()
    assert len(JointWriter.resumed(layers(tmp_path), IDS, stamps=IDS).ids) == 0
    writer = JointWriter(layers(tmp_path / "finished"), IDS)
    writer.add(IDS[:5], *values(IDS[:5]))
    writer.finish()
    with pytest.raises(OtherSetError, match="its image files are not recorded"):
        JointWriter.resumed(layers(tmp_path / "finished"), IDS, stamps=IDS)
    assert len(JointWriter.resumed(layers(tmp_path / "finished"), IDS, replace_others=True, stamps=IDS).ids) == 0


def test_other_folders_are_never_removed(tmp_path):
    images = tmp_path / "index" / "0" / "1.jpg"
    images.parent.mkdir(parents=True)
    images.write_bytes(b"mine")
    with pytest.raises(LandmarksError, match=r"protocol\.json"):
        JointWriter.resumed(layers(tmp_path), IDS, replace_others=True)
    assert images.read_bytes() == b"mine"


def test_a_set_that_another_process_writes_is_left_alone(tmp_path):
    part = JointWriter(layers(tmp_path), IDS, rank=2)
    part.add(IDS[:5], *values(IDS[:5]))
    with pytest.raises(LandmarksError, match=r"rank2\.partial: another process writes this set"):
        JointWriter.resumed(layers(tmp_path), IDS, replace_others=True)
    part.close()
    assert len(JointWriter.resumed(layers(tmp_path), IDS).ids) == 5


def test_clearing_leaves_other_sets(tmp_path):
    for rank in (0, 3):
        write(JointWriter(layers(tmp_path), IDS, rank), IDS[:5])
    (tmp_path / "index.rank.partial").mkdir()
    for layer in layers(tmp_path):
        layer.clear()
    assert [path.name for path in tmp_path.iterdir()] == ["index.rank.partial"]
