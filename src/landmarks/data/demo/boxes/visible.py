"""Exact boxes: what of each thing the camera sees, read off while the picture is painted.

Beside colour and depth the canvas keeps whose surface each pixel shows, so that a box is the extent of the pixels in
which its thing is seen. Painting a thing alone tells what of it others hide and whether the frame cuts it off.
"""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from landmarks.data.demo.boxes.classes import class_of
from landmarks.data.demo.camera import Floats
from landmarks.data.demo.canvas import Canvas, Surface, paint_all
from landmarks.data.demo.landmark import Landmark
from landmarks.data.demo.render import OVERSAMPLING, Scene, empty_canvas, render
from landmarks.data.demo.texture import Bytes, Float32, Pixels
from landmarks.data.demo.thing import Thing

NOBODY = -1
MIN_SIDE = 10 * OVERSAMPLING  # of a box, in pixels of the canvas
MIN_AREA = (24 * OVERSAMPLING) ** 2
MIN_PIXELS = 120 * OVERSAMPLING**2  # seen in it
MIN_SHARE = 0.25  # of a thing that must be seen for a box
OCCLUDED = 0.05  # share hidden by others
GROUP = 5  # things of one class that touch
TOUCHING = 0.1  # share of a thing that a neighbour of its class hides

Mask = NDArray[np.bool_]


@dataclass
class OwnedCanvas(Canvas):
    """A canvas that remembers whose surface each pixel shows.

    Attributes:
        owner: int16 [H, W], number of the thing, or NOBODY.
        painter: whose surfaces are being painted.
    """

    owner: NDArray[np.int16] = field(init=False)
    painter: int = field(init=False, default=NOBODY)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.owner = np.full(self.nearness.shape, NOBODY, np.int16)

    def put(self, window: tuple[slice, slice], mask: Mask, nearness: Float32,
            colour: Pixels | None, light: Pixels | None) -> None:  # fmt: skip
        """Keep what is nearest inside a window, and whose it is."""
        self.owner[window][mask & (nearness > self.nearness[window])] = self.painter
        super().put(window, mask, nearness, colour, light)


@dataclass(frozen=True)
class _Owned:
    """A surface that says whose it is when it is painted."""

    surface: Surface
    number: int

    @property
    def corners(self) -> Floats:
        return self.surface.corners

    @property
    def thing(self) -> Thing | None:
        return self.surface.thing

    def part_of(self, thing: Thing) -> "_Owned":
        return replace(self, surface=self.surface.part_of(thing))

    def paint(self, canvas: Canvas) -> None:
        if isinstance(canvas, OwnedCanvas):
            canvas.painter = self.number
            self.surface.paint(canvas)
            canvas.painter = NOBODY
        else:
            self.surface.paint(canvas)


@dataclass(frozen=True)
class Box:
    """Where something is seen in a picture.

    Attributes:
        title: of its class.
        left, top, right, bottom: shares of the picture's width and height.
        occluded: others hide a part of it.
        truncated: it goes on beyond the frame.
        group_of: it is several things of the class that hide each other.
    """

    title: str
    left: float
    top: float
    right: float
    bottom: float
    occluded: bool
    truncated: bool
    group_of: bool = False


@dataclass(frozen=True)
class View:
    """A picture and what it shows.

    Attributes:
        image: uint8 [H, W, 3] RGB.
        boxes: of everything that is seen well enough.
        kinds: what is in the frame, well seen or not.
        unboxed: titles of the classes of things of which too little is seen for a box.
    """

    image: Bytes
    boxes: list[Box]
    kinds: set[str]
    unboxed: set[str]


def view(scene: Scene, landmark: Landmark | None = None) -> View:
    """Take the picture of a scene and draw boxes around its things.

    Args:
        scene: what to show.
        landmark: whose surfaces in the scene are one thing, but for those that are things of their own.
    """
    kinds, owners = _things(scene, landmark)
    canvas = empty_canvas(scene, OwnedCanvas)
    owned: list[Surface] = [_Owned(s, n) if n != NOBODY else s for s, n in zip(scene.surfaces, owners, strict=True)]
    image = render(replace(scene, surfaces=owned), canvas)
    whole = [
        _alone(canvas, [s for s, n in zip(scene.surfaces, owners, strict=True) if n == number])
        for number in range(len(kinds))
    ]
    boxes, unboxed = [], set()
    titles = [class_of(kind) for kind in kinds]
    for members in _groups(canvas.owner, whole, titles):
        title = titles[members[0]]
        box = _box(title, np.isin(canvas.owner, members), np.logical_or.reduce([whole[n] for n in members]),
                   len(members) > 1)  # fmt: skip
        if box is not None:
            boxes.append(box)
        elif any(whole[n].any() for n in members):
            unboxed.add(title)
    return View(image, boxes, {kind for kind, mask in zip(kinds, whole, strict=True) if mask.any()}, unboxed)


def _things(scene: Scene, landmark: Landmark | None) -> tuple[list[str], list[int]]:
    """Kinds of the things of a scene, and of each surface the number of its thing."""
    subject = None if landmark is None else Thing(landmark.kind)
    own = set() if landmark is None else {id(surface) for surface in landmark.surfaces}
    numbers: dict[Thing, int] = {}
    owners = []
    for surface in scene.surfaces:
        thing = surface.thing or (subject if id(surface) in own else None)
        owners.append(NOBODY if thing is None else numbers.setdefault(thing, len(numbers)))
    return [thing.kind for thing in numbers], owners


def _alone(canvas: Canvas, surfaces: list[Surface]) -> Mask:
    """Where things would be seen if there were nothing else, bool [H, W]."""
    alone = Canvas(canvas.camera, canvas.sun, depth_only=True)
    paint_all(alone, surfaces)
    return np.asarray(alone.nearness > 0)


def _groups(owner: NDArray[np.int16], whole: list[Mask], titles: list[str]) -> list[list[int]]:
    """Numbers of things, those together that touch in one large group of their class."""
    leader = list(range(len(whole)))
    for one, mask in enumerate(whole):
        pixels = np.count_nonzero(mask)
        hidden_by = np.bincount(owner[mask] + 1, minlength=len(whole) + 1)[1:]
        for other in np.flatnonzero(hidden_by > TOUCHING * pixels).tolist():
            if titles[other] == titles[one]:
                old, new = leader[one], leader[other]
                leader = [new if n == old else n for n in leader]
    seen = np.bincount(owner.ravel() + 1, minlength=len(whole) + 1)[1:] >= MIN_PIXELS
    groups = []
    for first in sorted(set(leader)):
        members = [n for n, n_leader in enumerate(leader) if n_leader == first]
        groups += [members] if seen[members].sum() >= GROUP else [[n] for n in members]
    return groups


def _box(title: str, seen: Mask, whole: Mask, group_of: bool) -> Box | None:
    """The extent of what is seen of a thing or group; None if that is too little."""
    pixels, height, width = np.count_nonzero(seen), *seen.shape
    if pixels < max(MIN_PIXELS, MIN_SHARE * np.count_nonzero(whole)):
        return None
    rows, cols = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    top, bottom, left, right = int(rows[0]), int(rows[-1]) + 1, int(cols[0]), int(cols[-1]) + 1
    if min(bottom - top, right - left) < MIN_SIDE or (bottom - top) * (right - left) < MIN_AREA:
        return None
    cut = whole[0].any() or whole[-1].any() or whole[:, 0].any() or whole[:, -1].any()
    occluded = bool(pixels < (1 - OCCLUDED) * np.count_nonzero(whole))
    return Box(title, left / width, top / height, right / width, bottom / height, occluded, bool(cut), group_of)
