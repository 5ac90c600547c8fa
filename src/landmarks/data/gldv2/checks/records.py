"""What checks of pictures found, kept so that a second check decodes only what is new.

A small JSON file for each container of pictures, under the container's stamp and the rules by which its pictures were
judged. One that was changed since, or judged by other rules, is checked again.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from landmarks.data.gldv2.checks.containers import Container
from landmarks.storage.atomic_file import atomic_file

PictureFault = Literal["unreadable", "tiny", "extreme_aspect"]

# Below the total stride of the networks, a picture does not fill one cell of their last feature map.
MIN_SHORT_SIDE = 32
# The released resize gives the short side its full length up to 3:1; at 5:1 three fifths of it are left.
MAX_ASPECT = 5.0
RULES = {"version": 1, "min_short_side": MIN_SHORT_SIDE, "max_aspect": MAX_ASPECT}


@dataclass(frozen=True)
class BadPicture:
    """A picture that training would leave out or hardly learn from."""

    image_id: int
    fault: PictureFault
    reason: str


@dataclass(frozen=True)
class ContainerCheck:
    """What was found in one container.

    Attributes:
        name: Of the container, such as "train/images_003.tar".
        md5: Of the tar, None for a folder.
        bad: Its bad pictures, in the order of the container.
    """

    name: str
    md5: str | None
    bad: tuple[BadPicture, ...]


def find_checked(containers: Sequence[Container], records: Path) -> dict[str, ContainerCheck]:
    """What earlier checks found in containers that are still the same, by name."""
    found = ((container, _read_record(container, records)) for container in containers)
    return {container.name: check for container, check in found if check is not None}


def write_record(container: Container, check: ContainerCheck, records: Path) -> None:
    """Keep what was found in a container. Raises OSError."""
    record = {
        **RULES,
        "stamp": container.stamp,
        "md5": check.md5,
        "bad": [[f"{picture.image_id:016x}", picture.fault, picture.reason] for picture in check.bad],
    }
    with atomic_file(_record_path(container, records)) as file:
        file.write(json.dumps(record, indent=1).encode())


def _read_record(container: Container, records: Path) -> ContainerCheck | None:
    """None where there is none, or one of another state of the container, of other rules, or a damaged one."""
    stamp = container.stamp  # as it is before the container is checked
    try:
        record = json.loads(_record_path(container, records).read_bytes())
        if {name: record.get(name) for name in RULES} != RULES or record["stamp"] != stamp:
            return None
        bad = tuple(BadPicture(int(image_id, 16), fault, str(reason)) for image_id, fault, reason in record["bad"])
        if any(picture.fault not in get_args(PictureFault) for picture in bad):
            return None
        return ContainerCheck(container.name, record["md5"], bad)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _record_path(container: Container, records: Path) -> Path:
    folder, _, rest = container.name.partition("/")
    return records / folder / f"{rest.replace('/', '')}.json"
