"""Files, folders and lists of both become one set of descriptors, copied only where they must be, or a message."""

import numpy as np
import pytest

from embedded import write_set
from landmarks.errors import LandmarksError
from landmarks.evaluation.precomputed import in_search_order, map_numpy, open_set, require_comparable, sets
from landmarks.retrieval import Cache
from landmarks.retrieval.descriptors import join_rows

RNG = np.random.default_rng(0)
IDS = np.arange(10, 40, dtype=np.uint64)
ROWS = RNG.standard_normal((30, 8)).astype(np.float32)
KEY = "descriptors.queries"


@pytest.fixture
def folder(tmp_path):
    np.save(tmp_path / "a.npy", ROWS)
    np.save(tmp_path / "b.npy", ROWS[:, :5])
    np.save(tmp_path / "short.npy", ROWS[:9])
    np.save(tmp_path / "ids.npy", IDS)
    order = RNG.permutation(30)
    write_set(tmp_path / "set", IDS, ROWS)
    write_set(tmp_path / "shuffled", IDS[order], ROWS[order][:, :5], "v")
    write_set(tmp_path / "incomplete", IDS[:20], ROWS[:20], "v")
    write_set(tmp_path / "regions", IDS, np.tile(ROWS, 2), regions=1)
    return tmp_path


def opened(folder, *names, ids=None):
    given = [str(folder / name) for name in names]
    return open_set(KEY, given if len(given) > 1 else given[0], ids and str(folder / ids))


def test_a_file_has_ids_if_they_are_given_and_a_set_brings_them(folder):
    assert opened(folder, "a.npy").ids is None
    with pytest.raises(LandmarksError, match="ids of the images are needed"):
        _ = opened(folder, "a.npy").known_ids
    for found in (opened(folder, "a.npy", ids="ids.npy"), opened(folder, "set")):
        assert np.array_equal(found.known_ids, IDS) and len(found) == 30
        joined = found.read(None, Cache(keep=False)).descriptors
        assert isinstance(joined, np.memmap) and np.array_equal(joined, ROWS)


@pytest.mark.parametrize(
    ("names", "ids", "weights"),
    [
        (("a.npy", "b.npy"), None, [1.0, 2.0]),
        (("a.npy", "b.npy"), "ids.npy", None),
        (("set", "b.npy"), None, None),
        (("set", "shuffled"), None, [3.0, 1.0]),
    ],
)
def test_lists_are_joined_by_id_or_in_order(folder, names, ids, weights):
    found = opened(folder, *names, ids=ids)
    expected = join_rows([ROWS, ROWS[:, :5]], weights)
    np.testing.assert_array_equal(found.read(weights, Cache(keep=False)).descriptors, expected)
    assert found.ids is None if names[0] == "a.npy" and ids is None else np.array_equal(found.known_ids, IDS)


@pytest.mark.parametrize(
    ("names", "ids", "words"),
    [
        (("none.npy",), None, "descriptors.queries: .*none.npy does not exist"),
        (("a.npy", "short.npy"), None, "30 rows and .*short.npy 9"),
        (("set", "shuffled", "b.npy"), None, "in different orders"),
        (("set", "incomplete"), None, "10 of 30 images are not in all sets"),
        (("set",), "ids.npy", "set has its own ids; leave out .*ids.npy"),
        (("regions",), None, "holds regions"),
        (("short.npy",), "ids.npy", "30 ids for 9 descriptors"),
    ],
)
def test_what_does_not_fit_together_is_named(folder, names, ids, words):
    with pytest.raises(LandmarksError, match=words):
        opened(folder, *names, ids=ids)


def test_an_empty_list_is_refused():
    with pytest.raises(LandmarksError, match="list is empty"):
        open_set(KEY, [], None)


@pytest.mark.parametrize(("value", "words"), [(np.nan, "NaN or infinity"), (0, "only zeros"), (1e300, "NaN or inf")])
def test_bad_rows_are_counted(tmp_path, value, words):
    rows = ROWS.astype(np.float64)
    rows[[3, 17]] = value
    np.save(tmp_path / "bad.npy", rows)
    with pytest.raises(LandmarksError, match=rf"bad.npy: 2 of 30 rows hold {words}.*, the first is row 3"):
        opened(tmp_path, "bad.npy").read(None, Cache(keep=False))


def test_protocols_of_sets_are_compared(folder):
    whole = opened(folder, "set")
    require_comparable(whole, opened(folder, "a.npy"))
    for names, words in (
        (("b.npy",), "have 8 and 5 dimensions"),
        (("incomplete",), "made differently .*weights: 'w' != 'v'"),
        (("a.npy", "b.npy"), "joins 1 sets and .* 2"),
    ):
        with pytest.raises(LandmarksError, match=words):
            require_comparable(whole, opened(folder, *names))


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "cache")


@pytest.fixture(autouse=True)
def several_chunks(monkeypatch):
    monkeypatch.setattr(sets, "CHUNK_BYTES", 2_000)


@pytest.mark.parametrize(
    ("dtype", "order", "becomes"),
    [
        ("<f2", "C", None),
        ("<f4", "C", None),
        ("<f8", "C", np.float32),
        (">f4", "C", np.float32),
        (">f2", "C", np.float16),
        ("<f4", "F", np.float32),
        ("<f2", "F", np.float16),
    ],
)
@pytest.mark.parametrize("shape", [(70, 8), (70, 2, 4)])
def test_what_a_search_cannot_read_is_copied_once(tmp_path, cache, dtype, order, becomes, shape):
    np.save(tmp_path / "a.npy", np.asarray(RNG.standard_normal(shape).astype(dtype), order=order))
    array = map_numpy(tmp_path / "a.npy")
    found = in_search_order(array, "a.npy", cache)
    if becomes is None:
        assert found is array
        return
    assert found.dtype == becomes and found.flags.c_contiguous and isinstance(found, np.memmap)
    np.testing.assert_array_equal(found, array.astype(becomes))
    in_search_order(array, "a.npy", cache)
    assert len(list((tmp_path / "cache").iterdir())) == 1
