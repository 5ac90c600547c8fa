"""Networks of a file that somebody sent: built when its tensors are those that its record speaks of, and not before.

What a record asks for is laid out without memory first. Names, shapes, types and values of the tensors are compared
with that, so that nothing is taken but what the file itself brings.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from landmarks.errors import LandmarksError
from landmarks.losses import ClassHead
from landmarks.models.architecture import build_parts, is_ours
from landmarks.models.record import ModelRecord
from landmarks.models.weights import HEAD, differences, refuse_odd

SPARE = 1000
"""Parameters that a network may make and throw away, such as a classifier, besides four times what it keeps."""


def fitted_parts(record: ModelRecord, found: Mapping[str, Tensor]) -> tuple[nn.Module, ClassHead | None]:
    """Build the network and the head of a record, in eval mode, and fill them with the tensors of its file.

    Args:
        record: what the file says of itself.
        found: the network's tensors by their names, and those of the head behind `HEAD`. Those of the head stay where
            they are, in a mapped file: they take up to 1.6 GB.

    Raises:
        LandmarksError: They are not those of the network, or no weights.
    """
    refuse_odd(found)
    parts = laid_out(record, len(found))
    expected = tensors_of(*parts)
    if problems := differences(expected, found):
        raise LandmarksError(f"its weights do not fit its architecture: {'; '.join(problems)}")
    if record.architecture["network"] != "published_net":
        parts = build_parts(record)  # others may hold constants that no file does
    tensors = {name: found[name].to(one.dtype) for name, one in expected.items() if name in found}
    for name in expected.keys() - tensors.keys():  # counters of batches, which old files lack
        tensors[name] = torch.zeros(expected[name].shape, dtype=expected[name].dtype)
    net, head = parts
    # Copied, for a file's values lie where some processors' vector units sum in another order.
    empty = any(one.is_meta for one in net.state_dict().values())
    own = {name: one.clone() if empty else one for name, one in tensors.items() if not name.startswith(HEAD)}
    net.load_state_dict(own, assign=empty)
    if head is not None:
        theirs = {name.removeprefix(HEAD): one.clone() for name, one in tensors.items() if name.startswith(HEAD)}
        head.load_state_dict(theirs, assign=True)
    return net, head


def tensors_of(net: nn.Module, head: ClassHead | None) -> dict[str, Tensor]:
    """Name the tensors of a network and its head as a model file does."""
    named = dict(net.state_dict())
    if head is not None:
        named |= {f"{HEAD}{name}": value for name, value in head.state_dict().items()}
    return named


def laid_out(record: ModelRecord, tensors: int) -> tuple[nn.Module, ClassHead | None]:
    """Build without memory, of no more parameters than the file can fill."""
    try:
        with torch.device("meta"), _at_most(4 * tensors + SPARE):
            return build_parts(record)
    except LandmarksError:
        if is_ours(record.architecture):
            raise
    return build_parts(record)  # a user's own may ask for values while it is built


@contextmanager
def _at_most(parameters: int) -> Iterator[None]:
    """A block in which no network of more parameters than that is built."""
    made = 0

    def count(*_: object) -> None:
        nonlocal made
        made += 1
        if made > parameters:
            raise LandmarksError("asks for more layers than the file has weights for")

    handle = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        handle.remove()
