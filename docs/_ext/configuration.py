"""Pages of the reference that tell every configuration key: type, default and meaning, from what the code says."""

import inspect
import re
import sys
import warnings
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf
from sphinx.util import logging

from landmarks.config import (
    EvaluateSettings,
    ExtractSettings,
    TrainSettings,
    config_root,
    register_resolvers,
    register_search_path,
)

log = logging.getLogger(__name__)  # of Sphinx: a warning ends a strict build

DIRECTIVES = {"_target_", "_partial_", "_convert_", "_recursive_", "_args_"}
JOBS = {"train": TrainSettings, "evaluate": EvaluateSettings, "extract": ExtractSettings}
GROUPS = (
    "data",
    "model",
    "loss",
    "sampler",
    "augmentation",
    "optimizer",
    "scheduler",
    "trainer",
    "logger",
    "callbacks",
    "levers",
    "index",
    "local_features",
    "matcher",
    "pipeline",
    "recognition",
    "stage",
)
HEADINGS = ("Args:", "Arguments:", "Attributes:")
CHOICES = 6
"""Most types of a key that a table shows."""
ABBREVIATED = 90
"""Longest default, in letters, that a table shows."""


def pages() -> Iterator[tuple[str, str]]:
    """Give name and Markdown text of every page."""
    register_search_path()
    register_resolvers()
    yield "jobs", _jobs_page()
    for group in GROUPS:
        yield group, _group_page(group)
    yield "experiments", _experiments_page()


def _composed(name: str, *overrides: str) -> DictConfig:
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(config_root() / "conf"), version_base="1.3"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # alone, a file says nothing of the order that the jobs give it
        return compose(name, list(overrides))


def _jobs_page() -> str:
    """Tell the keys that belong to no group, job by job."""
    text = ["# Keys of the jobs", "", "Keys that belong to no group. All others are on the pages of the groups.", ""]
    for job, settings in JOBS.items():
        config = _composed(job)
        comments = _comments("base", "search", job)
        hints = get_type_hints(settings, include_extras=False)
        groups = {*GROUPS, "neighbours", "experiments", "sweeps", "hydra"}
        rows = []
        for key in (key for key in config if key not in groups):
            node = config._get_node(key)
            if isinstance(node, DictConfig) and not OmegaConf.is_interpolation(config, key):
                rows += _rows(node, str(key), comments, str(key))
            else:
                rows.append((str(key), _named(hints.get(str(key), Any)), _default(config, key), comments.get(str(key))))
        text += [f"## `landmarks {job}`", "", *_table(rows), ""]
    return "\n".join(text)


def _group_page(group: str) -> str:
    """Tell the choices of a group, each with what distinguishes it."""
    text = [f"# `{group}`", ""]
    seen: dict[str, list[tuple[str, str, str, str | None]]] = {}
    for path in sorted((config_root() / "conf" / group).glob("*.yaml"), key=_builds_on_others):
        choice = path.stem
        if group in ("data", "callbacks", "stage") and choice in ("base", "shared"):
            continue  # parts of others
        node = _node(group, choice)
        stages = node.stages if group in ("pipeline", "recognition") else None
        files = [f"{group}/{p.stem}" for p in path.parent.glob("*.yaml") if p.stem != choice]
        comments = _comments(*files, f"{group}/{choice}")
        rows = _rows(node, _prefix(group), comments, without=() if stages is None else ("stages",))
        text += [f"## `{choice}`", "", _introduction(path), ""]
        if "_target_" in node:
            text += [f"Builds {{py:obj}}`{_short(node._target_)} <{node._target_}>`.", ""]
        if stages is not None:
            text += [*_stages(stages), ""]
        text += [*_what_differs(str(node.get("_target_", "")), choice, rows, seen), ""]
    return "\n".join(text)


def _builds_on_others(path: Path) -> tuple[bool, str]:
    """Sort what others build on before them."""
    listed = OmegaConf.load(path).get("defaults") or []
    siblings = {one.stem for one in path.parent.glob("*.yaml")} - {"base", "shared", "inliers"}
    return bool(siblings & {one for one in listed if isinstance(one, str)}), path.stem


def _what_differs(
    target: str,
    choice: str,
    rows: list[tuple[str, str, str, str | None]],
    seen: dict[str, list[tuple[str, str, str, str | None]]],
) -> list[str]:
    """Give the table of a choice, or of what differs from an earlier choice that builds the same."""
    earlier = next((name for name, other in seen.items() if target and name.endswith(f" {target}")), None)
    if earlier is None:
        seen[f"{choice} {target}"] = rows
        return _table(rows)
    others = [row for row in rows if row[:3] not in [known[:3] for known in seen[earlier]]]
    name = earlier.split()[0]
    if not others:
        return [f"Keys and values are those of [`{name}`](#{name})."]
    return [f"Keys are those of [`{name}`](#{name}); these values differ:", "", *_table(others)]


