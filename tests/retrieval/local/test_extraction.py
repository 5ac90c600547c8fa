from pathlib import Path

import numpy as np

from corners import DIM, Corners
from landmarks.retrieval.local import Extraction, FeatureFiles
from pictures import image_set, png


def test_answers_say_what_is_there_what_is_new_and_what_is_wrong(tmp_path: Path) -> None:
    images = image_set([png(np.full((6, 8, 3), value, np.uint8)) for value in (3, 4)] + [b"no picture", None])
    with FeatureFiles(tmp_path, DIM) as files:
        work = Extraction(images, Corners(), b"one", files.known, files.columns())
        new, other, unreadable, missing = work(np.arange(4))
        assert new.record is None and new.features is not None and len(new.features) == 3
        assert other.key != new.key and not new.fault
        assert unreadable.key is not None and unreadable.fault and unreadable.features is not None
        assert missing.key is None and "nowhere" in missing.fault
        assert new.key is not None
        files.append([(new.key, new.features, True)])
    with FeatureFiles(tmp_path, DIM) as files:
        again = Extraction(images, Corners(), b"one", files.known, files.columns())(np.array([0]))[0]
        assert again.key == new.key and again.features is None
        assert again.record is not None and again.record["count"] == 3
        changed = Extraction(images, Corners(), b"two", files.known, files.columns())(np.array([0]))[0]
        assert changed.key != new.key and changed.record is None
