"""Cleaning the miniature with planted wrong labels: how many of the kept images are right, how many right ones stay.

Of the images of the five places that have more than one, a share gets a wrong label: half of them that of another of
the five places, half are replaced by images of the test set that show no landmark (there are 113 of these, so that
at 40 % more are of the first kind). With `size`, so many images of each place are drawn first, for most landmarks of
GLDv2 are small. Descriptors come from two networks, embedded with

    landmarks extract checkpoint=CHECKPOINT data=gldv2 data.root=GLDV2 data.source.train_split=train \
        splits=[train,queries] hydra.run.dir=FOLDER

`trained` was trained on these images with their right labels, which flatters it; `imagenet` is the same network
before that. The defaults of the rule were chosen on these figures.

    python benchmarks/cleaning_planted.py GLDV2 trained=FOLDER imagenet=FOLDER [--verify trained]
"""

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from machine import machine, write_csv

from landmarks.cleaning import (
    AgreementRule,
    Bars,
    LandmarkImages,
    Verdict,
    Verification,
    match,
    other_class_bars,
    same_class_neighbours,
)
from landmarks.data import GLDv2, ImageSet, ImageTable, JoinedStore
from landmarks.retrieval import Cache, DescriptorSet, ExactIndex, Resources

RESULTS = Path(__file__).parent / "results" / "cleaning_planted.csv"
SHARES = (0.1, 0.2, 0.4)
SIZES: dict[int | None, int] = {None: 3, 20: 6, 8: 6}  # images of a place, and seeds
FIXED = replace(AgreementRule(), chance=1.0, group_share=0.0)  # a fixed number of agreeing neighbours, no groups
DEFAULT = AgreementRule()

# name, rule, sample of other classes; None as sample: all, 0: none, for a similarity alone.
RULES: tuple[tuple[str, AgreementRule, int | None], ...] = (
    *((f"cosine {value}", replace(FIXED, min_similarity=value, min_agreeing=1), 0) for value in (0.6, 0.7, 0.8)),
    ("1 of 5 neighbours", replace(FIXED, other_class=5, min_agreeing=1), None),
    ("2 of 5 neighbours", replace(FIXED, other_class=4, min_agreeing=2), None),
    ("5 of 10 neighbours", replace(FIXED, other_class=6, min_agreeing=5), None),
    ("2 of 9 neighbours", replace(FIXED, other_class=8), None),
    ("2 of 9, groups", replace(DEFAULT, chance=1.0), None),
    ("2 of 9, beyond chance", replace(DEFAULT, group_share=0.0), None),
    ("default: 2 of 9, beyond chance, groups", DEFAULT, None),
    ("default, largest group", replace(DEFAULT, group_share=1.0), None),
    ("default, chance 0.01", replace(DEFAULT, chance=0.01), None),
    ("default, other_class=4", replace(DEFAULT, other_class=4), None),
    ("default, sample of 256", DEFAULT, 256),
    ("2 of 9, groups, sample of 256", replace(DEFAULT, chance=1.0), 256),
)


