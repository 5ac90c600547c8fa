"""Both layouts: what the framework wrote, what is no saved model, and damage of every kind."""

import json
import os
import random
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch.nn import functional as F  # noqa: N812

from landmarks.errors import LandmarksError
from landmarks.interop.paddle import Variables, open_variables
from paddle_files import program, stream, write_combined, write_separate

LAYOUTS = ("separate", "combined")
WRITE = {"separate": write_separate, "combined": write_combined}


def read_all(variables: Variables) -> dict[str, np.ndarray]:
    return {name: variables.read(name) for name in variables.stored}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_files_of_the_framework(layout: str, tiny: Path) -> None:
    told = json.loads((tiny / "tiny.json").read_text())
    variables = open_variables(tiny / f"tiny_{layout}")
    assert variables.layout == layout and variables.nbytes == 4 * (108 + 4 * 4 + 20 + 5)
    values = read_all(variables)
    assert set(values) == set(told["variables"])
    for name, (shape, numbers) in told["variables"].items():
        assert values[name].tobytes() == np.array(numbers, np.float32).reshape(shape).tobytes()  # bit for bit
        assert list(values[name].shape) == shape

    v = {name: torch.from_numpy(value) for name, value in values.items()}
    x = F.conv2d(torch.tensor(told["input"]).reshape(1, 3, 8, 8), v["conv1_1_weights"], padding=1)
    norm = [v[f"bnv1_1_{end}"] for end in ("mean", "variance", "scale", "offset")]
    pooled = F.batch_norm(x, *norm, eps=1e-5).relu().mean((2, 3))
    output = pooled @ v["fc_0.w_0"] + v["fc_0.b_0"]
    assert torch.allclose(output, torch.tensor(told["expected"]).reshape(output.shape), rtol=1e-6)


def test_our_writer_writes_the_same_bytes(tiny: Path, tmp_path: Path) -> None:
    """So that it may stand in for the framework in all other tests."""
    values = read_all(open_variables(tiny / "tiny_separate"))
    for path in write_separate(tmp_path / "separate", values).iterdir():
        assert path.read_bytes() == (tiny / "tiny_separate" / path.name).read_bytes()
    written = write_combined(tmp_path / "combined", values)
    assert (written / "params").read_bytes() == (tiny / "tiny_combined" / "params").read_bytes()
    theirs = (tiny / "tiny_combined" / "model").read_bytes()
    (written / "model").write_bytes(theirs)
    assert read_all(open_variables(written)).keys() == values.keys()


