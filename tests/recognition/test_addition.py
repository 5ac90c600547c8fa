import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from landmarks.recognition.addition import with_added
from landmarks.recognition.candidates import gather


@given(data=st.data())
def test_adds_as_a_dictionary_would_and_leaves_the_rest(data: st.DataObject) -> None:
    queries, landmarks = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 5))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))

    def votes(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        # sums of these tie often, and are exact
        return (
            rng.integers(0, queries, count),
            rng.integers(-1, landmarks, count),
            rng.choice([0.25, 0.5, 1.0], count),
        )

    before = gather(*votes(data.draw(st.integers(0, 12))), queries, landmarks)
    query, landmark, weight = votes(data.draw(st.integers(0, 6)))
    after = with_added(before, query, landmark, weight, landmarks)
    for row in range(queries):
        filled = before.filled[row]
        sums = dict(zip(before.landmarks[row][filled].tolist(), before.scores[row][filled].tolist(), strict=True))
        for q, name, w in zip(query.tolist(), landmark.tolist(), weight.tolist(), strict=True):
            if q == row and name >= 0:
                sums[name] = sums.get(name, 0.0) + w
        expected = sorted(sums.items(), key=lambda pair: -pair[1])  # stable: first seen, first named
        kept = after.filled[row]
        assert after.landmarks[row][kept].tolist() == [name for name, _ in expected]
        assert after.scores[row][kept].tolist() == [total for _, total in expected]
