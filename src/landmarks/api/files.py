"""Python functions for the commands that make descriptor sets and model files."""

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
        folder: Folder of the set.

    Returns:
        The set: `ids` uint64 [N], `descriptors` [N, D] and the `protocol` of their extraction.

    Raises:
        LandmarksError: The set does not exist, is not finished, or is corrupt.
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
        sets: Two or more sets, or their folders.
        weights: One for each set; the cosine of joined rows is the mean of the models' cosines, weighted by the squares
            of these. By default all are equal.
        max_missing: Share of the images that may be absent from one of the sets, in [0, 1]; they are left out.
        dtype: Type of the descriptors on disk.

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
        descriptors: The set to whiten.
        learn_on: Set to learn the whitening on; do not use the one that is scored.
        dim: Number of dimensions to keep, with `learn_on`.
        power: 1 whitens, 0 only rotates and truncates (PCA), with `learn_on`; 1 by default.
        whitening: Instead of `learn_on`, the file of a saved whitening.
        save: File to save the learned whitening to (`.safetensors`).
        dtype: Type of the descriptors on disk.

    Returns:
        The new set. Whiten queries and index with the same file: sets with different whitenings cannot be compared.

    Raises:
        LandmarksError: Neither or both of `learn_on` and `whitening` are named, or a file is missing or exists already.
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
    """Learn a whitening or load one, depending on the arguments; see `whiten_descriptors`."""
    if whitening is not None:
        if (learn_on, dim, power, save) != (None,) * 4:
            raise LandmarksError(
                "--whitening loads a saved whitening: leave out --learn-on, --dim, --power and --save-whitening"
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
    """Write a model as one file and check that its results agree with the network, as `landmarks export` does.

        landmarks.export("runs/RUN/checkpoints/best.ckpt", "model.safetensors")
        landmarks.export("timm", "model.onnx", "onnx", pretrained=True, model__name="resnet26d")

    Args:
        model: A checkpoint or a model file; with `pretrained` a network of ``train(model=…)``, such as "timm".
        out: The new file; by default beside the model, with the suffix of the format.
        format: A model file of this package, ONNX, or a program of `torch.export`.
        task: The task of the file; by default that of the loss.
        name: Name of the model in the file; by default the name of the run.
        categories: `train_label_to_category.csv` of Google Landmarks v2, for names of classes.
        overwrite: Replace an existing file.
        trust: See `load_model`.
        pretrained: Write pretrained weights without training: True downloads timm's, a path reads them from a file.
            Descriptors are the pooled features, unless the weights have a descriptor layer (``model__dim=512``).
        image_size: With `pretrained`: short side in pixels; by default that of timm's weights.
        **settings: With `pretrained`: settings of the network, as in `train`: ``model__name="resnet26d"``.

    Returns:
        Path of the file.

    Raises:
        LandmarksError: The model cannot be opened, the file cannot be written, or its results differ from the
            network's; nothing is written then.
    """
    file, table = (None if path is None else Path(path) for path in (out, categories))
    if pretrained is False:
        if settings or image_size is not None:
            raise LandmarksError(f"{', '.join(settings) or 'image_size'}: only allowed together with pretrained=")
        return export_model(Path(model), format, file, task, name, table, overwrite, trusted(trust)).path
    if task == "classification" or table is not None:
        raise LandmarksError("pretrained weights cannot classify landmarks; leave out task and categories")
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
    """Convert the Paddle weights that were published in 2019 to a model file, as `landmarks import-paddle` does.

    Args:
        name: Name of the model, such as "res152_arcmargin".
        src: Folder with one file for each variable, or with the two files `model` and `params`.
        dst: The new file, `.safetensors`.
        labels: For a classifier: file with the landmark_id of each class.
        categories: `train_label_to_category.csv`, for names of landmarks.
        leave_out: Patterns of variables that are not weights of the network.
        overwrite: Replace an existing file.

    Returns:
        The record of the model in the new file.

    Raises:
        LandmarksError: A variable is missing, unexpected or of another shape; nothing is written then.
    """
    if name not in PUBLISHED_MODELS:
        raise LandmarksError(f"there is no published model {name}{suggest(name, list(PUBLISHED_MODELS))}")
    src, dst = Path(src), Path(dst)
    check_new_file(dst, ".safetensors", src, overwrite)
    names = read_class_names(name, *(None if path is None else Path(path) for path in (labels, categories)))
    return import_published(name, open_variables(src, tuple(leave_out)), dst, names, lambda done: None)


def _opened(descriptors: str | Path | DescriptorSet) -> DescriptorSet:
    return descriptors if isinstance(descriptors, DescriptorSet) else DescriptorSet.open(descriptors)
