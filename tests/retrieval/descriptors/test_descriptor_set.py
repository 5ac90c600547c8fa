import json

import numpy as np
import pytest

from landmarks.errors import LandmarksError
from landmarks.retrieval.descriptors import (
    DescriptorSet,
    DescriptorWriter,
    ExtractionProtocol,
    as_regions,
    regions_of,
)

PROTOCOL = ExtractionProtocol("res152", "ab12", 448, "aspect")


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    with DescriptorWriter(tmp_path / "index", 100, 8, PROTOCOL) as writer:
        writer.add(np.arange(100, 0, -1).astype(np.uint64), rng.standard_normal((100, 8)).astype(np.float32))
        writer.finish()
    return tmp_path / "index"


def test_rows_of_ids(folder):
    opened = DescriptorSet.open(folder)
    assert len(opened) == 100 and opened.dim == 8
    np.testing.assert_array_equal(opened.rows(np.array([100, 1, 7, 0, 2**64 - 1], np.uint64)), [0, 99, 93, -1, -1])
    assert isinstance(opened.descriptors, np.memmap) and not opened.descriptors.flags.writeable


@pytest.mark.parametrize("name", ["ids.npy", "descriptors.npy"])
@pytest.mark.parametrize("change", [-1, -300, 1])
def test_files_that_are_too_short_or_too_long_are_refused(folder, name, change):
    path = folder / name
    data = path.read_bytes()
    path.write_bytes(data[:change] if change < 0 else data + b"x")
    with pytest.raises(LandmarksError, match=rf"{name}: corrupt"):
        DescriptorSet.open(folder)


@pytest.mark.parametrize(
    "array", [np.zeros((3, 8)), np.zeros((0, 8), np.float32), np.zeros(8, np.float32), np.array([{}], dtype=object)]
)
def test_other_arrays_are_refused(folder, array):
    np.save(folder / "descriptors.npy", array, allow_pickle=True)
    with pytest.raises(LandmarksError, match=r"descriptors\.npy: corrupt"):
        DescriptorSet.open(folder)


def test_different_counts_and_repeated_ids_are_refused(folder):
    np.save(folder / "ids.npy", np.arange(99, dtype=np.uint64))
    with pytest.raises(LandmarksError, match=r"\(99,\)"):
        DescriptorSet.open(folder)
    np.save(folder / "ids.npy", np.array([5, *range(99)], np.uint64))
    with pytest.raises(LandmarksError, match="1 ids occur twice, the first is 0000000000000005"):
        DescriptorSet.open(folder)


def test_a_header_cannot_ask_for_more_than_the_file_has(folder):
    with (folder / "descriptors.npy").open("r+b") as file:
        fields = {"descr": "<f4", "fortran_order": False, "shape": (2**62, 2**10)}
        np.lib.format.write_array_header_1_0(file, fields)
    with pytest.raises(LandmarksError, match="its header needs"):
        DescriptorSet.open(folder)


def test_sets_of_other_protocols_are_not_compared(folder, tmp_path):
    with DescriptorWriter(tmp_path / "other", 1, 4, ExtractionProtocol("res200", "ab12", 448, "square")) as writer:
        writer.add(np.array([1], np.uint64), np.ones((1, 4), np.float32))
        other = writer.finish()
    mine = DescriptorSet.open(folder)
    mine.require_same_protocol(mine)
    with pytest.raises(LandmarksError, match=r"model: 'res152' != 'res200'; resize: .*; dimensions: 8 != 4"):
        mine.require_same_protocol(other)


def test_an_absent_set_says_whether_it_was_begun(tmp_path):
    with pytest.raises(LandmarksError, match=r"no descriptor set here$"):
        DescriptorSet.open(tmp_path / "index")
    DescriptorWriter(tmp_path / "index", 1, 4, PROTOCOL).close()
    with pytest.raises(LandmarksError, match="only an unfinished one"):
        DescriptorSet.open(tmp_path / "index")


def embedded(ids, dim, name="set"):
    rows = np.random.default_rng(dim).standard_normal((len(ids), dim)).astype(np.float32)
    return DescriptorSet(np.array(ids, np.uint64), rows, PROTOCOL, name)


