import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from landmarks.recognition import join_label_spaces

NAMES = st.lists(st.text("abc", min_size=1, max_size=3), unique=True, max_size=8)


@given(NAMES, NAMES)
def test_names_keep_their_numbers_and_others_find_theirs(names: list[str], others: list[str]) -> None:
    joint, numbers = join_label_spaces(np.array(names, np.str_), np.array(others, np.str_))
    assert joint.tolist() == names + [name for name in others if name not in names]
    assert [joint[number] for number in numbers] == others and numbers.dtype == np.int32
