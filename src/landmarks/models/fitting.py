"""Build the network of an untrusted model file, after checking that its tensors fit the architecture in its record.

The architecture is first built on the meta device, without memory. Names, shapes, types and values of the tensors are
compared with it, so that a small file cannot make us allocate a large network.
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
"""Parameters that a network may create and discard, such as a classifier, besides four times those that it keeps."""


def fitted_parts(record: ModelRecord, found: Mapping[str, Tensor]) -> tuple[nn.Module, ClassHead | None]:
    """Build the network and the head of a record, in eval mode, and fill them with the tensors of its file.

    Args:
        record: The record of the file.
        found: The network's tensors by name, and those of the head with the prefix `HEAD`. Tensors of the head, up to
            1.6 GB, stay memory-mapped.

    Raises:
        LandmarksError: The tensors do not fit the architecture, or are not valid weights.
    """
    refuse_odd(found)
    parts = laid_out(record, len(found))
    expected = tensors_of(*parts)
    if problems := differences(expected, found):
        raise LandmarksError(f"its weights do not fit its architecture: {'; '.join(problems)}")
    if record.architecture["network"] != "published_net":
        parts = build_parts(record)  # other networks may have constants that are not in the file
    tensors = {name: found[name].to(one.dtype) for name, one in expected.items() if name in found}
    for name in expected.keys() - tensors.keys():  # batch counters, which old files lack
        tensors[name] = torch.zeros(expected[name].shape, dtype=expected[name].dtype)
    net, head = parts
    # Copied, because in a mapped file the alignment differs, and with it the order of sums on some CPUs.
    empty = any(one.is_meta for one in net.state_dict().values())
    own = {name: one.clone() if empty else one for name, one in tensors.items() if not name.startswith(HEAD)}
    net.load_state_dict(own, assign=empty)
    if head is not None:
        theirs = {name.removeprefix(HEAD): one for name, one in tensors.items() if name.startswith(HEAD)}
        head.load_state_dict(theirs, assign=True)
    return net, head


def tensors_of(net: nn.Module, head: ClassHead | None) -> dict[str, Tensor]:
    """Return the tensors of a network and its head under their names in a model file."""
    named = dict(net.state_dict())
    if head is not None:
        named |= {f"{HEAD}{name}": value for name, value in head.state_dict().items()}
    return named


def laid_out(record: ModelRecord, tensors: int) -> tuple[nn.Module, ClassHead | None]:
    """Build the parts on the meta device, with a limit on parameters derived from the number of tensors in the file."""
    try:
        with torch.device("meta"), _at_most(4 * tensors + SPARE):
            return build_parts(record)
    except LandmarksError:
        if is_ours(record.architecture):
            raise
    return build_parts(record)  # a user's own network may need values while it is built


@contextmanager
def _at_most(parameters: int) -> Iterator[None]:
    """Raise LandmarksError in this context if more than so many parameters are created."""
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
