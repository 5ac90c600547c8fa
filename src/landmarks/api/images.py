"""Python functions for the commands on single images: search a folder, compare images, classify and detect."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from landmarks.api.model import Model, as_opened, followed
from landmarks.api.ranking import dotted, require, rerank
from landmarks.config import trusted
from landmarks.errors import LandmarksError, shown
from landmarks.ids import format_id
from landmarks.interop import (
    AnyImage,
    LandmarkClass,
    check_new_file,
    embed_folder,
    embed_images,
    holds_descriptors,
    image_name,
    model_protocol,
    pixels_of,
    similarities,
)
from landmarks.local_features import open_delf
from landmarks.models import Device, OpenedModel
from landmarks.report import Attended, draw_attention
from landmarks.retrieval import EMPTY, DescriptorSet, ExactIndex, Ranking, named_pipeline

if TYPE_CHECKING:
    from landmarks.detection import ImageObjects

DEPTH = 100  # results that a pipeline re-ranks even if fewer are asked for

AnyModel = Model | OpenedModel | str | Path


@dataclass(frozen=True)
class Hit:
    """A result of an image search.

    Attributes:
        path: Path relative to the searched folder; the image id if a descriptor set was searched, which has no paths.
        score: Cosine similarity, or the score of the pipeline; larger is better.
        file: Path of the image file; None if a descriptor set was searched.
    """

    path: str
    score: float
    file: Path | None = None


@dataclass(frozen=True)
class ImageSearch:
    """The results of an image search.

    Attributes:
        queries: Names of the queries: their paths, or "image 0" and so on.
        hits: The results of each query, best first.
        ranking: The ranking as rows of `descriptors`; unlike `hits` it includes queries that lie in the folder.
        descriptors: Descriptors of the searched images.
        unreadable: Why images of the folder could not be read, by path.
        made: Number of images of the folder that were embedded now; the others were embedded by an earlier search.
    """

    queries: list[str]
    hits: list[list[Hit]]
    ranking: Ranking = field(repr=False)
    descriptors: DescriptorSet = field(repr=False)
    unreadable: dict[Path, str] = field(repr=False)
    made: int = 0


def search_images(
    model: AnyModel,
    images: AnyImage | Sequence[AnyImage],
    where: str | Path,
    top: int = 20,
    *,
    pipeline: str | None = None,
    keep: str | Path | None = None,
    scales: Sequence[float] | None = None,
    flip: bool | None = None,
    device: Device = "auto",
    trust: str | Iterable[str] = (),
    progress: bool | None = None,
    follow: Callable[[Sequence[Path]], Iterable[Path]] | None = None,
    **settings: Any,
) -> ImageSearch:
    """Find the images of a folder that are most similar to query images, as `landmarks search` does.

        found = landmarks.search_images("model.safetensors", "query.jpg", "photos", top=5)
        [(hit.path, hit.score) for hit in found.hits[0]]

    Args:
        model: A `Model`, or what `load_model` takes.
        images: Q files, Pillow images or arrays, or one of these. A query that lies in the folder does not find itself.
        where: A folder of images, searched with all folders below it; or a descriptor set of the same model.
        top: Number of results for each query.
        pipeline: Re-rank the first 100: a name that `rerank` takes, such as "qe", or "verification", which reads the
            files. Stages that need train images or regions are only available in `rerank`.
        keep: Folder for the descriptors; by default `.landmarks` in the folder, or the user's cache. The next search
            embeds only images that are new or have changed.
        scales: See `Model.embed`; by default 1, or those of the descriptor set.
        flip: See `Model.embed`; by default False, or that of the descriptor set.
        device: Device for a model that is not open yet.
        trust: See `load_model`.
        progress: Whether to show a progress bar; by default only in a terminal or notebook.
        follow: Iterates over the paths of the folder in place of the progress bar.
        **settings: Arguments of the stages, see `rerank`.

    Returns:
        The results of each query. Files of the folder that cannot be read are left out, and listed in `unreadable`.

    Raises:
        LandmarksError: A query cannot be read, the folder holds no image, or the set is of another model.
    """
    if top < 1:
        raise LandmarksError(f"top is {top}: ask for 1 result or more")
    opened, where = as_opened(model, device, trust), Path(where)
    queries = _listed(images)
    depth = top + 1 if pipeline is None else max(top + 1, DEPTH)
    stages = None if pipeline is None else named_pipeline(pipeline, dotted(settings), depth, ranked=True)
    named = not holds_descriptors(where) and all(isinstance(one, (str, Path)) for one in queries)
    if stages is not None:
        require(stages, ["images"] if named else [])
    unreadable: dict[Path, str] = {}
    made, photos = 0, None
    if holds_descriptors(where):
        index = DescriptorSet.open(where)
        protocol = index.protocol
        views = tuple(scales or protocol.scales), protocol.flip if flip is None else flip
        if differences := model_protocol(opened, *views).differences(protocol):
            raise LandmarksError(
                f"{shown(where)} does not fit {opened.name}: the set was made with other settings "
                f"({'; '.join(differences)}); search the folder of its images, or use the model of the set"
            )
    else:
        views = tuple(scales or (1.0,)), bool(flip)
        go_through = follow or (lambda paths: followed(paths, progress))
        found = embed_folder(opened, where, keep, *views, follow=go_through)
        index, unreadable, made = found.descriptors, found.unreadable, found.made
        photos = found.images
    rows = embed_images(opened, queries, *views)
    ranking = ExactIndex(depth).search(rows, index.descriptors)
    if stages is not None:
        seen = (queries, photos) if named else (None, None)
        ranking = rerank(ranking, rows, index, stages, query_images=seen[0], index_images=seen[1])

    def hit(row: int, score: float) -> Hit:
        if photos is None:
            return Hit(format_id(index.ids[row]), score)
        return Hit(photos.path(row), score, where / photos.path(row))

    hits = []
    for query, (rows_found, scores) in enumerate(zip(ranking.indices.tolist(), ranking.scores.tolist(), strict=True)):
        own = Path(queries[query]).resolve() if isinstance(queries[query], (str, Path)) else None
        some = [hit(row, score) for row, score in zip(rows_found, scores, strict=True) if row != EMPTY]
        hits.append([one for one in some if one.file is None or one.file.resolve() != own][:top])
    asked = [image_name(one, place) for place, one in enumerate(queries)]
    return ImageSearch(asked, hits, ranking, index, unreadable, made)


def similarity(
    model: AnyModel,
    first: AnyImage,
    others: AnyImage | Sequence[AnyImage],
    *,
    device: Device = "auto",
    trust: str | Iterable[str] = (),
) -> NDArray[np.float64]:
    """Compare an image with others, as `landmarks similarity` does.

    Args:
        model: A `Model`, or what `load_model` takes.
        first: A file, a Pillow image or an array.
        others: N of these, or one.
        device: Device for a model that is not open yet.
        trust: See `load_model`.

    Returns:
        Cosine similarities of their descriptors, float64 [N], in the order of `others`.

    Raises:
        LandmarksError: An image cannot be read, or the model gives no descriptors.
    """
    opened = as_opened(model, device, trust)
    return similarities(embed_images(opened, [first, *_listed(others)]))


def classify(
    model: AnyModel,
    images: AnyImage | Sequence[AnyImage],
    top: int = 5,
    *,
    device: Device = "auto",
    trust: str | Iterable[str] = (),
) -> list[list[tuple[LandmarkClass, float]]]:
    """Classify the landmarks that images show, as `landmarks classify` does.

    Args:
        model: A `Model` with a classifier, or what `load_model` takes.
        images: N files, Pillow images or arrays, or one of these.
        top: Number of landmarks for each image.
        device: Device for a model that is not open yet.
        trust: See `load_model`.

    Returns:
        For each image pairs of a class and its probability, the likeliest first.

    Raises:
        LandmarksError: An image cannot be read, or the model has no classifier.
    """
    return Model(as_opened(model, device, trust)).classify(images, top)


def detect(
    model: str | Path,
    images: AnyImage | Sequence[AnyImage],
    min_score: float = 0.1,
    *,
    device: Device = "auto",
    trust: str | Iterable[str] = (),
) -> "list[list[tuple[str, float, tuple[float, float, float, float]]]]":
    """Find objects in images, as `landmarks detect` does.

    Args:
        model: A checkpoint or model file of a detector.
        images: N files, Pillow images or arrays, or one of these.
        min_score: Lowest score of a box, in [0, 1].
        device: Device to compute on.
        trust: See `load_model`.

    Returns:
        For each image its objects, best first: the title of the class, the score, and the box as left, top, width and
        height in pixels of the image after its EXIF orientation is applied.

    Raises:
        LandmarksError: An image cannot be read, or the model is not a detector.
    """
    from landmarks.detection import detect_objects, load_detector

    detector = load_detector(model, device, trusted(trust))
    titles = detector.classes.titles.tolist()

    def listed(found: "ImageObjects") -> list[tuple[str, float, tuple[float, float, float, float]]]:
        rows = zip(found.labels.tolist(), found.scores.tolist(), found.boxes.tolist(), strict=True)
        return [(titles[label], score, (box[0], box[1], box[2], box[3])) for label, score, box in rows]

    return [listed(found) for found in detect_objects(detector, _listed(images), min_score)]


def heatmap(
    model: str | Path,
    images: AnyImage | Sequence[AnyImage],
    out: str | Path,
    *,
    device: Device = "auto",
    trust: str | Iterable[str] = (),
) -> Path:
    """Draw images beside the attention of a model with a local branch, as `landmarks heatmap` does.

    Args:
        model: A checkpoint or model file of a network that was trained with `model.local_dim`.
        images: N files, Pillow images or arrays, or one of these.
        out: The file to write, a PNG that does not exist yet.
        device: Device to compute on.
        trust: See `load_model`.

    Returns:
        The file.

    Raises:
        LandmarksError: An image cannot be read, the model has no local branch, or the file cannot be written.
    """
    check_new_file(Path(out), ".png", Path(model), overwrite=False)
    pyramid = open_delf(model, device, trusted(trust))
    attended = []
    for place, image in enumerate(_listed(images)):
        pixels = pixels_of(image)
        attended.append(Attended(Path(image_name(image, place)).name, pixels, pyramid.attention(pixels)))
    return draw_attention(attended, f"Attention of {Path(model).name}", out)


def _listed(images: AnyImage | Sequence[AnyImage]) -> list[Any]:
    return [*images] if isinstance(images, (list, tuple)) else [images]
