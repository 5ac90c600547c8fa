"""Everything that `descriptors` names becomes the state that a pipeline starts from."""

import numpy as np
import pytest

from embedded import write_set
from landmarks.data import GroundTruth
from landmarks.data.gldv2 import GLDv2
from landmarks.errors import LandmarksError
from landmarks.evaluation.precomputed import count_truth, open_inputs, read_inputs, used_part
from landmarks.retrieval import Cache

RNG = np.random.default_rng(0)
NEEDS = frozenset({"images", "regions", "gallery"})
NO_CACHE = Cache(keep=False)


@pytest.fixture
def opened(compose_config, tmp_path):
    """`opened(needs, queries=…, …)` with the keys of `descriptors`; others by keyword `data`."""

    def made(needs, data=(), **keys):
        config = compose_config("evaluate", *data, run_dir=tmp_path)
        config.descriptors.update({key: str(tmp_path / v) if isinstance(v, str) else v for key, v in keys.items()})
        return open_inputs(used_part(config), needs)[0]

    return made


@pytest.fixture
def folder(tmp_path):
    for name, count in (("q", 6), ("i", 20), ("g", 9)):
        np.save(tmp_path / f"{name}.npy", RNG.standard_normal((count, 8)).astype(np.float32))
        np.save(tmp_path / f"{name}_labels.npy", np.arange(count) % 4)
        np.save(tmp_path / f"{name}_regions.npy", RNG.standard_normal((count, 3, 8)))
    np.save(tmp_path / "g_labels.npy", np.array([50, -1, 7, 7, 50, 9000, -1, 7, 9000]))
    return tmp_path


PLAIN = {"queries": "q.npy", "index": "i.npy"}
LABELS = {"query_labels": "q_labels.npy", "index_labels": "i_labels.npy"}
REGIONS = {"query_regions": "q_regions.npy", "index_regions": "i_regions.npy"}
GALLERY = {"gallery": "g.npy", "gallery_labels": "g_labels.npy"}


def test_a_gallery_is_numbered_anew_and_regions_are_read_as_float32(folder, opened):
    inputs = read_inputs(opened({"regions", "gallery"}, **PLAIN, **LABELS, **REGIONS, **GALLERY), None, NO_CACHE)
    gallery = inputs.labelled
    assert gallery.landmarks.tolist() == [1, -1, 0, 0, 1, 2, -1, 0, 2] and gallery.num_landmarks == 3
    assert gallery.landmarks.dtype == np.int32 and inputs.landmark_names.tolist() == ["7", "50", "9000"]
    assert inputs.queries.regions.dtype == np.float32 and inputs.index.regions.shape == (20, 3, 8)


def test_what_no_stage_asks_for_is_left_unopened(folder, opened):
    found = opened(set(), **PLAIN, query_regions="none.npy", index_regions="none.npy", gallery="none.npy")
    assert found.truth == GroundTruth() and count_truth(found) == {} and found.gallery is None
    assert read_inputs(found, None, NO_CACHE).queries.regions is None


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"index_labels": "q_labels.npy"}, "6 labels for 20 descriptors"),
        ({"gallery_labels": "i_labels.npy"}, "20 labels for 9 descriptors"),
        ({"query_regions": "i_regions.npy"}, "regions of 20 images, but descriptors.queries has 6"),
        ({"query_regions": "q.npy"}, r"expected an array \[N, R, D\]"),
        ({"query_regions": "narrow.npy"}, "regions of 5 and 8 dimensions"),
        ({"gallery": "narrow_gallery.npy"}, "8 and 5 dimensions"),
        ({"query_regions": "set"}, "with known ids"),
    ],
)
def test_files_that_do_not_fit_are_named(folder, opened, keys, words):
    np.save(folder / "narrow.npy", np.ones((6, 3, 5), np.float32))
    np.save(folder / "narrow_gallery.npy", np.ones((9, 5), np.float32))
    write_set(folder / "set", np.arange(6, dtype=np.uint64), np.ones((6, 24), np.float32), regions=1)
    with pytest.raises(LandmarksError, match=words):
        opened({"regions", "gallery"}, **{**PLAIN, **LABELS, **REGIONS, **GALLERY, **keys})