def test_regions_of_a_file_are_a_view_of_it(tmp_path):
    rows = np.arange(60, dtype=np.float32).reshape(4, 15)
    with DescriptorWriter(tmp_path / "regions", 4, 15, PROTOCOL) as writer:
        writer.add(np.arange(4, dtype=np.uint64), rows)
        writer.finish()
    opened = DescriptorSet.open(tmp_path / "regions")
    found = regions_of(embedded(range(4), 3), opened)
    assert found.shape == (4, 5, 3) and np.shares_memory(found, opened.descriptors)
    np.testing.assert_array_equal(found[2, 1], rows[2, 3:6])


def test_regions_follow_the_order_of_the_whole_images():
    regions = embedded([5, 3, 9, 1], 6, "parts")
    found = regions_of(embedded([9, 5], 2), regions)
    np.testing.assert_array_equal(found, regions.descriptors.reshape(4, 3, 2)[[2, 0]])


def test_images_without_regions_and_rows_of_other_models_are_named():
    with pytest.raises(LandmarksError, match=r"parts: has no regions for 2 of the 3 images of all, .* 0{15}7"):
        regions_of(embedded([7, 5, 8], 2, "all"), embedded([5], 6, "parts"))
    with pytest.raises(LandmarksError, match="parts: rows of 7 values cannot be split into regions of 2"):
        as_regions(embedded([1], 7, "parts"), 2)


def protocol(**changes):
    values = {"model": "res152", "weights": "ab12", "input_size": 448, "resize": "aspect", "scales": (1, 0.7)}
    return ExtractionProtocol(**(values | changes))


def test_a_file_gives_the_same_protocol(tmp_path):
    original = protocol(
        data="gldv2", split="index", flip=True, regions=3, precision="bf16-mixed", versions={"torch": "2.11"}
    )
    original.write(tmp_path / "protocol.json")
    assert ExtractionProtocol.read(tmp_path / "protocol.json") == original


def test_only_what_changes_descriptors_is_compared():
    other = protocol(split="test", data="other", precision="bf16-mixed", versions={"torch": "3"})
    assert protocol().differences(other) == []
    assert protocol().differences(protocol(weights="cd34", input_size=224)) == [
        "weights: 'ab12' != 'cd34'",
        "input_size: 448 != 224",
    ]
    assert len(protocol().differences(other, ignore=frozenset())) == 4
    assert protocol().differences(protocol(flip=True)) == ["flip: False != True"]


def test_files_from_before_flip_regions_and_precision_are_read(tmp_path):
    path = tmp_path / "protocol.json"
    path.write_text('{"model": "res152", "weights": "ab12", "input_size": 448, "resize": "aspect", "scales": [1, 0.7]}')
    assert ExtractionProtocol.read(path) == protocol()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "Invalid JSON"),
        ("{", "Invalid JSON"),
        ("[" * 100_000, "Invalid JSON"),
        ("[]", "Input should be an object"),
        ('{"model": "a"}', "weights: Field required; input_size: Field required"),
        ('{"model": "a", "weights": "b", "input_size": 1, "resize": "c", "colour": 1}', "colour: Unexpected keyword"),
        (
            '{"model": "a", "weights": "b", "input_size": "1", "resize": "c"}',
            "input_size: Input should be a valid integer",
        ),
        ('{"model": "a", "weights": "b", "input_size": 1, "resize": "c", "scales": ["x"]}', "scales.0: .*valid number"),
        ('{"model": "a", "weights": "b", "input_size": 1, "resize": "c", "flip": 1}', "flip: .*valid boolean"),
        ('{"model": "a", "weights": "b", "input_size": 1, "resize": "c", "regions": true}', "regions: .*valid integer"),
        (json.dumps({"model": "a" * 2_000_000}), "larger than"),
    ],
)
def test_foreign_files_are_refused(tmp_path, text, words):
    path = tmp_path / "protocol.json"
    path.write_text(text)
    with pytest.raises(LandmarksError, match=words):
        ExtractionProtocol.read(path)
