"""Two numberings of landmarks, as of a gallery and of a classifier, put into one by the names."""

import numpy as np
from numpy.typing import NDArray


def join_label_spaces(names: NDArray[np.str_], others: NDArray[np.str_]) -> tuple[NDArray[np.str_], NDArray[np.int32]]:
    """Append to one label space what another one knows besides.

    Args:
        names: str [C], each once; they keep their numbers.
        others: str [D], each once.

    Returns:
        The joint names, str [L], and the number there of each of the others, int32 [D].
    """
    if not len(names) or not len(others):
        return np.concatenate([names, others]), np.arange(len(names), len(names) + len(others), dtype=np.int32)
    order = np.argsort(names)
    place = np.minimum(np.searchsorted(names, others, sorter=order), len(names) - 1)
    known = names[order[place]] == others
    number = np.where(known, order[place], len(names) + np.cumsum(~known) - 1)
    return np.concatenate([names, others[~known]]), number.astype(np.int32)
