import numpy as np
import pytest

from landmarks.data.demo.catalogue import BUILDERS, build_landmark, kind_of, name_landmark
from landmarks.data.demo.landmark import Architect
from landmarks.data.demo.panel import Panel
from landmarks.data.demo.revolved import Revolved


@pytest.mark.parametrize("builder", BUILDERS, ids=lambda b: b.__name__)
@pytest.mark.parametrize("seed", [1, 2])
def test_landmarks_are_as_large_as_they_say(builder, seed: int) -> None:  # type: ignore[no-untyped-def]
    landmark = builder(Architect.of(seed, 3))
    corners = np.concatenate([s.corners for s in landmark.surfaces if isinstance(s, Panel | Revolved)])
    assert len(landmark.surfaces) >= 2 and np.isfinite(corners).all()
    assert corners[:, 2].min() > -1.0, "nothing hangs below the ground"
    assert 0.65 < corners[:, 2].max() / landmark.height < 1.3
    assert np.abs(corners[:, 0]).max() > 0.3 * landmark.width


def test_landmarks_are_repeatable_and_unlike() -> None:
    kinds = [kind_of(0, n) for n in range(40)]
    assert len(set(kinds)) == len(BUILDERS)
    twins = [n for n in range(40) if kinds[n] == kinds[0]]
    one, again, other = (build_landmark(0, n) for n in (twins[0], twins[0], twins[1]))
    first = [s.texture for s in one.surfaces if isinstance(s, Panel | Revolved)]
    same = [s.texture for s in again.surfaces if isinstance(s, Panel | Revolved)]
    assert all(np.array_equal(a.colour, b.colour) for a, b in zip(first, same, strict=True))
    assert one.height == again.height != other.height


def test_names_are_unique() -> None:
    names = [name_landmark(0, n, kind_of(0, n)) for n in range(400)]
    assert len(set(names)) == 400 and not any("," in name for name in names)
