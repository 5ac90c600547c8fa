"""`landmarks descriptors` as a person and as a program use it."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from commands import as_json, run
from landmarks.retrieval.descriptors import DescriptorSet, DescriptorWriter, ExtractionProtocol

A = ExtractionProtocol("res152", "aa11", 448, "aspect", data="gldv2", split="index")
B = replace(A, model="inception", weights="bb22", input_size=544)


@pytest.fixture
def sets(tmp_path: Path) -> dict[str, Path]:
    rng = np.random.default_rng(0)
    for name, protocol, count, dim in (("a", A, 40, 6), ("b", B, 39, 4), ("train", replace(A, split="train"), 90, 6)):
        with DescriptorWriter(tmp_path / name, count, dim, protocol) as writer:
            writer.add(np.arange(count, dtype=np.uint64), rng.standard_normal((count, dim)).astype(np.float32))
            writer.finish()
    return {name: tmp_path / name for name in ("a", "b", "train", "new")}


def test_show(sets: dict[str, Path]) -> None:
    done = run("descriptors", "show", sets["a"], sets["b"], sets["train"])
    lines = {line.split("│")[1].strip(): line.split("│")[2:-1] for line in done.stdout.splitlines() if "│" in line}
    shown = {key: [value.strip() for value in values] for key, values in lines.items()}
    assert shown["rows"] == ["40", "39", "90"]
    assert shown["model"] == ["res152", "inception", "res152"]
    assert shown["alike"] == ["yes", "no", "yes"]
    (told,) = as_json("descriptors", "show", sets["a"])
    assert (told["rows"], told["dim"], told["dtype"], told["bytes"]) == (40, 6, "float32", 40 * (6 * 4 + 8))
    assert told["protocol"]["weights"] == "aa11"


def test_join(sets: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("landmarks"), "propagate", False)  # else pytest's handlers print
    options = ("--weights", "1,0.5", "--dtype", "float16", "--max-missing", 0.1)
    done = run("descriptors", "join", sets["new"], sets["a"], sets["b"], *options)
    assert "1 of 40 images are left out" in done.stderr and "res152+inception" in done.stdout
    joined = DescriptorSet.open(sets["new"])
    assert (len(joined), joined.dim, joined.descriptors.dtype) == (39, 10, np.float16)
    assert not logging.getLogger("landmarks").handlers


def test_whiten_learns_saves_and_applies(sets: dict[str, Path], tmp_path: Path) -> None:
    saved = tmp_path / "pca.safetensors"
    learned = ("--learn-on", sets["train"], "--dim", 3, "--save-whitening", saved)
    done = run("descriptors", "whiten", sets["new"], sets["a"], *learned)
    assert "3 of 6 dimensions" in done.stderr and "power 1, learned on gldv2 train" in done.stderr
    run("descriptors", "whiten", tmp_path / "again", sets["a"], "--whitening", saved)
    first, second = DescriptorSet.open(sets["new"]), DescriptorSet.open(tmp_path / "again")
    np.testing.assert_array_equal(first.descriptors, second.descriptors)
    first.require_same_protocol(second)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("show", "{new}"), "no descriptor set here"),
        (("join", "{new}", "{a}", "{b}"), "1 of 40 images are not in all sets"),
        (("join", "{new}", "{a}", "{b}", "--weights", "1;2"), "--weights 1;2: expected numbers"),
        (("join", "{a}", "{a}", "{b}", "--max-missing", "1"), "exists already"),
        (("whiten", "{new}", "{a}"), "give --learn-on SET and --dim NUMBER, or --whitening FILE"),
        (("whiten", "{new}", "{a}", "--whitening", "{a}", "--dim", "3"), "leave out --learn-on"),
        (("whiten", "{new}", "{a}", "--learn-on", "{b}", "--dim", "3", "--save-whitening", "{a}"), "exists already"),
    ],
)
def test_mistakes_are_named(sets: dict[str, Path], arguments: tuple[str, ...], words: str) -> None:
    done = run("descriptors", *(argument.format(**sets) for argument in arguments), code=2)
    assert words in done.stderr
    assert not sets["new"].exists()
