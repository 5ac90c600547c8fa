"""Exported names have docstrings, and exported constants comments."""

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
    """Name a class or function and its public methods without a docstring, or a constant without a comment."""
    lines = path.read_text().splitlines()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
            methods = [one for one in node.body if isinstance(one, ast.FunctionDef) and isinstance(node, ast.ClassDef)]
            public = [one for one in methods if not one.name.startswith("_")]
            return [f"{name}.{one.name}" for one in (node, *public) if not ast.get_docstring(one)]
        if name.isupper() and isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if name in {one.id for target in targets for one in ast.walk(target) if isinstance(one, ast.Name)}:
                before, last = lines[node.lineno - 2], lines[node.end_lineno - 1]
                after = lines[node.end_lineno] if node.end_lineno < len(lines) else ""
                return [] if before.startswith("#") or "  # " in last or after.startswith('"""') else [name]
    return []


@pytest.mark.parametrize("stub", STUBS, ids=lambda stub: stub.parent.name)
def test_exported_names_are_documented(stub: Path) -> None:
    names = exported(stub)
    assert names
    silent = [f"{path.name}: {what}" for name, path in names for what in undocumented(name, path)]
    assert not silent
