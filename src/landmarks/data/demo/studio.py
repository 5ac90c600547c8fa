"""Draws the pictures of a plan, on all cores.

Work is handed out landmark by landmark, so that each is built once. Every picture has its own seed: how many
processes share the work makes no difference to the result.
"""

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from typing import TypeVar

import cv2
import numpy as np
import simplejpeg

from landmarks.data.demo.catalogue import build_landmark
from landmarks.data.demo.everyday import everyday
from landmarks.data.demo.plan import NOTHING, Picture, Plan
from landmarks.data.demo.render import render
from landmarks.data.demo.shots import photograph
from landmarks.data.demo.site import draw_site
from landmarks.data.demo.texture import Bytes
from landmarks.data.processes import available_cores, leave_with_parent

BATCH = 24  # pictures a job: enough that building the landmark hardly counts

J = TypeVar("J")
R = TypeVar("R")


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
    for job, jpegs in zip(jobs, share_out(draw, jobs, workers), strict=True):
        yield from zip(job.pictures, jpegs, strict=True)


def share_out(work: Callable[[J], R], jobs: Sequence[J], workers: int | None = None) -> Iterator[R]:
    """What comes of jobs, in their order.

    Args:
        work: a function of a module, for jobs that can be sent to another process.
        jobs: what to do.
        workers: processes; None takes one per core, below 2 all is done in this process.
    """
    count = min(available_cores() if workers is None else workers, len(jobs))
    if count < 2:
        yield from map(work, jobs)
        return
    # Spawned, not forked: the caller may hold threads, and a forked copy of their locks would hang.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(count, context, initializer=_enter_worker) as pool:
        yield from pool.map(work, jobs)


def draw(job: Job) -> list[bytes]:
    """JPEG bytes of a job's pictures."""
    place = [job.seed, job.subject - NOTHING]
    landmark = None if job.subject == NOTHING else build_landmark(job.seed, job.subject)
    site = None if landmark is None else draw_site(landmark, place)
    jpegs = []
    for picture in job.pictures:
        seed = [*place, picture.shot]
        scene = everyday(seed) if landmark is None or site is None else photograph(landmark, site, seed)
        jpegs.append(encode(render(scene), picture.shot))
    return jpegs


def encode(image: Bytes, shot: int) -> bytes:
    """The JPEG bytes of a picture, uint8 [H, W, 3]; how hard it is pressed changes from shot to shot."""
    return simplejpeg.encode_jpeg(image, quality=88 + shot % 5, colorspace="RGB", colorsubsampling="420")


def _enter_worker() -> None:
    cv2.setNumThreads(0)
    leave_with_parent()
