"""Draws the pictures of a detection set with their boxes, on all cores, the same whatever their number."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from landmarks.data.demo.boxes.classes import CLASSES, ancestors, class_of, doubtful
from landmarks.data.demo.boxes.plan import Picture, build_subject, world_of
from landmarks.data.demo.boxes.scenes import TURNS
from landmarks.data.demo.boxes.visible import Box, view
from landmarks.data.demo.landmark import Landmark
from landmarks.data.demo.plan import NOTHING
from landmarks.data.demo.render import Scene
from landmarks.data.demo.shots import photograph
from landmarks.data.demo.site import Site, draw_site
from landmarks.data.demo.studio import encode, share_out

BATCH = 16  # pictures a job


@dataclass(frozen=True)
class Drawn:
    """A picture with what is known about it.

    Attributes:
        jpeg: its bytes.
        boxes: of all that is seen well.
        absent: titles of the classes of which there is surely nothing in it.
    """

    jpeg: bytes
    boxes: list[Box]
    absent: list[str]


@dataclass(frozen=True)
class _Job:
    seed: int
    subject: int
    pictures: tuple[Picture, ...]


def draw_pictures(plan: list[Picture], seed: int, workers: int | None = None) -> Iterator[tuple[Picture, Drawn]]:
    """Draw all pictures of a plan, in its order.

    Args:
        plan: what to draw.
        seed: of the detection set.
        workers: processes; None takes one per core, 0 draws in this process.
    """
    jobs = []
    for subject, group in groupby(plan, key=lambda p: p.subject):
        pictures = list(group)
        jobs += [_Job(seed, subject, tuple(pictures[i : i + BATCH])) for i in range(0, len(pictures), BATCH)]
    for job, drawn in zip(jobs, share_out(_draw, jobs, workers), strict=True):
        yield from zip(job.pictures, drawn, strict=True)


def _draw(job: _Job) -> list[Drawn]:
    place = [world_of(job.seed), job.subject - NOTHING]
    landmark = None if job.subject == NOTHING else build_subject(job.seed, job.subject)
    site = None if landmark is None else draw_site(landmark, place)
    drawn = []
    for picture in job.pictures:
        scene = _scene(landmark, site, [*place, picture.shot])
        seen = view(scene, landmark)
        absent = _absent(scene, seen.kinds, seen.unboxed)
        drawn.append(Drawn(encode(seen.image, picture.shot), seen.boxes, absent))
    return drawn


def _scene(landmark: Landmark | None, site: Site | None, seed: list[int]) -> Scene:
    """What a picture shows; those without a landmark take turns, so that every class is in small sets too."""
    if landmark is not None and site is not None:
        return photograph(landmark, site, seed)
    return TURNS[seed[-1] % len(TURNS)](np.random.default_rng(seed))


def _absent(scene: Scene, kinds: set[str], unboxed: set[str]) -> list[str]:
    """Classes that nobody would say a scene shows."""
    perhaps = {class_of(kind) for kind in kinds} | unboxed
    for kind in kinds or {""}:
        perhaps |= doubtful(kind, scene.horizon[0])
    perhaps |= {above for title in perhaps for above in ancestors(title)}
    return [title for title in CLASSES if title not in perhaps]
