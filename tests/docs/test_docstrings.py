"""Everything that a room exports says what it is and does."""

import ast
from pathlib import Path

import pytest

from printed import ROOT

STUBS = sorted((ROOT / "src" / "landmarks").glob("*/**/__init__.pyi"))  # those of `landmarks` are tested in tests/api


def exported(stub: Path) -> list[tuple[str, Path]]:
    """Names of a stub with the files that define them."""
    found = []
    for node in ast.parse(stub.read_text()).body:
        if isinstance(node, ast.ImportFrom):
            assert node.level == 1 and node.module is not None
            origin = stub.parent.joinpath(*node.module.split(".")).with_suffix(".py")
            found += [(alias.name, origin) for alias in node.names]
    return found


def undocumented(name: str, path: Path) -> list[str]:
    """What of a class or function, its public methods included, has no docstring; constants need none."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
            methods = [one for one in node.body if isinstance(one, ast.FunctionDef) and isinstance(node, ast.ClassDef)]
            public = [one for one in methods if not one.name.startswith("_")]
            return [f"{name}.{one.name}" for one in (node, *public) if not ast.get_docstring(one)]
    return []


@pytest.mark.parametrize("stub", STUBS, ids=lambda stub: stub.parent.name)
def test_exported_names_have_docstrings(stub: Path) -> None:
    names = exported(stub)
    assert names
    silent = [f"{path.name}: {what}" for name, path in names for what in undocumented(name, path)]
    assert not silent
