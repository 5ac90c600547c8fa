"""Which picture goes where: splits, labels and ground truth, decided before anything is drawn.

The plan has the traits of the real set: many more pictures of some landmarks than of others, a few wrong labels in
train that train_clean leaves out, landmarks that only train or only the index knows, test pictures mostly without
anything to find, and two numberings that have nothing to do with each other.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import LandmarksError

Split = Literal["train", "index", "test"]
Usage = Literal["Public", "Private", "Ignored"]
SPLITS: tuple[Split, ...] = ("train", "index", "test")
TARS: dict[str, int] = {"train": 3, "index": 2, "test": 2}
NOTHING = -1  # the subject of a picture that shows no landmark


@dataclass(frozen=True)
class Picture:
    """One picture to be drawn.

    Attributes:
        image_id: 16 hex digits.
        split: where it belongs.
        tar: number of the tar that holds it.
        subject: number of the landmark that it shows, or NOTHING.
        shot: which of the endless pictures of this subject.
        label: number of the landmark that its label names, or NOTHING; differs from the subject if mislabelled.
        usage: of a test picture.
    """

    image_id: str
    split: Split
    tar: int
    subject: int
    shot: int
    label: int
    usage: Usage = "Ignored"


@dataclass(frozen=True)
class Plan:
    """The whole world before it is drawn.

    Attributes:
        pictures: in the order in which they are drawn.
        train_numbers, index_numbers: what the two numberings call each landmark; absent where a split lacks it.
        clean: landmarks that train_clean keeps.
    """

    pictures: list[Picture]
    train_numbers: dict[int, int]
    index_numbers: dict[int, int]
    clean: frozenset[int]

    def of(self, split: Split) -> list[Picture]:
        """Pictures of a split in the order of their ids."""
        return sorted((p for p in self.pictures if p.split == split), key=lambda p: p.image_id)


def draw_plan(seed: int, landmarks: int, pictures: int) -> Plan:
    """Share out pictures over splits and landmarks.

    Args:
        seed: fixes everything.
        landmarks: how many landmarks there are, at least 4.
        pictures: how many pictures in all, at least 10 per landmark.

    Raises:
        LandmarksError: if these are too few for every split to hold something of everything.
    """
    if landmarks < 4 or pictures < 10 * landmarks:
        raise LandmarksError(
            f"a demo world of {landmarks} landmarks and {pictures} pictures is too small: "
            "it needs at least 4 landmarks and 10 pictures per landmark"
        )
    rng = np.random.default_rng([seed, 4])
    few = max(round(0.1 * landmarks), 1)
    order = rng.permutation(landmarks)
    only_train, only_index, common = order[:few], order[few : 2 * few], order[2 * few :]
    train, index = round(0.6 * pictures), round(0.2 * pictures)
    test = pictures - train - index
    # Half of the landmarks that only train knows are too rare to be kept when train is tidied.
    rare, kept = only_train[: few // 2], only_train[few // 2 :]

    drawn: list[tuple[Split, int, int]] = []  # split, subject, label
    wrong = max(round(0.04 * train), 2)
    known = np.concatenate([common, kept])
    scarce = np.repeat(rare, 3)
    drawn += [("train", n, n) for n in [*scarce, *_long_tail(rng, known, train - wrong - len(scarce))]]
    for i, label in enumerate(rng.choice(common, wrong)):
        other = int(rng.choice(common[common != label])) if i % 2 else NOTHING
        drawn.append(("train", other, int(label)))
    empty = round(0.15 * index)
    drawn += [("index", n, n) for n in _long_tail(rng, np.concatenate([common, only_index]), index - empty)]
    drawn += [("index", NOTHING, NOTHING)] * empty
    empty = round(test / 3)
    asked = np.concatenate([np.repeat(common, 2), only_train, only_index[: (few + 1) // 2]])
    drawn += [("test", n, n) for n in _long_tail(rng, asked, test - empty)]
    drawn += [("test", NOTHING, NOTHING)] * empty

    plan = _name(rng, [(split, int(subject), int(label)) for split, subject, label in drawn])
    train_numbers = _number(rng, np.concatenate([common, only_train]), 203_094)
    index_numbers = _number(rng, np.concatenate([common, only_index]), 101_302)
    return Plan(plan, train_numbers, index_numbers, frozenset(known.tolist()))


def _long_tail(rng: np.random.Generator, over: NDArray[np.int64], total: int) -> NDArray[np.int64]:
    """`total` draws from `over`, each at least once if they suffice, some far more often than others."""
    first = over[:total]
    weight = np.exp(rng.normal(0, 0.4, len(over)))
    return np.concatenate([first, rng.choice(over, total - len(first), p=weight / weight.sum())])


def _number(rng: np.random.Generator, landmarks: NDArray[np.int64], below: int) -> dict[int, int]:
    numbers = rng.choice(below, len(landmarks), replace=False)
    return dict(zip(landmarks.tolist(), numbers.tolist(), strict=True))


def _name(rng: np.random.Generator, drawn: list[tuple[Split, int, int]]) -> list[Picture]:
    """Give ids, tars, shots and usages."""
    ids: set[str] = set()
    while len(ids) < len(drawn):
        ids.add(f"{int(rng.integers(1 << 63, dtype=np.uint64)) * 2 + int(rng.integers(2)):016x}")
    shots: dict[int, int] = {}
    pictures = []
    for image_id, (split, subject, label) in zip(rng.permutation(sorted(ids)), drawn, strict=True):
        shots[subject] = shots.get(subject, -1) + 1
        usage: Usage = "Ignored"
        if split == "test" and rng.random() > 0.03:
            usage = "Public" if rng.random() < 0.5 else "Private"
        tar = int(rng.integers(TARS[split]))
        pictures.append(Picture(str(image_id), split, tar, subject, shots[subject], label, usage))
    return sorted(pictures, key=lambda p: (p.subject, p.shot))
