"""A Sphinx extension: writes the generated pages of the reference before Sphinx looks for pages."""

import json
import os
import re
from pathlib import Path
from typing import Any

import typer
from sphinx.application import Sphinx
from typer.cli import get_docs_for_click

import configuration
import measured
from landmarks.cli.main import app as commands

ROOMS = {
    "losses": "Losses",
    "models": "Models",
    "data": "Data",
    "retrieval": "Retrieval",
    "local_features": "Local features",
    "recognition": "Recognition",
    "metrics": "Metrics",
    "extraction": "Extraction",
    "evaluation": "Evaluation",
    "comparison": "Comparison",
    "training": "Training",
    "detection": "Detection",
    "cleaning": "Cleaning",
    "interop": "Interop",
    "leaderboard": "Leaderboard",
    "report": "Report",
    "config": "Configuration",
    "storage": "Storage",
}
ON_THE_SITE = {
    r"conf/evaluate\.yaml": "generated/config/jobs.md#landmarks-evaluate",
    r"conf/(\w+)": r"generated/config/\1.md",
    r"(?:experiments|sweeps)(?:/\w+\.yaml)?": "generated/config/experiments.md",
    r"src/landmarks/api": "generated/api/landmarks.md",
    r"src/landmarks/cli": "generated/commands.md",
    r"docs/notebooks/(\w+)\.ipynb": r"generated/notebooks/\1.md",
    r"CONTRIBUTING\.md": "contributing.md",
}
"""What pages link to, for readers of the repository, and the page of the site that is made of it."""


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.connect("builder-inited", _write_all)
    app.connect("source-read", _link_to_made_pages)
    app.connect("autodoc-process-docstring", _plain_characters)
    app.connect("missing-reference", _by_public_name)
    return {"parallel_read_safe": True}


def _write_all(app: Sphinx) -> None:
    folder = Path(app.srcdir) / "generated"
    texts = {"commands": _commands_page(), "api/landmarks": _top_page()}
    texts |= {f"config/{name}": text for name, text in configuration.pages()}
    texts |= {f"api/{room}": _room_page(room, title) for room, title in ROOMS.items()}
    texts |= {f"measured/{name}": text for name, text in measured.tables()}
    notebooks = sorted(Path(app.srcdir, "notebooks").glob("*.ipynb"))
    texts |= {f"notebooks/{path.stem}": _notebook_page(path) for path in notebooks}
    if app.builder.name == "linkcheck":
        texts["readme"] = _readme_page(Path(app.srcdir).parent / "README.md")
    measured.draw(folder / "measured")
    for name, text in texts.items():
        path = folder / f"{name}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file() or path.read_text() != text:  # else Sphinx would read it again
            path.write_text(text)
    for path in folder.rglob("*.md"):
        if str(path.relative_to(folder).with_suffix("")) not in texts:
            path.unlink()


def _commands_page() -> str:
    """Make the page of all commands of what typer knows."""
    click_app = typer.main.get_command(commands)
    context = click_app.make_context("landmarks", [], resilient_parsing=True)
    text = get_docs_for_click(obj=click_app, ctx=context, name="landmarks")
    text = re.sub(r"\n\* `(?:--(?:install|show)-completion|-h, --help)`:[^\n]*", "", text)
    text = re.sub(r"\*\*Commands\*\*:\n\n(?:\* .*\n)+\n?", "", text)  # the headings say it
    text = re.sub(r"\*\*Options\*\*:\n\n(?=#|$|\n)", "", text)
    keys = "Every key and every choice of a group is on the pages of the [configuration](../reference/index.md)."
    for job in ("train", "evaluate", "extract"):
        text = text.replace(
            f"$ landmarks {job} [OPTIONS] [arguments]...\n```\n\n**Arguments**:\n\n* `arguments... <list[str]>`",
            f"$ landmarks {job} [GROUP=CHOICE | KEY=VALUE]...\n```\n\n{keys}",
        )
    return text.replace("# `landmarks`\n", "# Commands\n", 1)


def _top_page() -> str:
    return (
        "# `landmarks`\n\n```{eval-rst}\n.. automodule:: landmarks\n   :members:\n   :imported-members:\n"
        "   :exclude-members: DescriptorSet, Ranking\n```\n"  # on the page of their room
    )


def _room_page(room: str, title: str) -> str:
    module = f"landmarks.{room}"
    return (
        f"# {title}\n\n```{{eval-rst}}\n.. automodule:: {module}\n   :members:\n   :imported-members:\n"
        "   :show-inheritance:\n```\n"
    )


def _notebook_page(path: Path) -> str:
    """Show text and code of a notebook. It holds no outputs, and the tests run it."""
    cells = json.loads(path.read_text())["cells"]
    texts = [("".join(cell["source"]), cell["cell_type"]) for cell in cells]
    first, *others = [text if kind == "markdown" else f"```python\n{text}\n```" for text, kind in texts]
    notebook = f"*The notebook: {{download}}`{path.name} </notebooks/{path.name}>`.*"
    return "\n\n".join([first, notebook, *others]) + "\n"


def _readme_page(path: Path) -> str:
    """List what the README, which is no page of the site, links to elsewhere."""
    links = re.findall(r"\[[^\]]+\]\(https?:[^)]+\)", path.read_text())
    return "\n".join(["---\norphan: true\n---\n# README\n", *links])


def _link_to_made_pages(app: Sphinx, docname: str, source: list[str]) -> None:
    """Lead links into the repository to pages of the site, see `ON_THE_SITE`."""

    def led(link: re.Match[str]) -> str:
        place = os.path.normpath(Path("docs", docname).parent / link[1])
        for pattern, page in ON_THE_SITE.items():
            if found := re.fullmatch(pattern, place):
                return f"](/{found.expand(page)})"
        return link[0]

    source[0] = re.sub(r"\]\(([^)\s]+)\)", led, source[0])


def _plain_characters(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Take from reStructuredText what the docstrings mean literally: |x| is a length, and `name_` a name."""
    lines[:] = [re.sub(r"(?<![`\w])(\w+)_(?=[\s,.;)\]])", r"\1\\_", line).replace("|", r"\|") for line in lines]
    lines[:] = [re.sub(r"(?<![`\w])`([^`]+)`(?=[a-z])", r"`\1`\\ ", line) for line in lines]


def _by_public_name(app: Sphinx, env: Any, node: Any, content: Any) -> Any:
    """Link a class that is named by the file it lies in to the room that exports it."""
    domain = env.domains["py"]
    wanted = str(node.get("reftarget", ""))
    if node.get("refdomain") != "py" or not wanted.startswith("landmarks"):
        return None
    name = wanted.rpartition(".")[2]
    room = ".".join(wanted.split(".")[:2])
    for public in (f"{room}.{name}", f"landmarks.{name}"):
        if public in domain.objects and public != wanted:
            return domain.resolve_xref(env, node["refdoc"], app.builder, "obj", public, node, content)
    # a signature may name what no page documents, such as an alias; what people wrote must be there
    return content if node["refdoc"].startswith("generated/api/") else None
