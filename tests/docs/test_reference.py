"""Hand-written reference pages list everything that exists, and nothing else."""

import csv
import re
import sys
from typing import Any

import pytest

from printed import ROOT

DOCS = ROOT / "docs"
RUN_FOLDER = (DOCS / "reference" / "run_folder.md").read_text()


def test_files_of_a_run_are_those_of_the_page(trained_run: Any) -> None:
    table = RUN_FOLDER.partition("## Columns")[0]
    listed = {name for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for name in re.findall("`(.*?)`", row)}
    found = [path.relative_to(trained_run.folder) for path in trained_run.folder.rglob("*") if path.is_file()]
    assert [path for path in found if not {str(path), str(path.parent)} & listed] == []
    missing = {name for name in listed if not (trained_run.folder / name).exists()}
    # Hydra writes the first; the run has only one stage, which is compared with none.
    assert missing == {"run.log", "stage_queries.csv", "stages"}


@pytest.mark.parametrize(
    "name", ["stages.csv", "recognition_stages.csv", "recognition_evidence.csv", "logs/metrics.csv"]
)
def test_columns_of_a_run_are_on_the_page(trained_run: Any, name: str) -> None:
    words = set(re.findall(r"`([^`]*)`", RUN_FOLDER))
    precision = {f"precision{word}" for word in words if word.startswith("@")}
    with (trained_run.folder / name).open() as file:
        columns = next(csv.reader(file))
    for column in columns:
        plain = re.sub(r"^(public|private)/(?!map@100$|gap$)|^change of |^lr-|classifier_", "", column)
        assert {column, plain, plain.partition("/")[2]} & (words | precision) or column.startswith("lr-"), column


def test_environment_variables_are_on_the_page() -> None:
    page = (DOCS / "reference" / "environment.md").read_text()
    read = r'environ(?:\.get|\.setdefault|\.pop)?[\[(]"(\w+)"'
    used = {name for path in (ROOT / "src").rglob("*.py") for name in re.findall(read, path.read_text())}
    assert "LANDMARKS_CACHE" in used
    assert [name for name in used if f"`{name}`" not in page] == []


def test_every_result_is_on_a_page() -> None:
    pages = "".join(path.read_text() for path in (DOCS / "measured").glob("*.md"))
    results = [path.stem for path in (ROOT / "benchmarks" / "results").glob("*.csv")]
    assert results
    assert [name for name in results if f"generated/measured/{name}.md" not in pages] == []


def test_every_notebook_has_a_page() -> None:
    index = (DOCS / "index.md").read_text()
    notebooks = [path.stem for path in (DOCS / "notebooks").glob("*.ipynb")]
    assert notebooks
    assert [name for name in notebooks if f"generated/notebooks/{name}\n" not in index] == []


def test_every_room_and_group_has_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(DOCS / "_ext"), *sys.path])
    from configuration import GROUPS

    rooms = {path.parent.name for path in (ROOT / "src" / "landmarks").glob("*/__init__.pyi")}
    api, keys = ((DOCS / "reference" / f"{name}.md").read_text() for name in ("api", "configuration"))
    rooms.remove("api")  # all of it is on the page of `landmarks`
    assert [room for room in rooms if f"generated/api/{room}\n" not in api] == []
    groups = {path.name for path in (ROOT / "conf").iterdir() if path.is_dir()}
    assert groups == set(GROUPS)
    assert [group for group in groups if f"generated/config/{group}\n" not in keys] == []
