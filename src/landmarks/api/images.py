"""Single images in Python: search a folder by them, compare them, name what they show."""

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
    embed_folder,
    embed_images,
    holds_descriptors,
    image_name,
    model_protocol,
    similarities,
)
from landmarks.models import Device, OpenedModel
from landmarks.retrieval import EMPTY, DescriptorSet, ExactIndex, Ranking, named_pipeline

if TYPE_CHECKING:
    from landmarks.detection import ImageObjects

DEPTH = 100  # results that a pipeline looks at, where fewer are asked for

AnyModel = Model | OpenedModel | str | Path


@dataclass(frozen=True)
class Hit:
    """An image that was found.

    Attributes:
        path: From the folder on, or its id where a descriptor set was searched, which knows no paths.
        score: The cosine, or what the pipeline made of it; larger is better.
        file: Where it lies; None where a descriptor set was searched.
    """

    path: str
    score: float
    file: Path | None = None


@dataclass(frozen=True)
class ImageSearch:
    """What a search by images found.

    Attributes:
        queries: The images that were searched for: their paths, or "image 0" and so on.
        hits: For each of them its results, best first.
        ranking: What the search gave as rows of `descriptors`, queries that lie in the folder themselves included.
        descriptors: Of the images that were searched.
        unreadable: Why images of the folder could not be read, by path.
        made: How many images of the folder were embedded now; the rest was kept from before.
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
    """Find the images of a folder that are most like others, as `landmarks search` does.

        found = landmarks.search_images("model.safetensors", "query.jpg", "photos", top=5)
        [(hit.path, hit.score) for hit in found.hits[0]]

    Args:
        model: What `load_model` gives or takes.
        images: Q files, images of Pillow or arrays, or one of these. A query that lies in the folder does not find
            itself.
        where: A folder of images, with any folders below it and without labels; or a descriptor set of the same model.
        top: Results of each query.
        pipeline: Re-rank the first 100: a name that `rerank` takes, such as "qe", or "verification", which reads the
            files. Those that need train images or regions are for `rerank` alone.
        keep: Folder for the descriptors; by default `.landmarks` in the folder, or the user's cache. The next search
            embeds only what is new or has changed.
        scales: As of `Model.embed`; by default 1, or those of the descriptor set.
        flip: Likewise.
        device: Where to compute, if the model is not open yet.
        trust: As of `load_model`.
        progress: Show a bar; by default where somebody looks.
        follow: Goes through the paths of the folder in place of that bar.
        **settings: Arguments of its stages, see `rerank`.

    Returns:
        The results of each query. Files of the folder that cannot be read are counted and named, and passed over.

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
                f"{shown(where)} and {opened.name} do not fit: the set was made with other settings "
                f"({'; '.join(differences)}); search the folder of its images, or name the model of the set"
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
        model: What `load_model` gives or takes.
        first: A file, an image of Pillow or an array.
        others: N of these, or one.
        device: Where to compute, if the model is not open yet.
        trust: As of `load_model`.

    Returns:
        The cosines of their descriptors, float64 [N], in the order of `others`.

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
    """Name the landmarks that images show, as `landmarks classify` does.

    Args:
        model: What `load_model` gives or takes, with a classifier.
        images: N files, images of Pillow or arrays, or one of these.
        top: Landmarks of each image.
        device: Where to compute, if the model is not open yet.
        trust: As of `load_model`.

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
        images: N files, images of Pillow or arrays, or one of these.
        min_score: Least score of a box, in [0, 1].
        device: Where to compute.
        trust: As of `load_model`.

    Returns:
        For each image its objects, best first: the title of the class, the score, and the box as left, top, width and
        height in pixels of the upright image.

    Raises:
        LandmarksError: An image cannot be read, or the model is no detector.
    """
    from landmarks.detection import detect_objects, load_detector

    detector = load_detector(model, device, trusted(trust))
    titles = detector.classes.titles.tolist()

    def listed(found: "ImageObjects") -> list[tuple[str, float, tuple[float, float, float, float]]]:
        rows = zip(found.labels.tolist(), found.scores.tolist(), found.boxes.tolist(), strict=True)
        return [(titles[label], score, (box[0], box[1], box[2], box[3])) for label, score, box in rows]

    return [listed(found) for found in detect_objects(detector, _listed(images), min_score)]


def _listed(images: AnyImage | Sequence[AnyImage]) -> list[Any]:
    return [*images] if isinstance(images, (list, tuple)) else [images]