RANDOM = np.random.default_rng(0)
VALUES = {
    "conv_weights": RANDOM.standard_normal((2, 3, 1, 1)).astype(np.float32),
    "bn_mean": RANDOM.standard_normal(5).astype(np.float64),
    "bn_mean_velocity_0": RANDOM.standard_normal(5).astype(np.float16),
    "@LR_DECAY_COUNTER@": np.array([7]),
    "flag": np.array([True, False]),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_names_may_be_left_out(layout: str, tmp_path: Path) -> None:
    folder = WRITE[layout](tmp_path / "m", VALUES)
    variables = open_variables(folder, ("*_velocity_[0-9]", "@*"))
    assert sorted(variables.stored) == ["bn_mean", "conv_weights", "flag"] and variables.left_out == 2
    for name, value in read_all(variables).items():
        assert value.dtype == VALUES[name].dtype and np.array_equal(value, VALUES[name])


def test_the_default_names_of_the_two_files(tmp_path: Path) -> None:
    folder = write_combined(tmp_path, VALUES, ("__model__", "__params__"))
    (folder / "README").write_text("of the two files only")
    assert open_variables(folder).stored.keys() == VALUES.keys()


def test_a_program_beside_separate_files_is_no_variable(tmp_path: Path) -> None:
    folder = write_separate(tmp_path, VALUES)
    (folder / "__model__").write_bytes(program(VALUES))
    (folder / ".hidden").write_text("nor is this")
    assert open_variables(folder).stored.keys() == VALUES.keys()


def test_what_is_no_saved_model(tmp_path: Path) -> None:
    def refused(path: Path, problem: str) -> None:
        with pytest.raises(LandmarksError, match=problem):
            open_variables(path)

    refused(tmp_path / "gone", r"gone: cannot be read \(No such file")
    refused(tmp_path, "looked for one file for each variable .*model and params.*__model__.* found no files")
    (tmp_path / "inner").mkdir()
    refused(tmp_path, "holds only folders; give the one that holds a saved model, such as .*inner")
    (tmp_path / "archive.tar").write_bytes(b"")
    refused(tmp_path / "archive.tar", "is a file; give the folder")
    refused(tmp_path, r"1 corrupt, or no variable: archive\.tar .*ends within its header.*--leave-out NAME")
    (tmp_path / "archive.tar").unlink()
    write_combined(tmp_path, VALUES)
    (tmp_path / "__model__").write_bytes(b"")
    refused(tmp_path, "both of model and __model__; keep one")
    (tmp_path / "model").unlink()
    (tmp_path / "__model__").unlink()
    refused(tmp_path, "params: the names of its variables are in")
    (tmp_path / "params").unlink()
    (tmp_path / "model").write_bytes(program(VALUES))
    refused(tmp_path, "found only model")
    (tmp_path / "params").write_bytes(b"")
    (tmp_path / "model").write_bytes(program({}))
    refused(tmp_path, "model: keeps no variables")


def test_all_corrupt_files_are_named(tmp_path: Path) -> None:
    folder = write_separate(tmp_path, {f"v{number:02}": np.zeros(3, np.float32) for number in range(14)})
    for number in range(12):
        (folder / f"v{number:02}").write_bytes(b"")
    with (folder / "v13").open("ab") as file:
        file.write(b"more")
    with pytest.raises(LandmarksError, match=r"13 corrupt, or no variable: v00 \(.*v09 \(.* and 3 more\."):
        open_variables(folder)
    shutil.copy(folder / "v12", folder / "v13")
    with (folder / "v13").open("ab") as file:
        file.write(b"more")
    with pytest.raises(LandmarksError, match=r"1 corrupt.*: v13 \(4 bytes follow the values\)"):
        open_variables(folder, ("v0*", "v10", "v11"))


def test_the_two_files_must_belong_together(tmp_path: Path) -> None:
    folder = write_combined(tmp_path, VALUES)
    params = (folder / "params").read_bytes()
    (folder / "params").write_bytes(params + b"more")
    with pytest.raises(LandmarksError, match=r"params: 4 bytes follow the last of the 5 variables in .*model"):
        open_variables(folder)
    (folder / "params").write_bytes(params[:-5])
    with pytest.raises(LandmarksError, match=r"variable 5 of 5, flag: it ends within its header"):
        open_variables(folder)
    (folder / "params").write_bytes(params)
    (folder / "model").write_bytes(program(VALUES | {"bn_mean": np.zeros((5, 1))}))
    with pytest.raises(LandmarksError, match=r"variable 2 of 5, bn_mean: it is float64 \[5\], and float64 \[5, 1\] in"):
        open_variables(folder)


def test_a_file_that_changes_after_its_check(tmp_path: Path) -> None:
    variables = open_variables(write_separate(tmp_path, VALUES))
    (tmp_path / "flag").write_bytes(stream(VALUES["flag"])[:-1])
    (tmp_path / "bn_mean").unlink()
    with pytest.raises(LandmarksError, match="flag: variable flag: the file became shorter"):
        variables.read("flag")
    with pytest.raises(LandmarksError, match="bn_mean: cannot be read"):
        variables.read("bn_mean")


def check(folder: Path) -> None:
    """Either an error, or values that are in the files as they are; and never more memory than a few files' worth."""
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    tracemalloc.start()
    try:
        variables = open_variables(folder)
        for name in variables.stored:
            value = variables.read(name)
            assert value.tobytes() in files[name if variables.layout == "separate" else "params"]
    except LandmarksError as error:
        assert str(folder) in str(error)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 2 << 20


DAMAGE: list[Callable[[bytes, random.Random], bytes]] = [
    lambda data, chance: data[: chance.randint(0, len(data))],
    lambda data, chance: data + chance.randbytes(chance.randint(1, 9)),
    lambda data, chance: chance.randbytes(len(data)),
    lambda data, chance: _flipped(data, chance, 1),
    lambda data, chance: _flipped(data, chance, 3),
    lambda data, chance: _written(data, chance, b"\xff" * 8),
    lambda data, chance: _written(data, chance, b"\0" * 4),
]


def _flipped(data: bytes, chance: random.Random, times: int) -> bytes:
    changed = bytearray(data)
    for _ in range(times):
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _written(data: bytes, chance: random.Random, what: bytes) -> bytes:
    at = chance.randrange(len(data))
    return data[:at] + what + data[at + len(what) :]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_corrupt_files_are_errors_or_read_as_they_are(layout: str, tmp_path: Path) -> None:
    folder = WRITE[layout](tmp_path / "m", VALUES)
    whole = {path: path.read_bytes() for path in sorted(folder.iterdir())}
    chance = random.Random(0)
    for number in range(420):
        path, damage = chance.choice(list(whole)), DAMAGE[number % len(DAMAGE)]
        path.write_bytes(damage(whole[path], chance))
        check(folder)
        path.write_bytes(whole[path])
    assert read_all(open_variables(folder)).keys() == VALUES.keys()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(model=st.binary(max_size=80), params=st.binary(max_size=80), separate=st.booleans())
def test_random_files(model: bytes, params: bytes, separate: bool, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "m", ignore_errors=True)
    folder = write_combined(tmp_path / "m", VALUES)
    (folder / "params").write_bytes(params)
    if separate:
        os.replace(folder / "params", folder / "variable")  # noqa: PTH105
    if model:
        (folder / "model").write_bytes(model)
    check(folder)