class Miniature:
    """Train images and non-landmark test images with their descriptors."""

    def __init__(self, root: str, folder: str) -> None:
        source = GLDv2(root, train_split="train", gallery_split="train")
        train, queries = source.train(), source.queries()
        truth = source.truth().recognition
        assert truth is not None
        without = truth.image_ids[~truth.has_landmark]
        sets = [DescriptorSet.open(f"{folder}/{name}") for name in ("train", "queries")]
        self.train, self.without = train.table, without
        self.ids = np.concatenate([sets[0].ids, without])
        matrix = np.concatenate([sets[0].descriptors, sets[1].descriptors[sets[1].rows(without)]])
        self.embedded = DescriptorSet(self.ids, matrix, sets[0].protocol, folder)
        self.images = self._images(train, queries.take(queries.table.find(without)))

    def _images(self, train: ImageSet, others: ImageSet) -> ImageSet:
        store = JoinedStore(train.table.ids, train.store, others.store)
        assert train.table.locations is not None and others.table.locations is not None
        table = ImageTable.unlabelled(np.concatenate([train.table.ids, others.table.ids]))
        return ImageSet(table.located(store.join(train.table.locations, others.table.locations)), store)

    def planted(self, share: float, size: int | None, seed: int) -> tuple[ImageTable, np.ndarray[Any, Any]]:
        """The table with wrong labels, and which of its images count as wrong: -1 for places of one image."""
        rng = np.random.default_rng(seed)
        labels = self.train.landmarks
        places = np.flatnonzero(self.train.counts() > 1)
        drawn = [rng.permutation(np.flatnonzero(labels == place))[:size] for place in places]
        rows = np.sort(np.concatenate([*drawn, np.flatnonzero(~np.isin(labels, places))]))
        ids, labels = self.train.ids[rows], labels[rows].copy()
        several = np.flatnonzero(np.isin(labels, places))
        chosen = rng.permutation(several)[: round(share * len(several))]
        foreign = min(len(chosen) // 2, len(self.without))
        ids[chosen[:foreign]] = rng.permutation(self.without)[:foreign]
        for row in chosen[foreign:]:
            labels[row] = rng.choice(places[places != labels[row]])
        wrong = np.full(len(ids), -1)
        wrong[several] = 0
        wrong[chosen] = 1
        return ImageTable(ids, labels, self.train.landmark_names), wrong

    def images(self, table: ImageTable) -> LandmarkImages:
        rows = self.embedded.rows(table.ids)
        return match(
            table, replace(self.embedded, ids=table.ids, descriptors=np.asarray(self.embedded.descriptors)[rows])
        )


def verdicts(
    images: LandmarkImages, rule: AgreementRule, sample: int | None, resources: Resources
) -> tuple[Any, Any, Bars]:
    neighbours = same_class_neighbours(images, rule.same_class, resources)
    if sample == 0:
        bar = np.full(len(images), -1, np.float32)
        bars = Bars(bar, len(images) - images.counts, rule.other_class)
    else:
        bars = other_class_bars(images, rule.other_class, sample, rule.same_class, resources)
    return rule.verdicts(images, neighbours, bars), neighbours, bars


def figures(kept: np.ndarray[Any, Any], wrong: np.ndarray[Any, Any]) -> tuple[float, float, float, float]:
    """Precision (NaN where nothing is kept) and recall, precision before, share kept; of the five places."""
    counted = wrong >= 0
    right = wrong == 0
    stays = kept & counted
    return (
        float((stays & right).sum() / stays.sum()) if stays.any() else np.nan,
        float((stays & right).sum() / right.sum()),
        float(right.sum() / counted.sum()),
        float(stays.sum() / counted.sum()),
    )


def measure(model: str, world: Miniature, cache: Cache, verify: bool) -> list[dict[str, object]]:
    table_rows: list[dict[str, object]] = []
    resources = Resources(ExactIndex(), ExactIndex(), cache)
    for size, seeds in SIZES.items():
        for share in SHARES:
            for name, decide in _deciders(world, resources, verify and size is None):
                values = []
                rounds = 1 if "verified" in name else seeds  # minutes each
                for seed in range(rounds):
                    labels, wrong = world.planted(share, size, seed)
                    images = world.images(labels)
                    wrong = wrong[labels.find(images.ids)]
                    values.append(figures(decide(images) == Verdict.KEPT, wrong))
                precision, recall, before, kept = np.nanmean(values, axis=0)
                table_rows.append(
                    {
                        "model": model,
                        "images_a_place": size or "all",
                        "planted": share,
                        "rule": name,
                        "precision_before": round(before, 4),
                        "precision": round(precision, 4),
                        "recall": round(recall, 4),
                        "kept": round(kept, 4),
                        "seeds": rounds,
                    }
                )
                print(*table_rows[-1].values(), flush=True)
    return table_rows


def _deciders(
    world: Miniature, resources: Resources, verify: bool
) -> list[tuple[str, Callable[[LandmarkImages], Any]]]:
    def by_rule(rule: AgreementRule, sample: int | None) -> Callable[[LandmarkImages], Any]:
        return lambda images: rule.small_landmarks(images, verdicts(images, rule, sample, resources)[0])

    def verified(inliers: int) -> Callable[[LandmarkImages], Any]:
        def decide(images: LandmarkImages) -> Any:
            found, neighbours, bars = verdicts(images, DEFAULT, None, resources)
            proof = Verification(min_inliers=inliers)
            proven = proof.verdicts(images, world.images, found, DEFAULT, neighbours, bars, resources)
            return DEFAULT.small_landmarks(images, proven)

        return decide

    proofs = [(f"default, verified by {count} inliers", verified(count)) for count in (6, 8)] if verify else []
    return [(name, by_rule(rule, sample)) for name, rule, sample in RULES] + proofs


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("root")
    arguments.add_argument("sets", nargs="+", metavar="NAME=FOLDER")
    arguments.add_argument("--verify", metavar="NAME", help="verify geometrically, too, with this set")
    arguments.add_argument("--cache", default=None, help="folder; a temporary one if not given")
    given = arguments.parse_args()
    cache = Cache(given.cache) if given.cache else Cache(keep=False)
    rows = []
    for pair in given.sets:
        name, _, folder = pair.partition("=")
        rows += measure(name, Miniature(given.root, folder), cache, given.verify == name)
    write_csv(RESULTS, [{**row, **machine(numpy=np.__version__)} for row in rows])


if __name__ == "__main__":
    main()