def _node(group: str, choice: str) -> DictConfig:
    if group == "loss":  # which may choose the sampler of its job
        return _composed("train", f"loss={choice}")[group]
    return _composed(f"{group}/{choice}")[group]


def _prefix(group: str) -> str:
    return "pipeline.stages.NAME" if group == "stage" else group


def _stages(stages: DictConfig) -> list[str]:
    """Name the stages of a pipeline in order; their keys are on the page of stages."""
    by_target = _stage_files()
    names = [
        f"`{name}`" + (f" ([{by_target[stage._target_]}](stage.md#{by_target[stage._target_]}))" if stage else "")
        for name, stage in stages.items()
        if stage is not None
    ]
    return [f"Stages: {', '.join(names)}."]


@cache
def _stage_files() -> dict[str, str]:
    """Tell which file of `conf/stage` builds what."""
    files = (config_root() / "conf/stage").glob("*.yaml")
    return {str(node._target_): path.stem for path in files if "_target_" in (node := OmegaConf.load(path))}


def _rows(
    node: Any, prefix: str, comments: dict[str, str], above: str = "", without: Collection[str] = ()
) -> list[tuple[str, str, str, str | None]]:
    """Give key, type, default and meaning of all leaves of a node."""
    rows: list[tuple[str, str, str, str | None]] = []
    target = get_object(node["_target_"]) if "_target_" in node else None
    parameters = inspect.signature(target).parameters if target else {}
    meanings = meanings_of(target) if target else {}
    for key in node:
        if key in DIRECTIVES or key in without or _is_group(node, key):
            continue
        name, place = f"{prefix}.{key}", f"{above}.{key}".strip(".")
        child = None if _special(node, key) else node[key]
        is_value = key in parameters and isinstance(child, DictConfig) and "_target_" not in child
        if isinstance(child, DictConfig) and len(child) and not is_value:
            rows += _rows(child, name, comments, place)
            continue
        hint = parameters[key].annotation if key in parameters else inspect.Parameter.empty
        shown = (
            _named(hint) if hint is not inspect.Parameter.empty else type(child).__name__ if child is not None else ""
        )
        rows.append((name, shown, _default(node, key), meanings.get(str(key)) or comments.get(place)))
    return rows


def _is_group(node: DictConfig, key: Any) -> bool:
    """Say whether another group is chosen here, which has a page of its own."""
    raw = OmegaConf.to_container(node, resolve=False)[key]
    return isinstance(raw, str) and raw.strip("${}") in {*GROUPS, "neighbours", "cache", "extraction"}


def _special(node: DictConfig, key: Any) -> bool:
    return OmegaConf.is_interpolation(node, key) or OmegaConf.is_missing(node, key)


def _default(node: DictConfig, key: Any) -> str:
    if OmegaConf.is_missing(node, key):
        return "must be given"
    value = OmegaConf.to_container(node, resolve=False)[key]
    if isinstance(value, list) and any(isinstance(one, dict) for one in value):
        return ", ".join(_short(str(one.get("_target_", one))) if isinstance(one, dict) else str(one) for one in value)
    words = "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    text = words.replace("'", "") or "''"
    return f"`{text if len(text) <= ABBREVIATED else text[:ABBREVIATED] + ' …'}`"


def _short(target: str) -> str:
    return target.rpartition(".")[2]


def _named(hint: Any) -> str:
    """Name a type as people write it."""
    words = _words(hint).split(" or ")
    shown = words if len(words) <= CHOICES else [*words[: CHOICES - 1], "…"]
    return f"`{' or '.join(shown)}`"


