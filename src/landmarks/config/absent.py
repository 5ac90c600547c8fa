"""Finds files and folders that a configuration names and that do not exist, seconds before torch is loaded."""

import os
from collections.abc import Iterator
from pathlib import Path

from omegaconf import DictConfig, ListConfig, OmegaConf

from landmarks.errors import LandmarksError

FILES = ("model.pretrained", "data.source.include", "data.source.exclude", "data.source.table")
FOLDERS = ("predictions", "detections", "data.source.queries", "data.source.index")
SETS = ("descriptors.queries", "descriptors.index", "descriptors.gallery")


def refuse_absent(config: DictConfig) -> None:
    """Raise a LandmarksError that lists the files and folders that `config` names and that do not exist."""
    if lines := list(_absent(config)):
        raise LandmarksError("\n".join(lines))


def _absent(config: DictConfig) -> Iterator[str]:
    for key in ("checkpoint", "resume", *FILES, *FOLDERS, *SETS):
        if _text(config, key) == "":
            yield f"{key}= is empty: name a {'folder' if key in FOLDERS else 'file'}, or leave it out"
    if (checkpoint := _text(config, "checkpoint")) and not Path(checkpoint).is_file():
        yield f"checkpoint {checkpoint}: there is no such file"
    if resume := _text(config, "resume"):
        path = _text(config, "callbacks.last.path") if resume == "last" else resume
        if path and not Path(path).is_file():
            hint = "; name the interrupted run with hydra.run.dir=RUN" if resume == "last" else ""
            yield f"resume={resume}: there is no checkpoint {path}{hint}"
    if (root := _folder_of_images(config)) is not None:
        yield (
            f"data.root={root}: there is no such folder" if root else "data.root= is empty: name a folder or an address"
        )
    for key in FILES:
        if (path := _text(config, key)) and not Path(path).is_file():
            yield f"{key}={path}: there is no such file"
    for key in FOLDERS:
        if (path := _text(config, key)) and not Path(path).is_dir():
            yield f"{key}={path}: there is no such folder"
    for key in SETS:
        value = OmegaConf.select(config, key)
        for path in value if isinstance(value, ListConfig) else [value]:
            if isinstance(path, str) and path and not Path(path).exists():
                yield f"{key}: {path} does not exist; give an .npy file or the folder of a descriptor set"
    for name in config.get("descriptors") or ():
        key = f"descriptors.{name}"
        if key not in SETS and (path := _text(config, key)) and not Path(path).exists():
            yield f"{key}: {path} does not exist"


def _folder_of_images(config: DictConfig) -> str | None:
    """Return the folder of the data set if it is used, is on this machine and does not exist; otherwise None."""
    unused = config.get("job") == "evaluate" and not config.checkpoint and not config.descriptors.use_data
    root = None if unused else _text(config, "data.root")
    if root is None or "://" in root or (root and Path(os.path.expanduser(root)).is_dir()):  # noqa: PTH111 - see open_root
        return None
    return root


def _text(config: DictConfig, key: str) -> str | None:
    value = OmegaConf.select(config, key, throw_on_missing=False)
    return value if isinstance(value, str) else None
