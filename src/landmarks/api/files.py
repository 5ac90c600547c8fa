"""Descriptor sets and model files in Python, as the commands make them."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

from landmarks.config import overrides_of, suggest, trusted
from landmarks.errors import LandmarksError
from landmarks.interop import (
    check_new_file,
    export_model,
    export_pretrained,
    import_published,
    open_variables,
    read_class_names,
)
from landmarks.models import PUBLISHED_MODELS, ModelRecord
from landmarks.retrieval import (
    DescriptorSet,
    Whitening,
    join_sets,
    learn_whitening,
    load_whitening,
    save_whitening,
    whiten_set,
)

Precision = Literal["float32", "float16"]


def open_descriptors(folder: str | Path) -> DescriptorSet:
    """Open a descriptor set that `extract` or a command wrote, memory-mapped.

    Args:
        folder: Of the set.

    Returns:
        The set: `ids` uint64 [N], `descriptors` [N, D] and the `protocol` that made them.

    Raises:
        LandmarksError: It is not there, not finished, or corrupt.
    """
    return DescriptorSet.open(folder)


def join_descriptors(
    out: str | Path,
    sets: Sequence[str | Path | DescriptorSet],
    weights: Sequence[float] | None = None,
    max_missing: float = 0.01,
    dtype: Precision = "float32",
) -> DescriptorSet:
    """Join the descriptors that several models give for the same images, as `landmarks descriptors join` does.

    Args:
        out: Folder of the new set; must not exist yet.
        sets: Two or more.
        weights: One for each set; the cosine of joined rows is the mean of the models' cosines with their squares.
        max_missing: Share of the images that may be absent from one of the sets, in [0, 1].
        dtype: How the new set is stored.

    Returns:
        The new set.

    Raises:
        LandmarksError: Too many images are missing, or the folder exists.
    """
    numbers = None if weights is None else list(weights)
    return join_sets(Path(out), [_opened(one) for one in sets], numbers, dtype, max_missing)


def whiten_descriptors(
    out: str | Path,
    descriptors: str | Path | DescriptorSet,
    learn_on: str | Path | DescriptorSet | None = None,
    dim: int | None = None,
    power: float | None = None,
    whitening: str | Path | None = None,
    save: str | Path | None = None,
    dtype: Precision = "float32",
) -> DescriptorSet:
    """Whiten a set, with a whitening learned now or saved before, as `landmarks descriptors whiten` does.

    Args:
        out: Folder of the new set; must not exist yet.
        descriptors: The set.
        learn_on: Learn the whitening on this set; not on the one that is scored.
        dim: Axes to keep, with `learn_on`.
        power: 1 whitens, 0 turns and cuts only (PCA), with `learn_on`; 1 by default.
        whitening: Instead, a file of a whitening that was saved.
        save: File for what was learned (`.safetensors`).
        dtype: How the new set is stored.

    Returns:
        The new set. Whiten queries and index with the same file: sets that were whitened otherwise are not compared.

    Raises:
        LandmarksError: Neither or both ways are named, or a file is missing or taken.
    """
    learned = choose_whitening(learn_on, dim, power, whitening, save)
    made = whiten_set(Path(out), _opened(descriptors), learned, dtype)
    if save is not None:
        save_whitening(learned, Path(save))
    return made


def choose_whitening(
    learn_on: str | Path | DescriptorSet | None,
    dim: int | None,
    power: float | None,
    whitening: str | Path | None,
    save: str | Path | None,
) -> Whitening:
    """Learn a whitening or load one, whichever is asked for; see `whiten_descriptors`."""
    if whitening is not None:
        if (learn_on, dim, power, save) != (None,) * 4:
            raise LandmarksError(
                "--whitening brings what was learned: leave out --learn-on, --dim, --power and --save-whitening"
            )
        return load_whitening(Path(whitening))
    if learn_on is None or dim is None:
        raise LandmarksError("give --learn-on SET and --dim NUMBER, or --whitening FILE")
    if save is not None and Path(save).exists():
        raise LandmarksError(f"{save} exists already: apply it with --whitening, or remove it")
    return learn_whitening(_opened(learn_on), dim, 1.0 if power is None else power)


def export(
    model: str | Path,
    out: str | Path | None = None,
    format: Literal["safetensors", "onnx", "torch"] = "safetensors",
    task: Literal["retrieval", "classification"] | None = None,
    name: str | None = None,
    categories: str | Path | None = None,
    overwrite: bool = False,
    trust: str | Iterable[str] = (),
    *,
    pretrained: bool | str | Path = False,
    image_size: int | None = None,
    **settings: Any,
) -> Path:
    """Write a model as one file and check that it gives what the network gives, as `landmarks export` does.

        landmarks.export("runs/RUN/checkpoints/best.ckpt", "model.safetensors")
        landmarks.export("timm", "model.onnx", "onnx", pretrained=True, model__name="resnet26d")

    Args:
        model: A checkpoint or a model file; with `pretrained` a network of ``train(model=…)``, such as "timm".
        out: The new file; by default beside the model, with the ending of the format.
        format: A model file of this package, ONNX, or a program of `torch.export`.
        task: What the file is for; by default what the loss is for.
        name: What the file says it is; by default the name of the run.
        categories: `train_label_to_category.csv` of Google Landmarks v2, for names of classes.
        overwrite: Replace a file that is there.
        trust: As of `load_model`.
        pretrained: Write pretrained weights alone: True fetches timm's, a path takes a file of them. Descriptors are
            the pooled features, unless the weights have a descriptor layer (``model__dim=512``).
        image_size: With `pretrained`: short side, pixels; by default what timm's weights were made for.
        **settings: With `pretrained`: values of the network, as of `train`: ``model__name="resnet26d"``.

    Returns:
        The file.

    Raises:
        LandmarksError: It is no model, or the file cannot be written or does not agree; nothing is written then.
    """
    file, table = (None if path is None else Path(path) for path in (out, categories))
    if pretrained is False:
        if settings or image_size is not None:
            raise LandmarksError(f"{', '.join(settings) or 'image_size'}: for networks with pretrained= only")
        return export_model(Path(model), format, file, task, name, table, overwrite, trusted(trust)).path
    if task == "classification" or table is not None:
        raise LandmarksError("pretrained weights alone tell no landmarks apart; leave out task and categories")
    weights: Literal[True] | Path = True if pretrained is True else Path(pretrained)
    values = overrides_of(settings)
    return export_pretrained(str(model), weights, values, format, file, name, image_size, overwrite).path


def import_paddle(
    name: str,
    src: str | Path,
    dst: str | Path,
    labels: str | Path | None = None,
    categories: str | Path | None = None,
    leave_out: Sequence[str] = (),
    overwrite: bool = False,
) -> ModelRecord:
    """Make a model file of the weights that were published in 2019, as `landmarks import-paddle` does.

    Args:
        name: Which model, such as "res152_arcmargin".
        src: Folder with one file for each variable, or with the two files `model` and `params`.
        dst: The new file, `.safetensors`.
        labels: Of a classifier: file of the landmark_id of each class.
        categories: `train_label_to_category.csv`, for names of landmarks.
        leave_out: Patterns of variables that are no weights.
        overwrite: Replace a file that is there.

    Returns:
        What the file says of itself.

    Raises:
        LandmarksError: A variable is missing, extra or of another shape; nothing is written then.
    """
    if name not in PUBLISHED_MODELS:
        raise LandmarksError(f"there is no {name}{suggest(name, list(PUBLISHED_MODELS))}")
    src, dst = Path(src), Path(dst)
    check_new_file(dst, ".safetensors", src, overwrite)
    names = read_class_names(name, *(None if path is None else Path(path) for path in (labels, categories)))
    return import_published(name, open_variables(src, tuple(leave_out)), dst, names, lambda done: None)


def _opened(descriptors: str | Path | DescriptorSet) -> DescriptorSet:
    return descriptors if isinstance(descriptors, DescriptorSet) else DescriptorSet.open(descriptors)
