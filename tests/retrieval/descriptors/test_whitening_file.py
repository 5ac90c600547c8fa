from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import save_file

from landmarks.errors import LandmarksError
from landmarks.retrieval.descriptors import (
    FORMAT,
    ExtractionProtocol,
    Whitening,
    load_whitening,
    save_whitening,
    whitening_file,
)

PROTOCOL = ExtractionProtocol("res152", "aa11", 448, "released", (1.0, 1.4), versions={"torch": "2"})
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


def test_damaged_and_foreign_files_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "pca.safetensors"
    save_whitening(WHITENING, path)
    whole = path.read_bytes()
    for content in (b"", whole[:-1], whole[:40], b"\xff" * 64, whole.replace(FORMAT.encode(), b"x" * len(FORMAT))):
        path.write_bytes(content)
        with pytest.raises(LandmarksError, match=r"pca\.safetensors: not a readable whitening"):
            load_whitening(path)
    with pytest.raises(LandmarksError, match="not a readable whitening"):
        load_whitening(tmp_path / "absent")
    path.write_bytes(whole)
    monkeypatch.setattr(whitening_file, "MAX_BYTES", 10)
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
        ({}, {"power": "[" * 100_000}, "not a readable whitening"),
        ({}, {"protocol": "[]"}, "expected a JSON object"),
        ({}, {"protocol": "{}"}, "absent keys"),
    ],
)
def test_arrays_and_settings_that_make_no_sense_are_refused(tmp_path, change, metadata, words):
    good = {"format": FORMAT, "normalize": "true", "power": "1.0", "explained": "0.9", "protocol": "{}"}
    save_file({**GOOD, **change}, tmp_path / "pca.safetensors", {**good, **metadata})
    with pytest.raises(LandmarksError, match=words):
        load_whitening(tmp_path / "pca.safetensors")


def test_a_flipped_bit_is_an_error(tmp_path):
    path = tmp_path / "pca.safetensors"
    save_whitening(WHITENING, path)
    good, rng = path.read_bytes(), np.random.default_rng(0)
    for place in rng.integers(0, len(good), 100).tolist():
        path.write_bytes(good[:place] + bytes([good[place] ^ 1 << int(rng.integers(8))]) + good[place + 1 :])
        with pytest.raises(LandmarksError, match=r"pca\.safetensors"):
            load_whitening(path)