def _words(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return " or ".join(map(str, get_args(hint)))
    if get_origin(hint) in (Union, UnionType):
        return " or ".join(dict.fromkeys(map(_words, get_args(hint))))
    if hint is type(None):
        return "null"
    return re.sub(r"(?:[A-Za-z_]\w*\.)+(?=[A-Za-z_])", "", inspect.formatannotation(hint))


def _table(rows: list[tuple[str, str, str, str | None]]) -> list[str]:
    if not rows:
        return ["It has no keys."]
    for key in (key for key, *_, meaning in rows if not meaning):
        log.warning("%s: neither a docstring nor a comment in conf/ says what it means", key)
    cells = [(f"`{key}`", kind, default, meaning or "") for key, kind, default, meaning in rows]
    lines = [":::{container} keys", "", "| key | type | default | meaning |", "|---|---|---|---|"]
    return [*lines, *("| " + " | ".join(cell.replace("|", r"\|") for cell in row) + " |" for row in cells), "", ":::"]


def meanings_of(target: Any) -> dict[str, str]:
    """Read what the arguments of a class or function mean from its docstring, its bases, and what it refers to."""
    sources = [*reversed(target.__mro__[:-1])] if inspect.isclass(target) else [target]
    found: dict[str, str] = {}
    for source in sources:
        for name in re.findall(r"(?:those of|see) `(\w+)`", source.__doc__ or ""):
            if inspect.isclass(other := getattr(sys.modules[source.__module__], name, None)):
                found |= meanings_of(other)
        found |= _arguments_in(source.__doc__)
        if inspect.isclass(source) and source.__module__.startswith("landmarks"):
            found |= _fields_in(source)
        if inspect.isclass(source) and "__init__" in vars(source):
            found |= _arguments_in(source.__init__.__doc__)
    return found


def _fields_in(source: type) -> dict[str, str]:
    """Read the comments beside or above the fields of a dataclass."""
    found: dict[str, str] = {}
    above: list[str] = []
    for line in inspect.getsource(source).splitlines():
        if line.strip().startswith("# "):
            above.append(line.strip(" #"))
            continue
        field = re.match(r"    (\w+): .*?(?:  # (.*))?$", line)
        if field and (meaning := field[2] or " ".join(above)):
            found[field[1]] = _markdown(meaning)
        above = []
    return found


def _arguments_in(docstring: str | None) -> dict[str, str]:
    lines = inspect.cleandoc(docstring or "").splitlines()
    start = next((number for number, line in enumerate(lines) if line.strip() in HEADINGS), None)
    found: dict[str, str] = {}
    if start is None:
        return found
    name, indent = "", 0
    for line in lines[start + 1 :]:
        own = len(line) - len(line.lstrip())
        if line.strip() and own == 0:
            break
        entry = re.match(r"\s+\**(\w+)(?: \(.*?\))?:\s?(.*)$", line)
        if entry and (not found or own <= indent):
            name, indent = entry[1], own
            found[name] = entry[2].strip()
        elif name and line.strip():
            found[name] = f"{found[name]} {line.strip()}".strip()
        elif name and not line.strip() and found[name].endswith("."):
            name = ""  # a second paragraph is for those who read the class
    return {name: _markdown(text) for name, text in found.items()}


def _markdown(text: str) -> str:
    text = re.sub(r":\w+(?::\w+)*:`~?([^`<]*?)(?: <[^>]*>)?`", r"`\1`", text)  # roles of other projects
    text = text.replace("``", "`").replace("<", "&lt;").replace("\\", "\\\\")
    text = text[:1].upper() + text[1:]
    return re.sub(r"(?<=[.;]) Default(?:s to)?:? .*$| \(default: [^)]*\)", "", text)


def _comments(*files: str) -> dict[str, str]:
    """Read the comment of each key, beside or above it, from files of `conf/`; later files win."""
    found: dict[str, str] = {}
    for name in files:
        above: list[str] = []
        stack: list[tuple[int, str]] = []
        text = (config_root() / "conf" / f"{name}.yaml").read_text()
        for line in re.sub(r"\A(#.*\n)+", "", text).splitlines():  # the head is about the file
            if line.lstrip().startswith("#"):
                above.append(line.strip(" #"))
                continue
            entry = re.match(r"(\s*)([\w@/.]+):(.*?)(?:\s+# (.*))?$", line)
            if entry is None:
                above = []
                continue
            indent = len(entry[1])
            stack = [*(one for one in stack if one[0] < indent), (indent, entry[2])]
            comment = entry[4] or (" ".join(above) if stack != [(0, "_target_")] and stack != [(0, "defaults")] else "")
            if comment:
                found[".".join(key for _, key in stack)] = comment[0].upper() + comment[1:]
            above = []
    return found


def _introduction(path: Path) -> str:
    """Take the comment at the head of a file."""
    lines = []
    for line in path.read_text().splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.lstrip("# "))
    text = " ".join(line for line in lines if not line.startswith("@package"))
    return re.sub(r"<", "&lt;", text)


def _experiments_page() -> str:
    """Tell what each experiment and each sweep chooses, as its file says it."""
    text = ["# `experiments` and `sweeps`", ""]
    for folder in ("experiments", "sweeps"):
        for path in sorted((config_root() / folder).glob("*.yaml")):
            body = path.read_text().replace("# @package _global_\n", "")
            text += [f"## `{folder}={path.stem}`", "", "```yaml", body.strip(), "```", ""]
    return "\n".join(text)
