from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import save_file

from landmarks.errors import LandmarksError
from landmarks.retrieval.descriptors import (
    FORMAT,
    DescriptorSet,
    ExtractionProtocol,
    Whitening,
    learn_whitening,
    load_whitening,
    save_whitening,
    whiten_set,
    whitening,
    writer,
)

PROTOCOL = ExtractionProtocol("res152", "aa11", 448, "aspect", data="gldv2", split="train")


def made(count, dim=8, seed=0, protocol=PROTOCOL) -> DescriptorSet:
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).standard_normal((dim, dim))  # axes that depend on each other
    rows = (rng.standard_normal((count, dim)) @ mixing + 2).astype(np.float32)
    return DescriptorSet(np.arange(count, dtype=np.uint64), rows, protocol, "the set")


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def centred(embedded, learned):
    return unit(embedded.descriptors.astype(np.float64)) - learned.mean


def test_full_whitening_gives_all_axes_variance_one_and_no_correlation(monkeypatch):
    embedded = made(500)
    learned = learn_whitening(embedded, 5)
    projected = centred(embedded, learned) @ learned.projection.T.astype(np.float64)
    np.testing.assert_allclose(projected.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(projected.T @ projected / 500, np.eye(5), atol=1e-5)
    np.testing.assert_allclose(learned.apply(embedded.descriptors), unit(projected), atol=1e-6)
    monkeypatch.setattr(whitening, "ROWS", 7)
    np.testing.assert_allclose(learn_whitening(embedded, 5).projection, learned.projection, rtol=1e-4, atol=1e-3)


def test_pca_keeps_all_distances_with_all_axes_and_the_most_variance_with_few():
    embedded = made(300)
    whole, few = learn_whitening(embedded, 8, power=0), learn_whitening(embedded, 3, power=0)
    np.testing.assert_allclose(whole.projection @ whole.projection.T, np.eye(8), atol=1e-6)
    assert whole.explained == pytest.approx(1)
    values = np.linalg.svd(centred(embedded, few), compute_uv=False) ** 2
    assert few.explained == pytest.approx(values[:3].sum() / values.sum(), abs=1e-6)
    np.testing.assert_allclose(few.projection, whole.projection[:3], atol=1e-6)


def test_power_shrinks_in_between():
    embedded = made(300)
    lengths = [np.linalg.norm(learn_whitening(embedded, 4, power).projection, axis=1) for power in (0, 0.5, 1)]
    np.testing.assert_allclose(lengths[1] ** 2, lengths[0] * lengths[2], rtol=1e-5)


def test_without_normalising_lengths_count():
    embedded = made(100)
    longer = replace(embedded, descriptors=embedded.descriptors * np.linspace(1, 9, 100, dtype=np.float32)[:, None])
    np.testing.assert_allclose(
        learn_whitening(longer, 4).projection, learn_whitening(embedded, 4).projection, rtol=1e-3, atol=1e-3
    )
    plain = learn_whitening(longer, 4, normalize=False)
    np.testing.assert_allclose(plain.mean, longer.descriptors.mean(axis=0), rtol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_whitened_set_is_not_compared_with_a_plain_one(tmp_path, dtype, monkeypatch):
    monkeypatch.setattr(writer, "BLOCK_BYTES", 1)
    learned = learn_whitening(made(100), 3)
    index = made(20, seed=1, protocol=replace(PROTOCOL, split="index", versions={"torch": "2"}))
    queries = whiten_set(tmp_path / "queries", made(6, seed=2), learned, dtype)
    whitened = whiten_set(tmp_path / "index", index, learned, dtype)
    queries.require_same_protocol(whitened)
    np.testing.assert_allclose(whitened.descriptors, learned.apply(index.descriptors), atol=1e-3)
    assert whitened.protocol == replace(index.protocol, weights=f"aa11 whitened {learned.hash}")
    with pytest.raises(LandmarksError, match=r"were made with different settings .*weights"):
        whitened.require_same_protocol(index)
    other = whiten_set(tmp_path / "other", index, learn_whitening(made(100), 3, power=0.5))
    with pytest.raises(LandmarksError, match=r"were made with different settings .*weights"):
        whitened.require_same_protocol(other)
    with pytest.raises(LandmarksError, match=r"learned on descriptors made with other settings .*weights"):
        whiten_set(tmp_path / "twice", whitened, learned)


def test_regions_are_whitened_each_by_itself(tmp_path):
    learned = learn_whitening(made(100), 3)
    parts = [made(10, seed=seed).descriptors for seed in (1, 2)]
    regional = DescriptorSet(
        np.arange(10, dtype=np.uint64), np.concatenate(parts, axis=1), replace(PROTOCOL, regions=2), "regions"
    )
    whitened = whiten_set(tmp_path / "regions", regional, learned)
    np.testing.assert_allclose(
        whitened.descriptors, np.concatenate([learned.apply(p) for p in parts], axis=1), atol=1e-6
    )
    with pytest.raises(LandmarksError, match="holds regions"):
        learn_whitening(regional, 3)


def test_sets_of_another_model_are_refused(tmp_path):
    learned = learn_whitening(made(100), 3)
    for other in (made(9, protocol=replace(PROTOCOL, weights="bb")), made(9, dim=16), made(9, dim=5)):
        with pytest.raises(
            LandmarksError, match="the set: the whitening was learned on descriptors made with other settings"
        ):
            whiten_set(tmp_path / "new", other, learned)


def test_bad_images_are_refused(tmp_path):
    learned = learn_whitening(made(100), 3)
    broken = made(9)
    broken.descriptors[4] = np.nan
    with pytest.raises(LandmarksError, match="1 of 9 rows hold NaN or infinity, the first is row 4"):
        whiten_set(tmp_path / "new", broken, learned)
    with pytest.raises(LandmarksError, match="1 of 9 rows hold NaN or infinity, the first is row 4"):
        learn_whitening(broken, 3)
    flat = learn_whitening(made(100), 3, normalize=False)
    mean = DescriptorSet(np.arange(1, dtype=np.uint64), flat.mean[None], PROTOCOL, "the mean")
    with pytest.raises(LandmarksError, match="not finite in float32, the first is that of image 0000000000000000"):
        whiten_set(tmp_path / "mean", mean, flat)


def test_what_cannot_be_learned_is_refused():
    with pytest.raises(LandmarksError, match="5 images are too few for 5 axes"):
        learn_whitening(made(5), 5)
    copies = replace(made(60), descriptors=np.repeat(made(4).descriptors, 15, axis=0))
    with pytest.raises(LandmarksError, match="its 60 rows vary along 3 axes only: use a dim of at most 3"):
        learn_whitening(copies, 4)
    same = replace(made(60), descriptors=np.ones((60, 8), np.float32))
    with pytest.raises(LandmarksError, match="vary along 0 axes"):
        learn_whitening(same, 1)
    for parameters in ({"dim": 0}, {"dim": 9}, {"dim": 3, "power": -0.1}, {"dim": 3, "power": float("nan")}):
        with pytest.raises(LandmarksError, match="dim must be from 1 to 8 and power from 0 to 1"):
            learn_whitening(made(100), **parameters)


RNG = np.random.default_rng(0)
WHITENING = Whitening(
    RNG.standard_normal(6).astype(np.float32), RNG.standard_normal((4, 6)).astype(np.float32), True, 0.5, 0.9, PROTOCOL
)


def test_what_is_read_is_what_was_written(tmp_path):
    save_whitening(WHITENING, tmp_path / "pca.safetensors")
    read = load_whitening(tmp_path / "pca.safetensors")
    np.testing.assert_array_equal(read.mean, WHITENING.mean)
    np.testing.assert_array_equal(read.projection, WHITENING.projection)
    assert (read.normalize, read.power, read.explained, read.protocol) == (True, 0.5, 0.9, PROTOCOL)
    assert read.hash == WHITENING.hash != replace(WHITENING, normalize=False).hash
    assert [path.name for path in tmp_path.iterdir()] == ["pca.safetensors"]
    with pytest.raises(LandmarksError, match="exists already"):
        save_whitening(WHITENING, tmp_path / "pca.safetensors")


def test_the_layout_in_memory_does_not_count(tmp_path):
    columns_first = replace(WHITENING, projection=np.asfortranarray(WHITENING.projection))
    save_whitening(columns_first, tmp_path / "pca.safetensors")
    np.testing.assert_array_equal(load_whitening(tmp_path / "pca.safetensors").projection, WHITENING.projection)
    assert columns_first.hash == WHITENING.hash


def test_places_that_cannot_be_written_are_named(tmp_path):
    (tmp_path / "nowhere").touch()
    with pytest.raises(LandmarksError, match=r"nowhere.*could not write the whitening"):
        save_whitening(WHITENING, tmp_path / "nowhere" / "pca.safetensors")


def test_corrupt_and_foreign_files_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "pca.safetensors"
    save_whitening(WHITENING, path)
    whole = path.read_bytes()
    for content in (b"", whole[:-1], whole[:40], b"\xff" * 64, whole.replace(FORMAT.encode(), b"x" * len(FORMAT))):
        path.write_bytes(content)
        with pytest.raises(LandmarksError, match=r"pca\.safetensors: not a valid whitening file"):
            load_whitening(path)
    with pytest.raises(LandmarksError, match="not a valid whitening file"):
        load_whitening(tmp_path / "absent")
    path.write_bytes(whole)
    monkeypatch.setattr(whitening, "MAX_BYTES", 10)
    with pytest.raises(LandmarksError, match="larger than 10 bytes"):
        load_whitening(path)


GOOD = {"mean": WHITENING.mean, "projection": WHITENING.projection}


@pytest.mark.parametrize(
    ("change", "metadata", "words"),
    [
        ({"mean": np.zeros(5, np.float32)}, {}, r"are not float32 \[D\] and \[dim, D\]"),
        ({"mean": np.zeros(6)}, {}, "are not float32"),
        ({"mean": np.float32([0, 0, 0, 0, np.nan, 0])}, {}, "holds NaN or infinity"),
        ({"projection": np.zeros((7, 6), np.float32)}, {}, "are not float32"),
        ({"projection": np.zeros(6, np.float32)}, {}, "are not float32"),
        ({}, {"power": '"1"'}, "a setting has the wrong type"),
        ({}, {"power": "[" * 100_000}, "not a valid whitening file"),
        ({}, {"protocol": "[]"}, "should be an object"),
        ({}, {"protocol": "{}"}, "model: Field required"),
    ],
)
def test_arrays_and_settings_that_make_no_sense_are_refused(tmp_path, change, metadata, words):
    good = {"format": FORMAT, "normalize": "true", "power": "1.0", "explained": "0.9", "protocol": "{}"}
    save_file({**GOOD, **change}, tmp_path / "pca.safetensors", {**good, **metadata})
    with pytest.raises(LandmarksError, match=words):
        load_whitening(tmp_path / "pca.safetensors")


def test_a_flipped_bit_is_an_error_or_changes_nothing(tmp_path):
    path = tmp_path / "pca.safetensors"
    save_whitening(WHITENING, path)
    good, rng, errors = path.read_bytes(), np.random.default_rng(0), 0
    for place in rng.integers(0, len(good), 100).tolist():
        path.write_bytes(good[:place] + bytes([good[place] ^ 1 << int(rng.integers(8))]) + good[place + 1 :])
        try:
            found = load_whitening(path)
        except LandmarksError as error:
            assert "pca.safetensors" in str(error)
            errors += 1
        else:  # in the name of the file's own hash: it then passes for one of another program
            np.testing.assert_array_equal(found.projection, WHITENING.projection)
            np.testing.assert_array_equal(found.mean, WHITENING.mean)
    assert errors >= 90
