import logging
from pathlib import Path

import numpy as np
import pytest

from labelled import labelled
from landmarks.cleaning import AgreementRule, clean_images
from landmarks.errors import LandmarksError
from landmarks.retrieval import Cache
from resources import make_resources


def test_counts_add_up_and_repeat(tmp_path: Path) -> None:
    table, embedded, wrong = labelled([40, 25, 60, 1, 30], wrong=20)
    cleaned = clean_images(table, embedded, make_resources(cache=Cache(tmp_path)))
    report = cleaned.as_json()
    assert report["images"] == {"before": 156, "kept": int(cleaned.kept.sum())}
    assert report["images"]["kept"] + sum(report["fell"].values()) == 156
    assert report["landmarks"]["before"] == 5 and report["landmarks"]["kept"] == 4
    assert wrong[table.find(cleaned.images.ids[cleaned.kept])].mean() < 0.02
    again = clean_images(table, embedded, make_resources())
    assert (again.verdicts == cleaned.verdicts).all()


def test_the_order_of_table_and_set_does_not_matter() -> None:
    table, embedded, _ = labelled([40, 25, 60], wrong=10)
    rows = np.random.default_rng(1).permutation(len(table))
    first, second = (
        clean_images(table, embedded, make_resources()),
        clean_images(table.take(rows), embedded, make_resources()),
    )
    assert (first.images.ids == second.images.ids).all() and (first.verdicts == second.verdicts).all()


def test_too_short_neighbour_lists_are_reported(caplog: pytest.LogCaptureFixture) -> None:
    table, embedded, _ = labelled([200, 40, 60])
    with caplog.at_level(logging.WARNING):
        clean_images(table, embedded, make_resources(), AgreementRule(same_class=4), sample=60)
    assert "raise --sample or --same-class" in caplog.text


def test_nothing_left_is_an_error() -> None:
    table, embedded, _ = labelled([10, 10, 10])
    with pytest.raises(LandmarksError, match="none of 30 images is kept"):
        clean_images(table, embedded, make_resources(), AgreementRule(min_images=11))
    with pytest.raises(LandmarksError, match="images is kept"):
        clean_images(table, embedded, make_resources(), AgreementRule(min_similarity=1.0))
