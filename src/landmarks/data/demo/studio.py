"""Draws the pictures of a plan, on all cores.

Work is handed out landmark by landmark, so that each is built once. Every picture has its own seed: how many
processes share the work makes no difference to the result.
"""

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import groupby

import cv2
import numpy as np
import simplejpeg

from landmarks.data.demo.catalogue import build_landmark
from landmarks.data.demo.everyday import everyday
from landmarks.data.demo.plan import NOTHING, Picture, Plan
from landmarks.data.demo.render import render
from landmarks.data.demo.shots import photograph
from landmarks.data.demo.site import draw_site
from landmarks.data.processes import available_cores, leave_with_parent

BATCH = 24  # pictures a job: enough that building the landmark hardly counts


@dataclass(frozen=True)
class Job:
    """Some pictures of one subject."""

    seed: int
    subject: int
    pictures: tuple[Picture, ...]


def draw_pictures(plan: Plan, seed: int, workers: int | None = None) -> Iterator[tuple[Picture, bytes]]:
    """Draw all pictures of a plan, yielding each with its JPEG bytes in the order of the plan.

    Args:
        plan: what to draw.
        seed: of the world.
        workers: processes; None takes one per core, 0 draws in this process.
    """
    jobs = []
    for subject, group in groupby(plan.pictures, key=lambda p: p.subject):
        pictures = tuple(group)
        parts = -(-len(pictures) // (2 * BATCH))  # few and even: a landmark of 30 pictures is one job
        jobs += [Job(seed, subject, tuple(p)) for p in np.array_split(np.array(pictures, dtype=object), parts)]
    count = available_cores() if workers is None else workers
    if count < 2:
        for job in jobs:
            yield from zip(job.pictures, draw(job), strict=True)
        return
    # Spawned, not forked: the caller may hold threads, and a forked copy of their locks would hang.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(count, len(jobs)), context, initializer=_enter_worker) as pool:
        for job, jpegs in zip(jobs, pool.map(draw, jobs), strict=True):
            yield from zip(job.pictures, jpegs, strict=True)


def draw(job: Job) -> list[bytes]:
    """JPEG bytes of a job's pictures."""
    place = [job.seed, job.subject - NOTHING]
    landmark = None if job.subject == NOTHING else build_landmark(job.seed, job.subject)
    site = None if landmark is None else draw_site(landmark, place)
    jpegs = []
    for picture in job.pictures:
        seed = [*place, picture.shot]
        scene = everyday(seed) if landmark is None or site is None else photograph(landmark, site, seed)
        image = render(scene)
        quality = 88 + picture.shot % 5
        jpegs.append(simplejpeg.encode_jpeg(image, quality=quality, colorspace="RGB", colorsubsampling="420"))
    return jpegs


def _enter_worker() -> None:
    cv2.setNumThreads(0)
    leave_with_parent()
