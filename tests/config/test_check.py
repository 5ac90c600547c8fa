"""The configuration checker reports every kind of mistake by its full key, all at once."""

from dataclasses import dataclass
from typing import Any, Literal

import pytest
from omegaconf import OmegaConf

from landmarks.config import ConfigError, check_config


class Part:
    """Something that a YAML file builds."""

    def __init__(
        self,
        size: int,
        rate: float = 0.1,
        kind: Literal["flat", "ivf"] = "flat",
        exact: bool = True,
        limit: int | None = None,
    ) -> None:
        pass


class Whole:
    """Something that contains other parts."""

    def __init__(self, part: Part, parts: list[Part] | None = None, name: str = "whole") -> None:
        pass


def open_ended(first: int, **more: Any) -> None:
    """Take anything."""


@dataclass(frozen=True)
class Inner:
    weights: list[float] | None = None


@dataclass(frozen=True)
class Settings:
    seed: int = 0
    node: Any = None
    inner: Inner | None = None
    group: Inner = Inner()


def target(name: str) -> str:
    return f"{__name__}.{name}"


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make this test module importable by its name, which importlib mode does not do by itself."""
    import sys

    monkeypatch.setitem(sys.modules, __name__, sys.modules.get(__name__) or __import__(__name__))


def problems(node: dict[str, Any], **top: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        check_config(OmegaConf.create({"node": node, **top}), Settings)
    return str(caught.value)


def part(**values: Any) -> dict[str, Any]:
    return {"_target_": target("Part"), "size": 3, **values}


@pytest.mark.parametrize(
    "values",
    [{}, {"rate": 1}, {"kind": "ivf"}, {"limit": None}, {"limit": 7}, {"exact": False}],
)
def test_accepts_what_the_signature_accepts(values: dict[str, Any]) -> None:
    check_config(OmegaConf.create({"seed": 1, "node": part(**values)}), Settings)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"sise": 3}, "node.sise: Part has no such key; did you mean 'size'?"),
        ({"size": "many"}, "node.size: 'many'"),
        ({"size": "3"}, "node.size: '3' is invalid: a number is needed"),
        ({"rate": True}, "node.rate: True is invalid: a number is needed"),
        ({"exact": 1}, "node.exact: 1 is invalid: true or false is needed"),
        ({"kind": "hnsw"}, "'flat' or 'ivf'"),
        ({"size": None}, "node.size: None"),
    ],
)
def test_names_the_key_and_what_is_wrong(values: dict[str, Any], words: str) -> None:
    assert words in problems(part(**values))


def test_reports_every_problem_at_once_and_looks_inside_lists() -> None:
    node = {"_target_": target("Whole"), "part": part(size=1.5), "parts": [part(), part(rte=1)], "name": 4}
    text = problems(node)
    assert "node.part.size" in text
    assert "node.parts[1].rte" in text
    assert "node.name" in text


@pytest.mark.parametrize(
    ("node", "words"),
    [
        ({"_target_": target("Part")}, "node.size: missing, and"),
        (part(size="???"), "node.size: no value given; set it on the command line: node.size=VALUE"),
        (part(size="${nowhere.size}"), "node.size"),  # an interpolation that leads nowhere
        ({"_target_": "landmarks.nothing.Class"}, "cannot import landmarks.nothing"),
    ],
)
def test_missing_values_are_named(node: dict[str, Any], words: str) -> None:
    assert words in problems(node)


def test_a_partial_may_get_arguments_later() -> None:
    check_config(OmegaConf.create({"node": {"_target_": target("Part"), "_partial_": True}}), Settings)


def test_top_level_keys_have_types_too() -> None:
    text = problems(part(), seed="abc", sed=1)
    assert "seed: 'abc'" in text
    assert "sed: the configuration has no such key; did you mean 'seed'?" in text


def test_functions_with_open_arguments_take_any_key() -> None:
    check_config(OmegaConf.create({"node": {"_target_": target("open_ended"), "first": 1, "other": 2}}), Settings)


def test_library_signatures_are_checked_as_well() -> None:
    text = problems({"_target_": "torch.optim.SGD", "_partial_": True, "lr": "fast", "momentumm": 0.9})
    assert "node.lr: 'fast'" in text
    assert "did you mean 'momentum'?" in text


def test_settings_in_a_group_are_named_by_their_full_key() -> None:
    check_config(OmegaConf.create({"group": {"weights": [1, 2.5]}, "inner": None}), Settings)
    words = problems({}, group={"weights": "two", "weihgts": None})
    assert "group.weights: 'two' is invalid" in words
    assert "group.weihgts: group has no such key; did you mean 'weights'?" in words