def test_a_bad_region_is_counted(folder, opened):
    regions = RNG.standard_normal((6, 3, 8))
    regions[2, 1] = np.nan
    np.save(folder / "bad.npy", regions)
    found = opened({"regions"}, **PLAIN, query_regions="bad.npy", index_regions="i_regions.npy")
    with pytest.raises(LandmarksError, match="1 of 18 rows hold NaN or infinity, the first is row 7"):
        read_inputs(found, None, NO_CACHE)


def test_regions_come_as_folders_too_and_by_id(folder, opened):
    rows = RNG.standard_normal((26, 24)).astype(np.float32)
    ids = np.arange(26, dtype=np.uint64)
    for name, part in (("q", slice(0, 6)), ("i", slice(6, 26))):
        write_set(folder / name, ids[part], rows[part][:, :8])
        write_set(folder / f"{name}_regions", ids[part][::-1], rows[part][::-1], regions=1)
    keys = {"queries": "q", "index": "i", "query_regions": "q_regions", "index_regions": "i_regions"}
    inputs = read_inputs(opened({"regions"}, **keys), None, NO_CACHE)
    np.testing.assert_array_equal(inputs.queries.regions, rows[:6].reshape(6, 3, 8))
    write_set(folder / "foreign", ids[:6], rows[:6], weights="v", regions=1)
    with pytest.raises(LandmarksError, match="made differently"):
        opened({"regions"}, **{**keys, "query_regions": "foreign"})


def test_a_data_set_gives_truth_images_and_landmarks_by_id(tiny_world, tmp_path, opened):
    world = GLDv2(tiny_world)
    tables = [world.queries().table, world.index().table, world.gallery().table]
    for name, table in zip(("q", "i", "g"), tables, strict=True):
        order = RNG.permutation(len(table))
        write_set(tmp_path / name, table.ids[order], RNG.standard_normal((len(table), 8)).astype(np.float32))
    data = ["data=gldv2", f"data.root={tiny_world}"]
    found = opened({"images", "gallery"}, data, queries="q", index="i", gallery="g", use_data=True)
    counts = count_truth(found)
    assert counts["unanswered"] == counts["absent"] == 0
    assert np.array_equal(found.queries.images.table.ids, found.queries.known_ids)
    assert found.index.images.read(3)[:2] == b"\xff\xd8"
    landmarks = tables[2].landmarks[tables[2].find(found.gallery.known_ids)]
    assert np.array_equal(found.landmark_names[found.landmarks], tables[2].landmark_names[landmarks])

    write_set(tmp_path / "foreign", np.array([5, 6], np.uint64), np.ones((2, 8), np.float32))
    for keys, needs, words in (
        ({"gallery": "foreign"}, {"gallery"}, "2 of 2 images are not in the data set, the first is 0000000000000005"),
        ({"index": "foreign"}, {"images"}, "descriptors.index: 2 of 2 images are not in the data set"),
    ):
        with pytest.raises(LandmarksError, match=words):
            opened(needs, data, **{"queries": "q", "index": "i", "gallery": "g", **keys}, use_data=True)


def test_a_data_set_that_is_not_there_is_named(tmp_path, opened, folder):
    ids = np.arange(20, dtype=np.uint64)
    np.save(folder / "i_ids.npy", ids)
    np.save(folder / "q_ids.npy", ids[:6])
    with pytest.raises(LandmarksError, match=r"data\.root=nowhere: there is no such folder"):
        opened(
            set(),
            ["data=gldv2", "data.root=nowhere"],
            **PLAIN,
            query_ids="q_ids.npy",
            index_ids="i_ids.npy",
            use_data=True,
        )
