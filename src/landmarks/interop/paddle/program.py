"""Read the variables of a program: the file `model` beside `params`, a protobuf message `ProgramDesc`.

Only a part of the message is read: the program's first block (field 1), its variables (field 3), and of each its name,
whether it is kept, and type, element type and shape. Operators are skipped.
"""

from pathlib import Path

from landmarks.errors import LandmarksError
from landmarks.interop.paddle.tensor import BYTES, VARINT, Description, Field, fields, read_description

LARGEST_FILE = 64 << 20  # bytes; a thousand layers take two million, or fifteen with their gradients
MOST_VARIABLES = 100_000
MOST_PARTS = 200_000  # variables and operators of a block; a thousand layers in training have some ten thousand
LONGEST_NAME = 255  # bytes, the limit of file names, which the separate layout uses for variables

LOD_TENSOR = 7
NOT_SAVED = {9: "feed", 10: "fetch", 15: "reader", 17: "raw"}  # kept, but without values of their own


def read_program(path: Path) -> dict[str, Description]:
    """Read type and shape of the variables in `params`, by name; sorted by name, as the values are in the file."""
    try:
        size = path.stat().st_size
        if size > LARGEST_FILE:
            raise LandmarksError(f"it has {size:,} bytes; programs up to {LARGEST_FILE:,} are read")
        with path.open("rb") as file:
            message = memoryview(file.read(size))
        return _kept(message)
    except OSError as error:
        raise LandmarksError(f"{path}: cannot be read ({error.strerror})") from None
    except LandmarksError as error:
        raise LandmarksError(f"{path}: {error}; it is corrupt, or not a program of PaddlePaddle") from None


def _kept(message: memoryview) -> dict[str, Description]:
    block = next((field for field in fields(message) if field.number == 1), None)
    if block is None:
        raise LandmarksError("it has no block")
    found: dict[str, Description] = {}
    for field in fields(_message(block), MOST_PARTS):
        if field.number == 3:
            name, described = _variable(_message(field))
            if described is None:
                continue
            if name in found:
                raise LandmarksError(f"variable {name} occurs twice")
            if len(found) == MOST_VARIABLES:
                raise LandmarksError(f"more than {MOST_VARIABLES:,} variables")
            found[name] = described
    return dict(sorted(found.items()))


def _variable(message: memoryview) -> tuple[str, Description | None]:
    """Return the name of a variable, and its type and shape, or None if `params` does not hold it."""
    name, kind, kept = "", memoryview(b""), False
    for field in fields(message):
        match field.number:
            case 1:
                name = _name(_message(field))
            case 2:
                kind = _message(field)
            case 3:
                kept = _number(field) != 0
    if not name:
        raise LandmarksError("a variable without a name")
    if not kept:
        return name, None
    try:
        return name, _tensor(kind)
    except LandmarksError as error:
        raise LandmarksError(f"variable {name}: {error}") from None


def _tensor(kind: memoryview) -> Description | None:
    number, described = -1, None
    for field in fields(kind):
        if field.number == 1:
            number = _number(field)
        elif field.number == 3:  # LoDTensorDesc, whose field 1 is the TensorDesc
            inner = next((one for one in fields(_message(field)) if one.number == 1), None)
            described = None if inner is None else read_description(_message(inner))
    if number in NOT_SAVED:
        return None
    if number != LOD_TENSOR or described is None:
        raise LandmarksError(f"it is kept but is of kind {number}, not a tensor")
    return described


def _name(data: memoryview) -> str:
    if len(data) > LONGEST_NAME:
        raise LandmarksError(f"the name of a variable has {len(data):,} bytes; at most {LONGEST_NAME} are read")
    name = bytes(data).decode("utf-8", "replace")
    if not name.isprintable() or "\N{REPLACEMENT CHARACTER}" in name:
        raise LandmarksError(f"{name!r} is not a valid name of a variable")
    return name


def _message(field: Field) -> memoryview:
    if field.kind != BYTES:
        raise LandmarksError(f"field {field.number} is a number instead of a message")
    return field.data


def _number(field: Field) -> int:
    if field.kind != VARINT:
        raise LandmarksError(f"field {field.number} is not a number")
    return field.value
